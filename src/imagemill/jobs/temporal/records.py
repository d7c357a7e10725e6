"""What descriptions of workflows, and entries of lists, hold: jobs, batches, claims."""

from msgspec.structs import replace
from temporalio.client import WorkflowExecution, WorkflowExecutionStatus

from imagemill.jobs.base import Claim
from imagemill.jobs.temporal.orders import MEMO_CLAIM, MEMO_NOW, MEMO_ORDER, Now, job_of
from imagemill.model.errors import IdempotencyMismatch
from imagemill.model.job import TERMINAL, Batch, Delivery, Fault, Job, State

_ENDED = {
    WorkflowExecutionStatus.CANCELED: State.CANCELLED,
    WorkflowExecutionStatus.TERMINATED: State.FAILED,
    WorkflowExecutionStatus.TIMED_OUT: State.FAILED,
    WorkflowExecutionStatus.FAILED: State.FAILED,
}
"""What a workflow is that an operator, and not our code, has ended."""


async def job_in(execution: WorkflowExecution) -> Job:
    """The job, as far as its workflow has got."""
    accepted = await execution.memo_value(MEMO_ORDER, type_hint=Job)
    job = job_of(accepted, await now_in(execution))
    ended = None if execution.status is None else _ENDED.get(execution.status)
    if ended is None or job.state in TERMINAL:
        return job
    if job.outcome is not None:
        return replace(job, state=job.outcome)
    fault = Fault("internal", "its workflow was ended from outside") if ended is State.FAILED else job.fault
    return replace(job, state=ended, outcome=ended, fault=fault)


async def now_in(execution: WorkflowExecution) -> Now | None:
    """What of a job has changed since it was accepted; None = nothing yet."""
    return await execution.memo_value(MEMO_NOW, None, type_hint=Now)


async def batch_in(execution: WorkflowExecution) -> Batch:
    """The batch, as far as its workflow has got."""
    batch = await execution.memo_value(MEMO_NOW, type_hint=Batch)
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
