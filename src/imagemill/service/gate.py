"""Admission: how many renders run, how many may wait, and for how long.

Bursts may wait. Where clearly more is asked for than can be done (`service.pressure`), waiting would only make
everybody late: then as many wait as run, and the others are refused at once; so are the eldest of those who wait.
Units    seconds of the loop's clock.
Errors   `Overloaded`, at once where waiting would be in vain.
"""

import asyncio
import math
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from imagemill.model.errors import Overloaded
from imagemill.service.pressure import Pressure
from imagemill.settings import Gate as Settings

_SMOOTHING = 0.1
_TIMES_USUAL, _MORE_S = 4, 0.3
"""A render counts as no longer than so many usual ones and a bit: one slow one says little of those that wait."""


class Gate:
    """A bounded queue, first come first served, before a fixed number of slots."""

    def __init__(self, settings: Settings, slots: int, refused: Callable[[], None] = lambda: None) -> None:
        self._settings = settings
        self._slots = slots
        self._free = slots
        self._refused = refused
        self._waiting: deque[asyncio.Future[bool]] = deque()
        self._pressure = Pressure(settings.burst_s, slots)
        self._service_s = 0.0
        self._held_bytes = 0

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def check(self) -> None:
        """Raise `Overloaded` where one more would wait too long, or too many wait already; once before each slot."""
        self._pressure.came(_now_s())
        if self._is_full():
            self._pressure.found(_now_s(), free=False)
            raise self._refusal(f"{len(self._waiting)} renders are waiting")

    @asynccontextmanager
    async def slot(self, source_bytes: int = 0) -> AsyncIterator[None]:
        """Hold a slot, after waiting for it with a source of *source_bytes* in hand; or raise `Overloaded`."""
        if self._held_bytes and self._held_bytes + source_bytes > self._settings.waiting_bytes:
            raise self._refusal("too many bytes of sources are waiting")
        self._held_bytes += source_bytes
        try:
            await self._enter()
            begun = _now_s()
            try:
                yield
            finally:
                self._learn(_now_s() - begun)
                self._done()
        finally:
            self._held_bytes -= source_bytes

    def _learn(self, took_s: float) -> None:
        counted_s = min(took_s, _TIMES_USUAL * self._service_s + _MORE_S)
        self._service_s += _SMOOTHING * (counted_s - self._service_s)

    def _expected_s(self) -> float:
        return (len(self._waiting) + 1) * self._service_s / self._slots

    def _is_full(self) -> bool:
        if self._free and not self._waiting:
            return False
        most = self._settings.queue
        if self._pressure.overloaded(_now_s()):
            most = min(most, self._slots)
        return len(self._waiting) >= most or self._expected_s() > self._settings.wait_s

    def _refusal(self, why: str) -> Overloaded:
        self._refused()
        return Overloaded(why, max(1, math.ceil(self._expected_s())))

    async def _enter(self) -> None:
        full, free = self._is_full(), self._free > 0
        self._pressure.found(_now_s(), free=free)
        if full:
            raise self._refusal(f"{len(self._waiting)} renders are waiting")
        if free:
            self._free -= 1
        elif not await self._turn():
            raise self._refusal("more is asked for than can be done")

    async def _turn(self) -> bool:
        """Wait for a slot, and have it; or False: the wait is not worth it any more."""
        turn: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout(self._settings.wait_s):
                return await turn
        except BaseException as e:
            if turn.done() and not turn.cancelled():
                if turn.result():
                    self._leave()  # it was given a slot, and cannot take it any more
            else:
                with suppress(ValueError):  # a slot passed it by in the very turn of the loop in which it gave up
                    self._waiting.remove(turn)
            if isinstance(e, TimeoutError):
                raise self._refusal("no worker came free in time") from None
            raise

    def _done(self) -> None:
        """Give a slot back after its work, and see whether those who wait still should."""
        now_s = _now_s()
        before = self._pressure.overloaded(now_s)
        self._pressure.done(now_s, waiting=bool(self._waiting))
        if self._pressure.overloaded(now_s) and not before:
            while len(self._waiting) > self._slots:
                self._answer(self._waiting.popleft(), has_slot=False)
        self._leave()

    def _leave(self) -> None:
        while self._waiting:
            if self._answer(self._waiting.popleft(), has_slot=True):
                return
        self._free += 1

    @staticmethod
    def _answer(turn: asyncio.Future[bool], *, has_slot: bool) -> bool:
        """Tell one who waits; False where it waits no more."""
        if turn.done():
            return False
        turn.set_result(has_slot)
        return True


def _now_s() -> float:
    return asyncio.get_running_loop().time()
