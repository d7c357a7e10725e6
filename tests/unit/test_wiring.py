"""What the settings say is what the parts are told; what only they can know is wrong stops the start too (O04)."""

import asyncio
import threading
import time

import pytest

from imagemill import wiring, wiring_caches, wiring_worker
from imagemill.cache.tidy import Tidy
from imagemill.configuration import load
from imagemill.engines.pool import Event
from imagemill.model.errors import SettingsError
from imagemill.net.connection import RESOLVER_THREADS
from imagemill.settings import Cache, Engine, Settings, Signing
from imagemill.storage.base import Blob
from imagemill.wiring import Service

MiB = 1 << 20
UNSIGNED = {"signing": {"mode": "unsigned"}}


@pytest.mark.parametrize(
    ("name", "table", "words"),
    [
        ("a", {"kind": "file", "root": "/none/there"}, "storage.a: storage root /none/there is not a directory"),
        ("a", {"kind": "file", "rot": "/"}, "unknown setting storage.a.rot; did you mean root?"),
        ("a", {"kind": "file"}, "storage.a: Object missing required field `root`"),
        ("a", {"kind": "file", "root": ""}, "storage.a: Expected a path, got `''`"),
        ("a", {"kind": "file", "root": 5}, "storage.a: Expected a path, got `5`"),
        ("a", {"kind": "tape"}, "storage.a.kind: one of file, s3"),
        ("a", {"kind": ["file"]}, "storage.a.kind: one of file, s3"),
        ("a", {"root": "/"}, "storage.a.kind: one of file, s3"),
        ("", {"kind": "file", "root": "/"}, "a store's name is"),
        ("a/b", {"kind": "file", "root": "/"}, "storage.a/b: a store's name is"),
        ("é", {"kind": "file", "root": "/"}, "a store's name is"),
    ],
)
def test_wrong_stores_are_refused(name, table, words):
    """A store that could not be read, or not be named in a URL, is refused with its name."""
    with pytest.raises(SettingsError) as e:
        wiring.check(load(None, {}, UNSIGNED | {"storage": {name: table}}))

    assert words in str(e.value)


def test_right_settings_pass(tmp_path):
    wiring.check(load(None, {}, UNSIGNED | {"storage": {"a.b-c_9": {"kind": "file", "root": str(tmp_path)}}}))


@pytest.mark.parametrize(
    ("table", "extra"),
    [({"engine": {"quality_auto": True}}, "quality"), ({"negotiation": {"formats": ["jxl", "webp"]}}, "jxl")],
)
def test_what_is_offered_has_to_be_installed(monkeypatch, table, extra):
    """A start, and `serve --check`, say which extra is wanted; with it they pass."""
    settings = load(None, {}, UNSIGNED | table)
    wiring.check(settings)
    monkeypatch.setattr(wiring, "find_spec", lambda _name: None)
    for judge in (wiring.check, wiring.Service):
        with pytest.raises(SettingsError, match=rf"imagemill\[{extra}\]"):
            judge(settings)


def test_workers_of_any_command_need_what_judges_qualities(monkeypatch):
    """`render`, `info`, `doctor` and job processes say which extra is wanted, before a worker fails to start."""
    settings = load(None, {}, UNSIGNED | {"engine": {"quality_auto": True}})
    monkeypatch.setattr(wiring, "find_spec", lambda _name: None)

    for start in (lambda: wiring.engine(settings, 1), lambda: wiring_worker.JobProcess(settings)):
        with pytest.raises(SettingsError, match=r"imagemill\[quality\]"):
            start()


async def test_what_the_pool_tells_is_counted():
    """Crashes, restarts by reason, and sources refused as poison, each in its own metric."""
    service = wiring.Service(load(None, {}, UNSIGNED))
    for event in (Event("crash"), Event("restart", "deadline"), Event("poison"), Event("poison")):
        service.counts.pool(event)
    shown = service.metrics.render().decode()
    await service.close()

    assert "imagemill_worker_crash_total 1.0" in shown
    assert 'imagemill_worker_restarts_total{reason="deadline"} 1.0' in shown
    assert "imagemill_poison_refused_total 2.0" in shown


async def test_names_of_jobs_are_not_in_the_way_of_pictures(tmp_path):
    """L19: a batch of names whose servers are silent takes every thread that looks names up, and pictures have others."""
    settings = {"jobs": {"engine": "embedded", "data": str(tmp_path)}}
    node = wiring.Service(load(None, {}, UNSIGNED | settings))
    let_go = threading.Event()
    for _ in range(RESOLVER_THREADS):
        node.submission.client._out._threads.submit(let_go.wait)

    try:
        found = node.client._out._threads.submit(str, "looked up").result(timeout=5)
    finally:
        let_go.set()
        await node.submission.client.close()
        await node.client.close()

    assert found == "looked up"


def service(**cache: object) -> Service:
    return Service(Settings(signing=Signing(mode="unsigned"), engine=Engine(workers=1), cache=Cache(**cache)))


@pytest.mark.parametrize(("wanted", "bound"), [(0, 25 * MiB), (8 * MiB, 8 * MiB)])
def test_l1_is_as_large_as_its_container_and_its_setting_allow(monkeypatch, wanted, bound):
    """By default a quarter of the container's memory, and not of the machine's."""
    monkeypatch.setattr(wiring_caches, "container_bytes", lambda: 100 * MiB)

    assert service(l1_bytes=wanted).l1.max_bytes == bound


@pytest.mark.parametrize("policy", ["tiny_lfu", "lru", "fifo"])
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


async def test_the_source_cache_is_bounded_in_bytes_and_by_a_minute():
    """Section 4: it counts bodies, not entries, and gives nothing back that is older than a minute."""
    service = Service(Settings(signing=Signing(mode="unsigned"), cache=Cache(source_bytes=1 << 20)))
    now = time.monotonic()
    try:
        for n in range(10):
            service.sources.put(str(n), Blob(bytes(200_000)), now, ttl_s=9_999)

        assert 0 < service.sources.used_bytes <= 1 << 20
        kept = [n for n in range(10) if service.sources.get(str(n), now)]
        assert 1 <= len(kept) <= 5
        assert not any(service.sources.get(str(n), now + 60) for n in kept)
    finally:
        await service.client.close()


@pytest.mark.parametrize(("cache", "unread_s"), [({}, 45.0), ({"l1_unread_s": 0}, 0), ({"l1_ttl_s": 20.0}, 0)])
def test_what_is_unread_leaves_l1_early(cache, unread_s):
    """By default; not where it is told to stay, nor where nothing stays for so long."""
    assert service(**cache).l1.unread_s == unread_s


class NoPool:
    """Workers that nobody needs."""

    versions: dict[str, str] = {}
    states = dict.fromkeys(("idle", "busy", "starting"), 0)

    async def start(self) -> None:
        pass

    async def close(self) -> None:
        pass


async def test_the_caches_of_bytes_are_looked_after(monkeypatch):
    """From the start of a node to its end: nothing else drops what has expired where nobody asks any more."""
    looked: set[object] = set()
    monkeypatch.setattr(Tidy, "look", lambda tidy: looked.update(tidy._caches))
    node = Service(Settings(signing=Signing(mode="unsigned")), pool=NoPool())
    node._tidy._every_s = 0.001
    await node.start()
    try:
        while not {node.l1, node.sources, node.failures} <= looked:
            await asyncio.sleep(0.001)
    finally:
        await node.close()
    await asyncio.sleep(0)

    assert node._tidying.cancelled()
