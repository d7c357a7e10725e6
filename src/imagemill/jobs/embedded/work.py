"""One job while it is worked on.

Units    the deadline is wall time when the job is begun, and monotonic from then on.
Errors   none: what fails is written into the job.
"""

import asyncio
import random
import sqlite3
import time
from collections.abc import Callable
from functools import partial

from imagemill.jobs.base import Steps, fault_of
from imagemill.jobs.embedded import course, orders
from imagemill.jobs.embedded.database import Database
from imagemill.jobs.embedded.persistence import insist
from imagemill.jobs.embedded.rows import Kept
from imagemill.model.errors import DeadlinePassed, ImagemillError, Superseded
from imagemill.model.job import Fault, Result, State
from imagemill.obs.logs import Log

_log = Log("imagemill.jobs")
Ended = Callable[[Kept | None, float], None]
"""Told of how the job stands, or None where that is no matter of this process any more, and of how long it took."""


class Work:
    """*kept*, begun by the process of *epoch*."""

    def __init__(self, kept: Kept, db: Database, epoch: int, steps: Steps, clock: Callable[[], float]) -> None:
        self._job = kept.job
        self._db = db
        self._epoch = epoch
        self._steps = steps
        self._clock = clock
        self._concluding = False
        self._stopped = False
        self.task: asyncio.Task[None]

    @property
    def id(self) -> str:
        """Of the job."""
        return self._job.id

    @property
    def priority(self) -> int:
        """Of the job."""
        return self._job.spec.priority

    def begin(self, ended: Ended) -> None:
        """Work in a task of its own."""
        self.task = asyncio.get_running_loop().create_task(self._run(ended), name=f"job-{self.id}")

    def stop(self) -> None:
        """Stop the work, unless it is done and only being written down."""
        if not self._concluding and not self._stopped:
            self._stopped = True
            self.task.cancel()

    async def _run(self, ended: Ended) -> None:
        began_s = time.monotonic()
        kept: Kept | None = None
        try:
            kept = await self._conclude()
        except Superseded:
            _log.info("job_superseded", job=self.id)
        except Exception as e:  # noqa: BLE001 - the job is still this process's, which finds it without a task
            _log.failure("job_not_concluded", e, job=self.id)
        finally:
            ended(kept, time.monotonic() - began_s)

    async def _conclude(self) -> Kept:
        deadline = asyncio.timeout(self._left_s())
        try:
            async with deadline:
                made = await self._steps.make(self._job, self._report)
            step = partial(course.succeeded, work=made)
        except Superseded:
            raise
        except DeadlinePassed:  # the work has noticed it before this did
            step = partial(course.concluded, outcome=State.EXPIRED)
        except (Exception, asyncio.CancelledError) as e:
            if isinstance(e, asyncio.CancelledError) and _is_cancelled():
                raise
            chance = random.random()  # noqa: S311 - spreads load
            step = partial(course.failed, fault=_fault(e), chance=chance)
        if deadline.expired():
            step = partial(course.concluded, outcome=State.EXPIRED)
        self._concluding = True
        return await self._write(step)

    def _left_s(self) -> float | None:
        deadline_s = self._job.spec.deadline_s
        return None if deadline_s is None else max(0.0, deadline_s - self._clock())

    async def _report(self, result: Result) -> None:
        await self._write(partial(course.reported, result=result))

    async def _write(self, step: Callable[..., Kept]) -> Kept:
        now_s = self._clock()

        def change(db: sqlite3.Connection) -> Kept:
            before = orders.mine(db, self.id, self._epoch)
            return orders.change(db, before, step(before, now_s=now_s), now_s)

        return await insist(self._db, change)


def _is_cancelled() -> bool:
    """Whether it is this task that somebody cancels; work may also end so by itself, which is no way to end."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _fault(error: BaseException) -> Fault:
    if isinstance(error, ImagemillError):
        return fault_of(error.code, str(error), retryable=error.retryable)
    _log.failure("job_broke", error)
    # What nobody foresaw may pass: it is tried as often as the job allows.
    return fault_of(ImagemillError.code, "an unforeseen error; see the log", retryable=True)
