"""Keep values in this process, bounded in bytes, with moka (W-TinyLFU or LRU).

Keys     any string.
Units    bytes, counting its key and `OVERHEAD_BYTES` for each entry; seconds, each lifetime cut by up to a tenth at
         random, so that what was filled together does not expire together.
Errors   none: a cache that cannot keep a value lets it go.
Source   moka-py 0.5: weights up to 2**32 - 1; eviction runs on the calling thread.
"""

import random
from collections.abc import Callable
from typing import Generic, Literal, TypeVar

from moka_py import Moka

V = TypeVar("V")
OVERHEAD_BYTES = 1024
_SHARE_OF_ONE = 8


class MemoryCache(Generic[V]):
    """A cache that forgets when the process ends."""

    def __init__(
        self,
        max_bytes: int,
        ttl_s: float,
        size_of: Callable[[V], int],
        policy: Literal["tiny_lfu", "lru"] = "tiny_lfu",
        observe: Callable[[str], None] = lambda _: None,
        share_of_one: int = _SHARE_OF_ONE,
    ) -> None:
        self.max_bytes = max_bytes
        self.ttl_s = ttl_s
        self.policy = policy
        self._size_of = size_of
        self._observe = observe
        self._most = max_bytes // share_of_one
        self._moka: Moka[str, tuple[float, V]] = Moka(
            max_bytes, ttl=ttl_s, policy=policy, weigher=lambda key, held: len(key) + size_of(held[1]) + OVERHEAD_BYTES
        )

    @property
    def used_bytes(self) -> int:
        """What the entries weigh."""
        self._moka.run_pending_tasks()
        return self._moka.weighted_size()

    def get(self, key: str, now: float, /) -> V | None:
        """See `cache.base.Cache`."""
        held = self._moka.get(key)
        if held is None or held[0] <= now:
            self._observe("miss")
            return None
        self._observe("hit")
        return held[1]

    def peek(self, key: str, now: float, /) -> V | None:
        """See `cache.base.Cache`."""
        held = self._moka.get(key)
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
        self._moka.set(key, (now + life_s, value), ttl=life_s)

    def drop(self, key: str, /) -> None:
        """See `cache.base.Cache`."""
        self._moka.remove(key)
