"""One job as a workflow: waits for its time, is made, tells what came of it.

It is deterministic and replayed: time and chance come from `temporalio.workflow`, work is done by activities that it
knows by name, and it sees nothing of the service but values. What changes is kept in the workflow's memo, which is
read without any worker, and in search attributes.

Errors   an attempt that failed is an `ActivityError`; the code of `model.errors` is the type of its cause.
"""

import asyncio
from datetime import timedelta
from typing import Any

from msgspec.structs import replace
from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    FailureError,
    WorkflowAlreadyStartedError,
    is_cancelled_exception,
)
from temporalio.workflow import ActivityCancellationType, ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from imagemill.jobs.base import Work, fault_of
    from imagemill.jobs.notices import owed, owes_final
    from imagemill.jobs.retry import job_delay_s
    from imagemill.jobs.temporal import names
    from imagemill.jobs.temporal.attributes import STATE, of_other
    from imagemill.jobs.temporal.orders import (
        MEMO_NOW,
        WORKER_STOPPED,
        Attempt,
        Begun,
        Letter,
        Now,
        Order,
        Over,
        Reported,
        Settled,
        now_of,
    )
    from imagemill.model.errors import DeadlinePassed, JobCrashed
    from imagemill.model.job import (
        FINAL,
        Delivery,
        DeliveryState,
        Fault,
        Result,
        State,
    )

_ONCE = RetryPolicy(maximum_attempts=1)
_LONGEST = timedelta(hours=1)
"""Of one attempt; one that is longer hangs."""
_NOTE = timedelta(seconds=10)


@workflow.defn(name="ImageJob")
class ImageJob:
    """A job from its acceptance to its terminal state."""

    @workflow.init
    def __init__(self, order: Order) -> None:
        self._terms = order.terms
        self._index = order.index
        self._job = order.job
        self._number = 0
        self._taken = 0
        self._failures = 0
        self._crashes = 0
        self._deliveries: list[str] = []
        self._sending: list[asyncio.Task[None]] = []
        self._final: Delivery | None = None
        self._told: Delivery | None = None

    @workflow.run
    async def run(self, order: Order) -> Now:
        """Make it, tell of it."""
        self._owe(owed(None, order.job, workflow.time()))
        outcome, fault = await self._outcome()
        finish = asyncio.create_task(self._finish(outcome, fault))
        while True:
            try:
                await asyncio.shield(finish)
                return now_of(self._job, tuple(self._deliveries))
            except asyncio.CancelledError:  # it is over: nothing is left to cancel
                if finish.cancelled():
                    raise

    @workflow.signal
    def begun(self, begun: Begun) -> None:
        """A worker has taken an attempt."""
        if begun.number == self._number != self._taken and self._job.outcome is None:
            self._taken = begun.number
            times = replace(self._job.times, started_s=begun.at_s)
            self._change(state=State.RUNNING, times=times, attempts=self._job.attempts + 1)

    @workflow.signal
    def reported(self, reported: Reported) -> None:
        """A rendition has got further."""
        if reported.number == self._number and self._job.outcome is None:
            self._change(results=_with(self._job.results, reported.result))

    @workflow.signal
    def told(self, delivery: Delivery) -> None:
        """The final delivery has arrived or is dead."""
        self._told = delivery

    async def _outcome(self) -> tuple[State, Fault | None]:
        deadline_s = self._job.spec.deadline_s
        left_s = None if deadline_s is None else deadline_s - workflow.time()
        if left_s is not None and left_s <= 0:
            return State.EXPIRED, self._job.fault
        try:
            async with asyncio.timeout(left_s):
                return await self._attempts()
        except TimeoutError:
            return State.EXPIRED, self._job.fault
        except asyncio.CancelledError:
            return State.CANCELLED, self._job.fault

    async def _attempts(self) -> tuple[State, Fault | None]:
        await _until(self._job.times.due_s)
        while True:
            if self._job.state is not State.QUEUED:
                self._change(state=State.QUEUED)
            try:
                self._done(await self._attempt())
            except ActivityError as error:
                if is_cancelled_exception(error):
                    raise asyncio.CancelledError from error
                fault = self._judged(error)
                if fault is not None and fault.code == DeadlinePassed.code:  # noticed by the worker's clock first
                    return State.EXPIRED, self._job.fault
                if fault is not None:
                    return State.FAILED, fault
                await _until(self._job.times.due_s)
            else:
                return State.SUCCEEDED, None

    async def _attempt(self) -> Work:
        self._number += 1
        terms = self._terms
        work: Work = await workflow.execute_activity(
            "make",
            Attempt(self._job, self._number),
            result_type=Work,
            task_queue=names.make_queue(terms.prefix, self._job.spec, terms.large_pixels),
            start_to_close_timeout=_LONGEST,
            heartbeat_timeout=timedelta(seconds=terms.heartbeat_s),
            retry_policy=_ONCE,
            cancellation_type=ActivityCancellationType.TRY_CANCEL,
        )
        return work

    def _done(self, work: Work) -> None:
        results = self._job.results
        for result in work.results:
            results = _with(results, result)
        times = replace(self._job.times, fetch_ms=work.fetch_ms, make_ms=work.make_ms)
        self._change(results=results, times=times, fault=None)

    def _judged(self, error: ActivityError) -> Fault | None:
        """What ends the job; None = it is tried again, and when that is due stands in its times."""
        cause = error.cause
        if not isinstance(cause, ApplicationError):
            return self._crashed()
        if cause.type == WORKER_STOPPED:
            self._again(self._job.fault, 0.0, attempts=max(0, self._job.attempts - 1))
            return None
        fault = fault_of(cause.type or "internal", cause.message, retryable=not cause.non_retryable)
        self._failures += 1
        if not fault.retryable or self._failures > self._job.spec.retries:
            return fault
        self._again(fault, job_delay_s(self._failures, workflow.random().random()))
        return None

    def _crashed(self) -> Fault | None:
        self._crashes += 1
        fault = fault_of(JobCrashed.code, f"its worker died or fell silent {self._crashes} times", retryable=True)
        if self._crashes > self._terms.crashes:
            return replace(fault, retryable=False)
        self._again(fault, 0.0)
        return None

    def _again(self, fault: Fault | None, pause_s: float, **changed: Any) -> None:
        times = replace(self._job.times, due_s=workflow.time() + pause_s)
        self._change(state=State.SCHEDULED if pause_s else State.QUEUED, times=times, fault=fault, **changed)

    async def _finish(self, outcome: State, fault: Fault | None) -> None:
        """Let the outcome stand, tell whoever is to be told, and end."""
        owes = owes_final(self._job.spec.callback, outcome)
        self._change(
            outcome=outcome,
            state=State.DELIVERING if owes else outcome,
            times=replace(self._job.times, finished_s=workflow.time()),
            fault=fault,
            callback_state=str(DeliveryState.PENDING) if owes else "",
        )
        await self._note(outcome)
        if self._final is not None:
            child = await workflow.start_child_workflow(
                "Delivering", self._letter(self._final), **self._sent_as(self._final)
            )
            await workflow.wait_condition(lambda: self._told is not None or child.done())
            arrived = self._told is not None and self._told.state is DeliveryState.DELIVERED
            self._change(state=outcome, callback_state=str(DeliveryState.DELIVERED if arrived else DeliveryState.DEAD))
        for sending in self._sending:
            await sending

    async def _note(self, outcome: State) -> None:
        """Tell the metrics, and the batch it belongs to."""
        job = self._job
        try:
            await workflow.execute_local_activity(
                "settled", Settled(outcome, job.spec.priority), start_to_close_timeout=_NOTE, retry_policy=_ONCE
            )
        except FailureError:  # its batch and its receiver have to hear of it all the same
            workflow.logger.warning("its outcome was not counted")
        if job.batch:
            batch = workflow.get_external_workflow_handle(names.workflow_id(self._terms.prefix, job.batch))
            try:
                await batch.signal("over", Over(self._index, outcome))
            except FailureError:
                workflow.logger.warning("its batch is gone")

    def _change(self, **changed: Any) -> None:
        before = self._job
        self._job = replace(before, version=before.version + 1, **changed)
        self._owe(owed(before, self._job, workflow.time()))
        workflow.upsert_memo({MEMO_NOW: now_of(self._job, tuple(self._deliveries))})
        if self._job.state is not before.state:
            workflow.upsert_search_attributes([STATE.value_set(str(self._job.state))])

    def _owe(self, due: tuple[Delivery, ...]) -> None:
        """Send what is not final on its way; nobody waits for it."""
        for delivery in due:
            self._deliveries.append(delivery.id)
            if delivery.event in FINAL:
                self._final = delivery
            else:
                self._sending.append(asyncio.create_task(self._send(delivery)))

    async def _send(self, delivery: Delivery) -> None:
        try:
            await workflow.start_child_workflow("Delivering", self._letter(delivery), **self._sent_as(delivery))
        except WorkflowAlreadyStartedError:
            workflow.logger.info("it is being told already")

    def _letter(self, delivery: Delivery) -> Letter:
        terms = self._terms
        return Letter(delivery, job=self._job, keep_s=terms.keep_s, heartbeat_s=terms.heartbeat_s)

    def _sent_as(self, delivery: Delivery) -> dict[str, Any]:
        return {
            "id": names.delivery_workflow(self._terms.prefix, delivery.id),
            "memo": {MEMO_NOW: delivery},
            "search_attributes": of_other(delivery.tenant, str(delivery.state)),
            "parent_close_policy": ParentClosePolicy.ABANDON,
        }


async def _until(due_s: float) -> None:
    left_s = due_s - workflow.time()
    if left_s > 0:
        await asyncio.sleep(left_s)


def _with(results: tuple[Result, ...], result: Result) -> tuple[Result, ...]:
    """*results* with *result* in place of its predecessor, or added."""
    if all(known.name != result.name for known in results):
        return (*results, result)
    return tuple(result if known.name == result.name else known for known in results)
