"""End tasks that run for ever, also where a library takes a cancellation for something else.

Units    seconds.
Errors   none: what a task ended with is not told.
"""

import asyncio
from collections.abc import Iterable
from typing import Any

AGAIN_S = 0.25


async def end(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel *tasks* until they have ended; redis-py swallows a cancellation that comes while it connects."""
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=AGAIN_S)
