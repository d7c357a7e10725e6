"""What descriptions of workflows, and entries of lists, hold: jobs, batches, claims."""

from msgspec.structs import replace
from temporalio.api.enums.v1 import PendingWorkflowTaskState
from temporalio.client import WorkflowExecution, WorkflowExecutionDescription, WorkflowExecutionStatus

from imagemill.jobs.base import Claim
from imagemill.jobs.notices import owes_final
from imagemill.jobs.temporal.orders import MEMO_CLAIM, MEMO_NOW, MEMO_ORDER, Now, job_of
from imagemill.model.errors import IdempotencyMismatch
from imagemill.model.job import TERMINAL, Batch, Delivery, DeliveryState, Fault, Job, State

_ENDED = {
    WorkflowExecutionStatus.CANCELED: State.CANCELLED,
    WorkflowExecutionStatus.TERMINATED: State.FAILED,
    WorkflowExecutionStatus.TIMED_OUT: State.FAILED,
    WorkflowExecutionStatus.FAILED: State.FAILED,
}
"""What a workflow is that an operator, and not our code, has ended."""
_UNTOUCHED_EVENTS = 3
"""Started, a task for it, its cancellation: no worker has had it."""


async def job_in(execution: WorkflowExecution) -> Job:
    """The job, as far as its workflow has got."""
    accepted = await execution.memo_value(MEMO_ORDER, type_hint=Job)
    job = job_of(accepted, await now_in(execution))
    ended = None if execution.status is None else _ENDED.get(execution.status)
    if job.outcome is None and _is_cancelled(execution):
        return _cancelled(job)
    if ended is None or job.state in TERMINAL:
        return job
    if job.outcome is not None:
        return replace(job, state=job.outcome)
    fault = Fault("internal", "its workflow was ended from outside") if ended is State.FAILED else job.fault
    return replace(job, state=ended, outcome=ended, fault=fault)


def _is_cancelled(found: WorkflowExecution) -> bool:
    """Whether a cancellation waits for a worker, which can do nothing but heed it.

    It stands in the history by then, and whoever takes the next workflow task reads it first. While a task is out at a
    worker, its answer may still be another.
    """
    if not isinstance(found, WorkflowExecutionDescription) or found.status is not WorkflowExecutionStatus.RUNNING:
        return False
    raw = found.raw_description
    waits = raw.pending_workflow_task.state == PendingWorkflowTaskState.PENDING_WORKFLOW_TASK_STATE_SCHEDULED
    return raw.workflow_extended_info.cancel_requested and waits


async def now_in(execution: WorkflowExecution) -> Now | None:
    """What of a job has changed since it was accepted; None = nothing yet."""
    return await execution.memo_value(MEMO_NOW, None, type_hint=Now)


def _cancelled(job: Job) -> Job:
    owes = owes_final(job.spec.callback, State.CANCELLED)
    state = State.DELIVERING if owes else State.CANCELLED
    pending = str(DeliveryState.PENDING) if owes else ""
    return replace(job, outcome=State.CANCELLED, state=state, version=job.version + 1, callback_state=pending)


async def batch_in(execution: WorkflowExecution) -> Batch:
    """The batch, as far as its workflow has got."""
    batch = await execution.memo_value(MEMO_NOW, type_hint=Batch)
    if execution.history_length <= _UNTOUCHED_EVENTS and _is_cancelled(execution):
        return replace(batch, state=State.CANCELLED, version=batch.version + 1)
    ended = None if execution.status is None else _ENDED.get(execution.status)
    return batch if ended is None or batch.state in TERMINAL else replace(batch, state=ended)


async def delivery_in(execution: WorkflowExecution) -> Delivery:
    """The delivery, as far as its workflow has got."""
    return await execution.memo_value(MEMO_NOW, type_hint=Delivery)


async def hold_to(claim: Claim, execution: WorkflowExecution) -> None:
    """Refuse a *claim* that *execution* was started under with another body."""
    if await execution.memo_value(MEMO_CLAIM, "", type_hint=str) != claim.digest:
        raise IdempotencyMismatch("the Idempotency-Key was used with another body")


def memo(key: str, value: object, claim: Claim | None = None) -> dict[str, object]:
    """A memo that holds *value*, and what it was submitted under."""
    return {key: value} if claim is None else {key: value, MEMO_CLAIM: claim.digest}
