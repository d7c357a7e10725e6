"""The public port: finds the handler of a request, turns errors into problems, writes one answer.

``/image``     a rendition, now
``/info``      what there is to be told of a picture
``/explain``   what ``/image`` would do (``/explain/info``: what ``/info`` would); only where URLs need no signature
``/jobs`` …    work that is called back about, where jobs are on: see `web.jobs`
anything else  404
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, MutableMapping
from contextlib import aclosing, suppress
from typing import Any

from imagemill.model.errors import MethodNotAllowed, NoRoute
from imagemill.obs.logs import redact
from imagemill.web.problems import Reply, Stream, problem
from imagemill.web.proxies import Proxies
from imagemill.web.request import Call, new_request_id, until_left
from imagemill.web.routes import Handler, Receive, Route, Routes
from imagemill.web.unsent import BODY

__all__ = ["App", "Finished", "Handler", "Receive"]

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
NO_PROXIES = Proxies()
Finished = Callable[[Call, Reply | None, float], None]
Introduced = Callable[[Call], Call]


class App:
    """An ASGI application: finds the handler, turns errors into problems, writes one reply, tells `finished`.

    *routes* are read, by GET and HEAD; *posts* change something, and take POST alone; *table* says it route by route.
    """

    def __init__(
        self,
        routes: Mapping[str, Handler],
        finished: Finished,
        begun: Callable[[], None] = lambda: None,
        *,
        posts: Mapping[str, Handler] | None = None,
        table: Iterable[Route] = (),
        proxies: Proxies = NO_PROXIES,
    ) -> None:
        read = [Route("GET", path, handler) for path, handler in routes.items()]
        changed = [Route("POST", path, handler) for path, handler in (posts or {}).items()]
        self._routes = Routes([*read, *changed, *table])
        self._finished = finished
        self._begun = begun
        self._proxies = proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        assert scope["type"] == "http"
        begun = time.perf_counter()
        self._begun()
        call = self.introduced(Call.of(scope, new_request_id()))
        reply: Reply | None = None
        try:
            answer = await self._reply(call, receive)
            if isinstance(answer, Stream):
                reply = Reply(answer.status, answer.headers, b"")
                await _stream(send, receive, answer, call)
            elif answer is not None:
                reply = answer
                scope[BODY] = reply.body
                await _write(send, reply, call)
        finally:
            self._finished(call, reply, time.perf_counter() - begun)

    def introduced(self, call: Call) -> Call:
        """*call* with what trusted proxies say of it."""
        call.asker = self._proxies.client(call.client, call.headers)
        call.request_id = self._proxies.request_id(call.client, call.headers) or call.request_id
        return call

    async def _reply(self, call: Call, receive: Receive) -> Reply | Stream | None:
        """What to answer; None where nobody is there any more."""
        allowed: tuple[str, ...] = ()
        try:
            resource = self._routes.find(call)
            if resource is None:
                raise NoRoute(f"no such path: {redact(call.target)[:80].partition('?')[0]}")
            allowed = resource.allowed
            handler = resource.handlers.get(call.method)
            if handler is None and call.method == "OPTIONS":
                return Reply(204, (_allow(allowed), (b"x-content-type-options", b"nosniff")), b"")
            if handler is None:
                raise MethodNotAllowed(f"one of {', '.join(allowed)}")
            return await handler(call, receive)
        except Exception as e:  # noqa: BLE001 - the edge: whatever happened becomes an answer
            call.error = e
            reply = problem(e, call.request_id)
            more = (_allow(allowed),) if isinstance(e, MethodNotAllowed) else ()
            return Reply(reply.status, (*reply.headers, *more, *call.sharing), reply.body)


def _allow(methods: tuple[str, ...]) -> tuple[bytes, bytes]:
    return b"allow", ", ".join(methods).encode()


def whole_headers(reply: Reply, request_id: str) -> list[tuple[bytes, bytes]]:
    """All headers that *reply* is sent with."""
    headers = [*reply.headers, (b"x-request-id", request_id.encode())]
    if reply.status not in {204, 304} and not any(name == b"content-length" for name, _ in headers):
        headers.append((b"content-length", b"%d" % len(reply.body)))
    return headers


async def _write(send: Send, reply: Reply, call: Call) -> None:
    headers = whole_headers(reply, call.request_id)
    body = b"" if call.method == "HEAD" or reply.status in {204, 304} else reply.body
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _stream(send: Send, receive: Receive, stream: Stream, call: Call) -> None:
    """Send piece after piece; what fails between two of them ends the answer, and is told in the log."""
    try:
        headers = [*stream.headers, (b"x-request-id", call.request_id.encode())]
        await send({"type": "http.response.start", "status": stream.status, "headers": headers})
        if call.method != "HEAD":
            await _while_there(_pump(send, stream, call), receive)
        await send({"type": "http.response.body", "body": b""})
    finally:
        stream.closed()


async def _pump(send: Send, stream: Stream, call: Call) -> None:
    try:
        async with aclosing(stream.pieces) as pieces:
            async for piece in pieces:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
                call.streamed_bytes += len(piece)
    except Exception as e:  # noqa: BLE001 - the head is out, so it cannot become a problem any more
        call.error = e


async def _while_there(pump: Coroutine[Any, Any, None], receive: Receive) -> None:
    """Run *pump* until it ends or the client has left."""
    tasks = {asyncio.create_task(pump), asyncio.create_task(until_left(receive))}
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task
