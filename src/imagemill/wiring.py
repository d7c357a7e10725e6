"""The composition root: settings become live objects here, and nowhere else."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from imagemill import __version__, stores, wiring_fallbacks
from imagemill.cache.alone import Alone
from imagemill.cache.base import Cache
from imagemill.cache.memory import MemoryCache
from imagemill.cache.purges import Purges
from imagemill.dialects.native import DESCRIBING, PARAMETERS, Native, Parameter
from imagemill.engines.base import Engine as EngineOf
from imagemill.engines.base import Known, version_number
from imagemill.engines.pool import Event, Pool
from imagemill.engines.typefaces import found as fonts_of
from imagemill.jobs.counting import Counting
from imagemill.jobs.webhook import parse_secrets
from imagemill.model.errors import DependencyDown, SettingsError
from imagemill.net import guard
from imagemill.net.client import Client
from imagemill.obs.logs import Log, LogPipe
from imagemill.obs.metrics import Metrics
from imagemill.service.gate import Gate
from imagemill.service.origin import Origin
from imagemill.service.purge import Order, Purged, Purger
from imagemill.service.qualities import Remembering
from imagemill.service.render import Renderer
from imagemill.service.transcode import Transcoder
from imagemill.settings import Settings
from imagemill.web.admin import build as build_admin
from imagemill.web.app import App
from imagemill.web.connections import Connections
from imagemill.web.fallbacks import Fallbacks
from imagemill.web.hits import Hits
from imagemill.web.images import Images
from imagemill.web.jobs import body_limit
from imagemill.web.proxies import Proxies
from imagemill.web.purges import handler as purging
from imagemill.web.record import Record
from imagemill.web.routes import Route
from imagemill.wiring_caches import Caches
from imagemill.wiring_counts import Counts
from imagemill.wiring_port import job_engine, kind, submission
from imagemill.wiring_shared import purge_feed, purges_of, redis_cache

if TYPE_CHECKING:
    from imagemill.cache.redis import RedisCache

__all__ = [
    "DESCRIBING",
    "PARAMETERS",
    "Parameter",
    "Service",
    "check",
    "engine",
    "l2",
    "native",
    "purge",
    "worker_count",
]

_IMAGE, _INFO = "/image", "/info"


def worker_count(settings: Settings) -> int:
    """Workers to start: as set, else one for each core this process may use."""
    return settings.engine.workers or min(len(os.sched_getaffinity(0)), _quota_cores() or sys.maxsize)


def _quota_cores(file: Path = Path("/sys/fs/cgroup/cpu.max")) -> int:
    """Cores' worth of CPU that the control group allows, rounded up; 0 = no limit."""
    try:
        quota, period = file.read_text().split()
    except (OSError, ValueError):
        return 0
    return -(-int(quota) // int(period)) if quota.isdigit() else 0


def native(settings: Settings, *, own: bool = False) -> Native:
    """The native dialect; needs no live objects. *own*: for whoever runs this machine, from whom nothing is kept."""
    presets = replace(settings.presets, only=settings.presets.only and not own)
    hints = settings.negotiation.client_hints
    return Native(settings.limits, lambda url: guard.parse(url).url, presets, client_hints=hints)


def engine(settings: Settings, workers: int, observe: Callable[[Event], None] = lambda _: None) -> Pool:
    """The engine workers, not started."""
    check_quality(settings)
    return Pool(settings.engine, settings.limits, workers=workers, observe=observe, fonts=fonts_of(settings.text))


def remembering(settings: Settings, pool: EngineOf, cache: Cache[tuple[Known, ...]]) -> EngineOf:
    """*pool*, with a memory for what ``quality=auto`` finds out, where that is offered."""
    return Remembering(pool, cache) if settings.engine.quality_auto else pool


@asynccontextmanager
async def l2(settings: Settings) -> AsyncIterator["RedisCache"]:
    """The second level, for an operator's questions, from outside of any node."""
    level = redis_cache(settings)
    await level.start()
    try:
        yield level
    finally:
        await level.close()


async def purge(settings: Settings, order: Order) -> Purged:
    """Carry *order* out through the Redis that the nodes share, from outside of any node."""
    purges = Purges(settings.l2.purges)
    feed = purge_feed(settings, purges)
    try:
        await feed.tune()  # where that fails, publishing says so
        purger = Purger(purges, native(settings), feed.publish, limits=settings.limits, policy=settings.negotiation)
        return await purger.carry_out(order)
    except DependencyDown as e:
        raise DependencyDown("Redis did not take the purge, so nodes may not know of it; repeat it") from e
    finally:
        await feed.close()


class Service:
    """All live parts of one node, and their beginning and end."""

    def __init__(self, settings: Settings, *, pool: Pool | None = None) -> None:
        from imagemill.storage.http import HttpStore  # noqa: PLC0415 - a node needs it, the commands do not

        check_extras(settings)
        self.settings = settings
        self.metrics = Metrics()
        self.record = Record(self.metrics)
        self.draining = False
        self.counts = counts = Counts(self.metrics, Log("imagemill.request"))
        workers = worker_count(settings)
        cache = settings.cache
        self.client = Client(settings.sources, settings.fetch)
        self.pool = pool or engine(settings, workers, counts.pool)
        self.gate = Gate(settings.gate, workers, lambda: self.metrics.count("queue_refused"))
        caches = Caches(cache, counts.of_cache)
        self.l1, self.sources, self.failures = caches.l1, caches.sources, caches.failures
        self._tidy = caches.tidy
        self._tidying: asyncio.Task[None] | None = None
        shared = settings.l2
        self.purges = purges_of(settings)
        self.feed = purge_feed(settings, self.purges, counts.purged) if shared.url else None
        self.purger = Purger(
            self.purges,
            native(settings),
            self.feed.publish if self.feed else None,
            counts.purged,
            limits=settings.limits,
            policy=settings.negotiation,
        )
        self.redis = redis_cache(settings, counts.shared, counts.shared_state) if shared.url else None
        self.stores = stores.open_all(settings, counts.stored)
        origin = Origin(
            HttpStore(self.client), self.stores.sources, self.stores.buckets, self.sources, self.failures,
            self.purges, cache, limit=settings.limits.source_bytes, observe=counts.fetched,
        )  # fmt: skip
        renderer = Renderer(
            origin, remembering(settings, self.pool, caches.qualities), self.gate, cache, self._engine,
            layer_bytes=settings.limits.layer_bytes,
        )  # fmt: skip
        self.transcoder = Transcoder(
            renderer, self.l1, self.redis or Alone(), self.failures,
            caches.versions, self.purges, cache, wait_s=shared.wait_s,
            shared_bytes=shared.max_bytes, engine=self._engine, observe=counts.rendered,
            tell=self.feed.publish if self.feed else None,
        )  # fmt: skip
        self.submission = submission(settings, self.stores, native(settings), Counting(self.metrics))
        self.connections = Connections(
            settings.server,
            lambda reason: self.metrics.count("connections_refused", reason),
            **({"bodies": body_limit(settings)} if self.submission else {}),
        )
        dialect = native(settings)
        fallbacks = wiring_fallbacks.sources(settings, dialect.source, self.stores)
        self.images = Images(
            dialect, self.transcoder, caches.memo, settings, fallbacks=Fallbacks(fallbacks, settings.fallback)
        )
        self.infos = Images(
            dialect, self.transcoder, caches.memo, settings, read=lambda query, _client: dialect.described(query)
        )
        self._fallbacks = wiring_fallbacks.Watch(fallbacks, renderer, settings.limits)
        table = [Route("OPTIONS", _IMAGE, self.images.preflight), Route("OPTIONS", _INFO, self.infos.preflight)]
        table += self.submission.port.routes() if self.submission else ()
        proxies = Proxies(settings.server.trusted_proxies)
        self.app = App(self._routes(), self.record.finished, self.record.begun, table=table, proxies=proxies)
        self.connections.early = Hits(
            _IMAGE, self.images, self.record, self.app.introduced, settings.server.max_head_bytes
        ).answer
        self.admin = build_admin(
            self.metrics, self.not_ready, self.images.explained, self.version, purging(self.purger.carry_out),
            self.infos.explained,
        )  # fmt: skip
        self._watch()

    async def start(self) -> None:
        """Bring the workers up, hear of earlier purges, or raise `SettingsError`."""
        await self.pool.start()
        self._tidying = asyncio.create_task(self._tidy.run())
        if self.redis:
            await self.redis.start()
        if self.feed:
            await self.feed.start()
        if self.submission:
            await self.submission.engine.start()
        self._fallbacks.look()
        self.metrics.build_info(__version__, self.pool.versions.get("libvips", "unknown"))

    def _engine(self) -> int:
        return version_number(self.pool.versions)

    async def close(self) -> None:
        """End workers and connections."""
        if self._tidying:
            self._tidying.cancel()
        await self._fallbacks.close()
        if self.submission:
            await self.submission.close()
        await self.transcoder.close()
        if self.redis:
            await self.redis.close()
        if self.feed:
            await self.feed.close()
        await self.pool.close()
        await self.client.close()

    def drain(self) -> None:
        """Say not ready from now on."""
        self.draining = True
        if self.submission:
            self.submission.port.streams.end()  # or their listeners would hold the stop for its whole grace

    def not_ready(self) -> list[str]:
        """Why this node should get no new work; empty = it should."""
        reasons = ["draining"] if self.draining else []
        return reasons if self.pool.alive else [*reasons, "no worker is alive"]

    def version(self) -> dict[str, str]:
        """What is in force."""
        return {"imagemill": __version__, "python": sys.version.split()[0], **self.pool.versions}

    def _routes(self) -> dict[str, Any]:
        routes: dict[str, Any] = {_IMAGE: self.images.get, _INFO: self.infos.get}
        if self.settings.signing.mode == "unsigned":
            routes |= {"/explain": self.images.explain, "/explain/info": self.infos.explain}
        return routes

    def watch_log(self, pipe: LogPipe) -> None:
        """Log requests through *pipe*, and show what it had to drop."""
        self.record.write_to(pipe)
        seen = 0

        def update() -> None:
            nonlocal seen
            self.metrics.count("log_dropped", by=pipe.dropped - seen)
            seen = pipe.dropped

        self.metrics.before_render(update)

    def _watch(self) -> None:
        mirror = self.metrics.mirror
        mirror("queue_length", lambda: len(self.gate))
        mirror("connections", lambda: self.connections.open)
        mirror("requests_in_flight", lambda: self.record.in_flight)
        mirror("fetches_in_flight", lambda: self.client.in_flight)
        for name, cache in (("l1", self.l1), ("source", self.sources), ("negative", self.failures)):
            mirror("cache_bytes", partial(_used, cache), name)
        if self.redis:
            mirror("l2_up", partial(getattr, self.redis.link, "well"))
        if self.feed:
            mirror("purge_feed_reading", partial(getattr, self.feed, "reading"))
            mirror("purge_silence_seconds", self.purges.silence_s)
        if self.submission:
            mirror("job_watchers", partial(getattr, self.submission.port.streams, "open"))
        for state in ("idle", "busy", "starting"):
            mirror("workers", partial(self._workers, state), state)

    def _workers(self, state: str) -> float:
        return self.pool.states[state]


def check_extras(settings: Settings) -> None:
    """Raise `SettingsError` for what is offered to all clients, and is not installed."""
    check_quality(settings)
    if "jxl" in settings.negotiation.formats and find_spec("pillow_jxl") is None:
        raise SettingsError("negotiation.formats: jxl needs: pip install 'imagemill[jxl]'")


def check_quality(settings: Settings) -> None:
    """Raise `SettingsError` where workers could not start for want of what judges qualities."""
    if settings.engine.quality_auto and find_spec("ssimulacra2") is None:
        raise SettingsError("engine.quality_auto needs: pip install 'imagemill[quality]'")


def check(settings: Settings) -> None:
    """Raise `SettingsError` for what only the parts themselves can know is wrong."""
    wiring_fallbacks.sources(settings, native(settings).source, stores.open_all(settings))
    fonts_of(settings.text)
    check_extras(settings)
    Caches.check(settings.cache)
    guard.Policy.of(settings.sources)
    guard.Policy.of_callbacks(settings.callbacks)
    parse_secrets(settings.callbacks.secrets)
    if settings.l2.url:
        purge_feed(settings, Purges(1))
    if kind(settings) != "off":
        job_engine(settings)


def _used(cache: MemoryCache[Any]) -> float:
    return cache.used_bytes
