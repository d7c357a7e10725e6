"""What is warmed is found by all nodes when the call returns, or the call says that it is not."""

import asyncio
import time

import pytest

from imagemill.cache.purges import Purge, Purges, Subject
from imagemill.model.entry import DAY_S
from imagemill.model.errors import DependencyDown, LimitExceeded, NotSupported
from imagemill.service.warm import Warmer
from imagemill.settings import Cache as CacheSettings
from support.shared import MemoryShared
from unit.service.cluster import Node, Source, hub, old, plan


def warmer(shared, purges=None, wait_s=2.0, **policy):
    purges = Purges(10) if purges is None else purges
    return Warmer(shared, purges, CacheSettings(**policy), shared_bytes=1_000, wait_s=wait_s)


async def test_every_node_finds_it():
    """Under the key of the request: no node makes anything, or asks the source."""
    nodes = hub()
    node = Node(nodes, Source())

    await warmer(MemoryShared(nodes)).warm(plan(), old(0))

    assert await node.ask() == "L2"
    assert (node.engine.runs, node.source.asked) == (0, [])
    assert not nodes.leases


async def test_it_replaces_what_is_older_and_keeps_its_names():
    nodes = hub()
    nodes.store(plan().key, old(DAY_S - 10, tags=("old",)))

    await warmer(MemoryShared(nodes)).warm(plan(), old(0, version="v2", tags=("new",)))

    found = nodes.value(plan().key)
    assert (found.validators.etag, found.tags) == ("v2", ("new", "old"))


async def test_it_waits_for_who_makes_it():
    """Another node's result does not come after ours."""
    nodes = hub(lease_s=5)
    other = MemoryShared(nodes)
    lease = await other.lease(plan().key)
    warming = asyncio.create_task(warmer(MemoryShared(nodes)).warm(plan(), old(0, version="v2")))
    await asyncio.sleep(0.05)
    assert not warming.done()

    other.put(plan().key, old(1), lease)
    await warming

    assert nodes.value(plan().key).validators.etag == "v2"


async def test_it_does_not_wait_for_ever():
    nodes = hub(lease_s=5)
    other = MemoryShared(nodes)
    lease = await other.lease(plan().key)

    with pytest.raises(DependencyDown, match="other nodes"):
        await warmer(MemoryShared(nodes), wait_s=0.05).warm(plan(), old(0))
    other.release(lease)


@pytest.mark.parametrize("when", ["before", "after the lease"])
async def test_a_level_that_is_away_is_told_of(when):
    """A rendition that nobody can find is not warmed: the job is tried again."""
    nodes = hub()
    shared = MemoryShared(nodes)
    nodes.away = when == "before"
    if when != "before":
        lease = shared.lease

        async def then_away(key):
            found = await lease(key)
            nodes.away = True
            return found

        shared.lease = then_away

    with pytest.raises(DependencyDown):
        await warmer(shared).warm(plan(), old(0))


async def test_what_is_not_kept():
    """Private, too large, purged, or of a time that is not known: said, and nothing is stored."""
    nodes = hub()
    purges = Purges(10)
    purges.note(Purge.of(Subject.KEY, plan().key, purges.now_ms()))
    blind = Purges(10, blind_s=60)
    refused = [
        (warmer(MemoryShared(nodes)), old(0, storable=False), NotSupported),
        (Warmer(MemoryShared(nodes), Purges(10), CacheSettings(), shared_bytes=5, wait_s=1), old(0), LimitExceeded),
        (warmer(MemoryShared(nodes), purges), old(1), DependencyDown),
        (warmer(MemoryShared(nodes), blind), old(0), DependencyDown),
    ]

    for it, entry, error in refused:
        with pytest.raises(error):
            await it.warm(plan(), entry)

    assert not nodes.values
    await warmer(MemoryShared(nodes), store_private=True).warm(plan(), old(0, storable=False))
    assert nodes.value(plan().key)


async def test_a_lease_comes_back_when_it_is_cancelled():
    nodes = hub(lease_s=30)
    shared = MemoryShared(nodes)

    async def hangs(_key):
        await asyncio.sleep(30)

    shared.get = hangs
    warming = asyncio.create_task(warmer(shared).warm(plan(), old(0)))
    await asyncio.sleep(0.02)
    assert nodes.leases

    begun = time.monotonic()
    warming.cancel()
    with pytest.raises(asyncio.CancelledError):
        await warming

    assert not nodes.leases
    assert time.monotonic() - begun < 20
