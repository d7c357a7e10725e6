"""L08: a key that is missing everywhere is made once in the whole cluster, also where its maker dies."""

import asyncio
import time

import pytest

from support.node import PHOTO, SourceServer
from support.nodes import LEASE_S, balanced, eventually, image, renders, together

WORK_S = 1.5
WAIT_S = 60.0
"""For so long a node waits for another's result: whoever waits for no more than a lease is told from that at any speed."""


async def test_a_thousand_identical_misses_are_one(four, source: SourceServer) -> None:
    """1,000 callers over four nodes: one fetch, one render, 1,000 answers with the same body."""
    source.bodies["/same.jpg"] = PHOTO
    source.delay_s["/same"] = 0.5
    target, before = image(source, "/same.jpg", "&width=400&format=webp"), renders(four)

    answers = await asyncio.gather(*(balanced(four, target, n) for n in range(1000)))

    assert [a.status for a in answers] == [200] * 1000
    assert len({a.body for a in answers}) == 1
    assert source.asked("/same.jpg") == 1
    assert renders(four) - before == 1
    tiers = [a.headers["x-cache"] for a in answers]
    assert tiers.count("MISS") == 1
    assert set(tiers) <= {"MISS", "COALESCED", "L1", "L2"}


@pytest.mark.timed
async def test_the_leader_is_killed(tmp_path, redis, source: SourceServer) -> None:
    """The node that makes it is killed with -9 in the middle: 1,000 of 1,000 answered, for at most a lease more.

    Its own clients are sent to another node, as a load balancer does.
    """
    source.bodies["/killed.jpg"] = PHOTO
    source.delay_s["/killed"] = WORK_S
    target = image(source, "/killed.jpg", "&width=400&format=webp")
    patient = {"l2": {"wait_s": WAIT_S}, "server": {"request_timeout_s": 2 * WAIT_S, "drain_s": 0}}
    with together(tmp_path, redis.url, source, **patient) as nodes:
        leader, *others = nodes
        with source.holding("/killed"):  # so that it is in the middle, however late we are
            first = asyncio.create_task(balanced(nodes, target, 0, WAIT_S))
            await eventually(lambda: source.asked("/killed.jpg"))
            rest = [asyncio.create_task(balanced(nodes, target, n, WAIT_S)) for n in range(1, 1000)]
            await asyncio.sleep(WORK_S / 2)
            leader.process.kill()
            await asyncio.to_thread(leader.process.wait)
        begun = time.monotonic()

        answers = await asyncio.gather(first, *rest)

        took_s = time.monotonic() - begun
        assert [a.status for a in answers] == [200] * 1000
        assert len({a.body for a in answers}) == 1
        assert source.asked("/killed.jpg") == 2
        assert renders(others) == 1
        assert LEASE_S + WORK_S < WAIT_S / 4
        assert took_s < WAIT_S / 2, "not for as long as nodes wait for one another"
