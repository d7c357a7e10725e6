"""What is answered with at an entry's end, and what is made anew behind; two nodes are two transcoders on one level."""

import asyncio
import time

import pytest
from msgspec.structs import replace

from imagemill.model.entry import DAY_S
from imagemill.model.errors import (
    DependencyDown,
    ImageCorrupt,
    LimitExceeded,
    Overloaded,
    ProcessingTimeout,
    SourceBadResponse,
    SourceForbidden,
    SourceNotFound,
    SourceTimeout,
    SourceTooLarge,
    SourceTruncated,
    UnsupportedSourceType,
)
from imagemill.model.failures import as_failure
from unit.service.cluster import ENGINE, SOURCE_KEY, Node, Source, hub, old, plan, settled

KEY = plan().key


@pytest.fixture
async def shared():
    return hub()


@pytest.mark.parametrize("terms", [{"age_s": DAY_S + 10}, {"age_s": 10, "engine": ENGINE - 1}])
async def test_what_is_stale_is_answered_with_and_made_anew_behind(shared, terms):
    """At its end, or by an older engine: the answer waits for nothing, and the next one is new, on every node."""
    node, other = Node(shared, Source("v2")), Node(shared, Source("v2"))
    shared.store(KEY, old(**terms))

    assert await node.ask() == "STALE"
    await settled(node)

    assert node.engine.runs == 1
    assert shared.value(KEY).engine == ENGINE
    assert (await node.ask(), await other.ask()) == ("L1", "L2")


async def test_nobody_waits_for_what_is_made_behind(shared):
    """While an old entry is made anew it is still the answer to everyone, without another look at Redis."""
    node = Node(shared, Source("v2"))
    node.engine.wait_s = 0.2
    shared.store(KEY, old(DAY_S + 10))
    await node.ask()
    shared.away = True

    assert [await node.ask() for _ in range(5)] == ["STALE"] * 5
    await settled(node)
    assert node.engine.runs == 1
    assert await node.ask() == "L1"


PASSING_OF_SOURCE = [
    SourceBadResponse("x"),
    SourceTruncated("x"),
    SourceTimeout("x"),
    Overloaded("x"),
    DependencyDown("x"),
]
PASSING_OF_ENGINE = [ProcessingTimeout("x"), Overloaded("x"), DependencyDown("x")]
PASSING_OF_SOURCE.append(SourceForbidden("connection refused", unreachable=True))
LASTING_OF_SOURCE = [SourceNotFound("x"), SourceTooLarge("x")]
LASTING_OF_ENGINE = [UnsupportedSourceType("x"), ImageCorrupt("x"), LimitExceeded("pixels", "x")]
CASES = [("source", e) for e in PASSING_OF_SOURCE] + [("engine", e) for e in PASSING_OF_ENGINE]
LASTING = [("source", e) for e in LASTING_OF_SOURCE] + [("engine", e) for e in LASTING_OF_ENGINE]


def fail(node: Node, where: str, error: Exception) -> None:
    node.source.error = error if where == "source" else None
    node.engine.error = error if where == "engine" else None


@pytest.mark.parametrize("age_s", [DAY_S + 10, DAY_S + 400])
@pytest.mark.parametrize(("where", "error"), CASES)
async def test_an_old_answer_is_better_than_a_passing_error(shared, age_s, where, error):
    """Whatever this moment is at fault for: the spare is the answer, each time, on each node, and stays in Redis."""
    source = Source("v2")
    nodes = [Node(shared, source), Node(shared, source)]
    entry = old(age_s)
    shared.store(KEY, entry)
    for node in nodes:
        fail(node, where, error)

    tiers = []
    for node in nodes * 3:
        tiers.append(await node.ask())
        await settled(*nodes)

    assert tiers == ["STALE"] * 6
    assert shared.value(KEY) == entry
    assert not shared.leases


@pytest.mark.parametrize("age_s", [DAY_S + 10, DAY_S + 400])
async def test_what_is_in_vain_is_not_tried_for_each_answer(shared, age_s):
    """A picture that takes its whole deadline does so once in a while, and not once a request."""
    node = Node(shared, Source("v2"))
    node.engine.error = ProcessingTimeout("x")
    shared.store(KEY, old(age_s))

    for _ in range(5):
        assert await node.ask() == "STALE"
        await settled(node)

    assert node.engine.runs == 1


@pytest.mark.parametrize(("where", "error"), LASTING)
async def test_a_lasting_error_is_believed(shared, where, error):
    """What is gone, unsupported, corrupt or too much is no longer answered with anywhere once any node has seen it."""
    node, other = Node(shared, Source("v2")), Node(shared, Source("v2"))
    fail(node, where, error)
    shared.store(KEY, old(DAY_S + 10))

    assert await node.ask() == "STALE"
    await settled(node)

    for each in (node, other):
        with pytest.raises(type(error)):
            await each.ask()
    assert not other.source.asked
    assert not shared.leases


@pytest.mark.parametrize(("where", "error"), LASTING)
async def test_a_lasting_error_ends_what_l1_holds(shared, where, error):
    """As above, where this node had it at hand, and just before its end."""
    node = Node(shared, Source("v2"), early_refresh=10)
    node.l1.put(KEY, old(DAY_S - 0.5, cost_ms=10_000_000), time.monotonic(), ttl_s=300)
    fail(node, where, error)

    assert await node.ask() == "L1"
    await settled(node)

    with pytest.raises(type(error)):
        await node.ask()


@pytest.mark.parametrize("error", [SourceNotFound("x"), UnsupportedSourceType("x")])
async def test_a_fresh_entry_outlives_its_source(shared, error):
    """That its source is gone says nothing against what may still be used; other widths are refused at once."""
    node = Node(shared, Source())
    fail(node, "source" if isinstance(error, SourceNotFound) else "engine", error)
    shared.store(KEY, old(10))
    for width in (2, 3, 3):
        with pytest.raises(type(error)):
            await node.ask(plan(width))

    assert await node.ask() == "L2"
    assert (len(node.source.asked), node.engine.runs) == (1, 1 if isinstance(error, UnsupportedSourceType) else 0)


async def test_what_was_found_of_a_source_holds_for_all_of_it_without_redis(shared):
    """One look at an unsupported source is enough on one node, for every width, while its bytes are still here."""
    shared.away = True
    node = Node(shared, Source())
    node.engine.error = UnsupportedSourceType("x")

    for width in (1, 2, 3):
        with pytest.raises(UnsupportedSourceType):
            await node.ask(plan(width))

    assert (len(node.source.asked), node.engine.runs) == (1, 1)


async def test_a_failure_told_again_is_as_old_as_it_was(shared):
    """Eight widths in a row do not keep a failure alive: each tells it, none finds it."""
    node = Node(shared, Source())
    node.source.error = SourceNotFound("x")
    found = []
    for width in range(1, 9):
        with pytest.raises(SourceNotFound) as caught:
            await node.ask(plan(width))
        found.append(caught.value.found_s)
        await asyncio.sleep(0.002)

    assert len(set(found)) == 1
    assert {shared.value(plan(w).key).born_s for w in range(1, 9) if shared.value(plan(w).key)} == {found[0]}


STALE = old(DAY_S + 10)
OUTDATED = old(10, engine=ENGINE - 1)


@pytest.mark.parametrize(
    ("stale", "there"),
    [
        (STALE, replace(STALE, life_s=2 * DAY_S)), (STALE, replace(STALE, born_s=STALE.born_s + DAY_S)),
        (OUTDATED, replace(OUTDATED, engine=ENGINE)),
    ],
)  # fmt: skip
async def test_what_was_made_anew_elsewhere_is_taken_over(shared, stale, there):
    """One node makes it anew; who comes later finds it extended, renewed or remade, and works no more."""
    node = Node(shared, Source("v2"))
    shared.store(KEY, there)

    await node.service._renew(plan(), stale)

    assert not node.source.asked
    assert await node.ask() == "L1"
    assert not shared.leases


async def test_what_was_found_gone_elsewhere_is_taken_over(shared):
    """One node found that there is nothing any more: who comes later ends its own copy, and asks nobody."""
    node = Node(shared, Source(), early_refresh=10)
    node.l1.put(KEY, old(DAY_S - 1, cost_ms=10_000_000), time.monotonic(), ttl_s=60)
    shared.store(KEY, as_failure(SourceNotFound("x"), SOURCE_KEY, time.time(), node.purges.now_ms()))

    assert await node.ask() == "L1"
    await settled(node)

    assert not node.l1.peek(KEY, time.monotonic())
    with pytest.raises(SourceNotFound):
        await node.ask()
    assert not node.source.asked
    assert not shared.leases


async def test_nodes_do_not_make_the_same_anew(shared):
    """Two nodes, one stale entry, one render; the other answers with the old one until it is there."""
    source = Source("v2")
    nodes = [Node(shared, source), Node(shared, source)]
    for node in nodes:
        node.engine.wait_s = 0.05
    shared.store(KEY, old(DAY_S + 10))

    tiers = await asyncio.gather(*(node.ask() for node in nodes * 10))
    await settled(*nodes)

    assert set(tiers) == {"STALE"}
    assert sum(node.engine.runs for node in nodes) == 1


async def test_nothing_outlives_close(shared):
    """What is made behind is given up, its lease too, and nothing is begun any more."""
    node = Node(shared, Source("v2"))
    node.source.wait_s = 30
    shared.store(KEY, old(DAY_S + 10))
    await node.ask()
    await asyncio.sleep(0.01)
    assert shared.leases

    await node.service.close()

    assert not shared.leases
    assert not node.service._flight
    assert await node.ask() == "STALE"
    assert not node.service._behind


async def test_what_policy_forbids_is_believed_by_this_node(shared):
    """A blocked address is no outage: the old answer goes; what other nodes may is theirs to find out."""
    node, other = Node(shared, Source("v2")), Node(shared, Source("v2"))
    node.source.error = SourceForbidden("10.0.0.1: private")
    shared.store(KEY, old(DAY_S + 400))

    for _ in range(2):
        with pytest.raises(SourceForbidden):
            await node.ask()

    assert await other.ask() == "MISS"


@pytest.mark.timed
async def test_a_failure_that_is_told_by_nodes_ends(shared):
    """Ten seconds after it was found nobody believes it any more, wherever it is still kept."""
    node = Node(shared, Source())
    failure = as_failure(SourceNotFound("x"), SOURCE_KEY, time.time() - 9.9, node.purges.now_ms())
    shared.values[KEY] = shared.values[SOURCE_KEY] = (failure, time.time() + 60)
    with pytest.raises(SourceNotFound):
        await node.ask()

    await asyncio.sleep(0.15)

    assert await node.ask() == "MISS"


async def test_an_outage_is_no_answer_to_who_has_a_spare_later(shared):
    """A timeout of the source is the origin's to remember: who finds a spare within that time is answered with it."""
    node = Node(shared, Source("v2"))
    node.source.error = SourceTimeout("x")
    with pytest.raises(SourceTimeout):
        await node.ask()

    shared.store(KEY, old(DAY_S + 400))

    assert await node.ask() == "STALE"
    assert len(node.source.asked) == 1


async def test_a_spare_is_not_made_fresh_by_who_waits_for_it(shared):
    """A longer ttl extends what is fresh; what could not be made anew stays a spare, and leaves nobody any time."""
    node = Node(shared, Source("v2"))
    node.source.error, node.source.wait_s = SourceTimeout("x"), 0.02
    entry = old(DAY_S + 400)
    shared.store(KEY, entry)

    served = await asyncio.gather(*(node.service.serve(plan(ttl_s=ttl)) for ttl in (None, 3 * DAY_S, 3 * DAY_S)))

    assert [s.tier for s in served] == ["STALE"] * 3
    assert [node.service.left_s(plan(ttl_s=3 * DAY_S), s.entry) for s in served] == [0] * 3
    assert shared.value(KEY) == entry
    assert not node.l1.peek(KEY, time.monotonic())
