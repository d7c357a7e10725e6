"""Admission: how many renders run, how many may wait, and for how long.

Units    seconds of monotonic time.
Errors   `Overloaded`, at once where waiting would be in vain.
"""

import asyncio
import math
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from imagemill.model.errors import Overloaded
from imagemill.settings import Gate as Settings

_SMOOTHING = 0.2


class Gate:
    """A bounded queue, first come first served, before a fixed number of slots."""

    def __init__(self, settings: Settings, slots: int, refused: Callable[[], None] = lambda: None) -> None:
        self._settings = settings
        self._slots = slots
        self._free = slots
        self._refused = refused
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._service_s = 0.0
        self._held_bytes = 0

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def check(self) -> None:
        """Raise `Overloaded` where one more would wait too long, or too many wait already."""
        if self._free and not self._waiting:
            return
        expected_s = self._expected_s()
        if len(self._waiting) >= self._settings.queue or expected_s > self._settings.wait_s:
            self._refused()
            raise Overloaded(f"{len(self._waiting)} renders are waiting", max(1, math.ceil(expected_s)))

    @asynccontextmanager
    async def slot(self, source_bytes: int = 0) -> AsyncIterator[None]:
        """Hold a slot, after waiting for it with a source of *source_bytes* in hand; or raise `Overloaded`."""
        if self._held_bytes and self._held_bytes + source_bytes > self._settings.waiting_bytes:
            self._refused()
            raise Overloaded("too many bytes of sources are waiting", max(1, math.ceil(self._expected_s())))
        self._held_bytes += source_bytes
        try:
            await self._enter()
            begun = time.monotonic()
            try:
                yield
            finally:
                self._service_s += _SMOOTHING * (time.monotonic() - begun - self._service_s)
                self._leave()
        finally:
            self._held_bytes -= source_bytes

    def _expected_s(self) -> float:
        return (len(self._waiting) + 1) * self._service_s / self._slots

    async def _enter(self) -> None:
        self.check()
        if self._free:
            self._free -= 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout(self._settings.wait_s):
                await turn
        except BaseException as e:
            if turn.done() and not turn.cancelled():
                self._leave()  # it was given a slot, and cannot take it any more
            else:
                with suppress(ValueError):  # a slot passed it by in the very turn of the loop in which it gave up
                    self._waiting.remove(turn)
            if isinstance(e, TimeoutError):
                self._refused()
                raise Overloaded("no worker came free in time", max(1, math.ceil(self._expected_s()))) from None
            raise

    def _leave(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
