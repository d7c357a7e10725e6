"""Bounded in bytes, honest about time."""

import subprocess
import sys

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


def test_keys_weigh_too():
    """What strangers can make long, their URLs, counts as much as what is kept under them."""
    c = cache(1_000_000)
    for n in range(1_000):
        c.put(f"{n}{'k' * 8_000}", b"", 0.0, ttl_s=100)
    c._moka.run_pending_tasks()

    assert sum(c.get(f"{n}{'k' * 8_000}", 0.0) is not None for n in range(1_000)) <= 125


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
        c._moka.run_pending_tasks()
        kept[policy] = sum(c.peek(f"new{n}", 0.0) is not None for n in range(20))

    assert kept["lru"] >= 14
    assert kept["tiny_lfu"] <= 4


def test_lifetimes_are_spread():
    """What was filled in one moment does not expire in one: the last tenth of a lifetime sees it go bit by bit."""
    c = cache(10_000_000)
    for n in range(500):
        c.put(str(n), b"v", 0.0, ttl_s=300)

    left = [sum(c.peek(str(n), now) is not None for n in range(500)) for now in (269, 277, 285, 293, 300)]

    assert left[0] == 500
    assert left[-1] == 0
    assert left == sorted(left, reverse=True)
    assert len(set(left)) == 5


MEASURED = """
import sys, time
from hashlib import sha256
from imagemill.cache.memory import MemoryCache
from imagemill.model.media import Format, Rendition
from imagemill.service.transcode import Entry

def rss():
    return int(open("/proc/self/statm").read().split()[1]) * 4096

limit, size, count = map(int, sys.argv[1:])
cache = MemoryCache(limit, 300.0, lambda e: len(e.rendition.body))
before, most = rss(), 0
for n in range(count):
    body, name = n.to_bytes(8, "big") + bytes(size - 8), sha256(b"%d" % n).hexdigest()
    cache.put(name, Entry(Rendition(body, Format.PNG, name[::-1], n + 300, n + 300), time.time(), n), 0.0, ttl_s=300)
    most = max(most, rss()) if n % 1000 == 0 else most
print(max(most, rss()) - before)
"""


@pytest.mark.parametrize(("size", "count"), [(40, 200_000), (20_000, 20_000)])
def test_the_bound_is_of_real_memory(size, count):
    """L13: however small or large the entries, the process grows by no more than the bound, a fifth, and 4 MiB."""
    limit = 32 << 20

    done = subprocess.run([sys.executable, "-c", MEASURED, *map(str, (limit, size, count))], capture_output=True)

    assert done.returncode == 0, done.stderr
    assert int(done.stdout) <= limit * 1.2 + (4 << 20)
