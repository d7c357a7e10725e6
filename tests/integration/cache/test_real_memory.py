"""The bound of L1 is of real memory, not of what a cache believes."""

import subprocess
import sys

import pytest

MEASURED = """
import random, sys
from imagemill import heap
from imagemill.cache.memory import MemoryCache
from imagemill.cache.tidy import Tidy
from imagemill.model.entry import Entry
from imagemill.model.media import Format, Rendition

def rss():
    return int(open("/proc/self/statm").read().split()[1]) * 4096

limit, count, policy, least, most = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4]), int(sys.argv[5])
heap.keep_small()
chance = random.Random(13)
sizes = [int(least * (most / least) ** chance.random()) for _ in range(9973)]
pattern = bytes(range(256)) * (most // 256 + 1)
cache = MemoryCache(limit, 300.0, lambda e: len(e.rendition.body), policy, unread_s=45.0)
tidy = Tidy((cache,), heap.free_bytes, heap.trim, every_s=0.001)
before, top = rss(), 0
for n in range(count):
    body, name = pattern[:sizes[n % 9973]], f"{n:064}"
    entry = Entry(Rendition(body, Format.PNG, name[::-1], n + 300, n + 300), float(n), tags=(name[:8],), asked_ms=n << 20)
    cache.put(name, entry, 0.0, ttl_s=300)
    if n % 2:
        cache.get(name, 0.0)
    if n % 2000 == 0:  # a node that makes so many in the time between two looks would be a quick one
        tidy.look()
        top = max(top, rss())
assert cache.used_bytes <= limit
tidy.look()
print(max(top, rss()) - before, cache.used_bytes)
"""


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("count", "policy", "least", "most"),
    [
        (1_000_000, "tiny_lfu", 100, 8_000),
        (150_000, "lru", 100, 20_000),
        (150_000, "fifo", 100, 20_000),
        (200_000, "tiny_lfu", 40, 400),
        (200_000, "fifo", 40, 400),
        (10_000, "tiny_lfu", 20_000, 1_000_000),
    ],
)
def test_the_bound_is_of_real_memory(count, policy, least, most):
    """L13: a million insertions of any size, half of them read, and the process has grown by the bound and a fifth."""
    limit = 64 << 20
    command = [sys.executable, "-c", MEASURED, *map(str, (limit, count, policy, least, most))]

    done = subprocess.run(command, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    grown, used = map(int, done.stdout.split())
    assert used >= limit / 2, "it was not filled"
    assert grown <= limit * 1.2, f"{grown} bytes for {limit}"
