"""What the settings say is what the parts are told."""

import pytest

from imagemill import wiring
from imagemill.settings import Cache, Engine, Settings, Signing
from imagemill.storage.base import Blob
from imagemill.wiring import Service

MiB = 1 << 20


def service(**cache: object) -> Service:
    return Service(Settings(signing=Signing(mode="unsigned"), engine=Engine(workers=1), cache=Cache(**cache)))


@pytest.mark.parametrize(("wanted", "bound"), [(0, 25 * MiB), (8 * MiB, 8 * MiB)])
def test_l1_is_as_large_as_its_container_and_its_setting_allow(monkeypatch, wanted, bound):
    """By default a quarter of the container's memory, and not of the machine's."""
    monkeypatch.setattr(wiring, "container_bytes", lambda: 100 * MiB)

    assert service(l1_bytes=wanted).l1.max_bytes == bound


@pytest.mark.parametrize("policy", ["tiny_lfu", "lru"])
def test_the_policy_is_the_setting(policy):
    """`cache.policy` reaches both caches of bytes."""
    made = service(policy=policy)

    assert (made.l1.policy, made.sources.policy) == (policy, policy)


def test_lifetimes_are_the_settings():
    """L1 keeps nothing beyond `l1_ttl_s`, the source cache nothing beyond `source_ttl_s`, whatever is asked for."""
    made = service(l1_ttl_s=20.0, source_ttl_s=10.0, source_bytes=MiB)
    made.sources.put("k", Blob(b"x"), 0.0, ttl_s=1e6)
    made.failures.put("k", ValueError(), 0.0, ttl_s=1e6)
    assert (made.l1.ttl_s, made.sources.ttl_s, made.sources.max_bytes) == (20.0, 10.0, MiB)

    assert made.sources.get("k", 10.0) is None
    assert made.failures.get("k", 30.0) is None
