"""A purge from anywhere holds on all nodes, for all they keep, and for what is under way.

That they hear of it within two seconds is held by the tests of the feed, which need no whole nodes.
"""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from imagemill.configuration import load
from imagemill.purge import purge
from support.node import PHOTO, Node, SourceServer, fetch
from support.nodes import (
    entered,
    eventually,
    heard,
    image,
    l2_events,
    picture,
    renders,
    tier,
    together,
    until_heard,
)
from support.redis import Server, until
from support.shim import relaying

Order = dict[str, str]


def by_admin_port(nodes: Sequence[Node], order: Order) -> None:
    assert nodes[1].purge(**order).status == 200


def by_command(nodes: Sequence[Node], order: Order) -> None:
    (name, value), = order.items()  # fmt: skip
    words = [sys.executable, "-m", "imagemill", "cache", "purge", f"--{name}", value, "--config", str(nodes[0].config)]
    clean = {k: v for k, v in os.environ.items() if not k.startswith("IMAGEMILL_")}
    done = subprocess.run(words, capture_output=True, text=True, env=clean, timeout=60)
    assert done.returncode == 0, done.stderr


def from_python(nodes: Sequence[Node], order: Order) -> None:
    asyncio.run(purge(load(nodes[0].config, {}), **order))


@pytest.mark.parametrize("subject", ["source", "tag", "target"])
@pytest.mark.parametrize("how", [by_admin_port, by_command, from_python])
def test_gone_from_all_nodes(
    four: Sequence[Node], source: SourceServer, how: Callable[[Sequence[Node], Order], None], subject: str
) -> None:
    """Once all have heard of it no node uses what L1, L2 or the source cache held: the first who asks fetches and makes it anew."""
    name = f"{how.__name__}-{subject}"
    path = f"/{name}.jpg"
    source.bodies[path] = PHOTO
    target = image(source, path)
    other = image(source, path, "&width=41&format=webp")
    tagged = f"{target}&tags={name}"
    stored = l2_events(four[0], "stored")
    assert tier(four[0].get(tagged)) == "MISS"
    assert tier(four[0].get(other)) == "MISS"
    until(lambda: l2_events(four[0], "stored") >= stored + 2, "they are stored")
    for node in four:  # just after a tag was purged no copy is used that is older
        until(lambda node=node: [tier(node.get(t)) for t in (target, other)] == ["L1", "L1"], "it holds both")
    assert source.asked(path) == 1
    told = heard(four)

    how(four, {"source": source.url(path)} if subject == "source" else {subject: name if subject == "tag" else target})
    until_heard(four, told)

    before = renders(four)
    tiers = [tier(node.get(target)) for node in four]
    assert tiers[0] == "MISS"
    assert set(tiers[1:]) <= {"L2", "COALESCED"}
    assert renders(four) - before == tiers.count("MISS")
    others = [tier(node.get(other)) for node in four]
    if subject == "source":
        assert others[0] == "MISS"
        assert source.asked(path) == 2, "the source cache is purged with it"
    else:
        assert set(others) <= {"L1", "L2"}, "what was not named is kept"


@pytest.mark.parametrize("subject", ["source", "tag", "target"])
def test_failures_go_too(four: Sequence[Node], source: SourceServer, subject: str) -> None:
    """What was in vain is asked again after a purge, long before it would be by itself."""
    path = f"/failed-{subject}.jpg"
    target = f"{image(source, path)}&tags=failed"
    assert [node.get(target).status for node in four] == [404] * 4
    asked, told = source.asked(path), heard(four)
    source.bodies[path] = PHOTO

    assert four[2].purge(**({"source": source.url(path)} if subject == "source" else
                            {subject: "failed" if subject == "tag" else target})).status == 200  # fmt: skip
    until_heard(four, told)

    answers = [node.get(target).status for node in four]
    if subject == "source":
        assert answers == [200] * 4
        assert source.asked(path) == asked + 1
    else:
        assert set(answers) <= {200, 404}, "what is known of the source itself stays known"


async def test_what_was_under_way_is_not_used(four: Sequence[Node], source: SourceServer) -> None:
    """A fill whose fetch began before the purge is what nobody gets who asks after it, on any node."""
    path = "/under-way.jpg"
    source.bodies |= {path: picture(10), "/reference.jpg": picture(200)}
    source.delay_s[path] = 2.5
    reference = await fetch(four[0].port, image(source, "/reference.jpg"))
    target = image(source, path)
    waiting = [asyncio.create_task(fetch(node.port, target)) for node in four]
    await eventually(lambda: source.asked(path))
    source.bodies[path] = picture(200)

    told = await asyncio.to_thread(heard, four)
    assert (await asyncio.to_thread(four[3].purge, source=source.url(path))).status == 200
    source.delay_s[path] = 0.0
    early = await asyncio.gather(*waiting)

    assert [a.status for a in early] == [200] * 4
    await asyncio.to_thread(until_heard, four, told)
    after = [await fetch(node.port, target) for node in four]
    assert {a.body for a in after} == {reference.body}
    assert source.asked(path) >= 2


@asynccontextmanager
async def cut_off(folder: Path, redis: Server, source: SourceServer, **tables):
    """A relay, the one node behind it, and another that has no need of it."""
    async with (
        relaying(redis.port) as shim,
        entered(together(folder, shim.url, source, count=1, **tables)) as (far,),
        entered(together(folder, redis.url, source, count=1, **tables)) as (here,),
    ):
        yield shim, far, here


async def test_a_node_that_is_cut_off(tmp_path, redis, source: SourceServer) -> None:
    """While its Redis cannot be reached it serves nothing older than `l2.blind_s`; then it reads what it has missed."""
    blind_s = 3.0
    source.bodies |= {"/cut.jpg": picture(20), "/other.jpg": PHOTO}
    target, other = image(source, "/cut.jpg"), image(source, "/other.jpg")
    tables = {"cache": {"source_ttl_s": 0.1}, "l2": {"blind_s": blind_s, "timeout_s": 0.2}}
    async with cut_off(tmp_path, redis, source, **tables) as (shim, far, here):
        old = await fetch(far.port, target)
        assert [tier(old), tier(await fetch(far.port, target))] == ["MISS", "L1"]
        assert tier(await fetch(far.port, other)) == "MISS"
        await eventually(lambda: l2_events(far, "stored") == 2)

        shim.hole = True
        cut = time.monotonic()
        source.bodies["/cut.jpg"] = picture(220)
        assert (await asyncio.to_thread(here.purge, source=source.url("/cut.jpg"))).status == 200
        seen = []
        while (at := time.monotonic() - cut) < blind_s + 3:
            seen.append((at, (await fetch(far.port, target)).body))
            await asyncio.sleep(0.1)
        assert seen[0][1] == old.body, "it cannot know yet"
        assert all(body != old.body for at, body in seen if at > blind_s + 0.5)

        shim.hole = False
        await eventually(lambda: far.metric("imagemill_purge_feed_reading") == 1)
        await eventually(lambda: far.metric("imagemill_l2_up") == 1)
        assert tier(await fetch(far.port, other)) in {"L1", "L2"}
        await asyncio.to_thread(here.purge, source=source.url("/other.jpg"))
        await eventually(lambda: tier(far.get(other)) == "MISS")


async def test_what_was_missed_is_read_on(tmp_path, redis, source: SourceServer) -> None:
    """What was purged while a node was cut off for less than `l2.blind_s` is gone from it soon after its return."""
    source.bodies["/missed.jpg"] = picture(30)
    target = image(source, "/missed.jpg")
    async with cut_off(tmp_path, redis, source) as (shim, far, here):
        assert [tier(await fetch(far.port, target)) for _ in range(2)] == ["MISS", "L1"]

        shim.hole = True
        await asyncio.to_thread(here.purge, source=source.url("/missed.jpg"))
        await asyncio.sleep(1)
        assert tier(await fetch(far.port, target)) == "L1"
        shim.refuse, shim.hole = True, False  # what was on its way is lost with its connection
        await asyncio.sleep(1)
        assert tier(await fetch(far.port, target)) == "L1"
        shim.refuse = False

        await eventually(lambda: far.get(target).headers["x-cache"] != "L1")
