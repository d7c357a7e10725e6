"""The composition root of jobs, on the side of the process that does them."""

import asyncio
import sys
import time
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING, Protocol

from msgspec import structs

from imagemill import __version__, stores, wiring, wiring_shared
from imagemill.cache.memory import MemoryCache
from imagemill.configuration import data_directory
from imagemill.engines.base import version_number
from imagemill.engines.on_demand import OnDemand
from imagemill.engines.pool import Pool
from imagemill.engines.typefaces import found as fonts_of
from imagemill.jobs import notices
from imagemill.jobs.base import Observed
from imagemill.jobs.counting import Counting
from imagemill.jobs.courier import Courier
from imagemill.jobs.webhook import parse_secrets
from imagemill.model.entry import Failure
from imagemill.model.errors import ImagemillError
from imagemill.net.client import Client
from imagemill.net.poster import Poster
from imagemill.obs.logs import Log
from imagemill.obs.metrics import Metrics
from imagemill.service.gate import Gate
from imagemill.service.origin import Origin
from imagemill.service.render import Renderer
from imagemill.service.rights import Rights
from imagemill.service.steps import Steps, Warm
from imagemill.service.warm import Warmer
from imagemill.settings import Settings
from imagemill.storage.base import Blob
from imagemill.wiring_caches import qualities
from imagemill.wiring_counts import Counts
from imagemill.wiring_port import job_engine, kind, places

if TYPE_CHECKING:
    from imagemill.cache.redis import RedisCache
    from imagemill.cache.redis_purges import PurgeFeed

COUNTED_S = 2.0
"""How old the numbers of jobs in each state may be."""
_LOCK_WAIT_S = 3.0
"""A process before this one may still be going away."""
_FAILURE_BYTES = 1024 * 1024
_FAILURE_SIZE = 1024
_NEGATIVE_MOST_S = 30.0
_PATIENCE_S = 86_400.0


class Runs(Protocol):
    """The worker's side of an engine."""

    @property
    def working(self) -> bool:
        """Whether jobs are taken; else it is still on its way to that."""
        ...

    async def run(self, stop: asyncio.Event) -> None:
        """Do jobs until *stop*, then finish or hand back what is under way."""
        ...


def runner(settings: Settings, steps: Steps, observed: Observed) -> Runs:
    """The engine as whoever works sees it."""
    if kind(settings) == "temporal":
        with wiring_shared.needing("jobs.engine = 'temporal'", "temporal"):
            from imagemill.jobs.temporal.worker import TemporalRunner  # noqa: PLC0415 - an extra
        return TemporalRunner(settings, steps, observed)
    from imagemill.jobs.embedded.runner import Runner  # noqa: PLC0415 - one engine of two

    return Runner(
        settings.jobs, data_directory(settings.jobs), steps, observed, callbacks=settings.callbacks,
        lock_wait_s=_LOCK_WAIT_S,
    )  # fmt: skip


class JobProcess:
    """All live parts of a job process, and their beginning and end."""

    def __init__(self, settings: Settings) -> None:
        wiring.check_quality(settings)
        self.settings = settings
        self.metrics = Metrics()
        self._log = Log("imagemill.jobs")
        self._counts = Counts(self.metrics, self._log)
        workers = settings.jobs.workers or wiring.worker_count(settings)
        patient = structs.replace(settings.engine, deadline_s=settings.jobs.rendition_s)
        fonts = fonts_of(settings.text)
        self._pool = OnDemand(lambda: Pool(patient, settings.limits, workers=workers, fonts=fonts))
        self._client = Client(settings.sources, settings.fetch)
        self._poster = Poster(settings.callbacks)
        self._purges = wiring_shared.purges_of(settings)
        self._redis: RedisCache | None = None
        self._feed: PurgeFeed | None = None
        if settings.l2.url:
            self._redis = wiring_shared.redis_cache(settings, self._counts.shared)
            self._feed = wiring_shared.purge_feed(settings, self._purges)
        self._counting = Counting(self.metrics)
        self._engine = job_engine(settings)
        self._runner = runner(settings, self._steps(workers), self._counting)
        for state in ("idle", "busy", "starting"):
            self.metrics.mirror("job_workers", partial(self._workers, state), state)

    async def run(self, stop: asyncio.Event) -> None:
        """Do jobs until *stop* is set, then finish or hand back what is under way.

        Raises:
            SettingsError: a setting is wrong, or another process does the jobs of this directory.
        """
        async with AsyncExitStack() as open_now:
            for part in (self._redis, self._feed, self._engine):
                if part:
                    open_now.push_async_callback(part.close)
                    await part.start()
            counting = asyncio.create_task(self._count())
            open_now.callback(counting.cancel)
            await self._runner.run(stop)

    async def close(self) -> None:
        """End workers and connections."""
        await self._pool.close()
        await self._client.close()
        await self._poster.close()

    @property
    def working(self) -> bool:
        """Whether it takes jobs; else it is still on its way to that."""
        return self._runner.working

    def not_ready(self) -> list[str]:
        """Why it takes no jobs; empty = it does."""
        return [] if self.working else ["the engine is not there yet"]

    def version(self) -> dict[str, str]:
        """What is in force."""
        return {"imagemill": __version__, "python": sys.version.split()[0], "jobs": kind(self.settings)}

    def _workers(self, state: str) -> float:
        return self._pool.states[state]

    def _steps(self, workers: int) -> Steps:
        settings = self.settings
        opened = stores.open_all(settings, self._counts.stored)
        courier = Courier(
            self._poster, settings.callbacks, parse_secrets(settings.callbacks.secrets), time.time, lambda _: None,
            monotonic=time.monotonic,
        )  # fmt: skip
        return Steps(
            self._renderer(opened, workers), opened.writable, self._warmer(), notices.body, courier.attempt,
            rights=Rights(settings.jobs.tenants, places(opened).buckets), address_s=settings.jobs.address_s,
        )  # fmt: skip

    def _warmer(self) -> Warm | None:
        if self._redis is None:
            return None
        l2, cache = self.settings.l2, self.settings.cache
        return Warmer(self._redis, self._purges, cache, shared_bytes=l2.max_bytes, wait_s=l2.wait_s).warm

    def _renderer(self, opened: stores.Stores, workers: int) -> Renderer:
        from imagemill.storage.http import HttpStore  # noqa: PLC0415 - as above

        settings, cache = self.settings, self.settings.cache
        sources: MemoryCache[Blob] = MemoryCache(
            cache.source_bytes, cache.source_ttl_s, lambda blob: len(blob.body), cache.policy, share_of_one=2
        )
        failures: MemoryCache[Failure] = MemoryCache(_FAILURE_BYTES, _NEGATIVE_MOST_S, lambda _: _FAILURE_SIZE)
        origin = Origin(
            HttpStore(self._client), opened.sources, opened.buckets, sources, failures, self._purges, cache,
            limit=settings.limits.source_bytes, observe=self._counts.fetched,
        )  # fmt: skip
        return Renderer(
            origin, wiring.remembering(settings, self._pool, qualities()), _patient_gate(settings, workers), cache,
            lambda: version_number(self._pool.versions), layer_bytes=settings.limits.layer_bytes,
        )  # fmt: skip

    async def _count(self) -> None:
        """Show how many jobs are in which state, now and then."""
        while True:
            try:
                counts = await self._engine.counts()
            except ImagemillError as e:
                self._log.warning("jobs cannot be counted", reason=str(e))
            else:
                self._counting.show(counts)
            await asyncio.sleep(COUNTED_S)


def _patient_gate(settings: Settings, workers: int) -> Gate:
    """A gate that nothing is turned away from: whatever was begun is worth its wait, and how much is begun is set."""
    most = settings.jobs.concurrency
    waiting_bytes = max(settings.gate.waiting_bytes, most * settings.limits.source_bytes)
    patient = structs.replace(settings.gate, queue=most, wait_s=_PATIENCE_S, waiting_bytes=waiting_bytes, burst_s=0.0)
    return Gate(patient, workers)
