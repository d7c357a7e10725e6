"""The HTTP protocol on the public port: uvicorn's, with limits on what a client may cost.

Bounded  connections, head, target, body, pipelined requests, time to send a head or a body, time without reading.
Errors   leave as problem bodies, like all others; the connection is closed after them.
Source   uvicorn 0.54's ``HttpToolsProtocol``; pinned, because this leans on its internals (tests/integration/web).
"""

import asyncio
import resource
import time
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from imagemill.model.errors import BadRequest, ImagemillError, Overloaded, TargetTooLong
from imagemill.settings import Server
from imagemill.web.problems import Reply, problem
from imagemill.web.request import new_request_id

MAX_BODY_BYTES = 64 * 1024
_MAX_PIPELINED = 32
_RESERVED_FILES = 256
_REASONS = {400: b"Bad Request", 414: b"URI Too Long", 503: b"Service Unavailable"}


class Connections:
    """What the connections of one port share: settings, counts, and whether the port is closing."""

    def __init__(self, settings: Server, refused: Callable[[str], None] = lambda _: None) -> None:
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.settings = settings
        self.most = max(8, min(settings.max_connections, soft - _RESERVED_FILES))
        self.open = 0
        self.draining = False
        self.refused = refused


def make_protocol(shared: Connections) -> type[HttpToolsProtocol]:
    """The protocol class whose connections share *shared*."""
    return type("Protocol", (BoundedProtocol,), {"shared": shared})


class BoundedProtocol(HttpToolsProtocol):
    """One connection."""

    shared: Connections

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._own = self.shared.settings
        self._counted = False
        self._head_bytes = 0
        self._in_head = True
        self._body_bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._unsent = 0

    # connections

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Count the connection, or refuse it."""
        super().connection_made(transport)
        if self.shared.open >= self.shared.most:
            self._refuse(Overloaded("too many connections"), "connections")
            return
        self._counted = True
        self.shared.open += 1
        self._expect_by(self._own.header_timeout_s)

    def connection_lost(self, exc: Exception | None) -> None:
        """Let everything of this connection go."""
        if self._counted:
            self._counted = False
            self.shared.open -= 1
        self._stop_timers()
        self._unset_keepalive_if_required()
        self.pipeline.clear()
        super().connection_lost(exc)

    # requests

    def data_received(self, data: bytes) -> None:
        """Feed the parser, within bounds."""
        if self.transport.is_closing() or self.parser is None:
            return
        if self._in_head:
            self._head_bytes += len(data)
        if self._timer is None:
            self._expect_by(self._own.header_timeout_s)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._in_head and self._head_bytes > self._own.max_head_bytes:
            self._refuse_head()
        elif len(self.pipeline) > _MAX_PIPELINED:
            self._refuse(BadRequest(f"more than {_MAX_PIPELINED} requests at once"), "pipelined")

    def on_message_begin(self) -> None:
        """A request begins."""
        self._in_head = True
        self._body_bytes = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Gather the target, as long as it may be one."""
        super().on_url(url)
        if len(self.url) > self._own.max_head_bytes:
            self._refuse_head()

    def on_headers_complete(self) -> None:
        """The head is here: hand the request on, unless its target is too long."""
        self._in_head = False
        self._head_bytes = 0
        if self.transport.is_closing():
            return
        if len(self.url) > self._own.max_target_bytes:
            self._refuse_head()
            return
        super().on_headers_complete()
        if self.shared.draining and self.cycle is not None:
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """No request here needs a body: a small one is read and dropped, a large one ends the connection."""
        self._body_bytes += len(body)
        if self._body_bytes > MAX_BODY_BYTES and not self.transport.is_closing():
            self._refuse(BadRequest(f"a body above {MAX_BODY_BYTES} bytes"), "body")

    def on_message_complete(self) -> None:
        """The request is here whole."""
        self._stop_timer()
        self._in_head = True
        self._head_bytes = 0
        if not self.transport.is_closing() and self.cycle is not None:
            super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP; uvicorn's words would be text."""
        self._refuse(BadRequest(msg), "malformed")

    # slow readers

    def pause_writing(self) -> None:
        """The client reads slower than we write: watch it."""
        super().pause_writing()
        self._watch_reader()

    def resume_writing(self) -> None:
        """It has caught up."""
        super().resume_writing()
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def _watch_reader(self) -> None:
        self._unsent = self.transport.get_write_buffer_size()
        self._write_timer = self.loop.call_later(self._own.write_timeout_s, self._check_reader)

    def _check_reader(self) -> None:
        self._write_timer = None
        if self.transport.is_closing() or self.transport.get_write_buffer_size() >= self._unsent:
            self.shared.refused("slow_reader")
            self.transport.abort()
        else:
            self._watch_reader()

    # refusals

    def _refuse_head(self) -> None:
        long = len(self.url) if hasattr(self, "url") else 0
        if long > self._own.max_target_bytes:
            self._refuse(TargetTooLong(f"target: {long} > {self._own.max_target_bytes} bytes"), "target")
        else:
            self._refuse(BadRequest(f"head: more than {self._own.max_head_bytes} bytes"), "head")

    def _refuse(self, error: ImagemillError, reason: str) -> None:
        """Answer where no request is being answered yet, and close."""
        self.shared.refused(reason)
        busy = self.cycle is not None and not self.cycle.response_complete
        if not busy:
            self.transport.write(_raw(problem(error, new_request_id())))
        self._stop_timers()
        self.transport.close()
        self.loop.call_later(1.0, self._abort_if_open)  # a client that does not read must not keep it half closed

    def _abort_if_open(self) -> None:
        if self._counted or self in self.connections:
            self.transport.abort()

    # time

    def _expect_by(self, seconds: float) -> None:
        self._stop_timer()
        self._timer = self.loop.call_later(seconds, self._too_slow)

    def _too_slow(self) -> None:
        self._timer = None
        self.shared.refused("slow_head")
        self.transport.close()
        self.loop.call_later(1.0, self._abort_if_open)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _stop_timers(self) -> None:
        self._stop_timer()
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None


def _raw(reply: Reply) -> bytes:
    """An answer as bytes, for where there is no request to answer it through."""
    date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime()).encode()
    head = [b"HTTP/1.1 %d %b" % (reply.status, _REASONS[reply.status]), b"date: " + date, b"connection: close"]
    head += [b"%b: %b" % pair for pair in reply.headers]
    head.append(b"content-length: %d" % len(reply.body))
    return b"\r\n".join(head) + b"\r\n\r\n" + reply.body
