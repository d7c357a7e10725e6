"""L05-L07, L18, R07: what a client may cost, shown with raw sockets against the real server on uvloop."""

import asyncio
import contextlib
import json
import re
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import uvloop

from imagemill.model.errors import SettingsError
from imagemill.settings import Server
from imagemill.web import protocol, taking
from imagemill.web.connections import MAX_BODY_BYTES, Connections
from imagemill.web.protocol import MAX_PIPELINED
from imagemill.web.request import read_body
from imagemill.web.server import serve
from imagemill.web.unsent import BODY

GET = b"GET /ok HTTP/1.1\r\nhost: x\r\n\r\n"
LAST = b"GET /ok HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
WAIT = b"GET /wait?9000 HTTP/1.1\r\nhost: x\r\n\r\n"
TOLD_GONE: list[float] = []
"""When requests to ``/wait`` heard that their client has left."""
SLOW: list[int] = []
"""How long each request to ``/slow`` waits that has begun."""


async def app(scope: Any, receive: Any, send: Any) -> None:
    """``/ok``; ``/size?N`` answers N bytes; ``/slow?MS`` waits; ``/wait`` too, or until the client has left; ``/stream?N``;
    ``/echo`` answers the body.
    """
    number = int(scope["query_string"] or 2)
    if scope["path"] == "/slow":
        SLOW.append(number)
        await asyncio.sleep(number / 1e3)
    if scope["path"] == "/wait":
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(number / 1e3):
                while (await receive())["type"] != "http.disconnect":
                    pass
                TOLD_GONE.append(time.monotonic())
    if scope["path"] == "/echo":
        body = await read_body(receive, MAX_BODY_BYTES)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
        await send({"type": "http.response.body", "body": body})
        return
    if scope["path"] == "/stream":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(number):
            await send({"type": "http.response.body", "body": b"k" * 1_000_000, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
        return
    size = number if scope["path"] == "/size" else 2
    scope[BODY] = b"k" * size
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % size)]})
    await send({"type": "http.response.body", "body": scope[BODY]})


class Running:
    """The server in a thread of its own, with short limits."""

    def __init__(self, **settings: Any) -> None:
        short = {"header_timeout_s": 0.5, "write_timeout_s": 0.5, "keep_alive_s": 5, "drain_s": 0.05, "grace_s": 5}
        self.settings = Server(port=0, admin_port=0, **(short | settings))
        self.reasons: list[str] = []
        self.events: list[str] = []
        self.shared = Connections(self.settings, self.reasons.append)
        self.port = self.admin_port = self.left = 0
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: uvloop.run(self._serve()))

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        await serve(
            app, app, self.settings, shared=self.shared, on_ready=self._on_ready,
            on_drain=lambda: self.events.append("drain"), stop=self._stop,
        )  # fmt: skip
        await asyncio.sleep(0)
        self.left = self.shared.open

    def _on_ready(self, port: int, admin_port: int) -> None:
        self.port, self.admin_port = port, admin_port
        self._ready.set()

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(60)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)

    def join(self) -> None:
        with contextlib.suppress(RuntimeError):
            self.stop()
        self._thread.join(60)
        assert not self._thread.is_alive()

    def all_gone(self, within_s: float = 8.0) -> bool:
        end = time.monotonic() + within_s
        while self.shared.open and time.monotonic() < end:
            time.sleep(0.02)
        return self.shared.open == 0


@contextlib.contextmanager
def running(**settings: Any) -> Iterator[Running]:
    server = Running(**settings)
    server.start()
    try:
        yield server
    finally:
        server.join()


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with running() as one:
        yield one


def connect(server: Running, port: int = 0) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port or server.port), 10)


def rest(s: socket.socket) -> bytes:
    """All that comes until the other side closes; a reset raises."""
    out = bytearray()
    while data := s.recv(1 << 16):
        out += data
    return bytes(out)


def ask(server: Running, raw: bytes) -> bytes:
    with connect(server) as s:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            s.sendall(raw)
        return rest(s)


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def is_refused(server: Running) -> bool:
    try:
        connect(server).close()
    except ConnectionRefusedError:
        return True
    return False


def is_problem(answer: bytes, status: int, code: str) -> bool:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status), answer[:200]
    assert b"content-type: application/problem+json" in head
    assert b"connection: close" in head
    assert b"content-length: %d" % len(body) in head
    assert b"x-request-id: " + json.loads(body)["request_id"].encode() in head
    return bool(json.loads(body)["code"] == code)


# plain service


def test_keep_alive_and_pipelining(server: Running) -> None:
    """Three requests on one connection are answered in order; the last one's `close` closes it."""
    answers = ask(server, GET + GET + LAST)

    assert answers.count(b"HTTP/1.1 200 OK") == 3
    assert answers.count(b"connection: close") == 1
    assert answers.endswith(b"kk")


def test_http_1_0_is_answered_and_closed(server: Running) -> None:
    answer = ask(server, b"GET /ok HTTP/1.0\r\n\r\n")

    assert b" 200 OK\r\n" in answer
    assert b"connection: close" in answer


@pytest.mark.timed
@pytest.mark.timed
@pytest.mark.timed
@pytest.mark.timed
@pytest.mark.parametrize("protocol_name", [b"websocket", b"h2c"])
def test_an_upgrade_offer_is_a_plain_request(server: Running, protocol_name: bytes) -> None:
    """L07: the offer is ignored, and the connection goes on."""
    offer = b"GET /ok HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: %b\r\n\r\n" % protocol_name

    assert ask(server, offer + GET + LAST).count(b"HTTP/1.1 200 OK") == 3


def test_a_line_end_after_a_request_does_no_harm() -> None:
    """L06: what looks like a slow next head does not end an answer that is still being made."""
    with running(header_timeout_s=0.2) as server:
        assert b" 200 OK" in ask(server, b"GET /slow?600 HTTP/1.1\r\nhost: x\r\n\r\n\r\nGET /ok HT")


# what is refused


@pytest.mark.parametrize(
    "raw",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"HELLO\r\n\r\n",
        b"GET /ok\r\n\r\n",
        b"GET /ok HTTP/1.1\r\n\r\n",
        b"GET /ok HTTP/1.1\r\nhost: x\r\nhost: x\r\n\r\n",
        b"GET /ok HTTP/1.0\r\nhost: x\r\nhost: y\r\n\r\n",
        b"GET /ok HTTP/0.9\r\n\r\n",
        b"GET /ok HTTP/9.9\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"CONNECT x:1 HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET http://x HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET http://evil.example/ok HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET http://u@x/ok HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET http://x:1/ok HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET /ok HTTP/1.1\r\nhost: x\r\nno colon\r\n\r\n",
        b"GET /ok HTTP/1.1\r\nhost: x\r\nbad name: 1\r\n\r\n",
        b"GET /ok HTTP/1.1\r\nhost: x\r\nx: a\0b\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET /ok HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
        b"GET /ok HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999999999999999\r\n\r\n",
        b"GET /ok HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        b"GET /ok HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
        b"GET /wait?2000 HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_malformed(server: Running, raw: bytes) -> None:
    """R07: what is no HTTP is a problem like any other, and nothing is answered after it."""
    answer = ask(server, raw + GET)

    assert is_problem(answer, 400, "bad_request")
    assert len(re.findall(rb"HTTP/1.1 \d", answer)) == 1


def test_a_target_of_absolute_form(server: Running) -> None:
    """RFC 9112 3.2.2: as a proxy would be asked, with the host that Host names, however it is written."""
    assert b" 200 OK" in ask(server, b"GET http://X:80/ok HTTP/1.1\r\nhost: x:80\r\nconnection: close\r\n\r\n")


def test_malformed_after_a_good_request_waits_its_turn(server: Running) -> None:
    """R07: an earlier request is answered first and whole; no two answers are mixed."""
    answers = ask(server, b"GET /slow?200 HTTP/1.1\r\nhost: x\r\n\r\n" + b"\0\r\n\r\n")

    good, bad = answers.split(b"kk", 1)
    assert good.startswith(b"HTTP/1.1 200 OK")
    assert is_problem(bad, 400, "bad_request")


@pytest.mark.parametrize("piece", [1 << 20, 700])
@pytest.mark.parametrize("size", [8 * 1024, 64 * 1024, 1024 * 1024])
def test_a_long_target(server: Running, size: int, piece: int) -> None:
    """R07: 64 kB of URL are 414, whole or in pieces, and the answer is not lost to a reset."""
    raw = b"GET /ok?" + b"a" * size + b" HTTP/1.1\r\nhost: x\r\n\r\n"
    with connect(server) as s:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for start in range(0, len(raw), piece):
                s.sendall(raw[start : start + piece])
        assert is_problem(rest(s), 414, "target_too_long")


@pytest.mark.parametrize(
    "head",
    [
        b"x: " + b"a" * 17_000 + b"\r\n",
        b"x: " + b"a" * 40_000 + b"\r\n",
        b"".join(b"x%d: 1\r\n" % n for n in range(4_000)),
        b"x: " + b"a" * 400_000,
        b"a" * 400_000,
    ],
    ids=["just above, whole", "one long value, whole", "many, whole", "an endless value", "an endless name"],
)
def test_a_long_head(server: Running, head: bytes) -> None:
    """L07: a head above the limit is refused, even if it comes in one piece."""
    assert is_problem(ask(server, b"GET /ok HTTP/1.1\r\nhost: x\r\n" + head + b"\r\n"), 400, "bad_request")


def test_a_head_just_below_the_limit(server: Running) -> None:
    head = b"x: " + b"a" * (server.settings.max_head_bytes - 200)

    assert b" 200 OK" in ask(server, b"GET /ok HTTP/1.1\r\nhost: x\r\nconnection: close\r\n" + head + b"\r\n\r\n")


def test_a_body_that_says_it_is_large(server: Running) -> None:
    """L06: refused by its length, before anything runs for it."""
    raw = b"GET /slow?3000 HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % (MAX_BODY_BYTES + 1)

    assert is_problem(ask(server, raw), 400, "bad_request")


@pytest.mark.timed
def test_a_body_that_is_large(server: Running) -> None:
    """L06: a chunked body beyond the limit ends its own request at once."""
    chunk = b"4000\r\n" + b"a" * 0x4000 + b"\r\n"
    begun = time.monotonic()

    answer = ask(server, b"GET /wait?3000 HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n" + chunk * 5)

    assert is_problem(answer, 400, "bad_request")
    assert time.monotonic() - begun < 2


def test_a_small_body_is_read_and_dropped(server: Running) -> None:
    raw = b"GET /wait?50 HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % MAX_BODY_BYTES + b"a" * MAX_BODY_BYTES

    assert ask(server, raw + LAST).count(b" 200 OK") == 2


@pytest.mark.parametrize("size", [0, 1, 20_000, MAX_BODY_BYTES])
@pytest.mark.parametrize("chunked", [False, True])
def test_only_the_admin_port_keeps_bodies(server: Running, size: int, chunked: bool) -> None:
    """The public one drops them as they come; the admin one holds one at a time, up to the same bound."""
    text = b"k" * size
    head = b"POST /echo HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"
    raw = head + b"content-length: %d\r\n\r\n" % size + text
    if chunked:
        pieces = [text[at : at + 7_000] for at in range(0, size, 7_000)]
        raw = (
            head
            + b"transfer-encoding: chunked\r\n\r\n"
            + b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in [*pieces, b""])
        )

    for port, kept in ((server.port, b""), (server.admin_port, text)):
        with connect(server, port) as s:
            s.sendall(raw)
            answer = rest(s)
        assert answer.startswith(b"HTTP/1.1 200 OK")
        assert answer.partition(b"\r\n\r\n")[2] == kept


def test_the_admin_port_bounds_bodies_too(server: Running) -> None:
    """L06: by their length, and chunked."""
    head = b"POST /echo HTTP/1.1\r\nhost: x\r\n"
    chunk = b"4000\r\n" + b"a" * 0x4000 + b"\r\n"
    for raw in (
        b"content-length: %d\r\n\r\n" % (MAX_BODY_BYTES + 1),
        b"transfer-encoding: chunked\r\n\r\n" + chunk * 5,
    ):
        with connect(server, server.admin_port) as s:
            s.sendall(head + raw)
            assert is_problem(rest(s), 400, "bad_request")


def test_bodies_of_pipelined_requests_are_kept_apart(server: Running) -> None:
    one = b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\n"
    with connect(server, server.admin_port) as s:
        s.sendall(one + b"abc" + one + b"def" + LAST)
        answers = rest(s)

    assert re.findall(rb"\r\n\r\n(abc|def|kk)", answers) == [b"abc", b"def", b"kk"]


def test_a_body_after_its_answer_does_not_keep_the_connection() -> None:
    """L06: the idle timeout also holds where the body ended after the answer."""
    with running(keep_alive_s=1) as server, connect(server) as s:
        s.sendall(b"GET /ok HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\na")
        assert b"200 OK" in s.recv(1000)
        s.sendall(b"b")

        assert server.all_gone(30)


def test_a_flood_of_pipelined_requests(server: Running) -> None:
    """L07: a burst is not queued beyond the cap; those within it are answered, the rest refused."""
    answers = ask(server, b"GET /wait?20 HTTP/1.1\r\nhost: x\r\n\r\n" * 2_000)

    *good, bad = re.split(rb"HTTP/1.1 (?=\d)", answers)[1:]
    assert len(good) <= MAX_PIPELINED + 2
    assert all(answer.startswith(b"200 OK") for answer in good)
    assert is_problem(b"HTTP/1.1 " + bad, 400, "bad_request")
    assert server.reasons[-1] == "pipelined"


# time


@pytest.mark.timed
@pytest.mark.parametrize(
    "first",
    [
        b"",
        b"\r\n",
        b"GET /ok HTTP/1.1\r\nx: ",
        GET + b"GET /",
        b"GET /wait?9000 HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n",
    ],
)
def test_a_slow_head_or_body(server: Running, first: bytes) -> None:
    """L06: a head or a body that does not end in time ends the connection, however it trickles."""
    begun = time.monotonic()
    with connect(server) as s:
        s.sendall(first)
        s.settimeout(0.1)
        while time.monotonic() - begun < 4:
            try:
                if not s.recv(4096):
                    break
            except TimeoutError:
                with contextlib.suppress(OSError):
                    s.sendall(first if first == b"\r\n" else b"a" * bool(first))
            except OSError:
                break

    assert 0.3 < time.monotonic() - begun < 2.5


@pytest.mark.timed
def test_thousands_of_slow_heads() -> None:
    """L06: while they are held, others are answered; when their time is up, all are gone."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    many = min(2_000, (soft - 800) // 2)
    with running(max_connections=4_096, header_timeout_s=5.0) as server, contextlib.ExitStack() as held:
        slow = [held.enter_context(connect(server)) for _ in range(many)]
        for s in slow:
            s.sendall(b"GET /ok HTTP/1.1\r\nx: ")
        until(lambda: server.shared.open == many)
        waits = []
        for _ in range(50):
            begun = time.monotonic()
            assert b" 200 OK" in ask(server, LAST)
            waits.append(time.monotonic() - begun)
        assert server.shared.open == many, "they were held all the while"
        for s in slow:
            with contextlib.suppress(OSError):
                s.sendall(b"a")

        assert sorted(waits)[44] < 0.1
        assert server.all_gone(30)


def small_window(server: Running, size: int = 4096) -> socket.socket:
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
    s.connect(("127.0.0.1", server.port))
    s.settimeout(10)
    return s


@pytest.mark.parametrize("target", [b"/size?20000000", b"/stream?50"])
@pytest.mark.parametrize("ending", [b"", b"connection: close\r\n"])
def test_a_client_that_does_not_read(server: Running, target: bytes, ending: bytes) -> None:
    """L06: an answer that nobody takes is dropped with its connection, whole or in pieces."""
    with small_window(server) as s:
        s.sendall(b"GET %b HTTP/1.1\r\nhost: x\r\n%b\r\n" % (target, ending))

        assert server.all_gone(30)


def test_slow_readers_hold_no_more_than_the_bound() -> None:
    """L06: of 20 clients that take nothing of 8 MB each, 32 MB leave 4 waiting; one that reads has its answer whole."""
    slow = b"GET /size?8000000 HTTP/1.1\r\nhost: x\r\n\r\n"
    with running(write_timeout_s=30, unsent_bytes=33_000_000) as server, contextlib.ExitStack() as held:
        for _ in range(20):
            held.enter_context(small_window(server)).sendall(slow)
        until(lambda: server.reasons.count("unsent") == 16)
        before = server.shared.unsent.bytes
        answer = ask(server, b"GET /size?8000000 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        until(lambda: server.shared.open == 3)

        assert before == 32_000_000
        assert len(answer) > 8_000_000
        assert server.reasons.count("unsent") == 17


@pytest.mark.timed
def test_a_client_that_leaves_the_end_of_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """L06: what waits below the mark at which writing pauses does not keep a closing connection either."""
    made = protocol.BoundedProtocol.connection_made

    def never_pausing(self: Any, transport: Any) -> None:
        made(self, transport)
        transport.set_write_buffer_limits(high=1 << 30)

    monkeypatch.setattr(protocol.BoundedProtocol, "connection_made", never_pausing)
    with running() as server, small_window(server) as s:
        s.sendall(b"GET /size?20000000 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        time.sleep(0.2)

        assert server.shared.open == 1
        assert server.all_gone(3)


@pytest.mark.parametrize("ending", [b"", b"connection: close\r\n"])
def test_a_client_that_reads_slowly_but_reads(ending: bytes) -> None:
    """L06: a slow download that goes on is not cut, though it takes several write timeouts."""
    size = 4_000_000
    with running(write_timeout_s=0.3, keep_alive_s=1) as server, small_window(server, 32_768) as s:
        s.sendall(b"GET /size?%d HTTP/1.1\r\nhost: x\r\n%b\r\n" % (size, ending))
        got, begun = 0, time.monotonic()
        while got < size and (data := s.recv(30_000)):
            got += len(data)
            time.sleep(0.015)

    assert got >= size
    assert time.monotonic() - begun > 1.2
    assert "slow_reader" not in server.reasons


def test_a_client_that_reads_too_slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    """L06: some progress is not enough, or a byte now and then would hold an answer for ever."""
    monkeypatch.setattr(taking, "SLOWEST_BYTES_S", 100_000_000)
    with running() as server, small_window(server) as s:
        s.sendall(b"GET /size?20000000 HTTP/1.1\r\nhost: x\r\n\r\n")
        end = time.monotonic() + 30
        with contextlib.suppress(OSError):
            while s.recv(20_000) and "slow_reader" not in server.reasons and time.monotonic() < end:
                time.sleep(0.01)

    assert "slow_reader" in server.reasons


# numbers


def test_more_connections_than_allowed() -> None:
    """L07: one more is told so and closed, those in place are served, and a free place is used again."""
    with running(max_connections=8, header_timeout_s=5) as server:
        with contextlib.ExitStack() as held:
            places = [held.enter_context(connect(server)) for _ in range(8)]
            for s in places:
                s.sendall(GET)
                assert b" 200 OK" in s.recv(4096)

            over = [ask(server, GET) for _ in range(20)]

            assert all(is_problem(answer, 503, "overloaded") for answer in over)
            assert all(b"retry-after: 1" in answer for answer in over)
            places[0].sendall(GET)
            assert b" 200 OK" in places[0].recv(4096)
        assert server.all_gone()
        assert b" 200 OK" in ask(server, LAST)


def test_a_crowd_over_the_cap_holds_few_files() -> None:
    """L07: clients that are told to go, and stay, are cut off; the rest are cut off at once."""
    with running(max_connections=8) as server, contextlib.ExitStack() as held:
        for _ in range(400):
            held.enter_context(connect(server))
        time.sleep(0.3)

        assert server.shared.open <= 8
        assert server.shared.lingering <= 64
        until(lambda: server.shared.lingering == 0)


def test_the_cap_leaves_files_for_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """L07: never more connections than descriptors, less what workers and sources need."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 4096))

    assert Connections(Server()).most == 768
    assert Connections(Server(max_connections=100)).most == 100


# the end


@pytest.mark.timed
def test_a_stop_loses_nothing_in_flight() -> None:
    """L18: requests under way, pipelined ones too, are answered whole; the last answer says close."""
    with running(grace_s=5) as server, connect(server) as busy, connect(server) as idle, connect(server) as piped:
        idle.sendall(GET)
        assert b" 200 OK" in idle.recv(4096)
        begun = len(SLOW)
        busy.sendall(b"GET /slow?2000 HTTP/1.1\r\nhost: x\r\n\r\n")
        piped.sendall(b"GET /slow?700 HTTP/1.1\r\nhost: x\r\n\r\n" * 3)
        until(lambda: len(SLOW) == begun + 2)

        server.stop()

        assert idle.recv(4096) == b""
        assert server.events == ["drain"]
        until(lambda: is_refused(server))
        assert b" 200 OK" in _one(server, server.admin_port)
        one, three = rest(busy), rest(piped)
        assert (one.count(b" 200 OK"), one.count(b"connection: close"), one[-2:]) == (1, 1, b"kk")
        assert (three.count(b" 200 OK"), three.count(b"connection: close"), three[-2:]) == (3, 1, b"kk")


def _one(server: Running, port: int) -> bytes:
    with connect(server, port) as s:
        s.sendall(LAST)
        return rest(s)


def test_while_draining_requests_are_still_taken() -> None:
    """L18: between "not ready" and the end, new connections are answered, and told to close."""
    with running(drain_s=2) as server:
        server.stop()
        until(lambda: server.events == ["drain"])

        answers = ask(server, b"GET /slow?20 HTTP/1.1\r\nhost: x\r\n\r\n" * 3)

        assert answers.count(b" 200 OK") == 3
        assert answers.count(b"connection: close") == 1


@pytest.mark.timed
def test_connections_made_just_before_the_end_are_answered() -> None:
    """L18: what the kernel has accepted is accepted by us, and may ask."""
    with running(drain_s=0.0) as server, contextlib.ExitStack() as held:
        early = [held.enter_context(connect(server)) for _ in range(50)]
        server.stop()
        time.sleep(0.15)
        for s in early:
            s.sendall(GET)

        assert all(b" 200 OK" in rest(s) for s in early)


@pytest.mark.timed
def test_the_grace_ends() -> None:
    """L18: a request that takes longer than the grace does not hold the stop."""
    with running(grace_s=1, write_timeout_s=30) as server, connect(server) as s, small_window(server) as reader:
        s.sendall(b"GET /slow?60000 HTTP/1.1\r\nhost: x\r\n\r\n")
        reader.sendall(b"GET /size?20000000 HTTP/1.1\r\nhost: x\r\n\r\n")
        time.sleep(0.1)
        begun = time.monotonic()
        server.join()

        assert time.monotonic() - begun < 4
        assert server.left == 0


async def test_a_port_in_use_is_a_settings_error() -> None:
    """O04: the start fails with the setting's name, and leaves nothing open."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = Server(port=0, admin_port=taken.getsockname()[1])

        with pytest.raises(SettingsError, match=r"server\.admin_port: .*in use"):
            await serve(
                app, app, settings, shared=Connections(settings), on_ready=lambda *_: None,
                on_drain=lambda: None, stop=asyncio.Event(),
            )  # fmt: skip


# leaving


LEAVING = {
    "close": lambda s: s.close(),
    "half close": lambda s: s.shutdown(socket.SHUT_WR),
    "reset": lambda s: (s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0"), s.close()),
}


@pytest.mark.parametrize("leave", LEAVING.values(), ids=LEAVING)
@pytest.mark.parametrize("pieces", [[WAIT], [WAIT, WAIT], [WAIT * 3], [WAIT, WAIT * (MAX_PIPELINED + 9)]],
                         ids=["alone", "another later", "others at once", "too many"])  # fmt: skip
def test_a_client_that_leaves_ends_its_request(server: Running, leave: Any, pieces: list[bytes]) -> None:
    """L05: whoever awaits `receive` is told soon, also while the connection is not read; what waited never begins."""
    told = len(TOLD_GONE)
    s = connect(server)
    for piece in pieces:
        s.sendall(piece)
        time.sleep(0.1)
    leave(s)
    left = time.monotonic()

    assert server.all_gone()
    s.close()
    time.sleep(0.05)
    assert len(TOLD_GONE) == told + 1
    assert TOLD_GONE[-1] - left < 0.5
