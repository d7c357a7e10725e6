"""The end of an entry's life, on several nodes: one of them does what is to be done, the others have the result."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from support.node import PHOTO, Node, SourceServer, fetch
from support.nodes import (
    entered,
    eventually,
    heard,
    image,
    l2_events,
    lifetimes,
    picture,
    renders,
    tier,
    together,
    until_heard,
)
from support.redis import Server, until

TTL_S = 2
SHORT = {"limits": {"ttl_min_s": 1}, "cache": {"source_ttl_s": 0.05, "stale_s": 60, "early_refresh": 0}}
WITHOUT_STALE = SHORT | {"cache": SHORT["cache"] | {"stale_s": 0, "stale_if_error_s": 60, "negative_ttl_s": 0.5}}


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory, redis: Server, source: SourceServer) -> Iterator[list[Node]]:
    """Four nodes that answer with what is past its end while it is made anew."""
    with together(tmp_path_factory.mktemp("quick"), redis.url, source, **SHORT) as nodes:
        yield nodes


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory, redis: Server, source: SourceServer) -> Iterator[list[Node]]:
    """Two nodes that do so only where it cannot be made anew."""
    tables = WITHOUT_STALE | {"l2": {"prefix": "strict"}}
    with together(tmp_path_factory.mktemp("strict"), redis.url, source, count=2, **tables) as nodes:
        yield nodes


def target_of(source: SourceServer, path: str, body: bytes, ttl_s: int = TTL_S) -> str:
    source.bodies[path] = body
    return image(source, path, f"&width=40&format=webp&ttl={ttl_s}")


def made(node: Node, target: str, ttl_s: int = TTL_S) -> None:
    """Have *node* make it, wait until it is stored, and until its life is over."""
    begun, stored = time.monotonic(), l2_events(node, "stored")
    assert tier(node.get(target)) == "MISS"
    until(lambda: l2_events(node, "stored") > stored, "it is stored")
    time.sleep(max(0.0, begun + ttl_s + 0.2 - time.monotonic()))


@pytest.mark.timed
def test_stale_while_it_is_made_anew(quick: Sequence[Node], source: SourceServer) -> None:
    """Past its end every node answers STALE at once, one of them makes it anew, and then all have that."""
    target = target_of(source, "/stale.jpg", picture(10), 5)
    made(quick[0], target, 5)
    before, asked = renders(quick), source.asked("/stale.jpg")
    source.delay_s["/stale"] = 3.0
    source.bodies["/stale.jpg"] = picture(210)

    begun = time.monotonic()
    answers = [node.get(target) for node in (*quick, *quick)]
    took_s = time.monotonic() - begun

    assert [tier(a) for a in answers] == ["STALE"] * 8
    assert took_s < 2.5, "nobody waits for the source"
    assert {lifetimes(a)[2] for a in answers} == {0}
    until(lambda: renders(quick) == before + 1, "it is made anew", 8)
    until(lambda: quick[3].get(f"{target}0").headers["x-cache"] in {"L1", "L2"}, "all have it", 5)
    assert source.asked("/stale.jpg") == asked + 1
    assert renders(quick) == before + 1
    assert quick[3].get(f"{target}0").body != answers[0].body


def test_stale_where_the_source_is_down(strict: Sequence[Node], source: SourceServer) -> None:
    """A source that fails says nothing against what is known of it; one that says 404 is believed, by all."""
    target = target_of(source, "/down.jpg", picture(20))
    made(strict[0], target)
    source.statuses["/down.jpg"] = "503 Service Unavailable"

    assert [tier(node.get(target)) for node in strict] == ["STALE"] * 2

    source.statuses["/down.jpg"] = "404 Not Found"
    time.sleep(0.6)  # cache.negative_ttl_s
    assert [node.get(target).status for node in strict] == [404] * 2
    del source.statuses["/down.jpg"]
    time.sleep(0.6)
    assert tier(strict[1].get(target)) in {"MISS", "L2"}


def test_a_source_that_has_not_changed_is_not_decoded(strict: Sequence[Node], source: SourceServer) -> None:
    """It is asked conditionally, says 304, and the entry lives on: on all nodes, and no worker has anything to do."""
    source.etags["/same.jpg"] = '"one"'
    target = target_of(source, "/same.jpg", picture(30), 6)  # it has to live until the second node is asked
    made(strict[0], target, 6)
    before, renewed, sent = renders(strict), renders(strict, "renewed"), len(source.heads)
    stored = l2_events(strict[1], "stored")

    first = strict[1].get(target)
    until(lambda: l2_events(strict[1], "stored") > stored, "it is stored")
    second = strict[0].get(target)

    assert 'if-none-match: "one"' in source.heads[sent].lower()
    assert lifetimes(first)[2] > 0
    assert (tier(first), tier(second)) == ("L2", "L2")
    assert first.body == second.body
    assert renders(strict) == before
    assert renders(strict, "renewed") == renewed + 1
    assert source.asked("/same.jpg") == 2


def test_a_source_that_has_changed(quick: Sequence[Node], source: SourceServer) -> None:
    """One node sees another ETag while it makes one variant: the other variants are made anew, on all nodes, in time."""
    path = "/changed.jpg"
    source.etags[path], source.bodies[path] = '"one"', picture(40)
    widths = [image(source, path, f"&width={n}&format=webp&ttl=3600") for n in (10, 11, 12)]
    stored = l2_events(quick[0], "stored")
    assert [tier(quick[0].get(t)) for t in widths] == ["MISS"] * 3
    until(lambda: l2_events(quick[0], "stored") == stored + 3, "they are stored")
    old = [[node.get(t).body for t in widths] for node in quick]
    source.etags[path], source.bodies[path] = '"two"', picture(240)

    told = heard(quick)
    new = quick[1].get(image(source, path, "&width=13&format=webp"))

    assert tier(new) == "MISS"
    until_heard(quick, told)
    before = renders(quick)
    fresh = [[node.get(t).body for t in widths] for node in quick]
    assert all(a != b for were, are in zip(old, fresh, strict=True) for a, b in zip(were, are, strict=True))
    assert len({tuple(bodies) for bodies in fresh}) == 1
    assert renders(quick) == before + 3, "each once, for all nodes"


@pytest.mark.timed
async def test_early(tmp_path: Path, redis: Server, source: SourceServer) -> None:
    """Shortly before the end of what was dear to make, one node of all that are asked makes it anew; nobody waits."""
    source.delay_s["/dear"] = 1.0
    eager = SHORT | {"cache": SHORT["cache"] | {"early_refresh": 10.0}}
    async with entered(together(tmp_path, redis.url, source, **eager)) as nodes:
        target = target_of(source, "/dear.jpg", PHOTO, 20)  # 20 s, and it took more than 1 s to make
        begun = time.monotonic()
        assert tier(await fetch(nodes[0].port, target)) == "MISS"
        await asyncio.sleep(1.5)
        tiers = []
        while source.asked("/dear.jpg") == 1 and time.monotonic() < begun + 19:
            tiers += [tier(await fetch(node.port, target)) for node in nodes]
            await asyncio.sleep(0.05)
        tiers += [tier(await fetch(node.port, target)) for node in nodes for _ in range(3)]
        await eventually(lambda: renders(nodes) == 2)
        early_s = 20 - (time.monotonic() - begun)

    assert set(tiers) <= {"L1", "L2"}
    assert early_s > 0
    assert source.asked("/dear.jpg") == 2
