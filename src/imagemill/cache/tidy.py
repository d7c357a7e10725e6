"""Give back what caches have let go of: nothing else looks at what has expired where nobody asks any more.

Units    bytes; seconds.
Errors   none.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Protocol

EVERY_S = 5.0
WORTH_BYTES = 4 * 1024 * 1024
"""So much must lie free for the allocator to be asked: that takes milliseconds, in which nobody is answered."""
_IDLE = 0.01
"""Of a core: below it, nothing has been allocated or freed to speak of."""


class Tidied(Protocol):
    """What holds memory for a while."""

    @property
    def used_bytes(self) -> int:
        """What it holds; asked for, it lets go of what has expired."""
        ...


class Tidy:
    """Looks at the caches now and then, and gives back what has come free, by them and by the requests before."""

    def __init__(
        self,
        caches: Sequence[Tidied],
        free_bytes: Callable[[], int],
        trim: Callable[[], None],
        *,
        every_s: float = EVERY_S,
        cpu_s: Callable[[], float] = time.process_time,
    ) -> None:
        """*free_bytes* tells what the allocator keeps for this process and *trim* gives it back; both may be dear."""
        self._caches = caches
        self._free_bytes = free_bytes
        self._trim = trim
        self._every_s = every_s
        self._cpu_s = cpu_s
        self._held_bytes = 0
        self._spent_s = cpu_s()

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(self._every_s)
            self.look()

    def look(self) -> None:
        """Look once."""
        before, self._held_bytes = self._held_bytes, sum(cache.used_bytes for cache in self._caches)
        since, self._spent_s = self._spent_s, self._cpu_s()
        idle = self._spent_s - since < _IDLE * self._every_s and self._held_bytes >= before
        if not idle and self._free_bytes() >= WORTH_BYTES:
            self._trim()
