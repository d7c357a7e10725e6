"""Keep jobs in a Temporal service: one workflow each, read from its memo and found by its search attributes.

Keys     a job's workflow id ends in its id; under an ``Idempotency-Key`` the id follows from tenant and key.
Units    seconds.
Errors   `DependencyDown` while the service does not answer; `LimitExceeded` for what it would not take.
Promise  reading one job is exact; lists, counts and quotas come from the visibility store, which is a little behind.
         Records are kept as long as the namespace's retention says.
"""

import asyncio
import time
from collections.abc import Sequence

from msgspec.structs import replace

from imagemill.jobs.base import Claim, Page, Query
from imagemill.jobs.notices import final_event, goes_again
from imagemill.jobs.temporal import names, payloads, visibility
from imagemill.jobs.temporal.attributes import of_job, rank
from imagemill.jobs.temporal.batches import Batches
from imagemill.jobs.temporal.connection import RPC, as_ours
from imagemill.jobs.temporal.link import Link
from imagemill.jobs.temporal.orders import MEMO_ORDER, Order, Terms
from imagemill.jobs.temporal.post import Post
from imagemill.jobs.temporal.quota import Quota
from imagemill.jobs.temporal.records import hold_to, job_in, memo, now_in
from imagemill.jobs.temporal.schedules import Schedules
from imagemill.model.errors import IdempotencyMismatch, JobFinished, NotFound, NotSupported
from imagemill.model.job import (
    MAX_PRIORITY,
    OVER,
    TERMINAL,
    Batch,
    Delivery,
    Event,
    Job,
    JobSpec,
    Schedule,
    State,
    delivery_id,
)
from imagemill.settings import Settings

_LOOK_S = (0.05, 0.1, 0.2, 0.4)
_CANCEL_S = 2.0
_COUNTS_S = 2.0


class TemporalEngine:
    """Jobs in Temporal, as the service sees them."""

    name = "temporal"

    def __init__(self, settings: Settings) -> None:
        jobs, temporal = settings.jobs, settings.temporal
        self._terms = Terms(temporal.task_queue, temporal.heartbeat_s, jobs.crashes, temporal.large_pixels, jobs.keep_s)
        self._link = Link(temporal)
        self._quota = Quota(jobs, self._link)
        self._batches = Batches(self._link, self._terms, self._quota)
        self._schedules = Schedules(self._link, self._terms, settings.jobs.max_schedules)
        self._post = Post(self._link)
        self._counted_s = 0.0
        self._counts: dict[tuple[str, int], int] = {}

    async def start(self) -> None:
        """Reach the service and register what is missing there; one that is away is asked again at the first call."""
        await self._link.open()

    async def close(self) -> None:
        """Let go; jobs stay."""
        self._link.close()

    async def submit(self, job: Job, claim: Claim | None = None) -> Job:
        """Start its workflow; durable in Temporal when it returns."""
        if claim is not None:
            job = replace(job, id=names.claimed_id(job.tenant, claim.key))
            if (earlier := await self._claimed(job.id, claim)) is not None:
                return earlier
        await self._quota.admit(job.tenant, 1)
        job = _accepted(job)
        order = Order(job, self._terms)
        await payloads.check_size(order, "body_bytes")
        started = await self._link.start(
            "ImageJob", order, self._workflow(job.id), memo=memo(MEMO_ORDER, job, claim),
            search_attributes=of_job(job), priority=rank(job.tenant, job.spec.priority),
        )  # fmt: skip
        if started:
            return job
        earlier = None if claim is None else await self._claimed(job.id, claim)
        if earlier is None:
            raise IdempotencyMismatch("the Idempotency-Key was used with another body")
        return earlier

    async def _claimed(self, job_id: str, claim: Claim) -> Job | None:
        found = await self._link.described("ImageJob", self._workflow(job_id))
        if found is None:
            return None
        await hold_to(claim, found)
        return await job_in(found)

    async def claimed(self, tenant: str, claim: Claim) -> Job | None:
        """As `JobEngine.claimed`."""
        return await self._claimed(names.claimed_id(tenant, claim.key), claim)

    async def read(self, job_id: str) -> Job | None:
        """The job now, whether or not any worker lives."""
        found = await self._link.described("ImageJob", self._workflow(job_id))
        if found is None:
            return None
        job = await job_in(found)
        if job.state in TERMINAL and job.callback_state and job.outcome is not None:
            final = await self._post.read(delivery_id(job.id, final_event(job.outcome)))
            if final is not None:  # it may have been redelivered since
                return replace(job, callback_state=str(final.state))
        return job

    async def wait(self, job_id: str, version: int, timeout_s: float) -> Job | None:
        """The job once it has changed; it is looked at again and again, a few times a second."""
        end_s = time.monotonic() + timeout_s
        looks = 0
        while True:
            job = await self.read(job_id)
            left_s = end_s - time.monotonic()
            if job is None or job.version > version or left_s <= 0:
                return job
            await asyncio.sleep(min(left_s, _LOOK_S[min(looks, len(_LOOK_S) - 1)]))
            looks += 1

    async def list(self, query: Query) -> Page:
        """Jobs, newest first as the visibility store orders; a SQL one has what is not over before the rest."""
        filter_ = visibility.of(query, self._link.queue)
        token = visibility.token_of(filter_, query.cursor)
        client = await self._link.client()
        with as_ours():
            found = client.list_workflows(filter_, page_size=query.limit, next_page_token=token, rpc_timeout=RPC)
            await found.fetch_next_page()
        jobs = [await job_in(execution) for execution in found.current_page or ()]
        return Page(tuple(jobs), visibility.cursor_of(filter_, found.next_page_token or b""))

    async def cancel(self, job_id: str) -> Job:
        """Ask its workflow to stop; where no worker lives, it stops when one does."""
        job = await self._present(job_id)
        if job.state not in OVER:
            await self._link.cancel(self._workflow(job_id))
            end_s = time.monotonic() + _CANCEL_S
            while job.state not in OVER and time.monotonic() < end_s:
                await asyncio.sleep(_LOOK_S[0])
                job = await self._present(job_id)
        if job.state in OVER and job.outcome is not State.CANCELLED:
            raise JobFinished(f"the job is {job.state}")
        return job

    async def deliveries(self, job_id: str) -> tuple[Delivery, ...]:
        """What was and is owed, each with its state now."""
        found = await self._link.described("ImageJob", self._workflow(job_id))
        if found is not None:
            now = await now_in(found)
            return await self._post.all(() if now is None else now.deliveries)
        if await self.read_batch(job_id) is None:
            raise NotFound
        return await self._post.all([delivery_id(job_id, Event.FINISHED)])

    async def redeliver(self, job_id: str) -> int:
        """Let the workflows of what goes again begin once more, each under the same ``webhook-id``."""
        job = await self.read(job_id)
        batch = None if job is not None else await self.read_batch(job_id)
        old = [delivery for delivery in await self.deliveries(job_id) if goes_again(delivery)]
        begun = await asyncio.gather(*(self._post.again(one, self._terms, job=job, batch=batch) for one in old))
        return sum(begun)

    async def submit_batch(self, batch: Batch, specs: Sequence[JobSpec], claim: Claim | None = None) -> Batch:
        """Start its workflow, which holds all *specs* and makes the jobs in pages."""
        return await self._batches.submit(batch, specs, claim)

    async def read_batch(self, batch_id: str) -> Batch | None:
        """The batch now; outcomes are counted exactly, what is not over yet by the visibility store."""
        return await self._batches.read(batch_id)

    async def cancel_batch(self, batch_id: str) -> Batch:
        """Ask its workflow to make no more, and to stop what it made."""
        return await self._batches.cancel(batch_id)

    async def put_schedule(self, schedule: Schedule) -> Schedule:
        """A schedule of Temporal's own, made or changed."""
        return await self._schedules.put(schedule)

    async def schedules(self, tenant: str | None) -> tuple[Schedule, ...]:
        """All of a tenant's, or everyone's, by name."""
        return await self._schedules.all(tenant)

    async def drop_schedule(self, tenant: str, name: str) -> bool:
        """Forget it; jobs that it made go on."""
        return await self._schedules.drop(tenant, name)

    async def prune(self, before_s: float) -> int:  # noqa: ARG002 - as every engine is asked
        """Not done from here: Temporal forgets by itself."""
        raise NotSupported("prune: Temporal keeps records as long as its namespace's retention says; set it there")

    async def counts(self) -> dict[tuple[str, int], int]:
        """By the visibility store, asked once in two seconds at most."""
        if not self._counted_s or time.monotonic() - self._counted_s > _COUNTS_S:
            self._counts = await self._count()
            self._counted_s = time.monotonic()
        return self._counts

    async def _count(self) -> dict[tuple[str, int], int]:
        """Priorities are asked for only where there is anything to tell apart."""
        found: dict[tuple[str, int], int] = {}
        count, queue = self._link.count, self._link.queue
        for state in State:
            if await count(visibility.in_state(queue, state)):
                for priority in range(MAX_PRIORITY + 1):
                    found[(str(state), priority)] = await count(visibility.in_state(queue, state, priority))
        found[("dead_letter", 0)] = await count(visibility.dead_letters(queue))
        return {key: number for key, number in found.items() if number}

    async def _present(self, job_id: str) -> Job:
        job = await self.read(job_id)
        if job is None:
            raise NotFound
        return job

    def _workflow(self, job_id: str) -> str:
        return names.workflow_id(self._link.queue, job_id)


def _accepted(job: Job) -> Job:
    """*job* with the state that its time gives it."""
    due_s = max(job.times.created_s, job.spec.not_before_s)
    state = State.SCHEDULED if due_s > time.time() else State.QUEUED
    return replace(job, state=state, version=1, times=replace(job.times, due_s=due_s))
