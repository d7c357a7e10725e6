"""Wait for Redis no longer than promised, without blaming it for what this process is late with itself.

Units    seconds of the running loop.
Errors   `TimeoutError`.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

LIMIT = 10
"""So many times the bound are never waited for, however late this process is."""


@asynccontextmanager
async def bounded(bound_s: float) -> AsyncIterator[None]:
    """End the block after *bound_s*; a loop that was stuck meanwhile gets to read first what may have come.

    Where thousands of requests begin at once, the loop takes longer than the bound before it looks at any answer.
    """
    loop = asyncio.get_running_loop()
    first_s = loop.time() + bound_s
    last_s = first_s + (LIMIT - 1) * bound_s

    def expire(due_s: float) -> None:
        nonlocal timer
        now_s = loop.time()
        if now_s - due_s > bound_s / 4 and now_s < last_s:
            again_s = now_s + min(now_s - due_s, bound_s)
            timer = loop.call_at(again_s, expire, again_s)
        else:
            bound.reschedule(now_s)

    timer = loop.call_at(first_s, expire, first_s)
    try:
        async with asyncio.timeout(None) as bound:
            yield
    finally:
        timer.cancel()


class Seats:
    """So many questions at a time; the others wait in line."""

    def __init__(self, seats: int) -> None:
        self._free = seats
        self._line: deque[asyncio.Future[None]] = deque()

    async def take(self, patience: Callable[[], float]) -> None:
        """Take a seat, to be given back; or `TimeoutError` when *patience* says that no time is left to wait."""
        if self._free:
            self._free -= 1
            return
        place = asyncio.get_running_loop().create_future()
        self._line.append(place)
        try:
            while not place.done():
                if (left_s := patience()) <= 0:
                    raise TimeoutError
                await asyncio.wait({place}, timeout=left_s)
        except BaseException:
            if place.done():
                self.give()  # it came while we were leaving: hand it on
            else:
                self._line.remove(place)
            raise

    def give(self) -> None:
        """Give a seat back, to the first in line."""
        if self._line:
            self._line.popleft().set_result(None)
        else:
            self._free += 1
