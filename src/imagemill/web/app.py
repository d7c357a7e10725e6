"""The public port: its routes, in one screen.

``/image``     a rendition, now
``/explain``   what ``/image`` would do; only where URLs need no signature
anything else  404
"""

import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from imagemill.model.errors import MethodNotAllowed, NoRoute
from imagemill.obs.logs import redact
from imagemill.web.problems import Reply, problem
from imagemill.web.request import Call, new_request_id
from imagemill.web.unsent import BODY

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Handler = Callable[[Call, Receive], Awaitable[Reply | None]]
Finished = Callable[[Call, Reply | None, float], None]

METHODS: tuple[str, ...] = ("GET", "HEAD", "OPTIONS")
POST_METHODS: tuple[str, ...] = ("POST", "OPTIONS")


class App:
    """An ASGI application: finds the handler, turns errors into problems, writes one reply, tells `finished`.

    *routes* are read, by GET and HEAD; *posts* change something, and take POST alone.
    """

    def __init__(
        self,
        routes: Mapping[str, Handler],
        finished: Finished,
        begun: Callable[[], None] = lambda: None,
        *,
        posts: Mapping[str, Handler] | None = None,
    ) -> None:
        self._routes = {path: (METHODS, handler) for path, handler in routes.items()}
        self._routes |= {path: (POST_METHODS, handler) for path, handler in (posts or {}).items()}
        self._finished = finished
        self._begun = begun

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        assert scope["type"] == "http"
        begun = time.perf_counter()
        self._begun()
        call = Call.of(scope, new_request_id())
        reply: Reply | None = None
        try:
            reply = await self._reply(call, receive)
            if reply is not None:
                scope[BODY] = reply.body
                await _write(send, reply, call)
        finally:
            self._finished(call, reply, time.perf_counter() - begun)

    async def _reply(self, call: Call, receive: Receive) -> Reply | None:
        """What to answer; None where nobody is there any more."""
        allowed = METHODS
        try:
            allowed, handler = self._route(call)
            if call.method == "OPTIONS":
                return Reply(204, (_allow(allowed), (b"x-content-type-options", b"nosniff")), b"")
            if call.method not in allowed:
                raise MethodNotAllowed(f"one of {', '.join(allowed)}")
            return await handler(call, receive)
        except Exception as e:  # noqa: BLE001 - the edge: whatever happened becomes an answer
            call.error = e
            reply = problem(e, call.request_id)
            if isinstance(e, MethodNotAllowed):
                reply = Reply(reply.status, (*reply.headers, _allow(allowed)), reply.body)
            return reply

    def _route(self, call: Call) -> tuple[tuple[str, ...], Handler]:
        """The methods and the handler of a call's path."""
        found = self._routes.get(call.path)
        if found is None:
            raise NoRoute(f"no such path: {redact(call.target)[:80].partition('?')[0]}")
        return found


def _allow(methods: tuple[str, ...]) -> tuple[bytes, bytes]:
    return b"allow", ", ".join(methods).encode()


async def _write(send: Send, reply: Reply, call: Call) -> None:
    headers = [*reply.headers, (b"x-request-id", call.request_id.encode())]
    if reply.status not in {204, 304} and not any(name == b"content-length" for name, _ in headers):
        headers.append((b"content-length", b"%d" % len(reply.body)))
    body = b"" if call.method == "HEAD" or reply.status in {204, 304} else reply.body
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
