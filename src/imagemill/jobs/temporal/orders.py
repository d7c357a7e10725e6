"""What workflows and activities are handed, and what they keep: plain values, without secrets.

They are stored in histories, so a field is only ever added, with a default.
"""

from msgspec import Struct
from msgspec.structs import replace

from imagemill.model.job import Batch, Delivery, DeliveryState, Fault, Job, JobSpec, Result, Schedule, State, Timings

MEMO_ORDER = "order"
"""A workflow's memo: the `Job` as it was accepted."""
MEMO_NOW = "now"
"""What has come of it: `Now` of a job, `Batch`, or `Delivery`."""
MEMO_CLAIM = "claim"
"""Digest of the body that was submitted."""
WORKER_STOPPED = "worker_stopped"
"""Error type of an attempt that was cut short by a worker's graceful end; it does not count."""


class Terms(Struct, frozen=True):
    """What of the settings a job is held to, as they were when it was accepted."""

    prefix: str
    """Of task queues and workflow ids."""
    heartbeat_s: float
    crashes: int
    large_pixels: int
    keep_s: float
    """How long a dead letter waits to be redelivered."""


class Order(Struct, frozen=True):
    """What `ImageJob` is started with."""

    job: Job
    terms: Terms
    index: int = -1
    """Place in its batch; -1 = in none."""


class Now(Struct, frozen=True):
    """All of a `Job` that changes, and the ids of what it owed."""

    state: State
    times: Timings
    outcome: State | None
    version: int
    attempts: int
    results: tuple[Result, ...]
    fault: Fault | None
    callback_state: str
    deliveries: tuple[str, ...] = ()


def now_of(job: Job, deliveries: tuple[str, ...]) -> Now:
    """What of *job* changes."""
    return Now(
        job.state,
        job.times,
        job.outcome,
        job.version,
        job.attempts,
        job.results,
        job.fault,
        job.callback_state,
        deliveries,
    )


def job_of(accepted: Job, now: Now | None) -> Job:
    """The job that was *accepted*, as it is *now*."""
    if now is None:
        return accepted
    return replace(
        accepted,
        state=now.state,
        times=now.times,
        outcome=now.outcome,
        version=now.version,
        attempts=now.attempts,
        results=now.results,
        fault=now.fault,
        callback_state=now.callback_state,
    )


class Attempt(Struct, frozen=True):
    """What the activity ``make`` is handed."""

    job: Job
    number: int
    """Whoever reports under another number than the last one is not heard."""


class Begun(Struct, frozen=True):
    """A worker has taken an attempt."""

    number: int
    at_s: float


class Reported(Struct, frozen=True):
    """A rendition has got further."""

    number: int
    result: Result


class Letter(Struct, frozen=True):
    """One delivery, and what it is about: a job or a batch."""

    delivery: Delivery
    job: Job | None = None
    batch: Batch | None = None
    keep_s: float = 0.0
    """How long it waits to be redelivered, once it is dead."""
    heartbeat_s: float = 10.0
    """A worker that is silent for so long has died over it."""


def anew(delivery: Delivery, now_s: float) -> Delivery:
    """*delivery* as if it had not been attempted; its id stays."""
    return replace(delivery, state=DeliveryState.PENDING, attempts=0, due_s=now_s, status=0, reason="")


class Settled(Struct, frozen=True):
    """What metrics are told of a job."""

    state: State
    priority: int


class BatchOrder(Struct, frozen=True):
    """What `JobBatch` is started with, and goes on with."""

    batch: Batch
    specs: tuple[JobSpec, ...]
    terms: Terms
    over: bytes = b""
    """One bit for each job that is over, lowest first."""
    cancelled: bool = False
    stopped: int = 0
    """Jobs that were asked to stop."""


class Over(Struct, frozen=True):
    """A job of a batch is over."""

    index: int
    outcome: State


class ScheduleOrder(Struct, frozen=True):
    """What `ScheduledJobs` is started with."""

    schedule: Schedule
    terms: Terms
