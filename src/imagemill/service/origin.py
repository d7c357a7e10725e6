"""From a `SourceRef` to its bytes: which store, which limit, one fetch for all who want it at once."""

import time
from collections.abc import Callable, Mapping

from msgspec import structs

from imagemill.cache.base import Cache
from imagemill.model.errors import ImagemillError, SourceError, SourceForbidden, bare
from imagemill.model.request import SourceRef
from imagemill.service.flight import Flight
from imagemill.settings import Cache as CacheSettings
from imagemill.storage.base import Blob, Get

BURST_S = 5.0
"""For so long any copy will do: the widths of one ``srcset`` are asked for one after the other, and fetch once."""


class Origin:
    """Sources, with a small cache before them that never serves anything older than a minute."""

    def __init__(
        self,
        remote: Get,
        local: Mapping[str, Get],
        cache: Cache[Blob],
        failures: Cache[ImagemillError],
        settings: CacheSettings,
        *,
        limit: int,
        observe: Callable[[str, int], None] = lambda _outcome, _bytes: None,
    ) -> None:
        self._remote = remote
        self._local = local
        self._cache = cache
        self._failures = failures
        self._settings = settings
        self._limit = limit
        self._observe = observe
        self._flight: Flight[Blob] = Flight()

    async def get(self, source: SourceRef, key: str, asked_s: int | None = None) -> Blob:
        """The source's bytes, at most `limit` of them, or a `SourceError` or `SourceForbidden`.

        A copy kept here will do as long as a rendition of it would be fresh: for *asked_s*, else as its source said.
        """
        now = time.monotonic()
        if (blob := self._cache.get(key, now)) and _will_do(blob, asked_s):
            return blob
        if failure := self._failures.get(key, now):
            raise bare(failure)
        blob, _ = await self._flight.once(key, lambda: self._fetch(source, key))
        return blob

    async def _fetch(self, source: SourceRef, key: str) -> Blob:
        begun, born_s = time.monotonic(), time.time()
        try:
            blob = _dated(await self._read(source), born_s)
        except ImagemillError as e:
            self._observe(e.code, 0)
            if isinstance(e, SourceError | SourceForbidden):
                self._failures.put(key, bare(e), time.monotonic(), ttl_s=self._settings.negative_ttl_s)
            raise
        self._observe("ok", len(blob.body))
        if blob.storable or self._settings.store_private:
            self._cache.put(key, blob, begun, ttl_s=self._settings.source_ttl_s)
        return blob

    async def _read(self, source: SourceRef) -> Blob:
        if source.scheme != "local":
            return await self._remote.get(source.address, limit=self._limit)
        name, _, key = source.address.partition("/")
        store = self._local.get(name)
        if store is None:
            raise SourceForbidden(f"no store is called {name[:40]!r}")
        return await store.get(key, limit=self._limit)


def _will_do(blob: Blob, asked_s: int | None) -> bool:
    life_s = blob.max_age_s if asked_s is None else asked_s
    return life_s is None or time.time() - blob.born_s < max(life_s, BURST_S)


def _dated(blob: Blob, born_s: float) -> Blob:
    """*blob*, born when it was asked for and changed no later than that (RFC 9110 8.8.2.1)."""
    return structs.replace(blob, born_s=born_s, last_modified_s=min(blob.last_modified_s, int(born_s)))
