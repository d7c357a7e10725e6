"""Tasks end, whatever they do with a cancellation."""

import asyncio

from imagemill.cache.ending import end


async def test_a_swallowed_cancellation_is_repeated():
    """A library may take it for an error of its own, and the loop around it goes on."""
    swallowed = []

    async def run():
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                if len(swallowed) == 2:
                    raise
                swallowed.append(1)

    async def fail():
        raise ValueError

    tasks = [asyncio.create_task(run()), asyncio.create_task(fail())]
    await asyncio.sleep(0)

    async with asyncio.timeout(5):
        await end(tasks)

    assert all(task.done() for task in tasks)
    assert len(swallowed) == 2


async def test_none():
    """There may be nothing to end."""
    await end([])
