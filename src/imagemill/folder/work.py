"""Render the pictures of a folder: as many at a time as there are workers, a few more read and written beside them.

Memory   the sources and renditions of `lanes` pictures, however many there are in the folder.
Errors   none but the caller's cancellation: a picture that fails is counted, and the next one is done. Where nothing
         more can be written (a full or read-only disk), the run stops and its report says so.
"""

import asyncio
import errno
from collections.abc import Callable, Iterator
from contextlib import aclosing
from itertools import islice
from pathlib import Path

from msgspec import Struct

from imagemill.engines.base import NO_LAYERS, Engine, Layers, Task
from imagemill.folder.candidates import Candidate, Finding, Kept, NotPicture, read
from imagemill.folder.place import Misplaced, Place
from imagemill.folder.report import Failure, Report
from imagemill.folder.tree import Hidden, Link
from imagemill.model.errors import ImageCorrupt, ImagemillError
from imagemill.model.media import Rendition

_AT_ONCE = 64
"""Findings looked for in one turn of a thread: enough that its price does not count, few enough to be interrupted."""
_HOPELESS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})


class _Stopped(Exception):
    """Nothing more can be written."""


class Order(Struct, frozen=True):
    """What is wanted of every picture."""

    root: Path
    task: Task
    most_bytes: int
    """Of a source."""
    over: bool = False
    """Whether what is there is replaced."""
    layers: Layers = NO_LAYERS
    """What is laid over each of them."""


class FolderRun:
    """One run over one folder."""

    def __init__(
        self,
        engine: Engine,
        place: Place,
        order: Order,
        report: Report,
        *,
        workers: int,
        tell: Callable[[Failure | NotPicture], None] = lambda _: None,
    ) -> None:
        self._engine = engine
        self._place = place
        self._order = order
        self._report = report
        self._tell = tell
        self._slots = asyncio.Semaphore(workers)
        self._lanes = 2 * workers + 1
        self._queue: asyncio.Queue[Candidate | None] = asyncio.Queue(self._lanes)

    async def run(self, findings: Iterator[Finding]) -> None:
        """Do all that *findings* give."""
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._lanes):
                    group.create_task(self._lane())
                await self._feed(findings)
        except* _Stopped as stopped:
            self._report.stopped = str(stopped.exceptions[0])

    async def _feed(self, findings: Iterator[Finding]) -> None:
        while some := await asyncio.to_thread(lambda: list(islice(findings, _AT_ONCE))):
            for one in some:
                if isinstance(one, Candidate):
                    await self._queue.put(one)
                else:
                    self._count(one)
        for _ in range(self._lanes):
            await self._queue.put(None)

    def _count(self, finding: Kept | NotPicture | Link | Hidden | Failure) -> None:
        match finding:
            case Kept():
                self._report.kept += 1
            case NotPicture():
                self._report.not_pictures += 1
                self._tell(finding)
            case Link():
                self._report.links += 1
            case Hidden():
                self._report.hidden += 1
            case Failure():
                self._report.fail(finding)
                self._tell(finding)

    async def _lane(self) -> None:
        while candidate := await self._queue.get():
            try:
                await self._one(candidate)
            except ImagemillError as e:
                self._count(Failure(candidate.shown, e.code, str(e)))

    async def _one(self, candidate: Candidate) -> None:
        path = self._order.root.joinpath(*candidate.parts, candidate.name)
        try:
            source = await asyncio.to_thread(read, path, self._order.most_bytes)
        except OSError as e:
            self._count(Failure(candidate.shown, "unreadable", e.strerror or str(e)))
            return
        async with self._slots:  # or a picture would wait within its own deadline
            made = await self._made(source)
        try:
            placed = await asyncio.to_thread(
                self._place.put, candidate.parts, candidate.out, made.body, over=self._order.over
            )
        except Misplaced as e:
            self._count(Failure(candidate.shown, "not_written", str(e)))
        except OSError as e:
            self._count(Failure(candidate.shown, "not_written", e.strerror or str(e)))
            if e.errno in _HOPELESS:
                raise _Stopped(e.strerror or str(e)) from e
        else:
            self._counted(len(source), len(made.body), placed=placed)

    def _counted(self, bytes_in: int, bytes_out: int, *, placed: bool) -> None:
        if placed:
            self._report.made += 1
            self._report.bytes_in += bytes_in
            self._report.bytes_out += bytes_out
        else:  # somebody else wrote it meanwhile
            self._report.kept += 1

    async def _made(self, source: bytes) -> Rendition:
        async with aclosing(self._engine.run(source, [self._order.task], self._order.layers)) as results:
            async for made in results:
                return made.rendition
        raise ImageCorrupt("nothing came of it")
