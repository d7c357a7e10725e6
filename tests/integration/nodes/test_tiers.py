"""Two levels, one entry: who answers, for how long, and by which names it goes."""

import time
from collections.abc import Sequence

import pytest

from support.node import PHOTO, Answer, Node, SourceServer
from support.nodes import heard, image, l2_events, lifetimes, renders, tier, until_heard
from support.redis import until

DAY_S = 86_400


@pytest.fixture
def target(source: SourceServer, request: pytest.FixtureRequest) -> str:
    """A picture of the test's own."""
    path = f"/{request.node.name}.jpg"
    source.bodies[path] = PHOTO
    return image(source, path)


def made(node: Node, target: str) -> Answer:
    """Have *node* make it, and wait until all nodes can find it."""
    stored = l2_events(node, "stored")
    answer = node.get(target)
    assert tier(answer) == "MISS"
    until(lambda: l2_events(node, "stored") > stored, "it is stored")
    return answer


def extended(node: Node, target: str) -> Answer:
    """Ask *node* for it with more, and wait until all nodes can find that."""
    stored = l2_events(node, "stored")
    answer = node.get(target)
    assert answer.status == 200
    until(lambda: l2_events(node, "stored") > stored, "it is extended")
    return answer


def test_who_answers(four: Sequence[Node], target: str) -> None:
    """MISS where it is made, L2 on every other node once, then L1 on each: one render, one body."""
    first = made(four[0], target)
    before = renders(four)

    rest = [[node.get(target) for _ in range(3)] for node in four]

    assert [[tier(a) for a in answers] for answers in rest] == [["L1"] * 3, *[["L2", "L1", "L1"]] * 3]
    assert {(a.body, a.headers["etag"]) for answers in rest for a in answers} == {(first.body, first.headers["etag"])}
    assert renders(four) == before


def test_parts_of_what_another_node_made(four: Sequence[Node], target: str) -> None:
    """R14: a part can be the first that is asked for anywhere; the shared level gets the whole, and cuts alike."""
    stored = l2_events(four[0], "stored")
    first = four[0].get(target, {"Range": "bytes=0-9"})
    until(lambda: l2_events(four[0], "stored") > stored, "it is stored")

    parts = [four[1].get(target, {"Range": "bytes=10-", "If-Range": first.headers["etag"]}) for _ in range(2)]
    whole = four[2].get(target)

    assert [(a.status, a.headers["x-cache"]) for a in (first, *parts)] == [(206, "MISS"), (206, "L2"), (206, "L1")]
    assert (tier(whole), whole.body) == ("L2", first.body + parts[0].body)
    assert parts[0].body == parts[1].body


def test_what_is_left_is_the_same_everywhere(four: Sequence[Node], target: str) -> None:
    """`max-age` less `Age` is what is left of the entry, by whichever node and level it is told."""
    ttl = f"{target}&ttl={DAY_S}"
    begun = time.time()
    made(four[0], ttl)
    time.sleep(2.1)

    told = [lifetimes(node.get(ttl)) for node in (*four, *four)]

    passed_s = time.time() - begun
    for most_s, age_s, left_s in told:
        assert DAY_S <= most_s <= DAY_S + 1, "counted from its birth; what is left is rounded up"
        assert 2 <= age_s <= passed_s
        assert DAY_S - passed_s <= left_s <= DAY_S - 1


def test_a_longer_lifetime_is_everybodys(four: Sequence[Node], target: str) -> None:
    """A longer `ttl` on one node extends the entry for nodes that read it afterwards; a shorter one only its answer."""
    made(four[0], f"{target}&ttl={DAY_S}")
    asked = extended(four[1], f"{target}&ttl={2 * DAY_S}")

    third = four[2].get(target)
    shorter = four[2].get(f"{target}&ttl={DAY_S}")
    again = four[3].get(target)

    assert (tier(asked), tier(third)) == ("L2", "L2")
    assert lifetimes(asked)[2] > 2 * DAY_S - 30
    assert lifetimes(third)[2] > 2 * DAY_S - 30
    assert DAY_S - 1 <= lifetimes(shorter)[2] <= DAY_S
    assert lifetimes(again)[2] > 2 * DAY_S - 30


def test_never_beyond_three_days(four: Sequence[Node], target: str) -> None:
    """The longest `ttl`, asked for again and again on every node, ends three days after the entry's birth."""
    begun = time.time()
    made(four[0], f"{target}&ttl={3 * DAY_S}")
    time.sleep(1.5)

    for node in four:
        _, _, left_s = lifetimes(node.get(f"{target}&ttl={3 * DAY_S}"))
        assert left_s <= 3 * DAY_S - 1
        assert left_s >= 3 * DAY_S - (time.time() - begun) - 1
    refused = four[1].get(f"{target}&ttl={3 * DAY_S + 1}")
    assert (refused.status, refused.problem["code"]) == (422, "limit_exceeded")


def test_tags_add_up(four: Sequence[Node], target: str) -> None:
    """A tag that only one node's request named purges the entry on all nodes, also from the L1 of who never heard it."""
    made(four[0], f"{target}&tags=first")
    assert tier(four[2].get(target)) == "L2"
    extended(four[1], f"{target}&tags=second")
    assert [tier(node.get(target)) for node in four[:3]] == ["L1"] * 3
    before, told = renders(four), heard(four)

    assert four[3].purge(tag="second").status == 200
    until_heard(four, told)

    tiers = [tier(node.get(target)) for node in four]
    assert tiers[0] == "MISS"
    assert "L1" not in tiers
    assert renders(four) == before + tiers.count("MISS")
