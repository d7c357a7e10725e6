"""Keep N workers alive: hand over, keep the deadline by SIGKILL, replace, recycle, and remember what kills.

Memory   one sealed memfd a worker for the source, one for the output, mapped once and reused.
Errors   as `engines.base.Engine`; a worker that dies under a job costs one retry, then `ImageCorrupt`.
"""

import asyncio
import json
import logging
import os
import signal
import sys
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import aclosing, suppress

from msgspec import Struct

from imagemill.engines import wire
from imagemill.engines.base import NO_LAYERS, Layers, Made, Stages, Task
from imagemill.engines.blame import Blame
from imagemill.engines.process import Process, WorkerDied
from imagemill.engines.typefaces import Fonts, found
from imagemill.model import errors
from imagemill.model.errors import (
    DependencyDown,
    ImageCorrupt,
    ImagemillError,
    LimitExceeded,
    Overloaded,
    ProcessingTimeout,
    SettingsError,
    SourceTooLarge,
)
from imagemill.model.media import Rendition
from imagemill.settings import Engine as EngineSettings
from imagemill.settings import Limits, Text

log = logging.getLogger("imagemill.pool")

_MAX_UNLUCKY = 8
"""So many workers may be dead under a job before they took it; the next is held against its source."""
_MOST_LAYER = 100
_BACKOFF_S = (0.0, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
_BY_CODE = {
    kind.code: kind
    for kind in (
        errors.UnsupportedSourceType,
        errors.ImageCorrupt,
        errors.PageMissing,
        errors.BadOption,
        errors.BadRequest,
        errors.NotSupported,
    )
}


class Event(Struct, frozen=True):
    """Something to count: ``restart`` with its reason, ``crash``, or ``poison``."""

    name: str
    reason: str = ""


class Pool:
    """The engine, as the front sees it."""

    def __init__(
        self,
        settings: EngineSettings,
        limits: Limits,
        *,
        workers: int,
        entry: str = "imagemill.engines.worker:main",
        observe: Callable[[Event], None] = lambda _: None,
        fonts: Fonts | None = None,
    ) -> None:
        self._fonts = fonts or found(Text())
        self._settings = settings
        self._limits = limits
        self._entry = entry
        self._observe = observe
        self._idle: deque[Process] = deque()
        self._all: set[Process] = set()
        self._waiting: deque[asyncio.Future[Process]] = deque()
        self._tasks: set[asyncio.Task[object]] = set()
        self._ends: set[asyncio.Task[object]] = set()
        self._blame = Blame(settings.poison_s)
        self._short_lives = 0
        self._closing = False
        self.size = workers
        self.versions: dict[str, str] = {}

    @property
    def states(self) -> dict[str, int]:
        """How many workers are idle, busy and starting."""
        return {
            "idle": len(self._idle),
            "busy": len(self._all) - len(self._idle),
            "starting": self.size - len(self._all),
        }

    @property
    def alive(self) -> bool:
        """Whether any worker lives."""
        return bool(self._all)

    def pids(self) -> list[int]:
        """Process ids of the living workers."""
        return [process.pid for process in self._all]

    async def start(self) -> None:
        """Bring all workers up, or none: `SettingsError` with what the first of them said."""
        born = await asyncio.gather(*(self._spawn() for _ in range(self.size)), return_exceptions=True)
        if failed := [e for e in born if e is not None]:
            await self.close()
            raise failed[0]

    async def close(self) -> None:
        """End every worker and wait until it is gone; jobs under way, and waiting, end in `DependencyDown`."""
        self._closing = True
        for task in self._tasks:
            task.cancel()
        while self._waiting:
            if not (turn := self._waiting.popleft()).done():
                turn.set_exception(_stopping())
        self._idle.clear()
        for process in list(self._all):
            self._bury(process, "closed")
        while self._tasks or self._ends:
            await asyncio.gather(*self._tasks, *self._ends, return_exceptions=True)

    async def run(self, source: bytes, tasks: Sequence[Task], layers: Layers = NO_LAYERS) -> AsyncGenerator[Made, None]:
        """See `engines.base.Engine`."""
        self._check_sizes(source, layers)
        until = time.monotonic() + self._settings.deadline_s
        left, unlucky, killed = list(tasks), 0, 0
        await self._refuse_poison(source, left, layers)
        while left:
            try:
                async with aclosing(self._attempt(source, tuple(left), layers, until)) as results:
                    async for made in results:
                        left.pop(0)
                        yield made
                        until = time.monotonic() + self._settings.deadline_s
            except WorkerDied as death:
                if self._closing:
                    raise _stopping() from None
                self._observe(Event("crash"))
                unlucky += not death.of_job
                killed += death.killed
                # a first SIGKILL is more likely an operator's, or the kernel's for want of memory, than a decoder's
                guilty = death.of_job and (not death.killed or killed > 1)
                if guilty or unlucky > _MAX_UNLUCKY:
                    await self._blame.crashed(source, layers, death.layer)

    def _check_sizes(self, source: bytes, layers: Layers) -> None:
        if len(source) > self._limits.source_bytes:
            raise SourceTooLarge(f"source: {len(source)} > {self._limits.source_bytes} bytes")
        if (size := sum(map(len, layers.values()))) > self._limits.layer_bytes:
            raise LimitExceeded("layer_bytes", f"layers: {size} > {self._limits.layer_bytes} bytes in all")

    async def _refuse_poison(self, source: bytes, tasks: Sequence[Task], layers: Layers) -> None:
        try:
            await self._blame.refuse(source, tasks, layers)
        except ImagemillError:
            self._observe(Event("poison"))
            raise

    async def _attempt(
        self, source: bytes, tasks: tuple[Task, ...], layers: Layers, until: float
    ) -> AsyncGenerator[Made, None]:
        """One pass over *tasks* on one worker, which is given back, or buried, whatever happens."""
        begun = time.monotonic()
        process = await self._take_living(until)
        after, finished = "cancelled", True
        try:
            waited = time.monotonic() - begun
            await self._refuse_poison(source, tasks, layers)  # the same bomb may have gone off while this one waited
            finished = not process.offer(source, tasks, layers)
            handed = time.monotonic() - begun - waited
            for n in range(len(tasks)):
                rendition, done = await self._answer(process, until)
                if n + 1 == len(tasks):
                    finished = True
                else:
                    process.proceed()
                yield Made(
                    rendition,
                    Stages(waited * 1e3, handed * 1e3, done.probe_ms, done.render_ms, done.cpu_ms),
                )
                waited = handed = 0.0
                until = time.monotonic() + self._settings.deadline_s
        except TimeoutError:
            after, finished = "deadline", False
            if process.job_cpu_s() > self._settings.deadline_s / 2:  # busy, and not kept waiting for a core
                await self._blame.overdue(source, tasks, layers)
            raise ProcessingTimeout(f"not done after {self._settings.deadline_s:g} s") from None
        except WorkerDied as death:
            after, finished = "crash", False
            death.of_job, death.layer = process.taken, process.layer
            process.kill()
            code = await process.gone()
            death.killed = death.silent and code == -signal.SIGKILL
            if code == -signal.SIGXCPU:
                after = "deadline"
                await self._blame.overdue(source, tasks, layers)
                raise ProcessingTimeout(f"more than {self._limits.cpu_s:g} s of CPU") from None
            raise
        except (ImageCorrupt, LimitExceeded, errors.PageMissing, errors.UnsupportedSourceType, errors.BadRequest):
            finished = True
            raise
        finally:
            self._return(process, after="" if finished else after)

    async def _answer(self, process: Process, until: float) -> tuple[Rendition, wire.Done]:
        async with asyncio.timeout(until - time.monotonic()):
            message = await process.answer()
        if isinstance(message, wire.Failed):
            raise _ours(message)
        if not isinstance(message, wire.Done):
            raise WorkerDied
        body = process.output(message.length)
        return Rendition(
            body, message.format, message.etag, message.width_px, message.height_px, message.frames, message.quality
        ), message

    async def _take_living(self, until: float) -> Process:
        """As `_take`; one that was ended from outside while idle is nobody's fault."""
        while (process := await self._take(until)).dead:
            self._observe(Event("crash"))
            self._bury(process, "crash")
        return process

    async def _take(self, until: float) -> Process:
        """An idle worker, first come first served, or `Overloaded`: that none came says nothing of the work."""
        if self._closing:
            raise _stopping()
        if self._idle and not self._waiting:
            return self._idle.popleft()
        turn: asyncio.Future[Process] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout(until - time.monotonic()):
                return await turn
        except TimeoutError:
            self._give_up(turn)
            raise Overloaded("no worker came free in time") from None
        except asyncio.CancelledError:
            self._give_up(turn)
            raise

    def _give_up(self, turn: asyncio.Future[Process]) -> None:
        """Leave the queue, or hand on the worker that came a moment too late."""
        with suppress(ValueError):
            self._waiting.remove(turn)
        if turn.done() and not turn.cancelled() and turn.exception() is None:
            self._settle(turn.result())

    def _return(self, process: Process, after: str) -> None:
        """Take a worker back: at once when its job is finished, else when it is known to be free or dead."""
        if after == "cancelled":
            self._background(self._abandon(process))
        elif after:
            self._bury(process, after)
        else:
            self._settle(process)

    async def _abandon(self, process: Process) -> None:
        """Let a job that nobody wants end by itself for a moment; then end it."""
        try:
            async with asyncio.timeout(self._settings.cancel_grace_s):
                message = await process.answer()
            last = isinstance(message, wire.Failed) or process.last_of_job
        except (TimeoutError, WorkerDied):
            last = False
        if last:
            self._settle(process)
        else:
            self._bury(process, "cancelled")

    def _settle(self, process: Process) -> None:
        """Give a worker that has nothing to do to whoever waits, or let it rest, or replace it."""
        self._short_lives = 0 if process.jobs else self._short_lives
        used_up = process.jobs >= self._settings.max_jobs or process.private_bytes > self._settings.max_rss_bytes
        if used_up or self._closing or process not in self._all or process.dead:
            self._bury(process, "recycled")
            return
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(process)
                return
        self._idle.append(process)
        process.watch(lambda: self._died_idle(process))

    def _died_idle(self, process: Process) -> None:
        if process in self._idle:
            self._idle.remove(process)
            self._short_lives += not process.jobs
            self._observe(Event("crash"))
            self._bury(process, "crash")

    def _bury(self, process: Process, reason: str) -> None:
        process.kill()
        self._background(process.gone(), self._ends)
        if process in self._all:
            self._all.discard(process)
            if not self._closing:
                self._observe(Event("restart", reason))
                self._background(self._refill())

    async def _refill(self) -> None:
        """Bring one worker up, more and more patiently while they die before their first job."""
        while not self._closing:
            await asyncio.sleep(_BACKOFF_S[min(self._short_lives, len(_BACKOFF_S) - 1)])
            try:
                await self._spawn()
            except (SettingsError, OSError) as e:
                self._short_lives += 1
                fields = {"reason": str(e), "try": self._short_lives}
                log.error("worker did not start", extra={"fields": fields})  # noqa: TRY400 - its last word says more
            else:
                return

    async def _spawn(self) -> None:
        setup = wire.Setup(
            self._limits,
            self._settings,
            os.getpid(),
            source_area=self._limits.source_bytes + self._limits.layer_bytes,
            output_area=self._limits.output_bytes,
            fonts=self._fonts,
        )
        process = Process.spawn(boot_line(self._entry), setup)
        try:
            self.versions = (await process.ready()).versions
        except BaseException:
            process.kill()
            await process.gone()
            raise
        self._all.add(process)
        self._settle(process)

    def _background(self, work: Coroutine[None, None, object], kept: set[asyncio.Task[object]] | None = None) -> None:
        """Run *work*; on `close` it is waited for where it is *kept* with the ends, else cancelled."""
        tasks = self._tasks if kept is None else kept
        task: asyncio.Task[object] = asyncio.get_running_loop().create_task(work)
        tasks.add(task)
        task.add_done_callback(tasks.discard)


def _stopping() -> DependencyDown:
    return DependencyDown("the engine is stopping")


def boot_line(entry: str) -> list[str]:
    """The command that starts a worker with the module search path of this process."""
    module, _, function = entry.partition(":")
    paths = json.dumps([p for p in sys.path if p])
    program = (
        f"import sys, json; sys.path[:] = json.loads(sys.argv[1]); from {module} import {function}; "
        f"{function}(*map(int, sys.argv[2:]))"
    )
    return [sys.executable, "-E", "-P", "-s", "-c", program, paths]


def _ours(message: wire.Failed) -> errors.ImagemillError:
    error: errors.ImagemillError
    if message.code == LimitExceeded.code:
        error = LimitExceeded(message.limit[:40], message.message)
    else:
        error = _BY_CODE.get(message.code, ImageCorrupt)(message.message)
    error.layer = message.layer[:_MOST_LAYER]
    return error
