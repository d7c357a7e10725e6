"""Bounded in bytes, honest about time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagemill.cache.memory import OVERHEAD_BYTES, MemoryCache


def cache(max_bytes: int = 1_000_000, ttl_s: float = 300, **more: object) -> MemoryCache[bytes]:
    return MemoryCache(max_bytes, ttl_s, len, **more)


def test_reads_back_what_was_put():
    """A value is there until it is dropped."""
    c = cache()
    c.put("k", b"v", 0.0, ttl_s=10)

    assert c.get("k", 1.0) == b"v"
    c.drop("k")
    c.drop("k")
    assert c.get("k", 1.0) is None


@given(st.floats(1, 10_000))
def test_nothing_lives_longer_than_it_may(ttl_s):
    """Neither beyond its own lifetime nor beyond the cache's; and at least nine tenths of it."""
    c = cache(ttl_s=300)
    c.put("k", b"v", 100.0, ttl_s=ttl_s)
    life = min(ttl_s, 300)

    assert c.get("k", 100.0 + 0.89 * life) == b"v"
    assert c.get("k", 100.0 + life) is None
    assert not c.peek("k", 100.0 + life)


def test_a_large_value_is_let_go():
    """A value above an eighth of the whole would push out too much."""
    seen: list[str] = []
    c = cache(80_000, observe=seen.append)
    c.put("large", b"x" * 10_000, 0.0, ttl_s=10)
    c.put("fits", b"x" * (10_000 - OVERHEAD_BYTES), 0.0, ttl_s=10)

    assert (c.get("large", 0.0), c.get("fits", 0.0) is not None) == (None, True)
    assert seen == ["bypass", "put", "miss", "hit"]


@pytest.mark.parametrize("policy", ["tiny_lfu", "lru"])
def test_the_bound_holds(policy):
    """Twenty times too much goes in; what stays weighs no more than the bound."""
    c = cache(1_000_000, policy=policy)
    for n in range(20_000):
        c.put(str(n), b"x" * 1_000, 0.0, ttl_s=100)
    c._moka.run_pending_tasks()

    assert 0 < c.used_bytes <= 1_000_000


def test_tiny_lfu_keeps_what_is_read_from_a_scan():
    """A hot entry survives a scan of many that are asked for once."""
    c = cache(100_000)
    c.put("hot", b"h" * 1_000, 0.0, ttl_s=100)
    for n in range(5_000):
        c.get("hot", 0.0)
        c.put(f"cold{n}", b"x" * 1_000, 0.0, ttl_s=100)

    assert c.get("hot", 0.0) is not None
