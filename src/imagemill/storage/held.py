"""What threads use one after the other, and is released once: after its last use, whoever gave it up meanwhile."""

import asyncio
from collections.abc import Callable
from threading import Lock
from typing import TypeVar

T = TypeVar("T")
LAST_WORDS_S = 1.0
"""So long does a cancelled step wait for its thread, which cannot be stopped."""


class Held:
    """One thing, and how it is released; that is quick where nothing was begun."""

    def __init__(self, release: Callable[[], None]) -> None:
        self._release = release
        self._lock = Lock()
        self._used = self._given_up = False

    async def step(self, call: Callable[[], T]) -> T:
        """Do *call* in a thread. Who is cancelled is free at once; the thread comes to its end alone."""
        return await asyncio.to_thread(self._use, call)

    async def last_step(self, call: Callable[[], T]) -> T:
        """The same, but who is cancelled waits for the thread to come to its end, for a second at most."""
        running = asyncio.ensure_future(self.step(call))
        running.add_done_callback(_heard)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            await asyncio.wait({running}, timeout=LAST_WORDS_S)
            raise

    def give_up(self) -> None:
        """Release it, now or when the thread that uses it is done; no step is begun any more."""
        with self._lock:
            again, self._given_up = self._given_up, True
            wait = again or self._used
        if not wait:
            self._release()

    def go_on(self) -> None:
        """End a step here, in its thread, where it was given up meanwhile."""
        if self._given_up:
            raise RuntimeError("given up")

    def _use(self, call: Callable[[], T]) -> T:
        with self._lock:
            self.go_on()
            self._used = True
        try:
            return call()
        finally:
            with self._lock:
                self._used, given_up = False, self._given_up
            if given_up:
                self._release()


def _heard(done: asyncio.Future[T]) -> None:
    if not done.cancelled():
        done.exception()  # may be that nobody is left who wants to know
