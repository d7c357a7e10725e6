"""One computation per key; nobody is poisoned by somebody else's leaving."""

import asyncio

import pytest

from imagemill.service.flight import Flight


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_thousand_callers_share_one_computation():
    """L08: 1,000 identical misses, one computation, one of them the leader."""
    flight, made = Flight(), 0

    async def make():
        nonlocal made
        made += 1
        await asyncio.sleep(0.01)
        return "v"

    answers = await asyncio.gather(*(flight.once("k", make) for _ in range(1000)))

    assert made == 1
    assert {value for value, _ in answers} == {"v"}
    assert sum(not joined for _, joined in answers) == 1
    assert len(flight) == 0


async def test_a_cancelled_leader_takes_only_itself_away():
    """L08: the first caller leaves; the others still get the value of the same computation."""
    flight, go, made = Flight(), asyncio.Event(), 0

    async def make():
        nonlocal made
        made += 1
        await go.wait()
        return "v"

    leader = asyncio.create_task(flight.once("k", make))
    await settle()
    followers = [asyncio.create_task(flight.once("k", make)) for _ in range(3)]
    await settle()
    leader.cancel()
    await settle()
    go.set()

    assert [value for value, _ in await asyncio.gather(*followers)] == ["v"] * 3
    assert made == 1
    with pytest.raises(asyncio.CancelledError):
        await leader


async def test_the_last_to_leave_ends_the_work():
    """L05: what nobody wants any more is cancelled, and a newcomer begins anew."""
    flight, ended = Flight(), asyncio.Event()

    async def make():
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    callers = [asyncio.create_task(flight.once("k", make)) for _ in range(3)]
    await settle()
    for caller in callers:
        caller.cancel()
    await asyncio.gather(*callers, return_exceptions=True)

    await asyncio.wait_for(ended.wait(), 20)
    assert len(flight) == 0

    async def again():
        return "new"

    assert await flight.once("k", again) == ("new", False)


async def test_a_newcomer_does_not_wait_for_the_dying():
    """What nobody wants any more may take its time to end; whoever comes meanwhile begins anew."""
    flight, buried = Flight(), asyncio.Event()

    async def slow_to_die():
        try:
            await asyncio.sleep(60)
        finally:
            await buried.wait()

    async def again():
        return "new"

    caller = asyncio.create_task(flight.once("k", slow_to_die))
    await settle()
    caller.cancel()
    await settle()

    async with asyncio.timeout(20):
        assert await flight.once("k", again) == ("new", False)
    buried.set()
    await settle()
    assert len(flight) == 0


async def test_a_computation_cancelled_from_within_is_handed_over():
    """L08: the computation itself is cancelled; one of those who wait begins it anew, and all are answered."""
    flight, made = Flight(), 0

    async def make():
        nonlocal made
        made += 1
        await asyncio.sleep(0.01)
        if made == 1:
            raise asyncio.CancelledError
        return "v"

    answers = await asyncio.gather(*(flight.once("k", make) for _ in range(10)))

    assert {value for value, _ in answers} == {"v"}
    assert made == 2


async def test_a_failure_reaches_all_and_is_not_kept():
    """An error is everyone's answer once; the next caller tries again."""
    flight = Flight()

    async def fail():
        await asyncio.sleep(0)
        raise ValueError("no")

    answers = await asyncio.gather(*(flight.once("k", fail) for _ in range(5)), return_exceptions=True)

    assert [type(a) for a in answers] == [ValueError] * 5
    assert len(flight) == 0


async def test_keys_do_not_wait_for_one_another():
    """Two keys, two computations."""
    flight, go = Flight(), asyncio.Event()

    async def slow():
        await go.wait()
        return "slow"

    async def quick():
        return "quick"

    waiting = asyncio.create_task(flight.once("a", slow))
    await settle()

    assert await flight.once("b", quick) == ("quick", False)
    go.set()
    assert await waiting == ("slow", False)
