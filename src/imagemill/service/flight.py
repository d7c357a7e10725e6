"""One computation per key at a time in this process; the rest await it.

The computation belongs to nobody who asked: a caller that leaves takes only itself away, and the last one to
leave ends the computation.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Generic, TypeVar

V = TypeVar("V")


class _Running(Generic[V]):
    def __init__(self, task: asyncio.Task[V]) -> None:
        self.task = task
        self.waiters = 0


class Flight(Generic[V]):
    """Computations under way."""

    def __init__(self) -> None:
        self._running: dict[str, _Running[V]] = {}

    def __len__(self) -> int:
        return len(self._running)

    def __contains__(self, key: str) -> bool:
        return key in self._running

    async def once(
        self, key: str, make: Callable[[], Coroutine[None, None, V]], usable: Callable[[V], bool] = lambda _: True
    ) -> tuple[V, bool]:
        """The value of *make*, and whether it was already being made for somebody else.

        One that was, and is not *usable* to this caller, is made once more.

        Raises:
            BaseException: whatever *make* raises, to all who wait; but a computation that was cancelled
                from within is begun anew by one of those who still want it.
        """
        value, joined = await self._once(key, make)
        if joined and not usable(value):
            value, joined = await self._once(key, make)
        return value, joined

    async def _once(self, key: str, make: Callable[[], Coroutine[None, None, V]]) -> tuple[V, bool]:
        joined = False
        while True:
            running = self._running.get(key)
            joined = joined or running is not None
            if running is None:
                running = self._begin(key, make)
            try:
                return await self._wait(key, running), joined
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if (task and task.cancelling()) or not running.task.cancelled():
                    raise
                # the computation was cancelled, and not this caller: hand over

    def _begin(self, key: str, make: Callable[[], Coroutine[None, None, V]]) -> _Running[V]:
        running = _Running(asyncio.get_running_loop().create_task(make()))
        self._running[key] = running
        running.task.add_done_callback(lambda task: self._ended(key, running, task))
        return running

    def _ended(self, key: str, running: _Running[V], task: asyncio.Task[V]) -> None:
        if not task.cancelled():
            task.exception()  # seen, even where every caller has left
        self._forget(key, running)

    async def _wait(self, key: str, running: _Running[V]) -> V:
        running.waiters += 1
        try:
            return await asyncio.shield(running.task)
        finally:
            running.waiters -= 1
            if running.waiters == 0 and not running.task.done():
                self._forget(key, running)  # whoever comes now begins anew, and does not join the dying
                running.task.cancel()

    def _forget(self, key: str, running: _Running[V]) -> None:
        if self._running.get(key) is running:
            del self._running[key]
