"""What a job engine offers to whoever submits, and what it needs of whoever does the work.

An engine keeps jobs, orders them, calls `Steps` for each, and remembers what came of it. It knows no picture.
Errors   `NotFound`, `JobFinished`, `IdempotencyMismatch`, `QuotaExceeded`, `DependencyDown`, `NotSupported`.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from msgspec import Struct

from imagemill.model.job import Batch, Delivery, Fault, Job, JobSpec, Result, Schedule, State

DEAD_LETTER = "dead_letter"
"""What `JobEngine.counts` calls deliveries that were given up."""
Report = Callable[[Result], Awaitable[None]]
"""Told of each step of a rendition; durable when it returns. Raises `Superseded` where the job is another's by now."""


class Claim(Struct, frozen=True):
    """An ``Idempotency-Key`` and a digest of the body that came with it."""

    key: str
    digest: str


class Query(Struct, frozen=True):
    """Which jobs to list; newest first."""

    tenant: str | None
    """None = every tenant's."""
    states: frozenset[State] = frozenset()
    tag: str = ""
    batch: str = ""
    since_s: float | None = None
    until_s: float | None = None
    cursor: str = ""
    limit: int = 50


class Page(Struct, frozen=True):
    """Some jobs, and where the next page begins; empty = there is none."""

    jobs: tuple[Job, ...]
    cursor: str = ""


class Work(Struct, frozen=True):
    """What a finished `Steps.make` says."""

    results: tuple[Result, ...]
    fetch_ms: float = 0.0
    make_ms: float = 0.0


class Delivered(Struct, frozen=True, tag=True):
    """The receiver said 2xx."""

    status: int


class Again(Struct, frozen=True, tag=True):
    """Not delivered; the attempt counts, and the schedule says when the next one is due."""

    reason: str
    status: int = 0


class Later(Struct, frozen=True, tag=True):
    """Not attempted, as this endpoint is busy or left alone; ask again after *after_s*. Does not count."""

    after_s: float


class Gone(Struct, frozen=True, tag=True):
    """The receiver wants no more (410), or may no longer be called at all."""

    reason: str
    status: int = 0


Outcome = Delivered | Again | Later | Gone


class Steps(Protocol):
    """The work itself: plain, idempotent, and knowing no engine."""

    async def make(self, job: Job, report: Report) -> Work:
        """Make and store every rendition of *job*; what ``job.results`` says is there, and is, is not made again.

        Cancelling it stops the work within a second.

        Raises:
            ImagemillError: the attempt failed; ``retryable`` says whether another makes sense.
        """
        ...

    async def deliver(self, delivery: Delivery, about: Job | Batch) -> Outcome:
        """Try once to tell *delivery*; never raises."""
        ...


class JobEngine(Protocol):
    """Jobs, as the service sees them. Whatever it accepts is durable when the call returns."""

    name: str

    async def start(self) -> None:
        """Open what is needed, or raise `SettingsError`."""
        ...

    async def close(self) -> None:
        """Let go of everything; jobs stay."""
        ...

    async def submit(self, job: Job, claim: Claim | None = None) -> Job:
        """Accept *job*, or give back the one that the same claim was accepted for.

        Raises:
            IdempotencyMismatch: the key was used with another body.
            QuotaExceeded: too many of this tenant's jobs wait.
        """
        ...

    async def claimed(self, tenant: str, claim: Claim) -> Job | None:
        """The job that was accepted for *claim*, if one was.

        Raises:
            IdempotencyMismatch: the key was used with another body.
        """
        ...

    async def read(self, job_id: str) -> Job | None:
        """The job now."""
        ...

    async def wait(self, job_id: str, version: int, timeout_s: float) -> Job | None:
        """The job as soon as its version is above *version*, or as it is after *timeout_s*."""
        ...

    async def list(self, query: Query) -> Page:
        """Jobs, newest first. A cursor that is none of ours is a `BadOption`."""
        ...

    async def cancel(self, job_id: str) -> Job:
        """Cancel what is not over; work stops within a second. `JobFinished` where it is over, unless cancelled."""
        ...

    async def deliveries(self, job_id: str) -> tuple[Delivery, ...]:
        """What was and is owed to the receiver of a job or batch, oldest first."""
        ...

    async def redeliver(self, job_id: str) -> int:
        """Begin anew with every delivery of a job or batch that `notices.goes_again`; how many there are."""
        ...

    async def submit_batch(self, batch: Batch, specs: Sequence[JobSpec], claim: Claim | None = None) -> Batch:
        """Accept *batch* as one record; its jobs are made in pages afterwards."""
        ...

    async def read_batch(self, batch_id: str) -> Batch | None:
        """The batch now, with counts."""
        ...

    async def cancel_batch(self, batch_id: str) -> Batch:
        """Make no more jobs of it, and cancel those that are not over."""
        ...

    async def put_schedule(self, schedule: Schedule) -> Schedule:
        """Keep *schedule* in place of any of that name and tenant.

        Raises:
            BadOption: its times cannot be understood, or never come.
            LimitExceeded: its tenant has too many others.
        """
        ...

    async def schedules(self, tenant: str | None) -> tuple[Schedule, ...]:
        """All of a tenant's, or everyone's, by name."""
        ...

    async def drop_schedule(self, tenant: str, name: str) -> bool:
        """Forget it; whether there was one."""
        ...

    async def prune(self, before_s: float) -> int:
        """Forget what ended before *before_s*; how many jobs. `NotSupported` where the engine has its own retention."""
        ...

    async def counts(self) -> dict[tuple[str, int], int]:
        """State and priority to number of jobs, for metrics; dead deliveries count as state `DEAD_LETTER`."""
        ...


class Observed(Protocol):
    """Told of what happens, for metrics."""

    def stage(self, stage: str, seconds: float) -> None:
        """How long a job was in ``waiting`` (due to start), ``making`` or ``delivering``."""
        ...

    def job(self, state: State, priority: int) -> None:
        """A job's outcome stands."""
        ...

    def callback(self, outcome: str) -> None:
        """One attempt: ``delivered``, ``again``, ``gone``, ``dead`` or ``later``."""
        ...


def fault_of(code: str, message: str, *, retryable: bool) -> Fault:
    """A fault with bounded words."""
    return Fault(code, message[:300], retryable)
