"""A job as server-sent events: how it is now, each time it changes, and how it ended; then the stream ends.

Form     ``event: job``, ``id:`` its version, ``data:`` its view on one line; a comment each 15 s where nothing happens.
Bounded  streams at a time, and of them those of one tenant. Each asks who its reader is before it waits and before it
         tells, and ends where that is nobody.
Source   HTML standard, section 9.2 (server-sent events): a client comes back by itself with ``Last-Event-ID``, until it
         is answered with 204.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from functools import partial

from imagemill.model.errors import Overloaded
from imagemill.model.job import TERMINAL, Job
from imagemill.web.problems import Reply, Stream

BEAT_S = 15.0
_SPACES = bytes.maketrans(b"\r\n", b"  ")
_COMMENT = b": keep-alive\n\n"
_AGAIN = b"retry: 2000\n\n"
_HEADERS = (
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
    (b"x-content-type-options", b"nosniff"),
)

Wait = Callable[[int, float], Awaitable[Job]]
"""The job once its version is above the one given, or as it is after so many seconds."""
Show = Callable[[Job], Awaitable[bytes]]
"""The view of a job, as JSON; the lines that metadata came in are joined, for a line's end would end the data."""


class Streams:
    """All event streams of one port."""

    def __init__(self, most: int, most_of_tenant: int | None = None, beat_s: float = BEAT_S) -> None:
        self._most = most
        self._most_of_tenant = most if most_of_tenant is None else most_of_tenant
        self._beat_s = beat_s
        self._ending = asyncio.Event()
        self._of_tenant: Counter[str] = Counter()
        self.open = 0

    def end(self) -> None:
        """End all of them now, and begin none: clients come back to whoever answers then."""
        self._ending.set()

    def of(self, job: Job, last_version: int | None, wait: Wait, show: Show, *, reader: str = "") -> Stream | Reply:
        """The stream of *job* for a client that has seen it up to *last_version*; 204 where it has seen the end.

        It takes one of the places of the tenant *reader*.

        Raises:
            Overloaded: too many are open, or the service is about to stop.
        """
        if job.state in TERMINAL and last_version is not None and last_version >= job.version:
            return Reply(204, ((b"cache-control", b"no-store"),), b"")
        full = self.open >= self._most or self._of_tenant[reader] >= self._most_of_tenant
        if self._ending.is_set() or full:
            raise Overloaded("no more event streams at a time; read the job instead", retry_after_s=5)
        self.open += 1
        self._of_tenant[reader] += 1
        return Stream(200, _HEADERS, self._pieces(job, last_version, wait, show), partial(self._closed, reader))

    def _closed(self, reader: str) -> None:
        self.open -= 1
        self._of_tenant[reader] -= 1
        self._of_tenant += Counter()  # who has none left is forgotten

    async def _pieces(self, job: Job, last_version: int | None, wait: Wait, show: Show) -> AsyncGenerator[bytes, None]:
        yield _AGAIN
        told = -1 if last_version is None or last_version > job.version else last_version
        while True:
            if job.version > told:
                told = job.version
                yield b"event: job\nid: %d\ndata: %b\n\n" % (told, _one_line(await show(job)))
            else:
                yield _COMMENT
            if job.state in TERMINAL:
                return
            changed = await self._next(wait(told, self._beat_s))
            if changed is None:
                return
            job = changed

    async def _next(self, waiting: Awaitable[Job]) -> Job | None:
        """What comes, or None once all streams are to end."""
        coming, ending = asyncio.ensure_future(waiting), asyncio.ensure_future(self._ending.wait())
        try:
            await asyncio.wait({coming, ending}, return_when=asyncio.FIRST_COMPLETED)
            return coming.result() if coming.done() else None
        finally:
            ending.cancel()
            coming.cancel()


def _one_line(view: bytes) -> bytes:
    """*view* on one line: within its strings JSON has no line's end as such, and between them it is a space."""
    return view.translate(_SPACES)
