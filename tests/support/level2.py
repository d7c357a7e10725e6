"""A `RedisCache` that remembers what it told, and the time that calls to it took."""

import asyncio
import os
import time
from collections import Counter
from contextlib import asynccontextmanager

from imagemill.cache.redis import RedisCache
from imagemill.model.entry import Entry
from imagemill.model.keys import etag
from imagemill.model.media import Format, Rendition
from imagemill.settings import Level2, Secret

STALE_S, NEGATIVE_S = 60, 10


def tolerance_s() -> float:
    """How much later than promised a call may come back on a machine that has other things to do."""
    return 0.1 * max(1.0, 2 * os.getloadavg()[0] / (os.cpu_count() or 1))


def entry(body=b"picture", **terms) -> Entry:
    terms.setdefault("born_s", time.time())
    return Entry(Rendition(body, Format.WEBP, etag(body), 4, 3), **terms)


class Watched:
    """One node's level, and what it told."""

    def __init__(self, settings: Level2, **rest) -> None:
        self.events: Counter[str] = Counter()
        self.sizes: Counter[str] = Counter()
        self.states: list[tuple[bool, str]] = []
        self.settings = settings
        self.worst_s = 0.0
        self.cache = RedisCache(
            settings, stale_s=STALE_S, negative_s=NEGATIVE_S, observe=self._observe,
            on_state=lambda well, why: self.states.append((well, why)), **rest,
        )  # fmt: skip

    def _observe(self, event: str, size: int) -> None:
        self.events[event] += 1
        self.sizes[event] += size

    async def timed(self, call):
        begun = time.perf_counter()
        try:
            return await call
        finally:
            self.worst_s = max(self.worst_s, time.perf_counter() - begun)

    async def request(self, key: str) -> Entry | None:
        """What a request does, and the time that it loses as a whole: look, lead, make, store."""
        begun = time.perf_counter()
        found = await self.cache.get(key)
        lease = None if found else await self.cache.lease(key)
        self.worst_s = max(self.worst_s, time.perf_counter() - begun)
        await self.timed(self.cache.seen(key, "v"))
        if found:
            self.cache.extend(key, found)
        elif lease:
            self.cache.put(key, entry(), lease)
        else:
            await self.cache.wait(key, 0.01)
        return found

    async def put(self, key: str, content) -> None:
        stored = self.events["stored"]
        self.cache.put(key, content, None)
        await self.eventually(lambda: self.events["stored"] > stored)

    async def eventually(self, true, seconds: float = 30.0) -> None:
        end = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < end, (self.events, self.states)
            await asyncio.sleep(0.01)


@asynccontextmanager
async def level2(url: str, **settings):
    rest = {name: settings.pop(name) for name in ("clock",) if name in settings}
    settings.setdefault("probe_s", 0.2)
    watched = Watched(Level2(url=Secret(url), **settings), **rest)
    await watched.cache.start()
    await asyncio.sleep(0.02)
    try:
        yield watched
    finally:
        await watched.cache.close()
