"""A second level in this process: what `cache.base.Shared` promises, without a Redis.

Every `MemoryShared` on one `Hub` is a node of its own. Real time; the hub can be taken away.
"""

import asyncio
import time

import msgspec

from imagemill.cache.base import Lease
from imagemill.model.entry import Entry, Failure


class Hub:
    """What the nodes have in common."""

    def __init__(self, lease_s: float, idle_s: float, stale_s: float, negative_s: float) -> None:
        self.lease_s, self.idle_s, self.stale_s, self.negative_s = lease_s, idle_s, stale_s, negative_s
        self.away = False
        self.values: dict[str, tuple[Entry | Failure, float]] = {}
        self.leases: dict[str, tuple[str, float]] = {}
        self.versions: dict[str, str] = {}
        self.changed = asyncio.Event()

    def left_s(self, content: Entry | Failure) -> float:
        if isinstance(content, Failure):
            return content.born_s + self.negative_s - time.time()
        return min(self.idle_s, content.expires_s + self.stale_s - time.time())

    def value(self, key: str) -> Entry | Failure | None:
        content, until_s = self.values.get(key, (None, 0.0))
        return content if until_s > time.time() else None

    def holder(self, key: str) -> str:
        token, until_s = self.leases.get(key, ("", 0.0))
        return token if until_s > time.time() else ""

    def store(self, key: str, content: Entry | Failure) -> None:
        self.values[key] = (content, time.time() + self.left_s(content))

    def tell(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()


class MemoryShared:
    """One node's view of a `Hub`."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._tokens = 0
        self._keeping: dict[Lease, asyncio.Task[None]] = {}
        self.renewing = True

    async def start(self) -> None:
        pass

    async def close(self) -> None:
        for lease in list(self._keeping):
            self.release(lease)

    async def get(self, key, /):
        content = None if self._hub.away else self._hub.value(key)
        if isinstance(content, Entry):
            self._hub.store(key, content)
        return content

    def put(self, key, content, lease, /):
        token = lease.token if lease else ""
        self._stop(lease)
        holder, there = self._hub.holder(key), self._hub.value(key)
        if self._hub.away or (holder and holder != token):
            return
        if not (holder and holder == token) and there is not None and there.born_s >= content.born_s:
            return
        self._hub.store(key, content)
        self._hub.leases.pop(key, None)
        self._hub.tell()

    async def store(self, key, entry, lease, /):
        if self._hub.holder(key) != lease.token:
            return False
        self.put(key, entry, lease)
        return not self._hub.away

    def extend(self, key, entry, /):
        there = self._hub.value(key)
        if self._hub.away or not isinstance(there, Entry):
            return
        if (there.born_s, there.rendition.etag) == (entry.born_s, entry.rendition.etag):
            tags = tuple(sorted({*entry.tags, *there.tags}))
            self._hub.store(key, msgspec.structs.replace(entry, tags=tags, life_s=max(entry.life_s, there.life_s)))

    async def lease(self, key, /):
        if self._hub.away:
            return Lease(key, "")
        if self._hub.holder(key):
            return None
        self._tokens += 1
        lease = Lease(key, f"{id(self)}-{self._tokens}")
        self._hub.leases[key] = (lease.token, time.time() + self._hub.lease_s)
        self._keeping[lease] = asyncio.create_task(self._keep(lease))
        return lease

    def release(self, lease, /):
        self._stop(lease)
        if lease.token and self._hub.holder(lease.key) == lease.token:
            del self._hub.leases[lease.key]
            self._hub.tell()

    async def wait(self, key, timeout_s, /):
        until_s = time.time() + timeout_s
        while not self._hub.away and self._hub.holder(key) and (left_s := until_s - time.time()) > 0:
            try:
                async with asyncio.timeout(min(left_s, 0.02)):
                    await self._hub.changed.wait()
            except TimeoutError:
                continue

    async def seen(self, source_key, version, /):
        was, self._hub.versions[source_key] = self._hub.versions.get(source_key, ""), version
        return "" if self._hub.away else was

    def _stop(self, lease):
        task = self._keeping.pop(lease, None) if lease else None
        if task:
            task.cancel()

    async def _keep(self, lease):
        while True:
            await asyncio.sleep(self._hub.lease_s / 3)
            if self.renewing and self._hub.holder(lease.key) == lease.token:
                self._hub.leases[lease.key] = (lease.token, time.time() + self._hub.lease_s)
