"""What becomes of a job, step by step: pure, with the clock and chance given.

Units    Unix seconds.
Errors   none: each step is a new value, and whoever writes it finds out whether it may.
"""

from msgspec.structs import replace

from imagemill.jobs.base import Work, fault_of
from imagemill.jobs.embedded.rows import NOBODY, Kept
from imagemill.jobs.notices import owes_final
from imagemill.jobs.retry import job_delay_s
from imagemill.model.errors import ImagemillError, JobCrashed
from imagemill.model.job import DeliveryState, Fault, Job, Result, State


def accepted(job: Job, now_s: float) -> Job:
    """As it enters the file: queued, or scheduled where it is asked for later."""
    later = job.spec.not_before_s > now_s
    times = replace(job.times, due_s=max(job.spec.not_before_s, job.times.created_s))
    return replace(job, state=State.SCHEDULED if later else State.QUEUED, times=times, version=1)


def begun(kept: Kept, epoch: int, now_s: float) -> Kept:
    """A place was free for it."""
    times = replace(kept.job.times, started_s=now_s)
    return replace(_changed(kept, state=State.RUNNING, attempts=kept.job.attempts + 1, times=times), owner=epoch)


def reported(kept: Kept, result: Result, now_s: float) -> Kept:  # noqa: ARG001 - a step like the others
    """One of its renditions is further than it was."""
    return _changed(kept, results=merged(kept.job.results, (result,)))


def returned(kept: Kept) -> Kept:
    """It was interrupted, and through no fault of its own: as if it had not been tried."""
    return replace(_changed(kept, state=State.QUEUED, attempts=kept.job.attempts - 1), owner=NOBODY)


def crashed(kept: Kept, most: int, now_s: float) -> Kept:
    """The process died over it: try again, *most* times at most."""
    crashes = kept.crashes + 1
    if crashes > most:
        fault = fault_of(JobCrashed.code, f"the process died {crashes} times while it worked on this", retryable=False)
        return replace(concluded(kept, State.FAILED, now_s, fault=fault), crashes=crashes)
    return replace(_changed(kept, state=State.QUEUED), owner=NOBODY, crashes=crashes)


def failed(kept: Kept, fault: Fault, now_s: float, chance: float) -> Kept:
    """An attempt ended in *fault*: scheduled anew where that makes sense, else failed."""
    failures = kept.failures + 1
    if not fault.retryable or failures > kept.job.spec.retries:
        return replace(concluded(kept, State.FAILED, now_s, fault=fault), failures=failures)
    times = replace(kept.job.times, due_s=now_s + job_delay_s(failures, chance))
    changed = _changed(kept, state=State.SCHEDULED, fault=fault, times=times)
    return replace(changed, owner=NOBODY, failures=failures)


def succeeded(kept: Kept, work: Work, now_s: float) -> Kept:
    """All is made."""
    times = replace(kept.job.times, fetch_ms=work.fetch_ms, make_ms=work.make_ms)
    job = replace(kept.job, results=merged(kept.job.results, work.results), times=times)
    return concluded(replace(kept, job=job), State.SUCCEEDED, now_s)


def concluded(kept: Kept, outcome: State, now_s: float, fault: Fault | None = None) -> Kept:
    """Its outcome stands; it is over when the last callback, if one is owed, is."""
    owes = owes_final(kept.job.spec.callback, outcome)
    changed = _changed(
        kept,
        state=State.DELIVERING if owes else outcome,
        outcome=outcome,
        callback_state=DeliveryState.PENDING.value if owes else "",
        fault=fault if fault is not None or outcome is State.SUCCEEDED else kept.job.fault,
        times=replace(kept.job.times, finished_s=now_s),
    )
    return replace(changed, owner=NOBODY)


def told(kept: Kept, state: DeliveryState) -> Kept:
    """Its last callback is delivered, dead, or about to be tried anew."""
    job = kept.job
    ends = state is not DeliveryState.PENDING and job.state is State.DELIVERING
    return _changed(kept, state=job.outcome if ends and job.outcome else job.state, callback_state=state.value)


def lost(kept: Kept, now_s: float) -> Kept:
    """Its order cannot be read: it fails, and whom to tell is not known either."""
    fault = fault_of(ImagemillError.code, "its order cannot be read", retryable=False)
    return concluded(kept, State.FAILED, now_s, fault=fault)


def merged(results: tuple[Result, ...], newer: tuple[Result, ...]) -> tuple[Result, ...]:
    """*results* with *newer* in place of those of the same name, and what is new at the end."""
    by_name = {r.name: r for r in results} | {r.name: r for r in newer}
    return tuple(by_name.values())


def _changed(kept: Kept, **fields: object) -> Kept:
    return replace(kept, job=replace(kept.job, version=kept.job.version + 1, **fields))
