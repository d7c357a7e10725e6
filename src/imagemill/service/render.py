"""The work itself: fetch a source, wait for a worker, make the rendition. No cache is asked, none is filled."""

import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing

from msgspec import Struct

from imagemill.engines.base import Engine, Made, Stages, Task
from imagemill.model.entry import Entry, Validators
from imagemill.model.errors import ImageCorrupt
from imagemill.model.request import Plan
from imagemill.plan.lifetime import life_s
from imagemill.service.gate import Gate
from imagemill.service.layers import Fetched, Seen, fetch
from imagemill.service.origin import Origin
from imagemill.settings import MOST
from imagemill.settings import Cache as CacheSettings
from imagemill.storage.base import Unchanged


class Fresh(Struct, frozen=True):
    """A rendition just made, and what its making took."""

    entry: Entry
    stages: Stages = Stages()
    fetch_ms: float = 0.0
    seen: tuple[Seen, ...] = ()
    """In which versions its sources were."""


class Renderer:
    """The way from a plan to a rendition."""

    def __init__(
        self,
        origin: Origin,
        engine: Engine,
        gate: Gate,
        policy: CacheSettings,
        version: Callable[[], int] = lambda: 0,
        *,
        layer_bytes: int = MOST,
    ) -> None:
        self._origin = origin
        self._engine = engine
        self._gate = gate
        self._policy = policy
        self._version = version
        self._layer_bytes = layer_bytes

    async def render(self, plan: Plan, known: Validators, *, after_s: float = 0.0) -> Fresh | Unchanged:
        """Make the rendition of *plan* of a source asked for later than *after_s*, unless it is the one *known*."""
        self._gate.check()
        begun = time.perf_counter()
        got = await fetch(self._origin, [plan], known, most_bytes=self._layer_bytes, after_s=after_s)
        if isinstance(got, Unchanged):
            return got
        fetched = time.perf_counter()
        async with self._gate.slot(got.size_bytes):
            waited_ms = (time.perf_counter() - fetched) * 1e3
            made = await self._first(got, Task(plan.recipe, plan.candidates))
        cost_ms = int((time.perf_counter() - begun) * 1e3 - waited_ms)
        entry = self._entry(plan, got, made, cost_ms)
        return Fresh(entry, _stages(made, waited_ms), (fetched - begun) * 1e3, got.seen(plan))

    async def render_all(self, plans: Sequence[Plan], *, after_s: float = 0.0) -> AsyncGenerator[Fresh, None]:
        """Make the renditions of *plans*, in their order, of one source asked for later than *after_s*.

        It is fetched once and decoded once, and one slot is held for all of them. The next is made while the last is
        used, and no further one: so few bodies are held. Closing the iterator early gives the work up.
        """
        self._gate.check()
        begun = time.perf_counter()
        got = await fetch(self._origin, plans, most_bytes=self._layer_bytes, after_s=after_s)
        assert isinstance(got, Fetched), "nothing is known of it that it could be the same as"
        fetched = time.perf_counter()
        fetch_ms = (fetched - begun) * 1e3
        async with self._gate.slot(got.size_bytes):
            waited_ms = (time.perf_counter() - fetched) * 1e3
            tasks, left = [Task(plan.recipe, plan.candidates) for plan in plans], list(plans)
            async with aclosing(self._engine.run(got.main.body, tasks, got.bodies)) as results:
                async for made in results:
                    stages = _stages(made, waited_ms)
                    cost_ms = int(fetch_ms + stages.handover_ms + stages.probe_ms + stages.render_ms)
                    plan = left.pop(0)
                    yield Fresh(self._entry(plan, got, made, cost_ms), stages, fetch_ms, got.seen(plan))
                    waited_ms = 0.0
        if left:
            raise ImageCorrupt(f"{len(left)} renditions are missing")

    def _entry(self, plan: Plan, got: Fetched, made: Made, cost_ms: int) -> Entry:
        blob = got.terms(plan)
        return Entry(
            rendition=made.rendition,
            born_s=blob.born_s,
            life_s=life_s(plan, blob.max_age_s, self._policy),
            source_key=plan.source_key,
            validators=blob.validators,
            max_age_s=blob.max_age_s,
            storable=blob.storable,
            tags=plan.tags,
            asked_ms=blob.asked_ms,
            cost_ms=max(1, cost_ms),
            engine=self._version(),
        )

    async def _first(self, got: Fetched, task: Task) -> Made:
        async with aclosing(self._engine.run(got.main.body, [task], got.bodies)) as results:
            async for made in results:
                return made
        raise ImageCorrupt("nothing came of it")


def _stages(made: Made, waited_ms: float) -> Stages:
    own = made.stages
    return Stages(waited_ms + own.queue_ms, own.handover_ms, own.probe_ms, own.render_ms, own.cpu_ms)
