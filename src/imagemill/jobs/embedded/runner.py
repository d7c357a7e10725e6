"""The process that does the work: it begins what is due, writes down how far it is, and tells whoever wants to know.

Keys     one process for each directory (`lock`), and an epoch in every write, so that a process that was asleep while
         another took over finds that it is superseded, and changes nothing.
Units    what is due is so by the wall clock; how long running work may take is measured monotonically.
Errors   `SettingsError` at the start. Later none: what fails is written into the job, and what cannot be written is
         tried again until it can.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from imagemill.jobs.base import Observed, Steps
from imagemill.jobs.embedded import lock, turns, upkeep
from imagemill.jobs.embedded.database import Database
from imagemill.jobs.embedded.engine import quota_of
from imagemill.jobs.embedded.persistence import insist
from imagemill.jobs.embedded.postman import Postman
from imagemill.jobs.embedded.rows import Kept
from imagemill.jobs.embedded.schema import FILE
from imagemill.jobs.embedded.turns import Places
from imagemill.jobs.embedded.work import Work
from imagemill.model.errors import DependencyDown, QuotaExceeded, Superseded
from imagemill.model.job import URGENT
from imagemill.obs.logs import Log
from imagemill.settings import Callbacks
from imagemill.settings import Jobs as Settings

_SLICE = 200
_LONGEST_S = 1.0
"""The longest sleep: the wall clock may be set meanwhile, and nobody tells."""
_PRUNE_S = 60.0
_SCHEDULE_S = 5.0
"""How long schedules wait after one that found too many jobs waiting."""
_STOP_S = 2.0
"""How long work that is cancelled may take to notice at the end."""
_log = Log("imagemill.jobs")


class Runner:
    """The worker of the jobs below *directory*."""

    def __init__(
        self,
        settings: Settings,
        directory: Path,
        steps: Steps,
        observed: Observed,
        *,
        callbacks: Callbacks = Callbacks(),  # noqa: B008 - frozen
        lock_wait_s: float = 0.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._directory = directory
        self._steps = steps
        self._observed = observed
        self._callbacks = callbacks
        self._lock_wait_s = lock_wait_s
        self._clock = clock
        self._db = Database(directory / FILE)
        self._epoch = 0
        self._running: dict[str, Work] = {}
        self._served: dict[str, int] = {}
        self._turns = 0
        self._wake = asyncio.Event()
        self._schedules_from_s = 0.0

    @property
    def running(self) -> int:
        """Jobs that are worked on now."""
        return len(self._running)

    @property
    def working(self) -> bool:
        """Whether the directory is this process's, and jobs are taken from it."""
        return self._epoch > 0

    async def run(self, stop: asyncio.Event) -> None:
        """Work until *stop* is set, then let what runs finish for ``grace_s`` and give back the rest.

        Raises:
            SettingsError: the file cannot be used, or another process works on it.
        """
        async with lock.only_one(self._directory, self._lock_wait_s):
            await self._db.open()
            try:
                await self._begin()
                await self._work_until(stop)
            finally:
                await self._db.close()

    async def _begin(self) -> None:
        self._epoch = await insist(self._db, upkeep.begin_epoch)
        await self._recover()
        _log.info("jobs_started", epoch=self._epoch)

    async def _recover(self) -> None:
        recover = partial(
            upkeep.recover,
            epoch=self._epoch,
            at_work=frozenset(self._running),
            crashes=self._settings.crashes,
            now_s=self._clock(),
        )
        for kept in await insist(self._db, recover):
            _log.warning("job_recovered", job=kept.job.id, crashes=kept.crashes, state=kept.job.state)
            self._observe_outcome(kept)

    async def _work_until(self, stop: asyncio.Event) -> None:
        postman = Postman(self._db, self._epoch, self._steps, self._observed, self._callbacks, self._clock)
        post_wake = asyncio.Event()
        postman.freed = post_wake.set

        def heard() -> None:
            self._wake.set()
            post_wake.set()

        self._db.listen(heard)
        loops = [
            asyncio.create_task(_repeat(self._turn, self._wake), name="jobs-turns"),
            asyncio.create_task(_repeat(postman.turn, post_wake), name="jobs-post"),
            asyncio.create_task(self._prune_now_and_then(), name="jobs-prune"),
        ]
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait([stopping, *loops], return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._db.listen(None)
            for task in (stopping, *loops):
                task.cancel()
            ends = await asyncio.gather(*loops, return_exceptions=True)
            await asyncio.gather(self._give_back(), postman.close(self._settings.grace_s))
        for end in ends:
            if isinstance(end, Exception):
                raise end  # superseded: whoever works now does not want this process beside it

    async def _turn(self) -> float:
        """Do what is due, and begin what has a place; in how many seconds anything else is due."""
        agenda = await self._db.read(partial(upkeep.look, epoch=self._epoch))
        for work in self._running.values():
            if work.id not in agenda.running:
                work.stop()
        if not agenda.running <= self._running.keys():
            await self._recover()
        now_s = self._clock()
        more, broken = await self._keep_up(agenda, now_s)
        places = self._places()
        if places.urgent and (agenda.queued or more):
            await self._claim(places, now_s)
        if broken:
            raise broken[0]
        if more:
            return 0.0
        left_s = max(agenda.schedule_s - self._clock(), self._schedules_from_s - time.monotonic())
        return max(0.0, min(left_s, agenda.job_s - self._clock()))

    async def _keep_up(self, agenda: upkeep.Agenda, now_s: float) -> tuple[bool, list[BaseException]]:
        """Do what is left to do, all of it in one transaction; whether there may be more, and what went wrong."""
        epoch = self._epoch
        operations: list[Awaitable[object]] = []
        if agenda.job_s <= now_s:
            operations.append(self._db.write(partial(upkeep.promote, epoch=epoch, most=_SLICE, now_s=now_s)))
            operations.append(self._expire(now_s))
        if agenda.schedule_s <= now_s and time.monotonic() >= self._schedules_from_s:
            operations.append(self._fire(now_s))
        if agenda.pages:
            operations.append(self._db.write(partial(upkeep.make_page, epoch=epoch, now_s=now_s)))
        if agenda.cancelling:
            operations.append(self._db.write(partial(upkeep.go_on_cancelling, epoch=epoch, most=_SLICE, now_s=now_s)))
        done = await asyncio.gather(*operations, return_exceptions=True)
        broken = [end for end in done if isinstance(end, BaseException)]
        return any(bool(some) for some in done if some not in broken), broken

    async def _expire(self, now_s: float) -> int:
        expired = await self._db.write(partial(upkeep.expire, epoch=self._epoch, most=_SLICE, now_s=now_s))
        for kept in expired:
            self._observe_outcome(kept)
        return len(expired)

    async def _fire(self, now_s: float) -> str:
        quotas = partial(quota_of, self._settings)
        try:
            return await self._db.write(partial(upkeep.fire, epoch=self._epoch, quotas=quotas, now_s=now_s))
        except QuotaExceeded as e:
            self._schedules_from_s = time.monotonic() + _SCHEDULE_S
            _log.warning("schedule_waits", reason=str(e))
            return ""

    def _places(self) -> Places:
        free = self._settings.concurrency - len(self._running)
        ordinary = sum(work.priority < URGENT for work in self._running.values())
        return Places(ordinary=min(free, self._settings.concurrency - 1 - ordinary), urgent=free)

    async def _claim(self, places: Places, now_s: float) -> None:
        claim = partial(turns.claim, epoch=self._epoch, places=places, served=self._served, now_s=now_s)
        for kept in await self._db.write(claim):
            self._turns += 1
            self._served[kept.job.tenant] = self._turns
            self._observed.stage("waiting", max(0.0, now_s - kept.job.times.due_s))
            work = Work(kept, self._db, self._epoch, self._steps, self._clock)
            self._running[kept.job.id] = work
            work.begin(partial(self._ended, work))

    def _ended(self, work: Work, kept: Kept | None, making_s: float) -> None:
        del self._running[work.id]
        self._wake.set()
        if kept is not None:
            self._observed.stage("making", making_s)
            self._observe_outcome(kept)

    def _observe_outcome(self, kept: Kept) -> None:
        if kept.job.outcome is not None:
            self._observed.job(kept.job.outcome, kept.job.spec.priority)

    async def _give_back(self) -> None:
        """Wait for what runs; what is not done after ``grace_s`` is queued again, as if it had not been begun."""
        await _wait_for(self._running, self._settings.grace_s)
        for work in self._running.values():
            work.stop()
        await _wait_for(self._running, _STOP_S)
        try:
            # Also what was begun in the moment of the stop. What cannot be written now counts as a crash later.
            given_back = await self._db.write(partial(upkeep.give_back, epoch=self._epoch, now_s=self._clock()))
        except (DependencyDown, Superseded) as e:
            _log.error("jobs_not_given_back", reason=str(e))
        else:
            _log.info("jobs_stopped", given_back=given_back)

    async def _prune_now_and_then(self) -> None:
        while True:
            try:
                more = await self._prune()
            except DependencyDown as e:
                _log.error("jobs_file_down", reason=str(e))
                more = False
            self._forget_served()
            await asyncio.sleep(_LONGEST_S if more else _PRUNE_S)

    async def _prune(self) -> bool:
        now_s = self._clock()
        before_s = now_s - self._settings.keep_s
        jobs = await self._db.write(partial(upkeep.prune, before_s=before_s, most=_SLICE, now_s=now_s))
        batches = await self._db.write(partial(upkeep.prune_batches, before_s=before_s, most=_SLICE, now_s=now_s))
        return bool(jobs + batches)

    def _forget_served(self) -> None:
        """Who was served long ago counts as never served: few tenants are remembered."""
        self._served = {t: n for t, n in self._served.items() if n > self._turns - _SLICE}


async def _repeat(turn: Callable[[], Awaitable[float]], wake: asyncio.Event) -> None:
    """Take a turn whenever woken or anything is due; after one that fails, the next comes a second later.

    Raises:
        Superseded: another process works now.
    """
    while True:
        wake.clear()
        try:
            left_s = await turn()
        except Superseded:
            raise
        except DependencyDown as e:
            _log.error("jobs_file_down", reason=str(e))
            await asyncio.sleep(_LONGEST_S)
        except Exception as e:  # noqa: BLE001 - the others' jobs go on
            _log.failure("turn_broke", e)
            await asyncio.sleep(_LONGEST_S)
        else:
            await _sleep(wake, min(left_s, _LONGEST_S))


async def _sleep(wake: asyncio.Event, longest_s: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(longest_s):
            await wake.wait()


async def _wait_for(running: dict[str, Work], timeout_s: float) -> None:
    if running:
        await asyncio.wait([work.task for work in running.values()], timeout=timeout_s)
