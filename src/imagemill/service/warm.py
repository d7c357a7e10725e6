"""Fill the level that nodes share with a rendition that nobody has asked for yet.

Keys     those of the URL with the same source and parameters: whoever asks for it finds it there.
Errors   `DependencyDown` where it cannot be stored just now; `NotSupported` and `LimitExceeded` where it never will be.
"""

import time
from typing import Protocol

from imagemill.cache.base import Lease
from imagemill.cache.purges import Purges, Verdict
from imagemill.model.entry import Entry, Failure
from imagemill.model.errors import DependencyDown, LimitExceeded, NotSupported
from imagemill.model.request import Plan
from imagemill.settings import Cache as CacheSettings


class Durable(Protocol):
    """What is needed of the shared level, see `cache.base.Shared`; and a write that is known to have happened."""

    async def get(self, key: str, /) -> Entry | Failure | None:
        """What is kept under *key*."""
        ...

    async def lease(self, key: str, /) -> Lease | None:
        """The right to make *key*; None = another node has it."""
        ...

    async def wait(self, key: str, timeout_s: float, /) -> None:
        """Return when whoever holds *key*'s lease is done; after *timeout_s* at the latest."""
        ...

    async def store(self, key: str, entry: Entry, lease: Lease, /) -> bool:
        """Store, end *lease*, and say whether all nodes can find *entry* now."""
        ...

    def release(self, lease: Lease, /) -> None:
        """Give *lease* up without a result."""
        ...


class Warmer:
    """See the module."""

    def __init__(
        self, shared: Durable, purges: Purges, settings: CacheSettings, *, shared_bytes: int, wait_s: float
    ) -> None:
        self._shared = shared
        self._purges = purges
        self._settings = settings
        self._shared_bytes = shared_bytes
        self._wait_s = wait_s

    async def warm(self, plan: Plan, entry: Entry) -> None:
        """Let all nodes find *entry* under the key of *plan*, under the tags of what was there before, too."""
        self._check(plan, entry)
        until = time.monotonic() + self._wait_s
        while (left_s := until - time.monotonic()) > 0:
            lease = await self._shared.lease(plan.key)
            if lease is None:
                await self._shared.wait(plan.key, left_s)
                continue
            if lease.token and await self._replace(plan, entry, lease):
                return
            raise DependencyDown("warm: the second cache level takes nothing just now")
        raise DependencyDown("warm: other nodes are making it")

    def _check(self, plan: Plan, entry: Entry) -> None:
        if not (entry.storable or self._settings.store_private):
            raise NotSupported("warm: the source is private or no-store, and cache.store_private is not set")
        if (size := len(entry.rendition.body)) > self._shared_bytes:
            raise LimitExceeded("l2_bytes", f"warm: {size} > {self._shared_bytes} bytes")
        if not self._purges.settled:
            raise DependencyDown("warm: it is not known yet what was purged")
        if self._purges.judge(entry, plan.key) is Verdict.GONE:
            raise DependencyDown("warm: it was purged while it was made")

    async def _replace(self, plan: Plan, entry: Entry, lease: Lease) -> bool:
        try:
            held = await self._shared.get(plan.key)
        except BaseException:
            self._shared.release(lease)
            raise
        return await self._shared.store(plan.key, entry.tagged(*held.tags) if held else entry, lease)
