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
from typing import Any

from msgspec.structs import replace
from temporalio.client import Client, WorkflowExecutionDescription, WorkflowExecutionStatus, WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from imagemill.jobs.base import Claim, Page, Query
from imagemill.jobs.notices import final_event
from imagemill.jobs.temporal import names, payloads, visibility
from imagemill.jobs.temporal.attributes import of_job, of_other, rank
from imagemill.jobs.temporal.connection import RPC, as_ours
from imagemill.jobs.temporal.link import Link
from imagemill.jobs.temporal.orders import (
    MEMO_CLAIM,
    MEMO_NOW,
    MEMO_ORDER,
    BatchOrder,
    Letter,
    Now,
    Order,
    Terms,
    job_of,
)
from imagemill.jobs.temporal.quota import Quota
from imagemill.jobs.temporal.schedules import Schedules
from imagemill.model.errors import IdempotencyMismatch, JobFinished, NotFound, NotSupported
from imagemill.model.job import (
    MAX_PRIORITY,
    OVER,
    TERMINAL,
    Batch,
    Delivery,
    DeliveryState,
    Event,
    Fault,
    Job,
    JobSpec,
    Schedule,
    State,
    delivery_id,
)
from imagemill.settings import Settings

_ENDED = {
    WorkflowExecutionStatus.CANCELED: State.CANCELLED,
    WorkflowExecutionStatus.TERMINATED: State.FAILED,
    WorkflowExecutionStatus.TIMED_OUT: State.FAILED,
    WorkflowExecutionStatus.FAILED: State.FAILED,
}
"""How a workflow ends that an operator, and not our code, has ended."""
_LOOK_S = (0.05, 0.1, 0.2, 0.4)
_CANCEL_S = 2.0
_COUNTS_S = 10.0


class TemporalEngine:
    """Jobs in Temporal, as the service sees them."""

    name = "temporal"

    def __init__(self, settings: Settings) -> None:
        jobs, temporal = settings.jobs, settings.temporal
        self._queue = temporal.task_queue
        self._terms = Terms(temporal.task_queue, temporal.heartbeat_s, jobs.crashes, temporal.large_pixels)
        self._link = Link(temporal)
        self._quota = Quota(jobs, temporal.task_queue)
        self._schedules = Schedules(self._link, self._terms)
        self._counts: tuple[float, dict[tuple[str, int], int]] = (0.0, {})

    async def start(self) -> None:
        """Reach the service and register what is missing there; one that is away is asked again at the first call."""
        await self._link.open()

    async def close(self) -> None:
        """Let go; the SDK closes its connection when nothing refers to it any more."""
        self._link.close()

    async def submit(self, job: Job, claim: Claim | None = None) -> Job:
        """Start its workflow; durable in Temporal when it returns."""
        client = await self._link.client()
        if claim is not None:
            job = replace(job, id=names.claimed_id("job", job.tenant, claim.key))
            if (earlier := await self._claimed(self._job(client, job.id), claim)) is not None:
                return await _job_in(earlier)
        with as_ours():
            await self._quota.admit(client, job.tenant, 1)
        job = _accepted(job)
        order = Order(job, self._terms)
        await payloads.check_size(order, "body_bytes")
        try:
            await self._start(
                client, "ImageJob", order, names.job_workflow(self._queue, job.id),
                memo=_memo(MEMO_ORDER, job, claim), search_attributes=of_job(job),
                priority=rank(job.tenant, job.spec.priority),
            )  # fmt: skip
        except WorkflowAlreadyStartedError:
            return await self._repeated(self._job(client, job.id), claim)
        return job

    async def _repeated(self, handle: WorkflowHandle[Any, Any], claim: Claim | None) -> Job:
        earlier = None if claim is None else await self._claimed(handle, claim)
        if earlier is None:
            raise IdempotencyMismatch("a job of this id is there already")
        return await _job_in(earlier)

    async def _claimed(self, handle: WorkflowHandle[Any, Any], claim: Claim) -> WorkflowExecutionDescription | None:
        """What was started under the same claim, if anything was."""
        found = await _described(handle)
        if found is None:
            return None
        if await found.memo_value(MEMO_CLAIM, "", type_hint=str) != claim.digest:
            raise IdempotencyMismatch("the Idempotency-Key was used with another body")
        return found

    async def read(self, job_id: str) -> Job | None:
        """The job now, whether or not any worker lives."""
        client = await self._link.client()
        found = await _described(self._job(client, job_id))
        if found is None:
            return None
        job = await _job_in(found)
        if job.state in TERMINAL and job.callback_state and job.outcome is not None:
            final = await self._delivery(client, delivery_id(job.id, final_event(job.outcome)))
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
        client = await self._link.client()
        filter_ = visibility.of(query, self._queue)
        token = visibility.token_of(filter_, query.cursor)
        with as_ours():
            found = client.list_workflows(filter_, page_size=query.limit, next_page_token=token, rpc_timeout=RPC)
            await found.fetch_next_page()
        jobs = [await _job_in(execution) for execution in found.current_page or ()]
        return Page(tuple(jobs), visibility.cursor_of(filter_, found.next_page_token or b""))

    async def cancel(self, job_id: str) -> Job:
        """Ask its workflow to stop; where no worker lives, it stops when one does."""
        client = await self._link.client()
        job = await self.read(job_id)
        if job is None:
            raise NotFound
        if job.state in OVER:
            return _unless_finished(job)
        await _cancelled(self._job(client, job_id))
        end_s = time.monotonic() + _CANCEL_S
        while job is not None and job.state not in OVER and time.monotonic() < end_s:
            await asyncio.sleep(_LOOK_S[0])
            job = await self.read(job_id)
        if job is None:
            raise NotFound
        return _unless_finished(job) if job.state in OVER else job

    async def deliveries(self, job_id: str) -> tuple[Delivery, ...]:
        """What was and is owed, each with its state now."""
        client = await self._link.client()
        found = await _described(self._job(client, job_id))
        if found is not None:
            now = await found.memo_value(MEMO_NOW, None, type_hint=Now)
            ids: tuple[str, ...] = () if now is None else now.deliveries
        elif await self.read_batch(job_id) is not None:
            ids = (delivery_id(job_id, Event.FINISHED),)
        else:
            raise NotFound
        known = await asyncio.gather(*(self._delivery(client, one) for one in ids))
        return tuple(delivery for delivery in known if delivery is not None)

    async def redeliver(self, job_id: str) -> int:
        """Start the final delivery's workflow once more, under the same ``webhook-id``."""
        client = await self._link.client()
        job = await self.read(job_id)
        batch = None if job is not None else await self.read_batch(job_id)
        if job is None and batch is None:
            raise NotFound
        event = Event.FINISHED if job is None else final_event(job.outcome or State.FAILED)
        old = await self._delivery(client, delivery_id(job_id, event))
        if old is None or old.state is DeliveryState.PENDING:
            return 0
        now_s = time.time()
        fresh = replace(old, state=DeliveryState.PENDING, attempts=0, due_s=now_s, status=0, reason="")
        try:
            await self._start(
                client, "Delivering", Letter(fresh, job=job, batch=batch), names.delivery_workflow(self._queue, fresh.id),
                memo=_memo(MEMO_NOW, fresh, None), search_attributes=of_other(fresh.tenant, str(fresh.state)),
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            )  # fmt: skip
        except WorkflowAlreadyStartedError:
            return 0  # somebody else began it
        return 1

    async def submit_batch(self, batch: Batch, specs: Sequence[JobSpec], claim: Claim | None = None) -> Batch:
        """Start its workflow, which holds all *specs* and makes the jobs in pages."""
        client = await self._link.client()
        if claim is not None:
            batch = replace(batch, id=names.claimed_id("batch", batch.tenant, claim.key))
            if (earlier := await self._claimed(self._batch(client, batch.id), claim)) is not None:
                return await _batch_in(earlier)
        with as_ours():
            await self._quota.admit(client, batch.tenant, len(specs))
        order = BatchOrder(batch, tuple(specs), self._terms)
        await payloads.check_size(order, "batch_bytes")
        try:
            await self._start(
                client, "JobBatch", order, names.batch_workflow(self._queue, batch.id),
                memo=_memo(MEMO_NOW, batch, claim), search_attributes=of_other(batch.tenant, str(batch.state)),
                priority=rank(batch.tenant, 0),
            )  # fmt: skip
        except WorkflowAlreadyStartedError:
            earlier = None if claim is None else await self._claimed(self._batch(client, batch.id), claim)
            if earlier is None:
                raise IdempotencyMismatch("a batch of this id is there already") from None
            return await _batch_in(earlier)
        return batch

    async def read_batch(self, batch_id: str) -> Batch | None:
        """The batch now; outcomes are counted exactly, what is not over yet by the visibility store."""
        client = await self._link.client()
        found = await _described(self._batch(client, batch_id))
        if found is None:
            return None
        batch = await _batch_in(found)
        if batch.state in OVER:
            return batch
        return replace(batch, counts={**await self._unfinished(client, batch), **batch.counts})

    async def cancel_batch(self, batch_id: str) -> Batch:
        """Ask its workflow to make no more and to stop what it made."""
        client = await self._link.client()
        batch = await self.read_batch(batch_id)
        if batch is None:
            raise NotFound("batch")
        if batch.state in OVER:
            if batch.state is not State.CANCELLED:
                raise JobFinished(f"the batch is {batch.state}")
            return batch
        await _cancelled(self._batch(client, batch_id))
        return await self.read_batch(batch_id) or batch

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
        """By the visibility store, asked once in ten seconds at most."""
        counted_s, counts = self._counts
        if time.monotonic() - counted_s > _COUNTS_S or not counted_s:
            counts = await self._count(await self._link.client())
            self._counts = (time.monotonic(), counts)
        return counts

    async def _count(self, client: Client) -> dict[tuple[str, int], int]:
        """Priorities are asked for only where there is anything to tell apart."""
        found: dict[tuple[str, int], int] = {}
        with as_ours():
            for state in State:
                if not await _number(client, visibility.in_state(self._queue, state)):
                    continue
                for priority in range(MAX_PRIORITY + 1):
                    if number := await _number(client, visibility.in_state(self._queue, state, priority)):
                        found[(str(state), priority)] = number
            if dead := await _number(client, visibility.dead_letters(self._queue)):
                found[("dead_letter", 0)] = dead
        return found

    async def _unfinished(self, client: Client, batch: Batch) -> dict[str, int]:
        states = [state for state in State if state not in OVER]
        with as_ours():
            numbers = [
                await _number(client, visibility.of(Query(None, frozenset({s}), batch=batch.id), self._queue))
                for s in states
            ]
        return {str(state): number for state, number in zip(states, numbers, strict=True) if number}

    async def _start(self, client: Client, workflow: str, order: object, workflow_id: str, **rest: Any) -> None:
        rest.setdefault("id_reuse_policy", WorkflowIDReusePolicy.REJECT_DUPLICATE)
        with as_ours():
            await client.start_workflow(
                workflow, order, id=workflow_id, task_queue=self._queue,
                id_conflict_policy=WorkflowIDConflictPolicy.FAIL, rpc_timeout=RPC, **rest,
            )  # fmt: skip

    async def _delivery(self, client: Client, one: str) -> Delivery | None:
        found = await _described(client.get_workflow_handle(names.delivery_workflow(self._queue, one)))
        return None if found is None else await found.memo_value(MEMO_NOW, type_hint=Delivery)

    def _job(self, client: Client, job_id: str) -> WorkflowHandle[Any, Any]:
        return client.get_workflow_handle(names.job_workflow(self._queue, job_id))

    def _batch(self, client: Client, batch_id: str) -> WorkflowHandle[Any, Any]:
        return client.get_workflow_handle(names.batch_workflow(self._queue, batch_id))


def _accepted(job: Job) -> Job:
    """*job* with the state that its time gives it."""
    due_s = max(job.times.created_s, job.times.due_s, job.spec.not_before_s)
    state = State.SCHEDULED if due_s > time.time() else State.QUEUED
    return replace(job, state=state, times=replace(job.times, due_s=due_s))


def _memo(key: str, value: object, claim: Claim | None) -> dict[str, object]:
    return {key: value} if claim is None else {key: value, MEMO_CLAIM: claim.digest}


def _unless_finished(job: Job) -> Job:
    if (job.outcome or job.state) is not State.CANCELLED:
        raise JobFinished(f"the job is {job.state}")
    return job


async def _described(handle: WorkflowHandle[Any, Any]) -> WorkflowExecutionDescription | None:
    try:
        with as_ours():
            return await handle.describe(rpc_timeout=RPC)
    except RPCError:
        return None


async def _cancelled(handle: WorkflowHandle[Any, Any]) -> None:
    try:
        with as_ours():
            await handle.cancel(rpc_timeout=RPC)
    except RPCError:
        return  # it was over before it heard


async def _number(client: Client, filter_: str) -> int:
    return (await client.count_workflows(filter_, rpc_timeout=RPC)).count


async def _job_in(execution: Any) -> Job:
    """The job that a description or an entry of a list holds."""
    accepted = await execution.memo_value(MEMO_ORDER, type_hint=Job)
    job = job_of(accepted, await execution.memo_value(MEMO_NOW, None, type_hint=Now))
    ended = _ENDED.get(execution.status)
    if ended is None or job.state in TERMINAL:
        return job
    if job.outcome is not None:
        return replace(job, state=job.outcome)
    fault = Fault("internal", f"its workflow was ended from outside: {execution.status.name.lower()}")
    return replace(job, state=ended, outcome=ended, fault=fault if ended is State.FAILED else job.fault)


async def _batch_in(execution: Any) -> Batch:
    batch: Batch = await execution.memo_value(MEMO_NOW, type_hint=Batch)
    ended = _ENDED.get(execution.status)
    return batch if ended is None or batch.state in TERMINAL else replace(batch, state=ended)
