"""Many jobs as a workflow: a batch makes its jobs in pages and counts their outcomes; a schedule's time makes its few.

Each job is a workflow of its own that outlives this one. Its id follows from the batch's seed or the schedule's time,
so a repeat finds what it has made already.
"""

import asyncio
from datetime import timedelta
from typing import Any

from msgspec.structs import replace
from temporalio import workflow
from temporalio.common import SearchAttributeKey, WorkflowIDReusePolicy
from temporalio.exceptions import FailureError, WorkflowAlreadyStartedError
from temporalio.workflow import ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from imagemill.jobs.notices import batch_outcome, owed_of_batch
    from imagemill.jobs.temporal import names
    from imagemill.jobs.temporal.attributes import STATE, of_job, of_other, rank
    from imagemill.jobs.temporal.orders import (
        MEMO_NOW,
        MEMO_ORDER,
        BatchOrder,
        Letter,
        Order,
        Over,
        ScheduleOrder,
    )
    from imagemill.model.job import Batch, Delivery, Job, JobSpec, State, Timings

_PAGE = 50
_HISTORY_EVENTS = 3_000
"""After so many, the workflow goes on with a new history.

Two of them at least for each job that is begun, so one history has 1,550 children at most, all of which may still wait;
Temporal refuses more than 2,000 (limit.numPendingChildExecutions.error, server 1.29).
"""
_SCHEDULED_AT = SearchAttributeKey.for_datetime("TemporalScheduledStartTime")
_TIDY = timedelta(seconds=1)
"""How long outcomes are gathered before they are written."""


@workflow.defn(name="JobBatch")
class JobBatch:
    """A batch from its acceptance until all its jobs are over."""

    @workflow.init
    def __init__(self, order: BatchOrder) -> None:
        self._order = order
        self._batch = order.batch
        self._over = int.from_bytes(order.over, "little")
        self._counts = dict(order.batch.counts)
        self._cancelled = order.cancelled
        self._stopped = order.stopped
        self._told = False

    @workflow.run
    async def run(self, order: BatchOrder) -> Batch:  # noqa: ARG002 - as @workflow.init took it
        """Make all jobs, wait for them, tell of them."""
        body = asyncio.create_task(self._go())
        while True:
            try:
                ended = await asyncio.shield(body)
                break
            except asyncio.CancelledError:
                if body.cancelled():
                    raise
                self._cancelled = True
        if not ended:
            workflow.continue_as_new(self._rest())
        return self._batch

    @workflow.signal
    def over(self, over: Over) -> None:
        """One of its jobs is over."""
        bit = 1 << over.index
        if not self._over & bit:
            self._over |= bit
            self._counts[over.outcome] = self._counts.get(over.outcome, 0) + 1

    @workflow.signal
    def told(self, delivery: Delivery) -> None:  # noqa: ARG002 - a batch keeps no state of its message
        """The message that it is over has arrived or is dead."""
        self._told = True

    async def _go(self) -> bool:
        """Whether it has ended; if not, it goes on with a new history."""
        await asyncio.sleep(0)  # a cancellation that came before any worker did is heard first
        while self._batch.made < self._batch.total and not self._cancelled:
            if _is_long():
                return False
            await self._page()
        while not self._all_over():
            if _is_long():
                return False
            if self._cancelled and self._stopped < self._batch.made:
                await self._stop_page()
            else:
                await self._news()
            self._write()
        await self._end()
        return True

    async def _page(self) -> None:
        first = self._batch.made
        last = min(first + _PAGE, self._batch.total)
        await asyncio.gather(*(self._start(index) for index in range(first, last)))
        self._write(made=last)

    async def _start(self, index: int) -> None:
        job = _job(self._batch.tenant, names.child_id(self._batch.seed, index), self._order.specs[index])
        await _start(Order(replace(job, batch=self._batch.id), self._order.terms, index))

    async def _news(self) -> None:
        """Wait for outcomes or a cancellation, and then a little longer for more."""
        known, cancelled = self._over, self._cancelled
        await workflow.wait_condition(lambda: self._over != known or self._cancelled != cancelled)
        if not self._all_over():
            await asyncio.sleep(_TIDY.total_seconds())

    async def _stop_page(self) -> None:
        last = min(self._stopped + _PAGE, self._batch.made)
        await asyncio.gather(*(self._stop(i) for i in range(self._stopped, last) if not self._over >> i & 1))
        self._stopped = last

    async def _stop(self, index: int) -> None:
        job_id = names.child_id(self._batch.seed, index)
        handle = workflow.get_external_workflow_handle(names.workflow_id(self._order.terms.prefix, job_id))
        try:
            await handle.cancel()
        except FailureError:
            workflow.logger.info("it is over already")

    def _all_over(self) -> bool:
        made_all = self._cancelled or self._batch.made == self._batch.total
        return made_all and self._over.bit_count() == self._batch.made

    async def _end(self) -> None:
        outcome = State.CANCELLED if self._cancelled else batch_outcome(self._batch)
        finished_s = workflow.time()
        ended = replace(self._batch, state=outcome, finished_s=finished_s)
        delivery = owed_of_batch(ended, finished_s)
        if delivery is not None:
            self._write(state=State.DELIVERING, finished_s=finished_s)
            await self._tell(delivery, ended)
        self._write(state=outcome, finished_s=finished_s)

    async def _tell(self, delivery: Delivery, about: Batch) -> None:
        terms = self._order.terms
        child = await workflow.start_child_workflow(
            "Delivering",
            Letter(delivery, batch=about, keep_s=terms.keep_s, heartbeat_s=terms.heartbeat_s),
            id=names.delivery_workflow(terms.prefix, delivery.id),
            memo={MEMO_NOW: delivery},
            search_attributes=of_other(delivery.tenant, str(delivery.state)),
            parent_close_policy=ParentClosePolicy.ABANDON,
        )
        await workflow.wait_condition(lambda: self._told or child.done())

    def _write(self, **changed: Any) -> None:
        before = self._batch
        self._batch = replace(before, version=before.version + 1, counts=dict(self._counts), **changed)
        workflow.upsert_memo({MEMO_NOW: self._batch})
        if self._batch.state is not before.state:
            workflow.upsert_search_attributes([STATE.value_set(str(self._batch.state))])

    def _rest(self) -> BatchOrder:
        size_bytes = (self._batch.total + 7) // 8
        return replace(
            self._order,
            batch=replace(self._batch, counts=dict(self._counts)),
            over=self._over.to_bytes(size_bytes, "little"),
            cancelled=self._cancelled,
            stopped=self._stopped,
        )


@workflow.defn(name="ScheduledJobs")
class ScheduledJobs:
    """One time of a schedule: makes its jobs, and is done."""

    @workflow.run
    async def run(self, order: ScheduleOrder) -> None:
        """Make each job, once for this time."""
        info = workflow.info()
        due = info.typed_search_attributes.get(_SCHEDULED_AT) or info.start_time
        schedule = order.schedule
        for index, spec in enumerate(schedule.specs):
            job_id = names.scheduled_id(schedule.tenant, schedule.name, int(due.timestamp()), index)
            job = _job(schedule.tenant, job_id, spec)
            await _start(Order(replace(job, schedule=schedule.name), order.terms))


def _job(tenant: str, job_id: str, spec: JobSpec) -> Job:
    now_s = workflow.time()
    due_s = max(now_s, spec.not_before_s)
    state = State.SCHEDULED if due_s > now_s else State.QUEUED
    return Job(job_id, tenant, spec, state, Timings(created_s=now_s, due_s=due_s))


async def _start(order: Order) -> None:
    job = order.job
    try:
        await workflow.start_child_workflow(
            "ImageJob",
            order,
            id=names.workflow_id(order.terms.prefix, job.id),
            memo={MEMO_ORDER: job},
            search_attributes=of_job(job),
            priority=rank(job.tenant, job.spec.priority),
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            parent_close_policy=ParentClosePolicy.ABANDON,
        )
    except WorkflowAlreadyStartedError:
        workflow.logger.info("it was made already")


def _is_long() -> bool:
    info = workflow.info()
    return info.is_continue_as_new_suggested() or info.get_current_history_length() > _HISTORY_EVENTS
