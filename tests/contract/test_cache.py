"""What every policy of the cache in memory promises, with and without a place for newcomers, once for all of them."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imagemill.cache.memory import OVERHEAD_BYTES, MemoryCache

KINDS = [(policy, unread_s) for policy in ("tiny_lfu", "lru", "fifo") for unread_s in (0.0, 45.0)]


@pytest.fixture(params=KINDS, ids=lambda kind: f"{kind[0]}-{kind[1]:.0f}")
def cache(request):
    """A maker of caches of one kind."""
    policy, unread_s = request.param

    def make(max_bytes: int = 1_000_000, ttl_s: float = 300, **more: object) -> MemoryCache[bytes]:
        return MemoryCache(max_bytes, ttl_s, len, policy, unread_s=unread_s, **more)

    return make


def test_reads_back_what_was_put(cache):
    """A value is there until it is dropped, whether it was read before or not."""
    c = cache()
    c.put("k", b"v", 0.0, ttl_s=10)
    c.put("unread", b"v", 0.0, ttl_s=10)

    assert c.get("k", 1.0) == c.get("k", 1.0) == c.peek("k", 1.0) == b"v"
    for name in ("k", "k", "unread"):
        c.drop(name)
    assert (c.get("k", 1.0), c.get("unread", 1.0)) == (None, None)
    assert c.used_bytes < OVERHEAD_BYTES  # no more than a name


def test_the_last_to_be_put_is_what_is_read(cache):
    """A value takes the place of the one before it, be that a newcomer or not."""
    c = cache()
    for value in (b"1", b"2"):
        c.put("k", value, 0.0, ttl_s=10)
    found = [c.get("k", 0.0)]
    for value in (b"3", b"4"):
        c.put("k", value, 0.0, ttl_s=10)
    found.append(c.get("k", 0.0))
    c.drop("k")

    assert found == [b"2", b"4"]
    assert c.get("k", 0.0) is None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ttl_s=st.floats(1, 10_000), read_at=st.floats(0, 1))
def test_nothing_lives_longer_than_it_may(cache, ttl_s, read_at):
    """Neither beyond its own lifetime nor beyond the cache's, read or not; and at least nine tenths of it."""
    c = cache(ttl_s=300)
    c.put("k", b"v", 100.0, ttl_s=ttl_s)
    life = min(ttl_s, 300)
    if read_at < 0.89:
        assert c.peek("k", 100.0 + read_at * life) == b"v"

    assert c.get("k", 100.0 + 0.89 * life) == b"v"
    assert c.get("k", 100.0 + life) is None
    assert not c.peek("k", 100.0 + life)


def test_lifetimes_are_spread(cache):
    """What was filled in one moment does not expire in one: the last tenth of a lifetime sees it go bit by bit."""
    c = cache(10_000_000)
    for n in range(500):
        c.put(str(n), b"v", 0.0, ttl_s=300)

    left = [sum(c.peek(str(n), now) is not None for n in range(500)) for now in (269, 277, 285, 293, 300)]

    assert left[0] == 500
    assert left[-1] == 0
    assert left == sorted(left, reverse=True)
    assert len(set(left)) == 5


def test_a_large_value_is_let_go(cache):
    """L13: a value above an eighth of the whole would push out too much; it is not kept, and pushes out nothing."""
    seen: list[str] = []
    c = cache(80_000, observe=seen.append)
    c.put("small", b"x", 0.0, ttl_s=10)
    c.put("large", b"x" * (10_001 - OVERHEAD_BYTES), 0.0, ttl_s=10)
    c.put("fits", b"x" * (10_000 - OVERHEAD_BYTES), 0.0, ttl_s=10)

    assert [c.get(name, 0.0) is not None for name in ("large", "fits", "small")] == [False, True, True]
    assert seen == ["put", "bypass", "put", "miss", "hit", "hit"]


@pytest.mark.parametrize("read", [False, True])
@pytest.mark.parametrize(("key_bytes", "body_bytes"), [(8, 0), (8, 1_000), (8_000, 0)])
def test_the_bound_holds(cache, key_bytes, body_bytes, read):
    """Many times too much goes in; what stays weighs no more than the bound: keys, which strangers make, included."""
    c = cache(1_000_000)
    names = [str(n).ljust(key_bytes, "k") for n in range(5_000)]
    for name in names:
        c.put(name, bytes(body_bytes), 0.0, ttl_s=100)
        if read:
            c.get(name, 0.0)

    assert 0 < c.used_bytes <= 1_000_000
    kept = sum(c.peek(name, 0.0) is not None for name in names)
    assert 0 < kept * (key_bytes + body_bytes + OVERHEAD_BYTES) <= 1_000_000


def test_every_lookup_counts_once_and_a_peek_never(cache):
    """A hit is a hit, wherever the entry lay."""
    seen: list[str] = []
    c = cache(observe=seen.append)
    c.put("k", b"v", 0.0, ttl_s=10)
    for name in ("k", "k", "absent"):
        c.get(name, 0.0)
        c.peek(name, 0.0)

    assert seen == ["put", "hit", "hit", "miss"]
