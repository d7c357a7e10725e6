"""An event loop whose clock jumps to the next timer: minutes pass in a moment, and the same way every time."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _NothingToSee(selectors.DefaultSelector):
    """Asks the kernel only where there is no timer either: some 500,000 turns of the tests would ask it in vain."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return super().select(timeout) if timeout is None else []


class VirtualLoop(asyncio.SelectorEventLoop):
    """Nothing but its own timers may be waited for."""

    def __init__(self) -> None:
        super().__init__(_NothingToSee())
        self._now_s = 0.0

    def time(self) -> float:
        return self._now_s

    def _run_once(self) -> None:
        if not self._ready and self._scheduled:
            self._now_s = max(self._now_s, self._scheduled[0].when())
        super()._run_once()


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run *work* in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)
