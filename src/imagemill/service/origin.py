"""From a `SourceRef` to its bytes: which store, which limit, one fetch for all who want it at once."""

import time
from collections.abc import Callable, Mapping

from msgspec import structs

from imagemill.cache.base import Cache
from imagemill.cache.purges import Purges
from imagemill.model.entry import Failure, Validators
from imagemill.model.errors import ImagemillError, SourceForbidden
from imagemill.model.failures import OF_SOURCE, as_error, as_failure
from imagemill.model.request import Plan, SourceRef
from imagemill.plan.lifetime import is_young, life_s
from imagemill.service.flight import Flight
from imagemill.settings import Cache as CacheSettings
from imagemill.storage.base import NONE_KNOWN, Blob, Get, Unchanged

BURST_S = 5.0
"""For so long any copy will do: the widths of one ``srcset`` are asked for one after the other, and fetch once."""


class Origin:
    """Sources, with a small cache before them that never serves anything older than a minute, or purged since."""

    def __init__(
        self,
        remote: Get,
        local: Mapping[str, Get],
        buckets: Mapping[str, Get],
        cache: Cache[Blob],
        failures: Cache[Failure],
        purges: Purges,
        settings: CacheSettings,
        *,
        limit: int,
        observe: Callable[[str, int], None] = lambda _outcome, _bytes: None,
    ) -> None:
        self._remote = remote
        self._local = local
        # the longest first: a folder of a bucket may be a store of its own
        self._buckets = sorted(buckets.items(), key=lambda item: -len(item[0]))
        self._cache = cache
        self._failures = failures
        self._purges = purges
        self._settings = settings
        self._limit = limit
        self._observe = observe
        self._flight: Flight[Blob | Unchanged | Failure] = Flight()

    async def get(self, plan: Plan, known: Validators = NONE_KNOWN, *, after_s: float = 0.0) -> Blob | Unchanged:
        """The bytes of *plan*'s source, at most `limit` of them, unless it is still the one *known*.

        A copy kept here will do as long as a rendition of it would be fresh, if it was asked for later than *after_s*;
        a failure, too. Neither is from before a purge of the source, a tag or the key of *plan*.

        Raises:
            SourceError: the source is at fault.
            SourceForbidden: it may not be asked, or leads nowhere.
        """
        got = self._kept(plan, known, after_s) or await self._fetched(plan, known, after_s)
        if isinstance(got, Failure):
            raise as_error(got)
        return got

    def _kept(self, plan: Plan, known: Validators, after_s: float) -> Blob | Unchanged | Failure | None:
        now = time.monotonic()
        blob = self._cache.get(plan.source_key, now)
        if blob and blob.born_s > after_s and self._will_do(blob, plan) and self._allows(plan, blob.asked_ms):
            return _unchanged(blob) if _is(blob, known) else blob
        failure = self._failures.get(plan.source_key, now)
        young = failure and failure.born_s > after_s and is_young(failure, time.time(), self._settings)
        return failure if failure and young and self._allows(plan, failure.asked_ms) else None

    async def _fetched(self, plan: Plan, known: Validators, after_s: float) -> Blob | Unchanged | Failure:
        key = f"{plan.source_key} {known.version}"
        got, _ = await self._flight.once(
            key,
            lambda: self._fetch(plan.source, plan.source_key, known),
            lambda got: got.born_s > after_s and self._allows(plan, got.asked_ms),
        )
        return got

    def _allows(self, plan: Plan, asked_ms: int) -> bool:
        return self._purges.allows(plan.source_key, asked_ms, key=plan.key, tags=plan.tags)

    def _will_do(self, blob: Blob, plan: Plan) -> bool:
        return time.time() - blob.born_s < max(life_s(plan, blob.max_age_s, self._settings), BURST_S)

    async def _fetch(self, source: SourceRef, key: str, known: Validators) -> Blob | Unchanged | Failure:
        begun, born_s, asked_ms = time.monotonic(), time.time(), self._purges.now_ms()
        try:
            got = _dated(await self._read(source, known), born_s, asked_ms)
        except ImagemillError as e:
            self._observe(e.code, 0)
            if e.code not in OF_SOURCE:
                raise
            failure = as_failure(e, key, time.time(), asked_ms)
            self._failures.put(key, failure, time.monotonic(), ttl_s=self._settings.negative_ttl_s)
            return failure
        if isinstance(got, Unchanged):
            self._observe("unchanged", 0)
            return got
        self._observe("ok", len(got.body))
        if (got.storable or self._settings.store_private) and self._purges.allows(key, asked_ms):
            self._cache.put(key, got, begun, ttl_s=self._settings.source_ttl_s)
        return got

    async def _read(self, source: SourceRef, known: Validators) -> Blob | Unchanged:
        store, key = self._place(source)
        return await store.get(key, limit=self._limit, known=known)

    def _place(self, source: SourceRef) -> tuple[Get, str]:
        """Who has *source*, and under which key; *buckets* are ``<bucket>`` or ``<bucket>/<prefix>``."""
        match source.scheme:
            case "local":
                name, _, key = source.address.partition("/")
                if name in self._local:
                    return self._local[name], key
                raise SourceForbidden(f"no store is called {name[:40]!r}")
            case "s3":
                for place, store in self._buckets:
                    if source.address.startswith(f"{place}/"):
                        return store, source.address.removeprefix(f"{place}/")
                raise SourceForbidden("no store has this bucket, or this part of it")
            case _:
                return self._remote, source.address


def _unchanged(blob: Blob) -> Unchanged:
    return Unchanged(max_age_s=blob.max_age_s, storable=blob.storable, born_s=blob.born_s, asked_ms=blob.asked_ms)


def _is(blob: Blob, known: Validators) -> bool:
    return bool(known) and blob.validators == known


def _dated(got: Blob | Unchanged, born_s: float, asked_ms: int) -> Blob | Unchanged:
    """*got*, born when it was asked for; a date of change that lies later (RFC 9110 8.8.2.1) or before 1970 is none."""
    if isinstance(got, Unchanged):
        return structs.replace(got, born_s=born_s, asked_ms=asked_ms)
    changed_s = got.last_modified_s if 0 < got.last_modified_s <= born_s else 0
    return structs.replace(got, born_s=born_s, asked_ms=asked_ms, last_modified_s=changed_s)
