"""What operators see of the level, and what a sweep takes away."""

import time

import pytest
import redis

from imagemill.cache.frame import pack
from imagemill.model.entry import Failure
from imagemill.model.errors import DependencyDown
from imagemill.settings import Secret
from support.level2 import entry, level2
from support.redis import cluster_url
from support.shim import relaying

KEYS = [f"{n:064x}" for n in range(100)]


def name(key):
    return f"imagemill:{{{key}}}"


async def fill(level):
    for n, key in enumerate(KEYS[:90]):
        await level.put(key, entry(b"x" * 3000, born_s=time.time() - n, life_s=86_400))
    for key in KEYS[90:95]:
        await level.put(key, Failure("source_not_found", "gone", time.time()))


async def test_stats(empty):
    async with level2(empty.url, timeout_s=5.0, idle_s=7200) as level:
        await fill(level)
        await level.cache.lease(KEYS[99])
        await level.cache.seen(KEYS[0], "v")
        empty.admin.set(name(KEYS[95]), b"noise")
        empty.admin.lpush(name(KEYS[96]), b"noise")
        for key in KEYS[:10]:
            empty.admin.pexpire(name(key), 3_000_000)

        stats = await level.cache.stats()

        assert (stats["entries"], stats["failures"], stats["others"]) == (90, 5, 2)
        assert stats["unread"] == {"<1m": 80, "<6h": 10}
        assert 80 <= stats["oldest_s"] <= 300
        assert 90 * 3000 < stats["bytes"] < 90 * 5000


async def test_sweep(empty):
    """Foreign, dead and long unread go; what was read lately stays, and what fails its checksum is left to nodes."""
    async with level2(empty.url, timeout_s=5.0, idle_s=7200) as level:
        await fill(level)
        good = pack(KEYS[95], entry(), b"")
        empty.admin.set(name(KEYS[95]), good[:4] + b"\x02" + good[5:])
        empty.admin.lpush(name(KEYS[96]), b"noise")
        empty.admin.set(name(KEYS[97]), good[:-1] + b"?")
        empty.admin.set(name(KEYS[98]), pack(KEYS[98], entry(life_s=1, born_s=time.time() - 100), b""))
        for key in KEYS[:10]:
            empty.admin.pexpire(name(key), 3_000_000)

        count, size = await level.cache.sweep(3600)

        assert count == 13
        assert empty.admin.exists(name(KEYS[97]))
        assert size > 10 * 3000
        stats = await level.cache.stats()
        assert (stats["entries"], stats["failures"], stats["others"]) == (81, 5, 0)
        assert await level.cache.sweep(3600) == (0, 0)


async def test_a_sweep_with_another_secret_takes_nothing(empty):
    """An operator who forgot `l2.secret` does not empty the nodes' cache."""
    async with level2(empty.url, timeout_s=5.0, idle_s=7200, secret=Secret("s" * 32)) as nodes:
        await fill(nodes)
    async with level2(empty.url, timeout_s=5.0, idle_s=7200) as operator:
        assert await operator.cache.sweep(3600) == (0, 0)


async def test_all_primaries_of_a_cluster(three):
    for server in three:
        server.admin.flushall()
    async with level2(cluster_url(three), timeout_s=5.0) as level:
        await fill(level)
        for key in KEYS[:95]:
            owner = next(server for server in three if _owns(server, key))
            owner.admin.pexpire(name(key), 1_000_000)

        assert (await level.cache.stats())["entries"] == 90
        assert (await level.cache.sweep(600))[0] == 90


def _owns(server, key):
    try:
        return server.admin.exists(name(key)) == 1
    except redis.ResponseError:  # MOVED
        return False


async def test_a_prefix_with_signs(empty):
    """A prefix is taken as it is written, not as a pattern."""
    async with (
        level2(empty.url, timeout_s=5.0, prefix="a*b[c]") as level,
        level2(empty.url, prefix="axxb[c]", timeout_s=5.0) as other,
    ):
        await level.put(KEYS[0], entry())
        await other.put(KEYS[0], entry())

        assert (await level.cache.stats())["entries"] == 1


async def test_away(empty):
    """An operator is told why nothing can be told."""
    async with relaying(empty.port) as shim, level2(shim.url, timeout_s=5.0) as level:
        shim.says = b"-LOADING Redis is loading the dataset in memory\r\n"
        with pytest.raises(DependencyDown, match="loading"):
            await level.cache.stats()
    with pytest.raises(DependencyDown, match="closed"):
        await level.cache.sweep(1)
