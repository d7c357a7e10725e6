"""Waiting ends when it should, and a seat is never lost."""

import asyncio
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagemill.cache.redis_patience import Seats, bounded


async def test_a_block_ends():
    begun = time.monotonic()
    with pytest.raises(TimeoutError):
        async with bounded(0.05):
            await asyncio.sleep(5)

    assert 0.04 < time.monotonic() - begun < 4


async def test_a_block_that_is_quick():
    async with bounded(0.05):
        await asyncio.sleep(0)
    await asyncio.sleep(0.1)


async def test_what_came_while_the_loop_was_stuck_is_read():
    """An answer that lies there when the loop gets free is taken, though its time is over and reading takes turns."""
    loop, read = asyncio.get_running_loop(), asyncio.Event()

    def turn(left):
        if left:
            loop.call_soon(turn, left - 1)
        else:
            read.set()

    def stuck():
        time.sleep(0.15)
        turn(10)

    async with bounded(0.05):
        loop.call_soon(stuck)
        await read.wait()


async def test_somebody_elses_cancellation_is_not_swallowed():
    async def work():
        async with bounded(5):
            await asyncio.sleep(5)

    task = asyncio.create_task(work())
    await asyncio.sleep(0.01)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_the_line_is_kept():
    seats, order = Seats(1), []

    async def visit(n):
        await seats.take(lambda: 5)
        order.append(n)
        await asyncio.sleep(0)
        seats.give()

    await asyncio.gather(*(visit(n) for n in range(20)))

    assert order == list(range(20))


async def test_patience_ends():
    seats = Seats(1)
    await seats.take(lambda: 0)
    left = [0.01, 0.01, 0.0]

    with pytest.raises(TimeoutError):
        await seats.take(lambda: left.pop(0))

    seats.give()
    await seats.take(lambda: 0)


@given(st.lists(st.booleans(), min_size=1, max_size=40), st.integers(1, 3))
def test_no_seat_is_lost(cancelled, count):
    """Whoever is cancelled, waiting or seated, at the end all seats are free."""

    async def run():
        seats = Seats(count)

        async def visit():
            await seats.take(lambda: 5)
            try:
                await asyncio.sleep(0)
            finally:
                seats.give()

        tasks = [asyncio.create_task(visit()) for _ in cancelled]
        for task, cancel in zip(tasks, cancelled, strict=True):
            await asyncio.sleep(0)
            if cancel:
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return seats._free, len(seats._line)

    assert asyncio.run(run()) == (count, 0)
