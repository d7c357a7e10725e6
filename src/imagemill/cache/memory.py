"""Keep values in this process, bounded in bytes: W-TinyLFU or LRU by moka, or FIFO.

Keys     any string.
Units    bytes, counting its key and `OVERHEAD_BYTES` for each entry; seconds, each lifetime cut by up to a tenth at
         random, so that what was filled together does not expire together.
Errors   none: a cache that cannot keep a value lets it go.
Source   moka-py 0.5: weights up to 2**32 - 1; eviction runs on the calling thread.
"""

import random
import time
from collections.abc import Callable
from typing import Generic, Literal, Protocol, TypeVar

from moka_py import Moka

from imagemill.cache.fifo import Fifo
from imagemill.cache.newcomers import Newcomers

V = TypeVar("V")
Policy = Literal["tiny_lfu", "lru", "fifo"]
OVERHEAD_BYTES = 1280
_SHARE_OF_ONE = 8


class _Keeps(Protocol[V]):
    """What is asked of an implementation of a policy, in the words of moka."""

    def get(self, key: str, /) -> V | None: ...
    def set(self, key: str, value: V, /, ttl: float) -> None: ...
    def remove(self, key: str, /) -> V | None: ...
    def run_pending_tasks(self) -> None: ...
    def weighted_size(self) -> int: ...


class MemoryCache(Generic[V]):
    """A cache that forgets when the process ends."""

    def __init__(
        self,
        max_bytes: int,
        ttl_s: float,
        size_of: Callable[[V], int],
        policy: Policy = "tiny_lfu",
        observe: Callable[[str], None] = lambda _: None,
        share_of_one: int = _SHARE_OF_ONE,
        unread_s: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Hold the bounds.

        Args:
            max_bytes: Of all entries.
            ttl_s: Longest life.
            size_of: What a value weighs, without key and overhead.
            policy: Who makes room.
            observe: Told of each ``hit``, ``miss``, ``put`` and ``bypass``.
            share_of_one: The part of the whole that one entry may take.
            unread_s: How long an entry stays that nobody has asked for, see `Newcomers`; 0 = as long as all others.
            clock: By which memory is freed; lifetimes go by the times that callers name.
        """
        self.max_bytes = max_bytes
        self.ttl_s = ttl_s
        self.policy = policy
        self.unread_s = unread_s
        self._size_of = size_of
        self._observe = observe
        self._most = max_bytes // share_of_one
        self._newcomers = Newcomers(max_bytes, unread_s, self._weight, clock) if unread_s else None
        room = max_bytes - (self._newcomers.reserved_bytes if self._newcomers else 0)
        self._kept: _Keeps[tuple[float, V]] = (
            Fifo(room, self._weight, clock=clock)
            if policy == "fifo"
            else Moka(room, ttl=ttl_s, policy=policy, weigher=self._weight)
        )

    @property
    def used_bytes(self) -> int:
        """What the entries weigh; what has expired goes now."""
        self._kept.run_pending_tasks()
        if self._newcomers is None:
            return self._kept.weighted_size()
        self._newcomers.sweep()
        return self._kept.weighted_size() + self._newcomers.used_bytes

    def get(self, key: str, now: float, /) -> V | None:
        """See `cache.base.Cache`."""
        held = self._kept.get(key) or self._welcome(key, now)
        if held is None or held[0] <= now:
            self._observe("miss")
            return None
        self._observe("hit")
        return held[1]

    def peek(self, key: str, now: float, /) -> V | None:
        """See `cache.base.Cache`."""
        held = self._kept.get(key) or self._welcome(key, now)
        return held[1] if held is not None and held[0] > now else None

    def used(self) -> None:
        """See `cache.base.Cache`."""
        self._observe("hit")

    def put(self, key: str, value: V, now: float, /, *, ttl_s: float) -> None:
        """See `cache.base.Cache`; a value above its share of the whole, an eighth by default, is not kept."""
        life_s = min(ttl_s, self.ttl_s) * random.uniform(0.9, 1.0)  # noqa: S311 - spreads expiry, guards nothing
        if self._size_of(value) + OVERHEAD_BYTES > self._most or life_s <= 0:
            self._observe("bypass")
            return
        self._observe("put")
        held = (now + life_s, value)
        if self._newcomers and self._kept.get(key) is None and self._newcomers.put(key, held, life_s):
            return
        self._kept.set(key, held, ttl=life_s)

    def drop(self, key: str, /) -> None:
        """See `cache.base.Cache`."""
        self._kept.remove(key)
        if self._newcomers:
            self._newcomers.drop(key)

    def _welcome(self, key: str, now: float) -> tuple[float, V] | None:
        """A newcomer that is asked for, which is one no more."""
        held = self._newcomers.take(key) if self._newcomers else None
        if held is not None and held[0] > now:
            self._kept.set(key, held, ttl=held[0] - now)
        return held

    def _weight(self, key: str, held: tuple[float, V]) -> int:
        return len(key) + self._size_of(held[1]) + OVERHEAD_BYTES
