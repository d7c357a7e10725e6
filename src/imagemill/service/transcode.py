"""The use case: a plan becomes a rendition. `serve` puts the cache and the flight before `render`."""

import time
from collections.abc import Callable
from contextlib import aclosing

from msgspec import Struct

from imagemill.cache.base import Cache
from imagemill.engines.base import Engine, Made, Stages, Task
from imagemill.model.errors import (
    ImageCorrupt,
    ImagemillError,
    LimitExceeded,
    ProcessingTimeout,
    UnsupportedSourceType,
    bare,
)
from imagemill.model.media import Rendition
from imagemill.model.request import Plan
from imagemill.service.flight import Flight
from imagemill.service.gate import Gate
from imagemill.service.origin import Origin
from imagemill.settings import Cache as CacheSettings

DAY_S = 86_400
L1_MOST_S = 300.0
_REMEMBERED = (ImageCorrupt, LimitExceeded, ProcessingTimeout, UnsupportedSourceType)


class Entry(Struct, frozen=True):
    """What a cache holds: a rendition, and what its source said."""

    rendition: Rendition
    born_s: float
    """Unix time at which the source was asked for."""
    last_modified_s: int = 0
    max_age_s: int | None = None
    storable: bool = True
    validator: str = ""
    """Of the source it was made from; empty where its store gives none."""


class Served(Struct, frozen=True):
    """An entry, the tier that gave it, and what its making took."""

    entry: Entry
    tier: str
    """``L1``, ``COALESCED`` or ``MISS``."""
    stages: Stages = Stages()
    fetch_ms: float = 0.0


class _Fresh(Struct, frozen=True):
    entry: Entry
    stages: Stages
    fetch_ms: float


class Transcoder:
    """The way from a plan to a rendition."""

    def __init__(
        self,
        origin: Origin,
        engine: Engine,
        gate: Gate,
        cache: Cache[Entry],
        failures: Cache[ImagemillError],
        validators: Cache[str],
        settings: CacheSettings,
        observe: Callable[[str, str, Stages, float], None] = lambda _outcome, _format, _stages, _fetch_ms: None,
    ) -> None:
        self._origin = origin
        self._engine = engine
        self._gate = gate
        self._cache = cache
        self._failures = failures
        self._validators = validators
        self._settings = settings
        self._observe = observe
        self._flight: Flight[_Fresh] = Flight()

    def hit(self, plan: Plan) -> Served | None:
        """What the cache holds for *plan*, if it is young enough for this caller."""
        entry = self._cache.get(plan.key, time.monotonic())
        return Served(entry, "L1") if entry is not None and self._fresh(plan, entry) else None

    async def serve(self, plan: Plan) -> Served:
        """The rendition of *plan*: from the cache, from somebody else's work under way, or made now."""
        return self.hit(plan) or await self.make(plan)

    async def make(self, plan: Plan) -> Served:
        """As `serve`, for whoever has just found that the cache holds nothing."""
        if failure := self._failures.get(plan.key, time.monotonic()):
            raise bare(failure)
        fresh, joined = await self._flight.once(plan.key, lambda: self._make(plan))
        return Served(fresh.entry, "COALESCED" if joined else "MISS", fresh.stages, fresh.fetch_ms)

    def tier(self, plan: Plan) -> str:
        """Which tier would answer *plan* now; nothing is done for it."""
        entry = self._cache.peek(plan.key, time.monotonic())
        if entry is not None and self._fresh(plan, entry):
            return "L1"
        return "COALESCED" if plan.key in self._flight else "MISS"

    def _fresh(self, plan: Plan, entry: Entry) -> bool:
        """Whether *entry* is young enough, and nobody has seen its source in another version since."""
        if time.time() - entry.born_s >= self.lifetime_s(plan, entry):
            return False
        seen = self._validators.peek(plan.source_key, time.monotonic()) if entry.validator else None
        return seen in {None, entry.validator}

    def lifetime_s(self, plan: Plan, entry: Entry) -> int:
        """How long *entry* is fresh for the caller of *plan*: as asked, else by policy, else as its source said."""
        asked_s = self._asked_s(plan)
        life_s = entry.max_age_s if asked_s is None else asked_s
        return DAY_S if life_s is None else life_s

    def _asked_s(self, plan: Plan) -> int | None:
        """The lifetime that the caller or policy asks for, whatever the source says."""
        return plan.ttl_s if plan.ttl_s is not None else self._settings.default_ttl_s or None

    async def _make(self, plan: Plan) -> _Fresh:
        try:
            fresh = await self.render(plan)
        except ImagemillError as e:
            self._observe(e.code, "none", Stages(), 0.0)
            if isinstance(e, _REMEMBERED):
                self._failures.put(plan.key, bare(e), time.monotonic(), ttl_s=self._settings.negative_ttl_s)
            raise
        self._observe("ok", fresh.entry.rendition.format, fresh.stages, fresh.fetch_ms)
        if fresh.entry.validator:
            self._validators.put(plan.source_key, fresh.entry.validator, time.monotonic(), ttl_s=2 * L1_MOST_S)
        if fresh.entry.storable or self._settings.store_private:
            life_s = self.lifetime_s(plan, fresh.entry)
            self._cache.put(plan.key, fresh.entry, time.monotonic(), ttl_s=min(life_s, self._settings.l1_ttl_s))
        return fresh

    async def render(self, plan: Plan) -> _Fresh:
        """Fetch, wait for a worker, make."""
        self._gate.check()
        begun = time.perf_counter()
        blob = await self._origin.get(plan.source, plan.source_key, self._asked_s(plan))
        fetched = time.perf_counter()
        async with self._gate.slot(len(blob.body)):
            waited_ms = (time.perf_counter() - fetched) * 1e3
            made = await self._first(blob.body, Task(plan.recipe, plan.candidates))
        stages = Stages(
            waited_ms + made.stages.queue_ms, made.stages.handover_ms, made.stages.probe_ms, made.stages.render_ms,
            made.stages.cpu_ms,
        )  # fmt: skip
        entry = Entry(
            made.rendition, blob.born_s, blob.last_modified_s, blob.max_age_s, blob.storable, blob.validator
        )  # fmt: skip
        return _Fresh(entry, stages, (fetched - begun) * 1e3)

    async def _first(self, source: bytes, task: Task) -> Made:
        async with aclosing(self._engine.run(source, [task])) as results:
            async for made in results:
                return made
        raise ImageCorrupt("nothing came of it")
