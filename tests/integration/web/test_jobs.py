"""J08, J16, L05-L07, L18: the job interface over sockets, on the real server: who calls, bodies, event streams."""

import asyncio
import contextlib
import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any, Self

import pytest
import uvloop

from imagemill.jobs.tokens import Register
from imagemill.model.job import State
from imagemill.model.token import Scope, make
from imagemill.settings import Jobs, Server, Settings, Signing
from imagemill.web import protocol
from imagemill.web.app import App
from imagemill.web.connections import MAX_BODY_BYTES, Connections
from imagemill.web.jobs import JobPort, body_limit
from imagemill.web.server import serve
from support.job_port import ID, MemoryJobs, job

TEXT, TOKEN = make(lambda size: b"s" * size, "shop", "acme", [Scope.SUBMIT, Scope.READ], 1_800_000_000)
SOME = Register((TOKEN,))
BEARER = b"authorization: Bearer " + TEXT.encode() + b"\r\n"
JSON = b"content-type: application/json\r\n"
CLOSE = b"connection: close\r\n"
LARGE = 8 * 1024 * 1024


class Running:
    """The job interface on a port of its own, in a thread, over jobs in memory."""

    def __init__(self, register: Register, **settings: Any) -> None:
        short = {"header_timeout_s": 0.5, "write_timeout_s": 0.5, "keep_alive_s": 5, "drain_s": 0.05, "grace_s": 5}
        self.server = Server(port=0, admin_port=0, **(short | settings))
        limits = Jobs(body_bytes=200_000, batch_bytes=LARGE, watchers=4)
        whole = Settings(signing=Signing("unsigned"), server=self.server, jobs=limits)
        self.jobs = MemoryJobs(job(tenant="acme", state=State.RUNNING))
        self.port_of = JobPort(self.jobs, lambda: register, whole)
        self.calls: list[Any] = []
        self.reasons: list[str] = []
        self.app = App({}, lambda call, reply, _: self.calls.append((call, reply)), table=self.port_of.routes())
        self.shared = Connections(self.server, self.reasons.append, bodies=body_limit(whole))
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: uvloop.run(self._serve()))
        self.port = 0

    async def _serve(self) -> None:
        self.loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        await serve(
            self.app, App({}, lambda *_: None), self.server, shared=self.shared, on_ready=self._on_ready,
            on_drain=self.port_of.streams.end, stop=self._stop,
        )  # fmt: skip

    def _on_ready(self, port: int, _admin: int) -> None:
        self.port = port
        self._ready.set()

    def change(self, **changes: Any) -> None:
        asyncio.run_coroutine_threadsafe(self.jobs.change(ID, **changes), self.loop).result(60)

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self._stop.set)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(60)
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(RuntimeError):
            self.stop()
        self._thread.join(60)
        assert not self._thread.is_alive()

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), 10)

    def ask(self, raw: bytes) -> bytes:
        with self.connect() as s:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                s.sendall(raw)
            return rest(s)

    def idle(self, within_s: float = 30.0) -> bool:
        end = time.monotonic() + within_s
        while self.shared.open and time.monotonic() < end:
            time.sleep(0.01)
        return self.shared.open == 0


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with Running(SOME) as one:
        yield one


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The most bytes of a body that were held for whoever had not asked for them yet."""
    most = [0]
    feed = protocol.BoundedProtocol.on_body

    def on_body(self: Any, body: bytes) -> None:
        feed(self, body)
        most[0] = max(most[0], len(self.cycle.body))

    monkeypatch.setattr(protocol.BoundedProtocol, "on_body", on_body)
    return most


def rest(s: socket.socket) -> bytes:
    out = bytearray()
    with contextlib.suppress(ConnectionResetError):
        while data := s.recv(1 << 16):
            out += data
    return bytes(out)


def until(s: socket.socket, mark: bytes) -> bytes:
    """What comes, up to *mark*; it fails where that never comes."""
    out = bytearray()
    while mark not in out:
        data = s.recv(1 << 16)
        assert data, bytes(out)
        out += data
    return bytes(out)


def post(path: bytes, body: bytes, headers: bytes = BEARER + JSON + CLOSE) -> bytes:
    return b"POST %b HTTP/1.1\r\nhost: jobs.example\r\n%bcontent-length: %d\r\n\r\n%b" % (
        path,
        headers,
        len(body),
        body,
    )


def chunked(path: bytes, body: bytes, headers: bytes = BEARER + JSON + CLOSE) -> bytes:
    head = b"POST %b HTTP/1.1\r\nhost: jobs.example\r\n%btransfer-encoding: chunked\r\n\r\n" % (path, headers)
    pieces = [body[at : at + 50_000] for at in range(0, len(body), 50_000)]
    return head + b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in [*pieces, b""])


def problem(answer: bytes) -> tuple[int, str]:
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)["code"]


# who calls


def test_a_job_is_submitted_and_read(server: Running) -> None:
    answer = server.ask(post(b"/jobs", b'{"source":"local:a/b"}'))
    read = server.ask(b"GET /jobs/%b HTTP/1.1\r\nhost: x\r\n" % ID.encode() + BEARER + CLOSE + b"\r\n")

    assert answer.startswith(b"HTTP/1.1 202 ")
    assert b"location: /jobs/" + ID.encode() in answer
    assert json.loads(read.partition(b"\r\n\r\n")[2])["id"] == ID


def test_without_tokens_loopback_may(server: Running) -> None:
    """The rule on the address of the connection itself, end to end."""
    with Running(Register()) as unprotected:
        host = b"host: 127.0.0.1:%d\r\n" % unprotected.port
        mine = unprotected.ask(b"GET /jobs HTTP/1.1\r\n" + host + CLOSE + b"\r\n")
        proxied = unprotected.ask(
            b"GET /jobs HTTP/1.1\r\n" + host + b"x-forwarded-for: 203.0.113.1\r\n" + CLOSE + b"\r\n"
        )
        rebound = unprotected.ask(b"GET /jobs HTTP/1.1\r\nhost: evil.example\r\n" + CLOSE + b"\r\n")

    assert mine.startswith(b"HTTP/1.1 200 ")
    assert problem(proxied) == problem(rebound) == (401, "unauthorized")


# bodies


@pytest.mark.parametrize("form", [post, chunked])
@pytest.mark.parametrize("size", [0, MAX_BODY_BYTES, MAX_BODY_BYTES + 1, 3_000_000, LARGE])
def test_a_large_batch_arrives_whole(server: Running, held: list[int], size: int, form: Any) -> None:
    """And while it does, it is read as fast as it is wanted, not kept twice."""
    answer = server.ask(form(b"/jobs/batch", b"k" * size))

    assert answer.startswith(b"HTTP/1.1 202 "), answer[:300]
    assert server.jobs.asked[-1][2] == size
    assert held[0] <= 512 * 1024


@pytest.mark.parametrize("form", [post, chunked])
@pytest.mark.parametrize(("path", "most"), [(b"/jobs", 200_000), (b"/jobs/batch", LARGE)])
def test_a_body_above_its_limit_is_refused(server: Running, path: bytes, most: int, form: Any) -> None:
    """J16: by its length before any of it is read, or as soon as it is too much."""
    asked = len(server.jobs.asked)

    answer = server.ask(form(path, b"k" * (most + 1)))

    assert problem(answer) == (422, "limit_exceeded")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["limit"] == (
        "jobs.body_bytes" if path == b"/jobs" else "jobs.batch_bytes"
    )
    assert len(server.jobs.asked) == asked


@pytest.mark.parametrize(
    "path", [b"/image", b"/jobs/" + ID.encode(), b"/jobs/batch/x", b"/schedules/warm/pause", b"/jobs?x"]
)
def test_elsewhere_bodies_are_small(server: Running, path: bytes) -> None:
    """L06: as ever; a query does not change what a path may take."""
    answer = server.ask(post(path, b"k" * (200_001 if b"?" in path else MAX_BODY_BYTES + 1)))

    assert problem(answer)[0] == (422 if b"?" in path else 400)


@pytest.mark.timed
@pytest.mark.parametrize("form", [post, chunked])
def test_the_body_of_a_stranger_is_not_kept(server: Running, held: list[int], form: Any) -> None:
    """J06, J08: the head says who it is not; the answer comes at once, and the rest is neither kept nor waited for."""
    begun = time.monotonic()

    answer = server.ask(form(b"/jobs/batch", b"k" * LARGE, JSON))

    assert problem(answer) == (401, "unauthorized")
    assert held[0] <= 512 * 1024
    assert time.monotonic() - begun < 3
    assert server.idle()


def test_a_body_is_not_read_before_it_is_wanted(held: list[int]) -> None:
    """While a submission waits for its turn, its sender is paused by flow control."""
    with Running(SOME) as slow, slow.connect() as one:
        slow.jobs.slow_s = 0.5
        first = post(b"/jobs", b"{}", BEARER + JSON)
        one.sendall(first)
        one.settimeout(1.0)
        with contextlib.suppress(TimeoutError):
            one.sendall(post(b"/jobs/batch", b"k" * LARGE))
        one.settimeout(60)

        assert until(one, b"202 ")
        assert held[0] <= 512 * 1024


def test_requests_ahead_do_not_pull_in_a_body(held: list[int]) -> None:
    """L06: each that begins or ends would read on; a body that waits behind many is held as one that waits for one."""
    with Running(SOME) as slow, slow.connect() as one:
        slow.jobs.slow_s = 0.1
        first = post(b"/jobs", b"{}", BEARER + JSON) * 8
        one.settimeout(60)
        one.sendall(first + post(b"/jobs/batch", b"k" * LARGE))

        assert rest(one).count(b" 202 ") == 9
        assert held[0] <= 512 * 1024


def test_expect_continue_is_answered_to_whoever_may(server: Running) -> None:
    """curl asks so for large bodies: a stranger hears 401 and sends none of it."""
    head = b"POST /jobs/batch HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 5\r\n" + JSON + CLOSE
    with server.connect() as s:
        s.sendall(head + BEARER + b"\r\n")
        assert until(s, b"\r\n\r\n").startswith(b"HTTP/1.1 100 ")
        s.sendall(b"kkkkk")
        assert rest(s).startswith(b"HTTP/1.1 202 ")
    with server.connect() as s:
        s.sendall(head + b"\r\n")
        assert rest(s).startswith(b"HTTP/1.1 401 ")


def test_requests_after_a_large_body_are_answered(server: Running) -> None:
    """Pipelined: bodies are kept apart, and the connection goes on."""
    keep = BEARER + JSON
    answers = server.ask(
        post(b"/jobs/batch", b"a" * 300_000, keep)
        + post(b"/jobs", b'{"a":1}', keep)
        + post(b"/jobs/batch", b"b" * 200_000)
    )

    assert answers.count(b"HTTP/1.1 202 ") == 3
    assert [asked[2] for asked in server.jobs.asked[-3:]] == [300_000, b'{"a":1}', 200_000]


@pytest.mark.timed
def test_a_large_body_that_comes_well_may_take_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """L06: longer than a head may, as long as it comes at the least rate."""
    monkeypatch.setattr(protocol, "SLOWEST_BODY_BYTES_S", 50_000)
    with Running(SOME, header_timeout_s=0.3) as server, server.connect() as s:
        body = b"k" * 600_000
        raw, begun = post(b"/jobs/batch", body), time.monotonic()
        for at in range(0, len(raw), 40_000):
            s.sendall(raw[at : at + 40_000])
            time.sleep(0.06)
        answer = rest(s)

        assert time.monotonic() - begun > 0.8
        assert answer.startswith(b"HTTP/1.1 202 ")


@pytest.mark.timed
@pytest.mark.parametrize("path", [b"/jobs", b"/jobs/batch"])
def test_a_large_body_that_trickles_is_cut_off(path: bytes) -> None:
    """L06: a byte now and then is not enough, wherever in the body."""
    with Running(SOME, header_timeout_s=0.3) as server, server.connect() as s:
        s.sendall(post(path, b"k" * 150_000)[:-50_000])
        begun = time.monotonic()
        with contextlib.suppress(OSError):
            while time.monotonic() - begun < 4:
                s.sendall(b"k")
                time.sleep(0.05)

        assert time.monotonic() - begun < 2
        assert server.reasons[-1] == "slow_head"


def test_a_client_that_leaves_in_its_body_submits_nothing(server: Running) -> None:
    asked = len(server.jobs.asked)
    with server.connect() as s:
        s.sendall(post(b"/jobs/batch", b"k" * 300_000)[:-1])
        time.sleep(0.1)

    assert server.idle()
    assert len(server.jobs.asked) == asked
    assert server.port_of._held_bytes.total() == 0


# events


def listen(server: Running, headers: bytes = b"") -> socket.socket:
    s = server.connect()
    s.sendall(b"GET /jobs/%b/events HTTP/1.1\r\nhost: x\r\n" % ID.encode() + BEARER + headers + b"\r\n")
    return s


def test_events_from_beginning_to_end() -> None:
    """In chunks, as they happen; the connection goes on afterwards."""
    with Running(SOME) as server, listen(server) as s:
        first = until(s, b'"version":0')
        server.change(attempts=1)
        second = until(s, b'"version":1')
        server.change(state=State.SUCCEEDED)
        last = until(s, b"0\r\n\r\n")
        s.sendall(b"GET /jobs HTTP/1.1\r\nhost: x\r\n" + BEARER + CLOSE + b"\r\n")

        assert b"content-type: text/event-stream" in first
        assert b"transfer-encoding: chunked" in first
        assert b"event: job\nid: 0\n" in first
        assert b"id: 1\n" in second
        assert b'"state":"succeeded"' in last
        assert rest(s).startswith(b"HTTP/1.1 200 ")
        assert len(server.calls) == 2


LEAVING = {
    "close": lambda s: s.close(),
    "half close": lambda s: s.shutdown(socket.SHUT_WR),
    "reset": lambda s: (s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0"), s.close()),
}


@pytest.mark.timed
@pytest.mark.parametrize("leave", LEAVING.values(), ids=LEAVING)
@pytest.mark.parametrize("behind", [b"", b"GET /jobs HTTP/1.1\r\nhost: x\r\n\r\n" * 2], ids=["alone", "others wait"])
def test_a_client_that_leaves_frees_its_place(leave: Any, behind: bytes) -> None:
    """L05: within half a second, with its one line in the log."""
    with Running(SOME) as server:
        s = listen(server, b"")
        until(s, b'"version":0')
        s.sendall(behind)
        time.sleep(0.05)
        assert server.port_of.streams.open == 1
        leave(s)
        left = time.monotonic()

        assert server.idle()
        assert time.monotonic() - left < 0.5
        s.close()
        assert server.port_of.streams.open == 0
        assert [(call.path, reply.status) for call, reply in server.calls] == [(f"/jobs/{ID}/events", 200)]


def test_no_more_than_so_many_listen(server: Running) -> None:
    """And all others are answered as ever."""
    with contextlib.ExitStack() as held:
        for _ in range(4):
            until(held.enter_context(listen(server)), b"event: job")
        refused = server.ask(b"GET /jobs/%b/events HTTP/1.1\r\nhost: x\r\n" % ID.encode() + BEARER + CLOSE + b"\r\n")
        other = server.ask(b"GET /jobs HTTP/1.1\r\nhost: x\r\n" + BEARER + CLOSE + b"\r\n")

    assert problem(refused) == (503, "overloaded")
    assert other.startswith(b"HTTP/1.1 200 ")
    assert server.idle()


def test_a_listener_that_does_not_read_is_cut_off() -> None:
    """L06: what it does not take is not kept for ever."""
    with Running(SOME) as server:
        server.jobs.jobs[ID] = job(tenant="acme", state=State.RUNNING, callback_state="x" * 500_000)
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.connect(("127.0.0.1", server.port))
        with s:
            s.sendall(b"GET /jobs/%b/events HTTP/1.1\r\nhost: x\r\n" % ID.encode() + BEARER + b"\r\n")
            end = time.monotonic() + 60
            while "slow_reader" not in server.reasons and time.monotonic() < end:
                server.change(attempts=1)
                time.sleep(0.02)

            assert server.idle()
        assert "slow_reader" in server.reasons
        assert server.port_of.streams.open == 0


@pytest.mark.timed
def test_a_stop_does_not_wait_for_listeners() -> None:
    """L18: their streams end well, so that they come back to whoever answers then."""
    with Running(SOME, grace_s=5) as server, listen(server) as s:
        until(s, b"event: job")
        begun = time.monotonic()
        server.stop()
        answer = rest(s)
        server.__exit__()

        assert answer.endswith(b"0\r\n\r\n")
        assert time.monotonic() - begun < 2


def test_reading_what_came_before(server: Running) -> None:
    """A client that comes back says what it has seen last."""
    version = server.jobs.jobs[ID].version
    with listen(server, b"last-event-id: %d\r\n" % version) as s:
        until(s, b"retry: ")
        server.change(attempts=3)
        told = until(s, b'"attempts":3')

    assert re.findall(rb"id: (\d+)\n", told) == [b"%d" % (version + 1)]
