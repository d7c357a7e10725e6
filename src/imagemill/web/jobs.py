"""The job interface: who calls is judged first, then the use case is asked, then its answer is shown.

Bounded  bodies (`jobs.body_bytes`, `jobs.batch_bytes`), their sum over all callers, event streams, and time to answer.
Errors   every one a problem, also for whoever may not call; see `web.problems`.
Source   RFC 9110 for 202 and ``Location``; Idempotency-Key: the IETF draft of that name.
"""

import asyncio
import re
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from imagemill.jobs.tokens import Register
from imagemill.model.errors import BadRequest, LimitExceeded, Overloaded, ProcessingTimeout, ScopeMissing
from imagemill.model.job import OVER, Job
from imagemill.model.token import Scope
from imagemill.service.jobs import Jobs, Who
from imagemill.settings import Settings
from imagemill.web.callers import judge
from imagemill.web.problems import Reply, Stream
from imagemill.web.queries import before_of, query_of
from imagemill.web.request import Call, read_body
from imagemill.web.routes import Receive, Route
from imagemill.web.stream import Streams
from imagemill.web.views import batch_view, delivery_view, job_view, page_view, schedule_view

T = TypeVar("T")
Handler = Callable[[Call, Receive, Who], Awaitable[Reply | Stream | None]]

BODIES_AT_A_TIME = 4
"""So many bodies of `jobs.batch_bytes` are held at a time, or as much in smaller ones; half of them for one tenant."""
_KEY = re.compile(rb"[!-~](?:[ -~]{0,253}[!-~])?")
_MAX_DIGITS = 18
_HEADERS = (
    (b"content-type", b"application/json"),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
)


class Entry(Struct, frozen=True):
    """A method, a path, the scope it wants, and who answers."""

    method: str
    path: str
    scope: Scope
    handler: Handler


class JobPort:
    """The handlers, and what they share."""

    def __init__(self, jobs: Jobs, tokens: Callable[[], Register], settings: Settings) -> None:
        self._jobs = jobs
        self._tokens = tokens
        self._settings = settings.jobs
        self._timeout_s = settings.server.request_timeout_s
        self._held_bytes: Counter[str] = Counter()
        own = settings.jobs
        self.streams = Streams(own.watchers, min(own.watchers, own.tenant_watchers))

    def table(self) -> tuple[Entry, ...]:
        """All that is answered, and what a caller must be allowed for it."""
        submit, read, admin = Scope.SUBMIT, Scope.READ, Scope.ADMIN
        return (
            Entry("POST", "/jobs", submit, self._submit),
            Entry("GET", "/jobs", read, self._list),
            Entry("POST", "/jobs/batch", submit, self._submit_batch),
            Entry("POST", "/jobs/prune", admin, self._prune),
            Entry("GET", "/jobs/{id}", read, self._read),
            Entry("DELETE", "/jobs/{id}", submit, self._cancel),
            Entry("GET", "/jobs/{id}/events", read, self._events),
            Entry("GET", "/jobs/{id}/deliveries", read, self._deliveries),
            Entry("POST", "/jobs/{id}/retry", submit, self._retry),
            Entry("POST", "/jobs/{id}/redeliver", submit, self._redeliver),
            Entry("GET", "/batches/{id}", read, self._read_batch),
            Entry("DELETE", "/batches/{id}", submit, self._cancel_batch),
            Entry("GET", "/batches/{id}/deliveries", read, self._deliveries),
            Entry("POST", "/batches/{id}/redeliver", submit, self._redeliver),
            Entry("GET", "/schedules", read, self._schedules),
            Entry("GET", "/schedules/{name}", read, self._read_schedule),
            Entry("PUT", "/schedules/{name}", submit, self._put_schedule),
            Entry("DELETE", "/schedules/{name}", submit, self._drop_schedule),
            Entry("POST", "/schedules/{name}/pause", submit, self._pause_schedule),
            Entry("POST", "/schedules/{name}/resume", submit, self._resume_schedule),
        )

    def routes(self) -> tuple[Route, ...]:
        """The same, each with its caller judged before anything else is done."""
        return tuple(Route(e.method, e.path, self._judged(e.scope, e.handler)) for e in self.table())

    def _judged(self, scope: Scope, handler: Handler) -> Callable[[Call, Receive], Awaitable[Reply | Stream | None]]:
        async def judged(call: Call, receive: Receive) -> Reply | Stream | None:
            return await handler(call, receive, self._who(call, scope))

        return judged

    def _who(self, call: Call, scope: Scope) -> Who:
        caller = judge(call, self._tokens(), scope, time.time())
        call.caller = caller.name
        return Who(caller.tenant, caller.admin)

    # jobs

    async def _submit(self, call: Call, receive: Receive, who: Who) -> Reply | None:
        with self._holding(call, who, self._settings.body_bytes):
            body = await _json_body(call, receive, "jobs.body_bytes", self._settings.body_bytes)
            if body is None:
                return None
            job = await self._in_time(self._jobs.submit(who, body, idempotency_key(call)))
        return await self._shown(job, 202, located=True)

    async def _list(self, call: Call, _receive: Receive, who: Who) -> Reply:
        query = query_of(call.query, who.tenant, admin=who.admin)
        return _json(200, page_view(await self._in_time(self._jobs.list(who, query))))

    async def _read(self, call: Call, _receive: Receive, who: Who) -> Reply:
        return await self._shown(await self._in_time(self._jobs.read(who, call.parts[0])), 200)

    async def _cancel(self, call: Call, _receive: Receive, who: Who) -> Reply:
        job = await self._in_time(self._jobs.cancel(who, call.parts[0]))
        return await self._shown(job, 200 if job.state in OVER else 202)

    async def _retry(self, call: Call, _receive: Receive, who: Who) -> Reply:
        return await self._shown(await self._in_time(self._jobs.retry(who, call.parts[0])), 202, located=True)

    async def _redeliver(self, call: Call, _receive: Receive, who: Who) -> Reply:
        count = await self._in_time(self._jobs.redeliver(who, call.parts[0]))
        return _json(202, {"id": call.parts[0], "deliveries": count})

    async def _deliveries(self, call: Call, _receive: Receive, who: Who) -> Reply:
        found = await self._in_time(self._jobs.deliveries(who, call.parts[0]))
        return _json(200, {"deliveries": [delivery_view(delivery) for delivery in found]})

    async def _events(self, call: Call, _receive: Receive, who: Who) -> Reply | Stream:
        job = await self._in_time(self._jobs.read(who, call.parts[0]))
        last = last_event_id(call)

        def still() -> Who:
            now = self._who(call, Scope.READ)  # a token may be revoked or expire while its holder listens
            if now.tenant != who.tenant:
                raise ScopeMissing("this token is another tenant's by now")
            return now

        async def wait(version: int, timeout_s: float) -> Job:
            changed = await self._jobs.wait(still(), job.id, version, timeout_s)
            still()
            return changed

        async def show(changed: Job) -> bytes:
            return msgspec.json.encode(job_view(changed, await self._jobs.addresses(changed)))

        stream = self.streams.of(job, last, wait, show, reader=who.tenant)
        call.tier = "stream"
        return stream

    async def _prune(self, call: Call, receive: Receive, who: Who) -> Reply | None:
        body = await _json_body(call, receive, "jobs.body_bytes", self._settings.body_bytes)
        if body is None:
            return None
        return _json(200, {"pruned": await self._in_time(self._jobs.prune(who, before_of(body)))})

    # batches

    async def _submit_batch(self, call: Call, receive: Receive, who: Who) -> Reply | None:
        with self._holding(call, who, self._settings.batch_bytes):
            body = await _json_body(call, receive, "jobs.batch_bytes", self._settings.batch_bytes)
            if body is None:
                return None
            batch = await self._in_time(self._jobs.submit_batch(who, body, idempotency_key(call)))
        return _json(202, batch_view(batch), location=f"/batches/{batch.id}")

    async def _read_batch(self, call: Call, _receive: Receive, who: Who) -> Reply:
        return _json(200, batch_view(await self._in_time(self._jobs.read_batch(who, call.parts[0]))))

    async def _cancel_batch(self, call: Call, _receive: Receive, who: Who) -> Reply:
        return _json(202, batch_view(await self._in_time(self._jobs.cancel_batch(who, call.parts[0]))))

    # schedules

    async def _schedules(self, _call: Call, _receive: Receive, who: Who) -> Reply:
        found = await self._in_time(self._jobs.schedules(who))
        return _json(200, {"schedules": [schedule_view(schedule) for schedule in found]})

    async def _read_schedule(self, call: Call, _receive: Receive, who: Who) -> Reply:
        return _json(200, schedule_view(await self._in_time(self._jobs.read_schedule(who, call.parts[0]))))

    async def _put_schedule(self, call: Call, receive: Receive, who: Who) -> Reply | None:
        with self._holding(call, who, self._settings.body_bytes):
            body = await _json_body(call, receive, "jobs.body_bytes", self._settings.body_bytes)
            if body is None:
                return None
            schedule = await self._in_time(self._jobs.put_schedule(who, call.parts[0], body))
        return _json(200, schedule_view(schedule))

    async def _drop_schedule(self, call: Call, _receive: Receive, who: Who) -> Reply:
        await self._in_time(self._jobs.drop_schedule(who, call.parts[0]))
        return Reply(204, ((b"cache-control", b"no-store"),), b"")

    async def _pause_schedule(self, call: Call, _receive: Receive, who: Who) -> Reply:
        return await self._paused(call, who, paused=True)

    async def _resume_schedule(self, call: Call, _receive: Receive, who: Who) -> Reply:
        return await self._paused(call, who, paused=False)

    async def _paused(self, call: Call, who: Who, *, paused: bool) -> Reply:
        schedule = await self._in_time(self._jobs.pause_schedule(who, call.parts[0], paused=paused))
        return _json(200, schedule_view(schedule))

    # what they share

    async def _shown(self, job: Job, status: int, *, located: bool = False) -> Reply:
        view = job_view(job, await self._in_time(self._jobs.addresses(job)))
        return _json(status, view, location=f"/jobs/{job.id}" if located else "")

    async def _in_time(self, work: Awaitable[T]) -> T:
        try:
            async with asyncio.timeout(self._timeout_s):
                return await work
        except TimeoutError:
            raise ProcessingTimeout(f"no answer after {self._timeout_s:g} s; it may be done all the same") from None

    @contextmanager
    def _holding(self, call: Call, who: Who, most_bytes: int) -> Iterator[None]:
        """Make room for a body of *most_bytes*, or of what the call says, before any of it is read.

        A body may be sent slowly, so whoever fills half of the room leaves the other half to the other tenants.
        """
        length = call.header(b"content-length")
        size = min(int(length), most_bytes) if length.isdigit() else most_bytes
        room = BODIES_AT_A_TIME * self._settings.batch_bytes
        if self._held_bytes.total() + size > room or self._held_bytes[who.tenant] + size > room // 2:
            raise Overloaded("too many submissions are being read at a time")
        self._held_bytes[who.tenant] += size
        try:
            yield
        finally:
            self._held_bytes[who.tenant] -= size
            self._held_bytes += Counter()  # who holds none is forgotten


def body_limit(settings: Settings) -> Callable[[str, str], tuple[int, str] | None]:
    """Which bodies are kept, and up to how many bytes by which setting; for `web.connections.Connections`."""
    single = settings.jobs.body_bytes, "jobs.body_bytes"
    batch = settings.jobs.batch_bytes, "jobs.batch_bytes"

    def limit(method: str, path: str) -> tuple[int, str] | None:
        if method == "POST":
            return {"/jobs": single, "/jobs/prune": single, "/jobs/batch": batch}.get(path)
        return single if method == "PUT" and path.startswith("/schedules/") else None

    return limit


def idempotency_key(call: Call) -> str | None:
    """The ``Idempotency-Key``, 1 to 255 printable ASCII characters, if there is one."""
    given = [value for name, value in call.headers if name == b"idempotency-key"]
    if not given:
        return None
    if len(given) != 1 or not _KEY.fullmatch(given[0]):
        raise BadRequest("Idempotency-Key: one, of 1 to 255 printable ASCII characters")
    return given[0].decode()


def last_event_id(call: Call) -> int | None:
    """The version that a client of events has seen last; what is none of ours counts as none."""
    text = call.header(b"last-event-id")
    return int(text) if text.isdigit() and len(text) <= _MAX_DIGITS else None


async def _json_body(call: Call, receive: Receive, limit: str, most: int) -> bytes | None:
    """The body of a call that says it is JSON, which no page in a browser can without being allowed to."""
    media_type = call.header(b"content-type").partition(b";")[0].strip().lower()
    if media_type != b"application/json":
        raise BadRequest("Content-Type: application/json is wanted")
    try:
        return await read_body(receive, most)
    except BadRequest as e:
        raise LimitExceeded(limit, str(e)) from e


def _json(status: int, view: dict[str, Any], *, location: str = "") -> Reply:
    """A view for programs; metadata goes out byte by byte as it came in."""
    headers = (*_HEADERS, (b"location", location.encode())) if location else _HEADERS
    return Reply(status, headers, msgspec.json.encode(view))
