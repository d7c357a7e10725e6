"""What is answered with at an entry's end, and what is made anew behind; two nodes are two transcoders on one level."""

import pytest

from imagemill.model.entry import DAY_S
from unit.service.cluster import ENGINE, Node, Source, hub, old, plan, settled

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
