"""What tells one policy from another; what all of them promise: tests/contract/test_cache.py."""

from imagemill.cache.memory import OVERHEAD_BYTES, MemoryCache


def cache(max_bytes: int = 1_000_000, ttl_s: float = 300, **more: object) -> MemoryCache[bytes]:
    return MemoryCache(max_bytes, ttl_s, len, **more)


def test_tiny_lfu_keeps_what_is_read_from_a_scan():
    """A hot entry survives a scan of many that are asked for once."""
    c = cache(100_000)
    c.put("hot", b"h" * 1_000, 0.0, ttl_s=100)
    for n in range(5_000):
        c.get("hot", 0.0)
        c.put(f"cold{n}", b"x" * 1_000, 0.0, ttl_s=100)

    assert c.get("hot", 0.0) is not None


def test_lru_keeps_what_came_last():
    """By setting, the last to come stays, whatever was read more often before; TinyLFU would not let it in."""
    kept = {}
    for policy in ("lru", "tiny_lfu"):
        c = cache(50_000, policy=policy)
        for n in range(20):
            c.put(f"old{n}", b"x" * 2_000, 0.0, ttl_s=100)
            for _ in range(20):
                c.get(f"old{n}", 0.0)
        for n in range(20):
            c.put(f"new{n}", b"x" * 2_000, 0.0, ttl_s=100)
        assert c.used_bytes <= 50_000
        kept[policy] = sum(c.peek(f"new{n}", 0.0) is not None for n in range(20))

    assert kept["lru"] >= 14
    assert kept["tiny_lfu"] <= 4


def test_fifo_keeps_what_came_last_whatever_was_read():
    """By setting, reads count for nothing: the first to come is the first to go."""
    c = cache(5 * (1_000 + OVERHEAD_BYTES + 1) * 2, policy="fifo")
    for name in "abcdefghij":
        c.put(name, b"x" * 1_000, 0.0, ttl_s=100)
    for _ in range(20):
        c.get("a", 0.0)
    c.put("k", b"x" * 1_000, 0.0, ttl_s=100)

    assert [name for name in "abcdefghijk" if c.peek(name, 0.0)] == list("bcdefghijk")
