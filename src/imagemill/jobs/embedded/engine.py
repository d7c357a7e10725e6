"""The embedded job engine: durable in one file, no server; whoever submits and whoever works share the file only.

Keys     a cursor is the place of a job in the order of acceptance.
Units    Unix seconds of this machine's wall clock: what is due is due by it, also after it was set.
Errors   as `jobs.base.JobEngine`.
"""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from imagemill.jobs.base import Claim, Observed, Page, Query
from imagemill.jobs.embedded import admission, batches, orders, outbox, schedules, upkeep
from imagemill.jobs.embedded.admission import Quota
from imagemill.jobs.embedded.database import Database
from imagemill.jobs.embedded.schema import FILE
from imagemill.model.errors import BadOption, DependencyDown, IdempotencyMismatch, NotFound
from imagemill.model.job import Batch, Delivery, Job, JobSpec, Schedule, State
from imagemill.settings import Jobs as Settings

_SLICE = 200
_CURSOR_DIGITS = 15


def quota_of(settings: Settings, tenant: str) -> Quota:
    """How many jobs of *tenant* may wait."""
    own = settings.tenants.get(tenant)
    mine = own.max_waiting if own is not None else None
    return Quota(mine or settings.max_waiting, settings.max_waiting_all)


class EmbeddedEngine:
    """Jobs in the file below *directory*."""

    name = "embedded"

    def __init__(
        self,
        settings: Settings,
        directory: Path,
        observed: Observed | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._observed = observed
        self._clock = clock
        self._db = Database(directory / FILE)
        self._waiting: dict[str, set[_Waiter]] = {}
        self._look: asyncio.Task[None] | None = None
        self._again = False

    async def start(self) -> None:
        """Open the file, making or upgrading it where need be.

        Raises:
            SettingsError: it cannot be used; the message says why.
        """
        await self._db.open()

    async def close(self) -> None:
        """Let go of the file; jobs stay."""
        if self._look is not None:
            self._look.cancel()
        for waiter in [w for waiters in self._waiting.values() for w in waiters]:
            waiter.changed.set()
        await self._db.close()

    async def submit(self, job: Job, claim: Claim | None = None) -> Job:
        """As `JobEngine.submit`."""
        quota = quota_of(self._settings, job.tenant)
        return await self._db.write(lambda db: orders.submit(db, job, claim, quota, self._clock()))

    async def claimed(self, tenant: str, claim: Claim) -> Job | None:
        """As `JobEngine.claimed`."""
        return await self._db.read(partial(orders.claimed, tenant=tenant, claim=claim))

    async def read(self, job_id: str) -> Job | None:
        """As `JobEngine.read`."""
        return await self._db.read(partial(orders.read, job_id=job_id))

    async def wait(self, job_id: str, version: int, timeout_s: float) -> Job | None:
        """As `JobEngine.wait`."""
        waiter = _Waiter(version)
        self._waiting.setdefault(job_id, set()).add(waiter)
        if len(self._waiting) == 1:
            self._db.listen(self._heard)
        try:
            job = await self.read(job_id)
            if job is None or job.version > version:
                return job
            try:
                async with asyncio.timeout(timeout_s):
                    await waiter.changed.wait()
            except TimeoutError:
                pass
            return await self.read(job_id)
        finally:
            self._leave(job_id, waiter)

    async def list(self, query: Query) -> Page:
        """As `JobEngine.list`."""
        before_seq = _place(query.cursor)
        found = await self._db.read(partial(orders.listed, query=query, before_seq=before_seq))
        shown = found[: query.limit]
        more = len(found) > query.limit and shown
        return Page(tuple(job for _, job in shown), f"{shown[-1][0]:x}" if more else "")

    async def cancel(self, job_id: str) -> Job:
        """As `JobEngine.cancel`."""
        job, anew = await self._db.write(lambda db: orders.cancel(db, job_id, self._clock()))
        if anew and self._observed is not None:
            self._observed.job(State.CANCELLED, job.spec.priority)
        return job

    async def deliveries(self, job_id: str) -> tuple[Delivery, ...]:
        """As `JobEngine.deliveries`."""
        return await self._db.read(partial(outbox.owed_to, job_id=job_id))

    async def redeliver(self, job_id: str) -> int:
        """As `JobEngine.redeliver`."""
        return await self._db.write(lambda db: outbox.redeliver(db, job_id, self._clock()))

    async def submit_batch(self, batch: Batch, specs: Sequence[JobSpec], claim: Claim | None = None) -> Batch:
        """As `JobEngine.submit_batch`."""
        quota = quota_of(self._settings, batch.tenant)
        folded = await asyncio.to_thread(batches.pages, specs)

        def accept(db: sqlite3.Connection) -> Batch:
            if claim is not None and (earlier := admission.claimed(db, batch.tenant, claim)) is not None:
                found = batches.read(db, earlier)
                if found is None:
                    raise IdempotencyMismatch("the Idempotency-Key was used for a job")
                return found
            admission.keep_to(db, batch.tenant, batch.total, quota)
            new = batches.add(db, batch, folded)
            if claim is not None:
                admission.remember(db, batch.tenant, claim, batch.id, self._clock())
            return new

        return await self._db.write(accept)

    async def read_batch(self, batch_id: str) -> Batch | None:
        """As `JobEngine.read_batch`."""
        return await self._db.read(partial(batches.read, batch_id=batch_id))

    async def cancel_batch(self, batch_id: str) -> Batch:
        """As `JobEngine.cancel_batch`; whoever works goes on with it where this process dies over it."""
        await self._db.write(lambda db: batches.cancel(db, batch_id, self._clock()))
        while await self._db.write(lambda db: upkeep.cancel_some(db, batch_id, _SLICE, self._clock())):
            pass
        batch = await self.read_batch(batch_id)
        if batch is None:
            raise NotFound("batch")
        return batch

    async def put_schedule(self, schedule: Schedule) -> Schedule:
        """As `JobEngine.put_schedule`."""
        most = self._settings.max_schedules
        return await self._db.write(lambda db: schedules.put(db, schedule, most, self._clock()))

    async def schedules(self, tenant: str | None) -> tuple[Schedule, ...]:
        """As `JobEngine.schedules`."""
        return await self._db.read(partial(schedules.listed, tenant=tenant))

    async def drop_schedule(self, tenant: str, name: str) -> bool:
        """As `JobEngine.drop_schedule`."""
        return await self._db.write(partial(schedules.drop, tenant=tenant, name=name))

    async def prune(self, before_s: float) -> int:
        """As `JobEngine.prune`; in slices, so that nobody waits for it."""
        pruned = 0
        while some := await self._db.write(lambda db: upkeep.prune(db, before_s, _SLICE, self._clock())):
            pruned += some
        while await self._db.write(lambda db: upkeep.prune_batches(db, before_s, _SLICE, self._clock())):
            pass
        return pruned

    async def counts(self) -> dict[tuple[str, int], int]:
        """As `JobEngine.counts`."""
        return await self._db.read(orders.counts)

    def _leave(self, job_id: str, waiter: "_Waiter") -> None:
        waiters = self._waiting[job_id]
        waiters.discard(waiter)
        if not waiters:
            del self._waiting[job_id]
        if not self._waiting:
            self._db.listen(None)

    def _heard(self) -> None:
        if self._look is not None and not self._look.done():
            self._again = True
        else:
            self._look = asyncio.get_running_loop().create_task(self._wake())

    async def _wake(self) -> None:
        self._again = True
        while self._again:
            self._again = False
            try:
                now = await self._db.read(partial(orders.versions, ids=tuple(self._waiting)))
            except DependencyDown:
                return  # whoever waits is told when its time is up, and reads by itself
            for waiter, version in [(w, now.get(i, -1)) for i, waiters in self._waiting.items() for w in waiters]:
                if version != waiter.version:
                    waiter.changed.set()


class _Waiter:
    """Somebody who waits for a version above *version*."""

    def __init__(self, version: int) -> None:
        self.version = version
        self.changed = asyncio.Event()


def _place(cursor: str) -> int | None:
    if not cursor:
        return None
    if len(cursor) > _CURSOR_DIGITS or not set(cursor) <= set("0123456789abcdef"):
        raise BadOption("cursor: none of ours")
    return int(cursor, 16)
