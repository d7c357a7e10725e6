"""What a source says the next time it is asked: unchanged, changed, private, gone elsewhere; two nodes on one level."""

import asyncio
import time

import pytest
from msgspec.structs import replace

from imagemill.model.entry import DAY_S, Validators
from imagemill.storage.base import NONE_KNOWN
from unit.service.cluster import ENGINE, SOURCE_KEY, Node, Source, hub, old, plan, settled

KEY = plan().key
SPARE_S = DAY_S + 400


@pytest.fixture
async def shared():
    return hub()


def pair(shared, source, **settings) -> tuple[Node, Node]:
    """Two nodes that tell each other of changes."""
    told, nodes = [], []

    async def tell(purge):
        told.append(purge)
        for node in nodes:
            node.purges.note(purge)

    nodes += [Node(shared, source, tell=tell, **settings) for _ in range(2)]
    for node in nodes:
        node.told = told
    return nodes[0], nodes[1]


async def test_unchanged_renews_without_decoding(shared):
    """A 304 gives the entry a new birth and life, with the tags of both, and nothing is rendered."""
    node, other = Node(shared, Source(max_age_s=5_000)), Node(shared, Source())
    shared.store(KEY, old(SPARE_S, tags=("a",), cost_ms=7))
    begun = time.time()

    assert await node.ask(plan(tags=("b",))) == "L2"

    renewed = shared.value(KEY)
    assert (node.engine.runs, node.source.asked, node.outcomes) == (0, [Validators("v1")], ["renewed"])
    assert begun <= renewed.born_s <= time.time()
    assert (renewed.life_s, renewed.max_age_s, renewed.tags, renewed.cost_ms) == (5_000, 5_000, ("a", "b"), 7)
    assert not shared.leases
    assert (await node.ask(), await other.ask()) == ("L1", "L2")


@pytest.mark.parametrize(("said", "kept"), [({}, 700), ({"max_age_s": 0}, 0), ({"max_age_s": 9_000}, 9_000)])
async def test_a_304_that_says_nothing_changes_no_terms(shared, said, kept):
    """RFC 9111 4.3.4: what the 304 does not say stays as the 200 said it."""
    node = Node(shared, Source(**said))
    shared.store(KEY, old(1_200, 700, max_age_s=700))

    await node.ask()

    assert (shared.value(KEY).max_age_s, shared.value(KEY).life_s) == (kept, kept)


async def test_private_stays_private(shared):
    """Kept by policy, and renewed by a 304 that says nothing of it."""
    node = Node(shared, Source(), store_private=True)
    shared.store(KEY, old(SPARE_S, storable=False))

    await node.ask()

    assert shared.value(KEY).born_s > time.time() - 5
    assert not shared.value(KEY).storable


@pytest.mark.parametrize("etag", ["v1", "v2"])
@pytest.mark.parametrize("age_s", [DAY_S + 10, SPARE_S])
async def test_what_becomes_private_is_withdrawn(shared, age_s, etag):
    """By 304 or 200: from then on no node answers with what was kept while it was public, stale or not."""
    source = Source(etag, storable=False)
    node, other = pair(shared, source)
    shared.store(KEY, old(age_s))
    other.l1.put(KEY, old(age_s), time.monotonic(), ttl_s=60)

    served = await node.service.serve(plan())
    await settled(node, other)

    assert served.tier == "STALE" if age_s == DAY_S + 10 else not served.entry.storable
    assert [await node.ask(), await other.ask()] == ["MISS", "MISS"]
    assert not shared.leases
    assert sum(not purge.soft for purge in node.told) == 1


async def test_what_an_older_engine_made_is_not_renewed_but_made(shared):
    """That the source is unchanged says nothing of the engine: the question is not even asked."""
    node = Node(shared, Source())
    shared.store(KEY, old(SPARE_S, engine=ENGINE - 1))

    assert await node.ask() == "MISS"

    assert (node.engine.runs, node.source.asked) == (1, [NONE_KNOWN])
    assert shared.value(KEY).engine == ENGINE


async def test_what_a_newer_engine_made_is_as_good(shared):
    """Nodes of two releases do not make each other's work anew."""
    node = Node(shared, Source())
    shared.store(KEY, old(10, engine=ENGINE + 1))

    assert [await node.ask(), await node.ask()] == ["L2", "L1"]
    assert node.engine.runs == 0


async def test_a_change_ends_all_that_was_made_of_the_old_version(shared):
    """One width seen anew is enough, on every node; the others are asked for anew, not thrown away."""
    source = Source("v1")
    node, other = pair(shared, source)
    for width in (1, 2):
        await node.ask(plan(width))
        await other.ask(plan(width))
    source.etag = "v2"
    node.sources.drop(SOURCE_KEY)
    await asyncio.sleep(0.002)
    await node.ask(plan(3))
    await settled(node, other)

    served = [await each.service.serve(plan(width)) for width in (1, 2) for each in (node, other)]

    assert [s.entry.validators.etag for s in served] == ["v2"] * 4
    assert len(node.told) == 1


async def test_a_change_is_seen_by_a_node_that_never_saw_the_old_version(shared):
    """It asks what others have seen."""
    source = Source("v1")
    node, other = pair(shared, source)
    await node.ask(plan(1))
    source.etag = "v2"
    await asyncio.sleep(0.002)

    await other.ask(plan(2))
    await settled(node, other)

    assert node.service.tier(plan(1)) == "MISS"
    assert len(node.told) == 1


async def test_of_what_has_changed_nothing_is_left(shared):
    """The spare of a changed source may be an answer while its source is down, and not for a moment longer."""
    source = Source("v1")
    node, _ = pair(shared, source)
    entry = (await node.service.serve(plan(1))).entry
    assert node.service.left_s(plan(1), entry) == DAY_S
    source.etag = "v2"
    node.sources.drop(SOURCE_KEY)
    await asyncio.sleep(0.002)

    await node.ask(plan(2))

    assert node.service.left_s(plan(1), entry) == 0


async def test_hosts_that_disagree_are_believed_now_and_then(shared):
    """A source that is another at every fetch makes one change known in five seconds, and not one a fetch."""
    source = Source("v0")
    node, _ = pair(shared, source)
    for n in range(8):
        source.etag = f"v{n % 2}"
        node.sources.drop(SOURCE_KEY)
        await asyncio.sleep(0.002)
        await node.ask(plan(n + 1))
    await settled(node)

    assert len(node.told) == 1


async def test_silence_is_no_change(shared):
    """A source that says nothing of its version takes nothing along."""
    source = Source("v1")
    node, _ = pair(shared, source)
    await node.ask(plan(1))
    source.etag = ""
    node.sources.drop(SOURCE_KEY)
    await asyncio.sleep(0.002)

    await node.ask(plan(2))
    await settled(node)

    assert await node.ask(plan(1)) == "L1"
    assert not node.told


async def test_no_cache_is_asked_each_time(shared):
    """A source that allows no time at all is asked whether it has changed before each answer from what is kept."""
    node, other = Node(shared, Source(max_age_s=0)), Node(shared, Source(max_age_s=0))
    await node.ask()

    assert await other.ask() == "L2"
    assert (other.engine.runs, other.source.asked) == (0, [Validators("v1")])


@pytest.mark.parametrize("store", [True, False])
async def test_what_is_early_is_made_of_a_later_source(shared, store):
    """Shortly before its end an entry in demand is made anew, with a life of its own; nobody waits."""
    node = Node(shared, Source(etag="v1" if store else ""), early_refresh=10)
    first = old(DAY_S - 1, version="v1" if store else "", cost_ms=10_000_000)
    shared.store(KEY, first)

    assert await node.ask() == "L2"
    await settled(node)

    assert shared.value(KEY).expires_s > first.expires_s + DAY_S - 5
    assert await node.ask() == "L1"
    assert node.engine.runs == (0 if store else 1)


async def test_what_is_early_is_made_of_no_copy_of_its_own_source(shared):
    """A source that allows half a minute is still in its cache: of that copy the new entry would end with the old one."""
    node = Node(shared, Source("", max_age_s=30), early_refresh=10)
    first = (await node.service.serve(plan())).entry
    node.l1.put(KEY, replace(first, cost_ms=10_000_000), time.monotonic(), ttl_s=30)
    await asyncio.sleep(0.01)

    assert await node.ask() == "L1"
    await settled(node)

    assert len(node.source.asked) == 2
    assert shared.value(KEY).born_s > first.born_s


async def test_early_is_not_for_all(shared):
    """What was cheap, or has long to live, is left alone."""
    node = Node(shared, Source(), early_refresh=1)
    shared.store(KEY, old(DAY_S - 59, cost_ms=1))

    for _ in range(20):
        await node.ask()
    await settled(node)

    assert not node.source.asked


async def test_what_replaces_a_spare_goes_on_under_its_names(shared):
    """The request that finds it at its end need not name them all."""
    node = Node(shared, Source("v2"))
    shared.store(KEY, old(SPARE_S, tags=("a",)))

    assert await node.ask(plan(tags=("b",))) == "MISS"

    assert shared.value(KEY).tags == ("a", "b")


@pytest.mark.parametrize("etag", ["v1", "v2"])
async def test_what_is_made_anew_goes_on_under_all_its_names(shared, etag):
    """A copy does not know the tags that other nodes have given the entry since: what is made anew of it has them."""
    node = Node(shared, Source(etag), early_refresh=10)
    entry = old(DAY_S - 1, cost_ms=10_000_000, tags=("ours",))
    node.l1.put(KEY, entry, time.monotonic(), ttl_s=60)
    shared.store(KEY, replace(entry, tags=("theirs",)))

    assert await node.ask() == "L1"
    await settled(node)

    assert shared.value(KEY).born_s > entry.born_s
    assert shared.value(KEY).tags == ("ours", "theirs")
