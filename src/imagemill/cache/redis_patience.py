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
    last_s = loop.time() + LIMIT * bound_s
    timers: list[asyncio.TimerHandle] = []

    def expire_at(due_s: float) -> None:
        timers[:] = [loop.call_at(due_s, expire, due_s)]

    def expire(due_s: float) -> None:
        late_s = loop.time() - due_s
        if late_s > bound_s / 4 and loop.time() < last_s:
            expire_at(loop.time() + min(late_s, bound_s))
        else:
            bound.reschedule(loop.time())

    expire_at(loop.time() + bound_s)
    try:
        async with asyncio.timeout(None) as bound:
            yield
    finally:
        timers[0].cancel()


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
