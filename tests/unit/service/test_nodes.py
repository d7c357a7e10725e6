"""What nodes do for one another, and what a purge or a private source leaves of it; two transcoders on one level."""

import asyncio
import time

import pytest
from msgspec.structs import replace

from imagemill.cache.purges import Purge, Purges, Subject
from imagemill.model.entry import DAY_S, MAX_TAGS
from imagemill.model.errors import ImageCorrupt, Overloaded, SourceNotFound, SourceTimeout
from imagemill.settings import Gate as GateSettings
from unit.service.cluster import SOURCE_KEY, Node, Source, hub, old, plan, settled

KEY = plan().key
TAGGED = plan(tags=("summer",))
PURGES = [(Subject.SOURCE, SOURCE_KEY), (Subject.TAG, "summer"), (Subject.KEY, KEY)]


@pytest.fixture
async def shared():
    return hub()


async def answers(*asked) -> list:
    """Tiers, or errors."""
    got = await asyncio.gather(*asked, return_exceptions=True)
    return [item if isinstance(item, str) else type(item) for item in got]


@pytest.mark.timed
@pytest.mark.parametrize(("subject", "name"), PURGES)
@pytest.mark.parametrize("error", [None, SourceNotFound("x"), SourceTimeout("x")])
async def test_nobody_joins_what_began_before_a_purge(shared, subject, name, error):
    """Whoever asks after a purge waits for work that began after it, and is told no failure from before it."""
    node = Node(shared, Source())
    node.source.wait_s, node.source.error = 0.05, error
    first = asyncio.create_task(node.ask(TAGGED))
    await asyncio.sleep(0.02)
    node.purge(subject, name)
    await asyncio.sleep(0.002)
    node.source.error, node.source.etag = None, "v2"

    served = await node.service.serve(TAGGED)

    assert served.entry.validators.etag == "v2"
    assert await answers(first) == [type(error) if error else "MISS"]
    assert await node.ask(TAGGED) == "L1"
    assert shared.value(KEY).validators.etag == "v2"


@pytest.mark.parametrize(("subject", "name"), PURGES)
@pytest.mark.parametrize("error", [SourceNotFound("x"), ImageCorrupt("x")])
async def test_a_purge_reaches_failures(shared, subject, name, error):
    """On this node and in what nodes share: what was not found is looked for again at once."""
    node, other = Node(shared, Source()), Node(shared, Source())
    for each in (node, other):
        each.source.error = error if isinstance(error, SourceNotFound) else None
        each.engine.error = error
    assert await answers(node.ask(TAGGED)) == [type(error)]
    assert await answers(other.ask(TAGGED)) == [type(error)]
    for each in (node, other):
        each.source.error = each.engine.error = None
        each.purge(subject, name)
    await asyncio.sleep(0.002)

    assert await node.ask(TAGGED) == "MISS"
    assert await other.ask(TAGGED) == "L2"


@pytest.mark.parametrize("tier", ["L1", "L2"])
async def test_who_names_a_purged_tag_gets_nothing_older(shared, tier):
    """An entry that does not have the tag yet is not given it to live on with: it is from before the purge."""
    node = Node(shared, Source())
    shared.store(KEY, old(10))
    if tier == "L1":
        await node.ask()
    node.purge(Subject.TAG, "summer")
    await asyncio.sleep(0.002)

    assert await node.ask() in {"L1", "L2"}
    assert await node.ask(TAGGED) == "MISS"
    assert await node.ask() == "L1"


async def test_tags_add_up_for_all_nodes_to_a_bound(shared):
    """Each request's tags stay on the entry; past the bound it is made anew with the last ones, and stays in Redis."""
    node, other = Node(shared, Source()), Node(shared, Source())
    for n in range(MAX_TAGS // 16):
        await node.ask(plan(tags=tuple(sorted(f"t{n}.{i}" for i in range(16)))))
    assert len(shared.value(KEY).tags) == MAX_TAGS
    assert node.engine.runs == 1

    assert await node.ask(plan(tags=("more",))) == "MISS"

    assert shared.value(KEY).tags == ("more",)
    assert await other.ask() == "L2"


async def test_a_longer_ttl_is_everyones_and_a_shorter_nobodys(shared):
    """It extends the entry on all nodes, never past three days from birth; a shorter one leaves it as it is."""
    node, other = Node(shared, Source()), Node(shared, Source())
    await node.ask()
    for asked, life in ((3 * DAY_S, 3 * DAY_S), (DAY_S, 3 * DAY_S), (30 * DAY_S, 3 * DAY_S)):
        await node.ask(plan(ttl_s=asked))
        assert shared.value(KEY).life_s == life
    assert node.engine.runs == 1

    entry = (await other.service.serve(plan(ttl_s=DAY_S))).entry
    left = {ttl: other.service.left_s(plan(ttl_s=ttl), entry) for ttl in (DAY_S, None, 3 * DAY_S)}

    assert entry.life_s == 3 * DAY_S
    assert left[DAY_S] == DAY_S
    assert left[None] == pytest.approx(3 * DAY_S, abs=1)


async def test_l1_never_keeps_beyond_the_end(shared, monkeypatch):
    """What comes from Redis lives here for five minutes at most, and for no longer than it has left."""
    node = Node(shared, Source())
    kept = []
    monkeypatch.setattr(node.l1, "put", lambda _key, _entry, _now, *, ttl_s: kept.append(ttl_s))
    for left_s in (1, 299, 86_000):
        shared.store(KEY, old(DAY_S - left_s))
        await node.ask()

    assert kept == [pytest.approx(1, abs=0.1), pytest.approx(299, abs=0.1), 300]


@pytest.mark.parametrize("settings", [{}, {"store_private": True}])
async def test_what_a_source_calls_private_is_nowhere(shared, settings):
    """Not in L1, not in Redis, not in the source cache; and its followers are not kept waiting for it."""
    node, other = Node(shared, Source(storable=False), **settings), Node(shared, Source(storable=False), **settings)

    tiers = [await node.ask(), await node.ask(), await other.ask()]

    kept = bool(settings)
    assert tiers == (["MISS", "L1", "L2"] if kept else ["MISS"] * 3)
    assert bool(shared.value(KEY)) is kept
    assert bool(node.sources.peek(SOURCE_KEY, time.monotonic())) is kept
    assert bool(node.l1.peek(KEY, time.monotonic())) is kept
    assert not shared.leases


async def test_a_busy_node_keeps_no_lease(shared):
    """Where the queue refuses, another node can begin at once."""
    busy, idle = Node(shared, Source(), gate=GateSettings(queue=1, wait_s=0.5)), Node(shared, Source())
    busy.gate._free, busy.gate._service_s = 0, 100.0

    assert await answers(busy.ask()) == [Overloaded]

    assert not shared.leases
    assert await idle.ask() == "MISS"


@pytest.mark.parametrize("where", ["source", "engine"])
async def test_a_caller_that_leaves_keeps_no_lease(shared, where):
    """Cancelled while it fetches or renders: another node goes on at once, and not after the lease."""
    node, other = Node(shared, Source()), Node(shared, Source())
    getattr(node, where).wait_s = 30
    asked = asyncio.create_task(node.ask())
    await asyncio.sleep(0.02)
    follower = asyncio.create_task(other.ask())
    await asyncio.sleep(0.02)

    asked.cancel()

    assert await asyncio.wait_for(follower, 0.25) == "MISS"
    assert await answers(asked) == [asyncio.CancelledError]
    assert not shared.leases
    assert not node.service._flight


async def test_an_unforeseen_error_keeps_no_lease(shared):
    """Nor does a bug of ours."""
    node = Node(shared, Source())
    node.engine.error = RuntimeError("bug")

    assert await answers(node.ask()) == [RuntimeError]
    assert not shared.leases


@pytest.mark.timed
async def test_a_follower_waits_no_longer_than_it_is_told(shared):
    """Where another node takes too long, this one makes its own, and does not overwrite the other's."""
    slow, quick = Node(shared, Source("v1")), Node(shared, Source("v2"), wait_s=0.1)
    slow.engine.wait_s = 0.4
    leading = asyncio.create_task(slow.ask())
    await asyncio.sleep(0.02)
    begun = time.monotonic()

    assert await quick.ask() == "MISS"
    assert time.monotonic() - begun < 0.35
    assert shared.value(KEY) is None
    assert await leading == "MISS"
    assert shared.value(KEY).validators.etag == "v1"


@pytest.mark.timed
async def test_a_dead_leader_costs_its_lease(shared):
    """A node that stops renewing is waited for until its lease ends, and then another leads."""
    dead, other = Node(shared, Source()), Node(shared, Source())
    dead.shared.renewing = False
    dead.engine.wait_s = 30
    lost = asyncio.create_task(dead.ask())
    await asyncio.sleep(0.02)
    begun = time.monotonic()

    assert await other.ask() == "MISS"
    assert 0.15 < time.monotonic() - begun < 1
    lost.cancel()
    await answers(lost)


async def test_one_render_for_all_nodes(shared):
    """A thousand identical misses on four nodes: one fetch, one render, one MISS."""
    source = Source()
    nodes = [Node(shared, source) for _ in range(4)]
    source.wait_s = 0.02

    tiers = await asyncio.gather(*(node.ask() for node in nodes for _ in range(250)))

    assert (len(source.asked), sum(node.engine.runs for node in nodes)) == (1, 1)
    assert (tiers.count("MISS"), tiers.count("COALESCED")) == (1, 999)


async def test_a_leaders_failure_is_its_followers(shared):
    """What one node found of a source is told on all, for whatever width, without asking the source again."""
    source = Source()
    source.error, source.wait_s = SourceNotFound("x"), 0.02
    nodes = [Node(shared, source) for _ in range(3)]

    got = await answers(*(node.ask(plan(width)) for node in nodes for width in (1, 1)), nodes[0].ask(plan(2)))
    later = await answers(nodes[1].ask(plan(7)), nodes[2].ask(plan(8)))

    assert set(got + later) == {SourceNotFound}
    assert len(source.asked) == 1


async def test_a_leaders_network_is_not_its_followers(shared):
    """A timeout of one node says nothing of another's way to the source."""
    node, other = Node(shared, Source()), Node(shared, Source())
    node.source.error = SourceTimeout("x")

    assert await answers(node.ask()) == [SourceTimeout]
    assert await other.ask() == "MISS"


async def test_without_redis_a_node_is_on_its_own(shared, monkeypatch):
    """The level away: everything is made here, nothing waits, and it is asked once."""
    shared.away = True
    node, other = Node(shared, Source()), Node(shared, Source())
    looks, get = [], node.shared.get
    monkeypatch.setattr(node.shared, "get", lambda key: looks.append(key) or get(key))

    assert [await node.ask(), await node.ask(), await other.ask()] == ["MISS", "L1", "MISS"]
    assert looks == [KEY]


async def test_an_own_tag_is_no_look_at_the_shared_ones(shared):
    """A copy that was given a tag here is as old as its last look at Redis: a purge of another node's tag, that is heard
    of late, concerns it all the same."""
    now_s = time.time()
    purges = Purges(100, blind_s=60, clock=lambda: now_s)
    purges.heard(purges.now_ms())
    node = Node(shared, Source("v2"), purges=purges)
    shared.store(KEY, old(10))
    await node.ask()
    shared.store(KEY, replace(shared.value(KEY), tags=("theirs",)))
    purged_ms = purges.now_ms() + 2_000
    now_s += 5
    purges.heard(purges.now_ms())
    assert await node.ask(plan(tags=("ours",))) == "L1"

    purges.note(Purge.of(Subject.TAG, "theirs", purged_ms))

    assert await node.ask() == "MISS"


@pytest.mark.parametrize("error", [None, SourceNotFound("x")])
async def test_nothing_is_shared_by_a_clock_that_is_not_the_shared_one(shared, error):
    """Before the clocks were compared what is found here, be it a failure, is dated by nobody else's time."""
    node = Node(shared, Source(), purges=Purges(100, blind_s=60))
    node.purges.heard(node.purges.now_ms())
    node.source.error = error
    assert not node.purges.settled

    assert await answers(node.ask()) == [type(error) if error else "MISS"]

    assert not shared.values
    assert not shared.leases


async def test_the_tier_told_is_the_one_that_answers(shared):
    """`tier` says in advance, of this node alone, what `serve` would: and does nothing for it."""
    node = Node(shared, Source())
    told = [node.service.tier(plan())]
    node.source.wait_s = 0.05
    asked = asyncio.create_task(node.ask())
    await asyncio.sleep(0.02)
    told.append(node.service.tier(plan()))
    await asked
    told.append(node.service.tier(plan()))
    assert told == ["MISS", "COALESCED", "L1"]

    node.source.error = SourceNotFound("x")
    node.sources.drop(SOURCE_KEY)
    assert await answers(node.ask(plan(2))) == [SourceNotFound]
    assert [node.service.tier(plan(width)) for width in (1, 2, 3)] == ["L1", "FAILURE", "FAILURE"]
    assert len(node.source.asked) == 2


async def test_the_tier_told_of_what_is_made_anew(shared):
    """While it is made anew it is STALE; a purge makes it a miss that joins nothing from before."""
    node = Node(shared, Source("v2"))
    shared.store(KEY, old(DAY_S + 10))
    node.engine.wait_s = 0.05
    await node.ask()

    assert node.service.tier(plan()) == "STALE"

    await settled(node)
    assert node.service.tier(plan()) == "L1"


async def test_what_is_made_anew_is_compared_like_any_copy(shared):
    """While it is, a purge of another node's tag ends it for whoever asks, too."""
    now_s = time.time()
    purges = Purges(100, blind_s=60, clock=lambda: now_s)
    purges.heard(purges.now_ms())
    node = Node(shared, Source("v2"), purges=purges)
    node.source.wait_s = 0.05
    shared.store(KEY, old(DAY_S + 10, asked_ms=purges.now_ms() - 10_000))
    assert await node.ask() == "STALE"
    await asyncio.sleep(0.01)
    assert node.service.tier(plan()) == "STALE"
    now_s += 5
    purges.heard(purges.now_ms())

    node.purge(Subject.TAG, "theirs")

    assert node.service.hit(plan()) is None
    assert node.service.tier(plan()) == "COALESCED"
    await settled(node)


@pytest.mark.parametrize("away", [True, False])
async def test_all_who_wait_for_it_bring_something_to_it(shared, away):
    """Tags and lifetimes of everyone who shared one flight are on the entry, in L1 and in Redis."""
    shared.away = away
    node = Node(shared, Source())
    node.source.wait_s = 0.02
    asked = [plan(tags=("a",)), plan(tags=("b",), ttl_s=3 * DAY_S), plan(tags=("c",)), plan(ttl_s=2 * DAY_S)]

    tiers = await asyncio.gather(*(node.ask(each) for each in asked))

    assert sorted(tiers) == ["COALESCED"] * 3 + ["MISS"]
    for kept in [node.l1.peek(KEY, time.monotonic()), *([] if away else [shared.value(KEY)])]:
        assert (kept.tags, kept.life_s) == (("a", "b", "c"), 3 * DAY_S)
    node.purge(Subject.TAG, "a")
    assert node.service.hit(plan()) is None


@pytest.mark.parametrize(("subject", "name"), PURGES)
async def test_what_was_under_way_is_not_kept(shared, subject, name):
    """What was asked for before a purge is whoever's who asked before it; it is put nowhere, and no lease stays."""
    node = Node(shared, Source())
    node.source.wait_s = 0.05
    asked = asyncio.create_task(node.ask(TAGGED))
    await asyncio.sleep(0.02)
    node.purge(subject, name)

    assert await asked == "MISS"

    assert not node.l1.peek(KEY, time.monotonic())
    assert not shared.values
    assert not shared.leases
