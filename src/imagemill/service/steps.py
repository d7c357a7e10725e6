"""The durable steps of a job: plain, idempotent, and knowing no engine.

Order    a result is told of as ``storing`` before it is written, and as ``stored`` when it, and the cache where that is
         to be warmed, has it. Whoever repeats the step looks at the destination, and makes what is not there.
Errors   `SourceError`, `StoreRefused`, `StoreCorrupt`, `DependencyDown`, `DeadlinePassed` and those of an engine; what
         `Report` raises goes through.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from hashlib import sha256
from typing import Protocol

from msgspec.structs import replace

from imagemill.jobs.base import Again, Outcome, Report, Work
from imagemill.model.entry import Entry
from imagemill.model.errors import (
    DeadlinePassed,
    ImagemillError,
    NotSupported,
    SourceForbidden,
    SourceTimeout,
    StoreRefused,
)
from imagemill.model.job import Batch, Delivery, Job, JobSpec, Result, ResultState, Wanted
from imagemill.model.keys import layer_tags, result_key, source_key
from imagemill.model.request import Plan
from imagemill.service.keys import Facts, resolve
from imagemill.service.render import Fresh
from imagemill.service.results import Addresses, addresses
from imagemill.service.rights import Rights
from imagemill.storage.base import Put, Terms

Warm = Callable[[Plan, Entry], Awaitable[None]]
"""See `service.warm.Warmer.warm`."""
Body = Callable[[Delivery, Job | Batch, Addresses], bytes]
"""See `jobs.notices.body`."""
Attempt = Callable[[Delivery, bytes], Awaitable[Outcome]]
"""See `jobs.courier.Courier.attempt`."""
_HASHED_AT_ONCE_BYTES = 256 * 1024


class Renders(Protocol):
    """What is needed of a renderer."""

    def render_all(self, plans: Sequence[Plan], *, after_s: float = 0.0) -> AsyncGenerator[Fresh, None]:
        """See `service.render.Renderer`."""
        ...


class Steps:
    """See `jobs.base.Steps`."""

    def __init__(
        self,
        renderer: Renders,
        stores: Mapping[str, Put],
        warm: Warm | None,
        body: Body,
        attempt: Attempt,
        *,
        rights: Rights,
        address_s: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._renderer = renderer
        self._stores = stores
        self._warm = warm
        self._body = body
        self._attempt = attempt
        self._rights = rights
        self._address_s = address_s
        self._clock = clock

    async def make(self, job: Job, report: Report) -> Work:
        """See `jobs.base.Steps`; the source is asked for later than the job was due, whatever is kept of it here."""
        self._rights.check(job.tenant, job.spec)
        deadline_s = job.spec.deadline_s
        left_s = None if deadline_s is None else deadline_s - self._clock()
        try:
            async with asyncio.timeout(left_s) as limit:
                if left_s is not None and left_s <= 0:
                    raise _late(job)
                return await self._make(job, report)
        except TimeoutError:
            if limit.expired():
                raise _late(job) from None
            raise
        except SourceForbidden as e:
            if e.unreachable:  # allowed, and nobody there: that passes, and a job can wait
                raise SourceTimeout("nobody answered at the source") from e
            raise

    async def deliver(self, delivery: Delivery, about: Job | Batch) -> Outcome:
        """See `jobs.base.Steps`."""
        if not self._rights.secret(delivery.tenant, delivery.callback.secret):
            return Again("the secret is not this tenant's any more")  # settings may be mended
        try:
            stores = self._rights.of(delivery.tenant, self._stores)
            found = await addresses(about, stores, self._address_s) if isinstance(about, Job) else {}
            return await self._attempt(delivery, self._body(delivery, about, found))
        except ImagemillError as e:
            return Again(e.code)

    async def _make(self, job: Job, report: Report) -> Work:
        begun = time.perf_counter()
        spec, results = job.spec, {result.name: result for result in job.results}
        missing: list[tuple[int, Wanted]] = []
        for index, wanted in enumerate(spec.renditions):
            found = await self._found(spec, results.get(wanted.name))
            if found is None:
                missing.append((index, wanted))
            elif found != results[wanted.name]:
                await report(found)
                results[wanted.name] = found
        fetch_ms = 0.0
        if missing:
            plans = [plan_of(spec, wanted) for _, wanted in missing]
            after_s = min(self._clock(), max(job.times.created_s, job.times.due_s))
            async with aclosing(self._renderer.render_all(plans, after_s=after_s)) as renditions:
                at = iter(zip(missing, plans, strict=True))
                async for fresh in renditions:
                    (index, wanted), plan = next(at)
                    results[wanted.name] = await self._keep(job, index, wanted, plan, fresh.entry, report)
                    fetch_ms = fresh.fetch_ms
        make_ms = (time.perf_counter() - begun) * 1e3 - fetch_ms
        return Work(tuple(results[wanted.name] for wanted in spec.renditions), fetch_ms, make_ms)

    async def _found(self, spec: JobSpec, result: Result | None) -> Result | None:
        """*result*, where it is as it was told of by an earlier attempt; None = it has to be made."""
        if result is None or result.state is ResultState.WAITING or result.warmed is not spec.warm:
            return None
        if not spec.store:
            return result
        stat = await self._store(result.store).stat(result.key)
        if stat is None or (stat.body_bytes, stat.sha256) != (result.body_bytes, result.sha256):
            return None
        return replace(result, state=ResultState.STORED)

    async def _keep(self, job: Job, index: int, wanted: Wanted, plan: Plan, entry: Entry, report: Report) -> Result:
        spec, made = job.spec, entry.rendition
        result = Result(
            wanted.name,
            ResultState.STORING,
            store=spec.store,
            key=resolve(wanted, index, made.format, Facts.of(job)) if spec.store else "",
            sha256=await _digest(made.body),
            body_bytes=len(made.body),
            media_type=made.media_type,
            width_px=made.width_px,
            height_px=made.height_px,
            frames=made.frames,
        )
        if spec.store:
            await report(result)
            terms = Terms(made.media_type, _cache_control(spec, entry), result.sha256)
            await self._store(spec.store).put(result.key, made.body, terms)
        if spec.warm:
            if self._warm is None:
                raise NotSupported("warm: there is no second cache level here any more")
            await self._warm(plan, entry)
        result = replace(result, state=ResultState.STORED, warmed=spec.warm)
        await report(result)
        return result

    def _store(self, name: str) -> Put:
        if name not in self._stores:
            raise StoreRefused(f"destination: no store that is written to is called {name[:40]!r} here any more")
        return self._stores[name]


def plan_of(spec: JobSpec, wanted: Wanted) -> Plan:
    """What a request for the same rendition would be planned as."""
    return Plan(
        key=result_key(spec.source, wanted.recipe, wanted.candidates),
        source=spec.source,
        source_key=source_key(spec.source),
        recipe=wanted.recipe,
        candidates=wanted.candidates,
        ttl_s=spec.ttl_s,
        tags=tuple(sorted((*spec.tags, *layer_tags(wanted.recipe)))),
    )


def _late(job: Job) -> DeadlinePassed:
    done = sum(result.state is ResultState.STORED for result in job.results)
    return DeadlinePassed(f"the deadline passed with {done} of {len(job.spec.renditions)} renditions stored before")


def _cache_control(spec: JobSpec, entry: Entry) -> str:
    if spec.ttl_s is None:
        return ""
    return f"{'public' if entry.storable else 'private'}, max-age={spec.ttl_s}"


async def _digest(body: bytes) -> str:
    """Off the loop where hashing would hold it."""
    hashed = await asyncio.to_thread(sha256, body) if len(body) > _HASHED_AT_ONCE_BYTES else sha256(body)
    return hashed.hexdigest()
