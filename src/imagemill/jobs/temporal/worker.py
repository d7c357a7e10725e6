"""The side that works: takes attempts and deliveries from Temporal and hands them to `Steps`.

Five queues, so that nothing waits for something else's place: workflows, urgent, small and large work, callbacks.

Units    seconds.
Errors   an `ImagemillError` of an attempt goes back as an `ApplicationError` whose type is its code.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

from msgspec.structs import replace
from temporalio import activity
from temporalio.client import Client, WorkflowHandle
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from imagemill.jobs.base import Again, Delivered, Gone, Later, Observed, Outcome, Steps, Work
from imagemill.jobs.retry import delivery_delay_s
from imagemill.jobs.temporal import names
from imagemill.jobs.temporal.batch import JobBatch, ScheduledJobs
from imagemill.jobs.temporal.connection import connect, ensure_attributes
from imagemill.jobs.temporal.delivering import Delivering
from imagemill.jobs.temporal.orders import WORKER_STOPPED, Attempt, Begun, Letter, Reported, Settled
from imagemill.jobs.temporal.workflow import ImageJob
from imagemill.model.errors import DependencyDown, ImagemillError, Superseded
from imagemill.model.job import FINAL, Delivery, Result, State
from imagemill.obs.logs import Log
from imagemill.settings import Settings

_log = Log("imagemill.jobs")

WORKFLOWS: tuple[type, ...] = (ImageJob, Delivering, JobBatch, ScheduledJobs)
SANDBOX = SandboxedWorkflowRunner(
    restrictions=SandboxRestrictions.default.with_passthrough_modules("imagemill", "msgspec")
)
"""Our modules are pure and frozen values; importing them anew for each workflow would cost and win nothing."""
_BEAT_S = 0.25
_THROTTLE = timedelta(seconds=0.4)
"""Heartbeats are how an attempt hears that it is cancelled, and that is promised within a second."""
_BEATS_A_SILENCE = 3
_POLLS = 2
_RECONNECT_S = 1.0
_LINGER_S = 0.5
_STICKY = timedelta(seconds=2)
"""A dead worker's workflows are continued elsewhere so long after they were to be continued there."""
_LARGE_SHARE = 4
_URGENT_PLACES = 1
_AWAY = frozenset({RPCStatusCode.UNAVAILABLE, RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED})


class TemporalRunner:
    """The process that does what Temporal hands out."""

    def __init__(self, settings: Settings, steps: Steps, observed: Observed) -> None:
        self._settings = settings
        self._steps = steps
        self._observed = observed
        self.working = False
        """Whether Temporal is there, and asked for work."""

    async def run(self, stop: asyncio.Event) -> None:
        """Work until *stop*; then let running attempts end within ``jobs.grace_s``, or go back uncounted."""
        client = await self._connected(stop)
        if client is None:
            return
        workers = self._workers(client)
        running = [asyncio.create_task(worker.run()) for worker in workers]
        self.working = True
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait([stopping, *running], return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.working = False
            stopping.cancel()
            await self._ended(workers, running)

    async def _connected(self, stop: asyncio.Event) -> Client | None:
        """A client of a service that answers; None where *stop* came first."""
        while not stop.is_set():
            try:
                client = await connect(self._settings.temporal)
                await ensure_attributes(client)
            except DependencyDown as e:
                _log.warning("temporal_down", reason=str(e))
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), _RECONNECT_S)
            else:
                return client
        return None

    async def _ended(self, workers: list[Worker], running: list[asyncio.Task[None]]) -> None:
        """End all workers; that of the workflows last, so that what is given back is heard of."""
        workflows, *others = zip(workers, running, strict=True)
        await asyncio.gather(*(_shut(worker, run) for worker, run in others))
        await asyncio.sleep(_LINGER_S)
        await _shut(*workflows)
        ends = await asyncio.gather(*running, return_exceptions=True)
        for end in ends:
            if isinstance(end, Exception):
                raise end

    def _workers(self, client: Client) -> list[Worker]:
        jobs, prefix = self._settings.jobs, self._settings.temporal.task_queue
        done = Activities(client, self._steps, self._observed)
        large = max(1, jobs.concurrency // _LARGE_SHARE)
        places = (
            (names.urgent_queue(prefix), _URGENT_PLACES, done.make, _THROTTLE),
            (names.small_queue(prefix), max(1, jobs.concurrency - large - _URGENT_PLACES), done.make, _THROTTLE),
            (names.large_queue(prefix), large, done.make, _THROTTLE),
            # nobody cancels a delivery, and there may be many: they only say that they live
            (names.deliver_queue(prefix), self._settings.callbacks.total, done.deliver, self._seldom()),
        )
        workflows = Worker(
            client,
            task_queue=prefix,
            workflows=WORKFLOWS,
            activities=[done.settled],
            workflow_runner=SANDBOX,
            sticky_queue_schedule_to_start_timeout=_STICKY,
            no_remote_activities=True,
        )
        return [workflows] + [
            Worker(
                client,
                task_queue=queue,
                activities=[work],
                max_concurrent_activities=most,
                max_concurrent_activity_task_polls=min(most, _POLLS),
                graceful_shutdown_timeout=timedelta(seconds=jobs.grace_s),
                max_heartbeat_throttle_interval=throttle,
                default_heartbeat_throttle_interval=throttle,
            )
            for queue, most, work, throttle in places
        ]

    def _seldom(self) -> timedelta:
        return timedelta(seconds=self._settings.temporal.heartbeat_s / _BEATS_A_SILENCE)


async def _shut(worker: Worker, run: asyncio.Task[None]) -> None:
    if not run.done():
        with suppress(Exception):  # what ends a worker is told by its run
            await worker.shutdown()


class Activities:
    """`Steps` as Temporal calls them."""

    def __init__(self, client: Client, steps: Steps, observed: Observed) -> None:
        self._client = client
        self._steps = steps
        self._observed = observed

    @activity.defn(name="make")
    async def make(self, attempt: Attempt) -> Work:
        """One attempt at a job; what it reports is durable, and an attempt that was given up is not heard."""
        info = activity.info()
        assert info.workflow_id is not None
        handle = self._client.get_workflow_handle(info.workflow_id, run_id=info.workflow_run_id)
        started_s = time.time()
        self._observed.stage("waiting", max(0.0, started_s - attempt.job.times.due_s))
        job = attempt.job
        times = replace(job.times, started_s=started_s)
        job = replace(job, state=State.RUNNING, attempts=job.attempts + 1, times=times)
        async with _beating():

            async def report(result: Result) -> None:
                await _tell(handle, "reported", Reported(attempt.number, result))

            with _as_theirs():
                await _tell(handle, "begun", Begun(attempt.number, started_s))
                work = await self._steps.make(job, report)
        self._observed.stage("making", time.time() - started_s)
        return work

    @activity.defn(name="deliver")
    async def deliver(self, letter: Letter) -> Outcome:
        """One attempt at a delivery."""
        about = letter.job or letter.batch
        assert about is not None
        async with _beating():
            outcome = await self._steps.deliver(letter.delivery, about)
        told = _told(letter.delivery, outcome)
        self._observed.callback(told)
        if letter.delivery.event in FINAL and told not in {"again", "later"}:
            self._observed.stage("delivering", max(0.0, time.time() - letter.delivery.made_s))
        return outcome

    @activity.defn(name="settled")
    async def settled(self, settled: Settled) -> None:
        """Count an outcome."""
        self._observed.job(settled.state, settled.priority)


@asynccontextmanager
async def _beating() -> AsyncIterator[None]:
    """Say that we live, as long as the block runs."""
    beats = asyncio.create_task(_beat())
    try:
        yield
    finally:
        beats.cancel()


async def _beat() -> None:
    while True:
        activity.heartbeat()
        await asyncio.sleep(_BEAT_S)


async def _tell(handle: WorkflowHandle[object, object], signal: str, value: Begun | Reported) -> None:
    """Durable when it returns; while the service is away it waits, as the work is not lost by that."""
    while True:
        try:
            await handle.signal(signal, value)
        except RPCError as e:
            if e.status is RPCStatusCode.NOT_FOUND:
                raise Superseded("its workflow is over") from e
            if e.status not in _AWAY:
                raise DependencyDown(f"temporal: {e.status.name.lower()}") from e
            await asyncio.sleep(_RECONNECT_S)
        else:
            return


class _as_theirs:  # noqa: N801 - reads as the verb it is
    """Tell Temporal of a failure in its own words: the code as type, and whether another attempt makes sense.

    Benign, as a job that fails is no fault of the worker's; without a cause, as histories are read by many.
    """

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        details = activity.cancellation_details()
        if isinstance(error, asyncio.CancelledError) and details is not None:
            raise _failure("the attempt was stopped", _stopped_by(details)) from None
        if isinstance(error, ImagemillError):
            raise _failure(str(error)[:300], error.code, retryable=error.retryable) from None
        if isinstance(error, Exception | asyncio.CancelledError):
            _log.failure("job_broke", error)
            # What nobody foresaw may pass: it is tried as often as the job allows.
            raise _failure("an unforeseen error; see the log", ImagemillError.code, retryable=True) from None


def _failure(message: str, code: str, *, retryable: bool = False) -> ApplicationError:
    benign = ApplicationErrorCategory.BENIGN
    return ApplicationError(message, type=code, non_retryable=not retryable, category=benign)


def _stopped_by(details: activity.ActivityCancellationDetails) -> str:
    """Whether the workflow has given the attempt up, or the worker or an operator wants it to be made elsewhere."""
    given_up = details.cancel_requested or details.not_found or details.timed_out
    return "cancelled" if given_up else WORKER_STOPPED


def _told(delivery: Delivery, outcome: Outcome) -> str:
    match outcome:
        case Delivered():
            return "delivered"
        case Gone():
            return "gone"
        case Later():
            return "later"
        case Again():
            next_s = delivery_delay_s(delivery.attempts + 1, delivery.event, 0.0)
            return "again" if next_s is not None else "dead"
