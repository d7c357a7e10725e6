"""Admission: bounded, first come first served, quick to refuse."""

import asyncio
import time

import pytest

from imagemill.model.errors import Overloaded
from imagemill.service.gate import Gate
from imagemill.settings import Gate as Settings


async def hold(gate: Gate, go: asyncio.Event, log: list[int] | None = None, n: int = 0) -> None:
    async with gate.slot():
        if log is not None:
            log.append(n)
        await go.wait()


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_past_the_queue_is_refused_at_once():
    """R: one slot, two may wait, the fourth is refused in under 50 ms with a time to come back."""
    refused = []
    gate, go = Gate(Settings(queue=2), 1, lambda: refused.append(1)), asyncio.Event()
    running = [asyncio.create_task(hold(gate, go)) for _ in range(3)]
    await settle()

    begun = time.process_time()  # what others take of a busy machine does not count
    with pytest.raises(Overloaded) as e:
        async with asyncio.timeout(20):
            await hold(gate, go)

    assert time.process_time() - begun < 0.05
    assert e.value.retry_after_s >= 1
    assert refused == [1]
    go.set()
    await asyncio.gather(*running)


async def test_first_come_first_served():
    """Waiting renders run in the order they came."""
    gate, go, log = Gate(Settings(), 1), asyncio.Event(), []
    tasks = []
    for n in range(5):
        tasks.append(asyncio.create_task(hold(gate, go, log, n)))
        await settle()
    go.set()
    await asyncio.gather(*tasks)

    assert log == [0, 1, 2, 3, 4]


async def test_waiting_has_a_deadline():
    """L03: what waited too long is refused and never begun."""
    gate, go, log = Gate(Settings(wait_s=0.05), 1), asyncio.Event(), []
    running = asyncio.create_task(hold(gate, go))
    await settle()

    with pytest.raises(Overloaded):
        await hold(gate, go, log)

    go.set()
    await running
    await settle()
    assert log == []
    assert len(gate) == 0


async def test_a_queue_known_to_be_slow_refuses_early():
    """L03: with 0.2 s a render and a wait of 0.1 s, waiting is in vain and not begun."""
    gate = Gate(Settings(wait_s=0.1), 1)
    for _ in range(10):
        async with gate.slot():
            await asyncio.sleep(0.06)
    gate._service_s = 0.2
    go = asyncio.Event()
    running = asyncio.create_task(hold(gate, go))
    await settle()

    with pytest.raises(Overloaded):
        gate.check()

    go.set()
    await running


@pytest.mark.parametrize("given", [False, True])
async def test_a_cancelled_waiter_loses_no_slot(given):
    """L05: leaving while waiting, or in the very moment a slot is given, leaves every slot usable, and no more."""
    gate, go = Gate(Settings(), 1), asyncio.Event()
    gate._free = 0
    first, second = (asyncio.create_task(hold(gate, go)) for _ in range(2))
    await settle()
    if given:
        gate._leave()  # and before `first` has run:
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    if not given:
        gate._leave()
    go.set()
    async with asyncio.timeout(20):
        await second

    assert (len(gate), gate._free) == (0, 1)


async def test_a_slot_that_passes_a_waiter_by_is_an_overload_and_no_accident():
    """A slot comes free in the very turn of the loop in which the first in the queue gives up: still `Overloaded`."""
    gate = Gate(Settings(wait_s=0.05), 1)
    gate._free = 0
    waiter = asyncio.create_task(hold(gate, asyncio.Event()))
    await settle()
    turn = gate._waiting[0]
    turn.cancel()  # as the timer does
    gate._leave()  # before the waiter has run
    waiter.cancel()

    with pytest.raises(asyncio.CancelledError):
        await waiter
    assert gate._free == 1


async def test_waiting_sources_are_bounded_in_bytes():
    """Sources in hand weigh no more than the budget; one alone is always let in; what leaves gives its bytes back."""
    gate, go = Gate(Settings(waiting_bytes=100), 3), asyncio.Event()
    async with gate.slot(150):
        with pytest.raises(Overloaded, match="too many bytes"):
            async with gate.slot(1):
                pass
    async with gate.slot(60), gate.slot(40):
        with pytest.raises(Overloaded, match="too many bytes"):
            async with gate.slot(1):
                pass
    assert gate._held_bytes == 0

    waiters = [asyncio.create_task(hold(gate, go)) for _ in range(4)]
    await settle()
    for waiter in waiters:
        waiter.cancel()
    await asyncio.gather(*waiters, return_exceptions=True)
    assert (gate._held_bytes, gate._free) == (0, 3)
