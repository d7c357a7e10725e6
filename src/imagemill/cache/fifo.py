"""Keep values in the order in which they came, bounded in bytes: the first to come is the first to go.

Units    bytes, as the caller weighs them; seconds.
Errors   none.
Order    what has expired goes no later than what came before it, so that no look is ever longer than what it frees.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

V = TypeVar("V")


class Fifo(Generic[V]):
    """The verbs of moka for the one policy that it lacks; whoever gets a value judges its age."""

    def __init__(
        self,
        max_bytes: int,
        weigher: Callable[[str, V], int],
        left: Callable[[str], None] = lambda _key: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """*left* is told each key that expired or had to make room; not what was removed or replaced."""
        self._max_bytes = max_bytes
        self._weigh = weigher
        self._left = left
        self._clock = clock
        self._held: OrderedDict[str, tuple[V, int, float]] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._held)

    def get(self, key: str) -> V | None:
        """The value under *key*; a read changes no order."""
        held = self._held.get(key)
        return held[0] if held else None

    def set(self, key: str, value: V, ttl: float) -> None:
        """Keep *value* behind all others, and let go of the first to come for as long as there is too much."""
        self.remove(key)
        size = self._weigh(key, value)
        self._held[key] = (value, size, self._clock() + ttl)
        self._bytes += size
        while self._bytes > self._max_bytes:
            self._drop_first()

    def remove(self, key: str) -> V | None:
        """Forget *key*, and return what it had."""
        held = self._held.pop(key, None)
        if held is None:
            return None
        self._bytes -= held[1]
        return held[0]

    def run_pending_tasks(self) -> None:
        """Let go of what has expired."""
        now = self._clock()
        while self._held and next(iter(self._held.values()))[2] <= now:
            self._drop_first()

    def weighted_size(self) -> int:
        """What the values weigh."""
        return self._bytes

    def _drop_first(self) -> None:
        key, (_, size, _) = self._held.popitem(last=False)
        self._bytes -= size
        self._left(key)
