"""Where a cache keeps what nobody has asked for a second time.

Most of what is made is asked for once. It gets an eighth of the room, 20 MiB at most, and a short stay. What is read in
that time moves to where the rest is; and what is made again goes there at once, as long as its name is remembered.
Units    bytes; seconds.
Source   the small queue and the ghosts of S3-FIFO (Yang et al., SOSP 2023); the stay is our own.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

from imagemill.cache.fifo import Fifo

V = TypeVar("V")
_SHARE = 8
_MOST_BYTES = 20 * 1024 * 1024
_BYTES_A_NAME = 2 * 1024
"""Of room for newcomers, for each name that is remembered."""
_NAME_BYTES = 192
"""What a remembered name takes: a whole number in an ordered dictionary."""


class Newcomers(Generic[V]):
    """What came once, and the names of what did so before."""

    def __init__(
        self, max_bytes: int, stay_s: float, weigher: Callable[[str, V], int], clock: Callable[[], float]
    ) -> None:
        """Take a share of *max_bytes*, the bound of the whole cache; see `reserved_bytes`."""
        room = min(max_bytes // _SHARE, _MOST_BYTES)
        self._room = room
        self._stay_s = stay_s
        self._weigh = weigher
        self._most_names = room // _BYTES_A_NAME
        self._names: OrderedDict[int, None] = OrderedDict()
        self._here = Fifo(room, weigher, self._remember, clock)
        self.reserved_bytes = room + self._most_names * _NAME_BYTES

    @property
    def used_bytes(self) -> int:
        """What is here weighs so much, names included."""
        return self._here.weighted_size() + len(self._names) * _NAME_BYTES

    def take(self, key: str) -> V | None:
        """What is here under *key*, which leaves by being asked for."""
        held = self._here.remove(key)
        if held is not None:
            self._remember(key)
        return held

    def put(self, key: str, value: V, ttl_s: float) -> bool:
        """Keep *value* for its stay; False for what has been here before, or would need more than the room there is.

        Either way nothing older is left here, that might come back once *value* is gone.
        """
        self._here.remove(key)
        if hash(key) in self._names:
            self._remember(key)
            return False
        if self._weigh(key, value) > self._room:
            return False
        self._here.set(key, value, min(ttl_s, self._stay_s))
        return True

    def drop(self, key: str) -> None:
        """Forget what is here under *key*."""
        self._here.remove(key)

    def sweep(self) -> None:
        """Let go of what has stayed for long enough."""
        self._here.run_pending_tasks()

    def _remember(self, key: str) -> None:
        """A number does for a name: two that are mistaken for each other cost nothing but room."""
        self._names[hash(key)] = None
        self._names.move_to_end(hash(key))
        if len(self._names) > self._most_names:
            self._names.popitem(last=False)
