"""The HTTP protocol of both ports: uvicorn's, with limits on what a client may cost.

Bounded  connections, head, target, body, pipelined requests, time to send a head or a body, time without reading.
Errors   leave as problem bodies, like all others, after the answers to earlier requests; the connection ends with them.
Source   uvicorn 0.54's ``HttpToolsProtocol``; pinned, because this leans on its internals (tests/integration/web).
         RFC 9112 section 9.6: after a last answer, half close and read on, or a reset may overtake the answer.
"""

import asyncio
from typing import Any

import httptools
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from imagemill.model.errors import BadRequest, ImagemillError, Overloaded
from imagemill.web.connections import MAX_BODY_BYTES, Connections
from imagemill.web.early import EarlyProtocol
from imagemill.web.faults import Fault, of_body, of_head, of_length
from imagemill.web.problems import problem
from imagemill.web.reading import Flow, Reading
from imagemill.web.request import new_request_id
from imagemill.web.taking import has_left
from imagemill.web.targets import path_of
from imagemill.web.unsent import BODY
from imagemill.web.wire import last_words

MAX_PIPELINED = 32
LINGER_S = 1.0
"""How long a client may take to read a last answer and close."""
FRESH_S = 0.5
"""How long a connection without a request stays open once the port is closing."""
SLOWEST_BODY_BYTES_S = 16 * 1024
"""A client that sends a large body more slowly than this, over a header timeout, is cut off."""
LOOK_S = 0.1
"""How often to look whether a client has left whose next bytes are not read yet."""
_MAX_LINGERING = 64
_MAX_DISCARDED_BYTES = 1024 * 1024
_PIECE_BYTES = 16 * 1024
_HEADER_OVERHEAD_BYTES = 4  # ": " and the line's end
_LINE_OVERHEAD_BYTES = 14  # "GET ", " HTTP/1.1", and the line's end


def make_protocol(shared: Connections) -> type[HttpToolsProtocol]:
    """The protocol class whose connections share *shared*."""
    return type("Protocol", (BoundedProtocol,), {"shared": shared})


_IDLE = Reading.IDLE  # looked at for every hit


class BoundedProtocol(EarlyProtocol):
    """One connection."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._counted = self._turned_away = False
        self._reading = Reading.HEAD
        self._requests = 0  # heads read
        self._unanswered = 0
        self._fault: Fault | None = None
        self._last_words: Fault | None = None  # to be said after the answers under way
        self._head_bytes = self._raw_head_bytes = self._body_bytes = self._discarded_bytes = 0
        self._kept: tuple[int, str] | None = None  # of the request being read, once it is known to have a body
        self._timed_bytes = 0  # of its body, when the read timer was set
        self._read_timer: asyncio.TimerHandle | None = None
        self._timed: tuple[int, Reading] | None = None
        self._look_timer: asyncio.TimerHandle | None = None
        self._running: RequestResponseCycle | None = None
        self._closing_by_drain: RequestResponseCycle | None = None
        self.url = b""

    # connections

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Count the connection, or refuse it."""
        super().connection_made(transport)
        self.flow = Flow(transport, self._is_full)
        if self.shared.open >= self.shared.most:
            self._turn_away()
            return
        self._counted = True
        self.shared.open += 1
        self._time_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let everything of this connection go."""
        self.shared.open -= self._counted
        self.shared.lingering -= self._turned_away
        self._counted = self._turned_away = False
        self._stop_timers()
        self._unset_keepalive_if_required()
        self._tell_gone()
        super().connection_lost(exc)

    def eof_received(self) -> None:
        """A client that sends nothing more, even if it still reads, has left."""
        self._tell_gone()

    def _tell_gone(self) -> None:
        """Tell the request that runs, which need not be the newest; those that wait for it never begin."""
        for cycle, _ in self.pipeline:
            cycle.disconnected = True
        self.pipeline.clear()
        if self._running is not None and not self._running.response_complete:
            self._running.disconnected = True
            self._running.message_event.set()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def _look_for_leave(self) -> None:
        """While requests wait for their turn nothing is read, and so neither an end nor a reset is seen: ask for it."""
        self._look_timer = None
        if not self.flow.read_paused or self.transport.is_closing():
            return
        if has_left(self.transport.get_extra_info("socket").fileno()):
            self._tell_gone()
            self.transport.close()
        else:
            self._look_timer = self.loop.call_later(LOOK_S, self._look_for_leave)

    def shutdown(self) -> None:
        """Close once nothing is in flight; what has asked nothing yet, or half, may still ask, shortly."""
        if self._reading is Reading.DEAF:
            return
        if self._unanswered:
            self._close_after_newest()
        elif self._reading is Reading.HEAD:
            self.loop.call_later(FRESH_S, self._close_if_silent)
        else:
            self.transport.close()

    def _close_if_silent(self) -> None:
        if not self._unanswered and self._reading is not Reading.DEAF:
            self.transport.close()

    def _turn_away(self) -> None:
        """Tell a client that there are too many, unless too many are being told already."""
        self.shared.refused("connections")
        if self.shared.lingering >= _MAX_LINGERING:
            self.transport.abort()
            return
        self._turned_away = True
        self.shared.lingering += 1
        self._reading = Reading.DEAF
        self._say_last(Overloaded("too many connections"))

    # reading

    def data_received(self, data: bytes) -> None:
        """Answer at once what can be; feed the parser all else, within bounds."""
        if self._is_between() and self.answered_early(data):
            if self._reading is not _IDLE:
                self._reading = _IDLE
                self._time_reading()
            return
        if self._reading is Reading.IDLE:
            self._reading = Reading.HEAD
            self._raw_head_bytes = 0
        self._unset_keepalive_if_required()
        for start in range(0, len(data), _PIECE_BYTES):
            self._feed(data[start : start + _PIECE_BYTES])
        self._time_reading()
        if self.flow.read_paused and self._look_timer is None:
            self._look_timer = self.loop.call_later(LOOK_S, self._look_for_leave)
        if self._reading is Reading.IDLE and not self._unanswered and self.timeout_keep_alive_task is None:
            # its body ended after its answer, which uvicorn takes for no end at all
            self._keep_alive_for(self.timeout_keep_alive)

    def _is_full(self) -> bool:
        """Whether the body of a request that waits for its turn fills what may be held of it."""
        return (
            self.cycle is not self._running
            and len(self.cycle.body) > HIGH_WATER_LIMIT
            and self._reading is not Reading.DEAF
        )

    def _is_between(self) -> bool:
        """Whether all that was asked is answered, and nothing of a next request is here."""
        if self._unanswered:
            return False
        return self._reading is _IDLE or (
            self._reading is Reading.HEAD and not self._requests and not self._raw_head_bytes
        )

    def _feed(self, piece: bytes) -> None:
        if self._reading is Reading.DEAF:
            self._discard(len(piece))
            return
        if self.transport.is_closing() or self.parser is None:
            return
        requests = self._requests
        try:
            self.parser.feed_data(piece)
        except httptools.HttpParserUpgrade as e:
            if rest := piece[e.args[0] :]:  # an offer to leave HTTP/1.1, which is not taken
                self._feed(rest)
        except httptools.HttpParserError:
            self._refuse(self._fault or Fault(BadRequest("this is no HTTP/1.1 request"), "malformed"))
        else:
            if self._reading is Reading.HEAD and requests == self._requests:
                self._raw_head_bytes += len(piece)
                if self._raw_head_bytes > self._own.max_head_bytes:
                    self._refuse(self._head_fault())

    def _discard(self, size: int) -> None:
        self._discarded_bytes += size
        if self._discarded_bytes > _MAX_DISCARDED_BYTES:
            self.transport.abort()

    # the parser's callbacks; what they raise stops it

    def on_message_begin(self) -> None:
        """A request begins."""
        self._reading = Reading.HEAD
        self._head_bytes = _LINE_OVERHEAD_BYTES
        self._raw_head_bytes = self._body_bytes = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Gather the target, as long as it may be one."""
        super().on_url(url)
        self._head_bytes += len(url)
        if len(self.url) > self._own.max_target_bytes:
            self._stop(self._head_fault())

    def on_header(self, name: bytes, value: bytes) -> None:
        """Gather a header, while there is room."""
        super().on_header(name, value)
        self._head_bytes += len(name) + len(value) + _HEADER_OVERHEAD_BYTES
        if self._head_bytes > self._own.max_head_bytes:
            self._stop(self._head_fault())

    def on_headers_complete(self) -> None:
        """The head is here: hand the request on, unless it is too much."""
        if self._unanswered > MAX_PIPELINED:
            self._stop(Fault(BadRequest(f"more than {MAX_PIPELINED} requests at once"), "pipelined"))
        if fault := of_head(self.parser.get_http_version(), self.url, self.headers):
            self._stop(fault)
        self._judge_length()
        previous = self.cycle
        super().on_headers_complete()
        self._reading = Reading.BODY
        self._requests += 1
        self._unanswered += 1
        if previous is not None and previous is self._closing_by_drain and not previous.response_started:
            previous.keep_alive = True  # another request followed: that one is the last
        if self.shared.draining:
            self._close_after_newest()

    def _judge_length(self) -> None:
        """Find out what becomes of the body, and refuse one that says it is too large."""
        self._kept = None
        for name, value in self.headers:
            if name == b"transfer-encoding" or (name == b"content-length" and value != b"0"):
                self._kept = self.shared.bodies(self.parser.get_method().decode("ascii"), path_of(self.url))
                if name == b"content-length" and int(value) > self._most_body_bytes:
                    self._stop(self._body_fault())

    @property
    def _most_body_bytes(self) -> int:
        return self._kept[0] if self._kept else MAX_BODY_BYTES

    def on_body(self, body: bytes) -> None:
        """Drop a small body, or keep it where one is wanted; a large one ends the connection.

        What follows its own answer is wanted by nobody, and is small or ends the connection, too.
        """
        self._body_bytes += len(body)
        answered = self.cycle.response_complete
        if self._body_bytes > (min(MAX_BODY_BYTES, self._most_body_bytes) if answered else self._most_body_bytes):
            self._stop(self._body_fault())
        if self._kept:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is here whole."""
        self._reading = Reading.IDLE
        super().on_message_complete()

    def _body_fault(self) -> Fault:
        return of_body(*(self._kept or (MAX_BODY_BYTES, "")))

    def _stop(self, fault: Fault) -> None:
        self._fault = fault
        raise fault

    def _head_fault(self) -> Fault:
        return of_length(self.url, self._own)

    # answers

    def on_response_complete(self) -> None:
        """Go on with the next request, or say what is to be said last."""
        self._unanswered -= 1
        answered: Any = self._running
        super().on_response_complete()
        self._answered(answered.scope.get(BODY, b""))
        if self._last_words and not self._unanswered and not self.transport.is_closing():
            self._say_last(self._last_words.error)

    def _close_after_newest(self) -> None:
        """Let the newest request's answer be the last one."""
        if self.cycle.keep_alive:
            self.cycle.keep_alive = False
            self._closing_by_drain = self.cycle

    # refusals

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP; uvicorn's words would be text."""
        self._refuse(Fault(BadRequest(msg), "malformed"))

    def _refuse(self, fault: Fault) -> None:
        """Read nothing more; answer *fault* once all earlier requests are answered, and close."""
        self.shared.refused(fault.reason)
        in_body = self._reading is Reading.BODY
        self._reading = Reading.DEAF
        self._stop_reading_timer()
        if in_body and not self._take_back():
            return
        if self._unanswered:
            self._last_words = fault
        else:
            self._say_last(fault.error)

    def _take_back(self) -> bool:
        """Drop the request whose body is at fault; False where its answer has begun, and is therefore the last."""
        cycle = self.cycle
        if cycle.response_complete:
            self._linger()
            return False
        if cycle.response_started:
            cycle.keep_alive = False
            return False
        if self.pipeline and self.pipeline[0][0] is cycle:
            self.pipeline.popleft()
        cycle.disconnected = True
        cycle.message_event.set()
        self._unanswered -= 1
        return True

    def _say_last(self, error: ImagemillError) -> None:
        self.transport.write(last_words(problem(error, request_id := new_request_id()), request_id))
        self._linger()

    def _linger(self) -> None:
        """Half close, and let the client read what it was told: closing at once could reset it away."""
        self._stop_timers()
        self._unset_keepalive_if_required()
        self.flow.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._read_timer = self.loop.call_later(LINGER_S, self.transport.abort)

    # time to send a request

    def _time_reading(self) -> None:
        """Begin to count where a head or a body begins; a request that came whole never sets a timer."""
        state = (self._requests, self._reading)
        if state == self._timed or self._reading is Reading.DEAF:
            return
        self._timed = state
        self._stop_reading_timer()
        if self._reading is not Reading.IDLE:
            self._timed_bytes = self._body_bytes
            self._read_timer = self.loop.call_later(self._own.header_timeout_s, self._too_slow)

    def _too_slow(self) -> None:
        ours = self.flow.read_paused or (self._reading is Reading.HEAD and self._unanswered)
        if ours or self._goes_on():  # ours to be waited for, not the client; or a large body that comes well enough
            self._timed_bytes = self._body_bytes
            self._read_timer = self.loop.call_later(self._own.header_timeout_s, self._too_slow)
            return
        self.shared.refused("slow_head")
        self._reading = Reading.DEAF
        self.transport.abort() if self.transport.get_write_buffer_size() else self.transport.close()

    def _goes_on(self) -> bool:
        """Whether a body that may be large has come fast enough since the timer was set."""
        came = self._body_bytes - self._timed_bytes
        return (
            self._reading is Reading.BODY
            and self._most_body_bytes > MAX_BODY_BYTES
            and came >= SLOWEST_BODY_BYTES_S * self._own.header_timeout_s
        )

    def _stop_timers(self) -> None:
        self._stop_reading_timer()
        self._stop_write_timer()
        if self._look_timer is not None:
            self._look_timer.cancel()
            self._look_timer = None

    def _stop_reading_timer(self) -> None:
        if self._read_timer is not None:
            self._read_timer.cancel()
            self._read_timer = None
