"""One service answers hits before they are parsed, the other does not: nobody can tell which is which, byte for byte.

The clock stands still unless a test moves it. Each test says how many of its requests are to be answered early, so that
the two ways are compared and not one with itself.
"""

import io
import json
import os
import re
import socket
import threading
import time
import tracemalloc

import pytest

from imagemill.cache.purges import Purge, Subject
from imagemill.model.entry import Entry, Validators
from imagemill.model.media import Format, Rendition
from imagemill.model.signing import sign
from imagemill.obs import logs
from imagemill.settings import Cache, Log, Secret, Server, Settings, Signing
from imagemill.web.request import Call
from support.inner import Client, Inner
from support.node import SAMPLES

KEY = "a-key-of-at-least-thirty-two-bytes-or-more"
SOURCE = "source=local:sample/dandelion.jpg"
BODY, LARGE = os.urandom(30_000), os.urandom(12_000_000)
ETAG = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFG"
BORN_S = 1_000.25
NOW_S = float(int(time.time())) + 0.5
HTTP_DATE = "%a, %d %b %Y %H:%M:%S GMT"
MODIFIED_S = int(NOW_S) - 500_000
NOTHING = b"GET /nothing HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
BROWSER = (
    b"host: pictures.example\r\nuser-agent: Mozilla/5.0\r\naccept: image/avif,image/webp,*/*;q=0.8\r\n"
    b"accept-language: en\r\naccept-encoding: gzip\r\nreferer: https://shop.example/\r\n"
)


def signed(options: str) -> bytes:
    return sign(f"/image?{SOURCE}&{options}".encode(), "k1", KEY.encode())


PLAIN, OTHER = signed("width=100&format=webp"), signed("width=101&format=webp")
AUTO = signed("width=100&format=auto")
NAMED = signed("width=100&format=webp&filename=caf%C3%A9&ttl=90000")
ENDING = signed(f"width=100&format=webp&expires={int(NOW_S) + 100}")
BIG = signed("width=3000&format=webp")
MISSING = signed("width=77&format=webp")
TAGGED = signed("width=102&format=webp&tags=shop")


def get(target: bytes = PLAIN, more: bytes = b"", *, method: bytes = b"GET", version: bytes = b"1.1") -> bytes:
    return b"%b %b HTTP/%b\r\n%b%b\r\n" % (method, target, version, BROWSER, more)


class Clock:
    def __init__(self) -> None:
        self.now_s = NOW_S

    def __call__(self) -> float:
        return self.now_s


def entry(body: bytes, **more) -> Entry:
    rendition = Rendition(body, Format.WEBP, ETAG, 100, 75)
    terms = {
        "engine": 10**9,
        "source_key": "s",
        "validators": Validators("v", MODIFIED_S),
        "asked_ms": int(NOW_S * 1e3) - 10_000,
    }
    return Entry(rendition, NOW_S - BORN_S, **(terms | more))


class Pair:
    """Both services, and the same done to each."""

    def __init__(self, clock: Clock, **server) -> None:
        settings = Settings(
            server=Server(port=0, admin_port=0, **({"drain_s": 0.05, "grace_s": 5} | server)),
            signing=Signing("required", {"k1": Secret(KEY)}),
            storage={"sample": {"kind": "file", "root": str(SAMPLES)}},
            cache=Cache(l1_bytes=200_000_000, early_refresh=0),
            log=Log(format="json"),
        )
        self.clock = clock
        self.out = io.StringIO(), io.StringIO()
        made = Rendition(b"made", Format.WEBP, ETAG[::-1], 77, 50)
        self.ordinary = Inner(settings, self.out[0], made, early=False)
        self.quick = Inner(settings, self.out[1], made, early=True)

    @property
    def both(self):
        return self.ordinary, self.quick

    def keep(self, target: bytes, made: Entry, accept: bytes = b"image/avif,image/webp,*/*;q=0.8") -> None:
        for inner in self.both:
            inner.keep(target, accept, made)

    def alike(self, talk, early: int | None) -> list[bytes]:
        """What *talk* gives for each service, which must be the same; *early* answers of one were early."""
        before, said = self.quick.early, []
        for inner in self.both:
            with inner.logged():
                said.append([masked(answer) for answer in talk(inner)])

        assert said[0] == said[1]
        assert early is None or self.quick.early - before == early
        return said[1]

    def close(self) -> None:
        for inner in self.both:
            inner.close()


def masked(raw: bytes) -> bytes:
    """Without what is never the same twice: ids that are ours, what the work took, and the second of each port's date."""
    raw = re.sub(rb"(\r\ndate: )\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT(?=\r\n)", rb"\1-", raw)
    raw = re.sub(rb"(x-request-id: )[0-9a-f]{16}(?=\r\n)", rb"\1-", raw)
    raw = re.sub(rb'("request_id": ")[0-9a-f]{16}(?=")', rb"\1-", raw)
    return re.sub(rb"dur=[0-9.]+", b"dur=", raw)


def in_turn(*requests: bytes, closing: bytes = NOTHING):
    """Each is sent when the one before is answered; *closing* goes with the last, and ends the connection."""

    def talk(inner: Inner) -> list[bytes]:
        answers = []
        with Client(inner.port) as client:
            for raw in requests:
                client.send(raw)
                answers.append(client.answer())
            client.send(closing)
            return [*answers, client.rest()]

    return talk


def at_once(*pieces: bytes):
    """All pieces are sent, and all that comes is read."""

    def talk(inner: Inner) -> list[bytes]:
        with Client(inner.port) as client:
            for piece in pieces:
                client.send(piece)
            return [client.rest()]

    return talk


@pytest.fixture(scope="module")
def clock():
    patch, clock = pytest.MonkeyPatch(), Clock()
    patch.setattr(time, "time", clock)
    yield clock
    patch.undo()


@pytest.fixture(scope="module")
def _pair(clock):
    pair = Pair(clock, cors_origins=("https://shop.example",), trusted_proxies=("127.0.0.1/32",))
    yield pair
    pair.close()


@pytest.fixture
def pair(_pair):
    _pair.clock.now_s = NOW_S
    for target in (PLAIN, OTHER, NAMED, ENDING):
        _pair.keep(target, entry(BODY))
    for accept in (b"image/avif,image/webp,*/*;q=0.8", b"image/webp", b"image/png"):
        _pair.keep(AUTO, entry(BODY + accept), accept)
    return _pair


# what is answered early


def test_a_hit(pair):
    """Twice on one connection: 200, and all that the ordinary way says."""
    first, second, _ = pair.alike(in_turn(get(), get()), early=2)

    assert first == second
    head, _, body = first.partition(b"\r\n\r\n")
    assert body == BODY
    assert head.startswith(b"HTTP/1.1 200 OK\r\ndate: ")
    for line in (b"x-cache: L1", b"age: 1000", b"cache-control: public, max-age=86400", b"x-request-id: -"):
        assert b"\r\n" + line + b"\r\n" in head + b"\r\n"


@pytest.mark.timed
@pytest.mark.parametrize("target", [NAMED, ENDING, AUTO])
def test_hits_with_more_to_say(pair, target):
    """Names, lifetimes, ends and Vary."""
    pair.alike(in_turn(get(target), get(target)), early=2)


def test_heads_that_differ_in_what_matters_and_in_what_does_not(pair):
    """One URL, met in many heads that follow each other: each has the answer of its own head."""
    ours, theirs = b"origin: https://shop.example\r\n", b"origin: https://other.example\r\n"
    known, unknown = b'if-none-match: "%b"\r\n' % ETAG.encode(), b'if-none-match: "x"\r\n'
    changed = [b"x-request-id: a-%d\r\ncookie: a=%d\r\n" % (n, n) for n in range(5)]
    kinds = [b"", ours, theirs, known, unknown, ours + known, b"x-forwarded-for: 203.0.113.9\r\n"]
    requests = [get(more=kind + more) for more in changed for kind in kinds]

    answers = pair.alike(in_turn(*requests), early=len(requests))

    assert [a.count(b"304 Not Modified") for a in answers[:7]] == [0, 0, 0, 1, 0, 1, 0]
    assert [a.count(b"access-control-allow-origin: https://shop.example\r\n") for a in answers[:7]] == [
        0, 1, 0, 0, 0, 1, 0,
    ]  # fmt: skip
    for n in range(len(requests)):
        assert b"x-request-id: a-%d\r\n" % (n // len(kinds)) in answers[n]


@pytest.mark.parametrize("accept", [b"image/webp", b"image/png"])
def test_what_a_client_accepts(pair, accept):
    raw = get(AUTO).replace(b"image/avif,image/webp,*/*;q=0.8", accept)

    answer, *_ = pair.alike(in_turn(raw), early=1)

    assert answer.endswith(accept)
    assert b"\r\nvary: Accept" in answer


@pytest.mark.parametrize(
    ("condition", "status"),
    [
        (b'if-none-match: "%b"' % ETAG.encode(), 304),
        (b'if-none-match: W/"%b"' % ETAG.encode(), 304),
        (b'if-none-match: "x", "%b"' % ETAG.encode(), 304),
        (b"if-none-match: *", 304),
        (b'if-none-match: "x"', 200),
        (b'if-none-match: "x"\r\nif-none-match: "%b"' % ETAG.encode(), 304),
        (b"if-modified-since: " + time.strftime(HTTP_DATE, time.gmtime(MODIFIED_S)).encode(), 304),
        (b"if-modified-since: " + time.strftime(HTTP_DATE, time.gmtime(MODIFIED_S - 1)).encode(), 200),
        (b"if-modified-since: nonsense", 200),
        (b"if-none-match: \t ", 200),
    ],
    # no clock in names: those who collect in two processes have to find the same
    ids=["tag", "weak", "list", "any", "other", "two fields", "that second", "a second before", "nonsense", "empty"],
)
def test_conditions(pair, condition, status):
    answer, again, _ = pair.alike(in_turn(get(more=condition + b"\r\n"), get(more=condition + b"\r\n")), early=2)

    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert answer == again


@pytest.mark.parametrize(
    "more",
    [
        b"connection: keep-alive\r\n",
        b"origin: https://shop.example\r\n",
        b"origin: https://other.example\r\n",
        b"x-request-id: given-by-a-proxy\r\n",
        b"x-forwarded-for: 203.0.113.9\r\n",
        b"forwarded: for=203.0.113.9\r\nx-forwarded-for: 198.51.100.1\r\n",
        b"cookie: a=b\r\nauthorization: Bearer x\r\n",
        b"X-SHOUT:no space\r\nx-empty:\r\nx-tab:\t a\t \r\n",
    ],
)
def test_headers_that_change_nothing_about_framing(pair, more):
    pair.alike(in_turn(get(more=more), get(more=more)), early=2)


def test_time_passes(pair):
    """Age and what is left go on, by the second and across halves of seconds."""
    answers = []
    for step_s in (0.0, 0.3, 0.3, 0.3, 0.3, 50.0):
        pair.clock.now_s += step_s
        answers += pair.alike(in_turn(get(), get(ENDING)), early=2)[:2]

    ages = [int(re.search(rb"\r\nage: (\d+)", answer)[1]) for answer in answers]
    assert ages == [1000, 1000, 1000, 1000, 1000, 1000, 1001, 1001, 1001, 1001, 1051, 1051]
    lives = [int(re.search(rb"max-age=(\d+)", answer)[1]) for answer in answers[1::2]]
    assert lives == [1100, 1100, 1099, 1100, 1100, 1100]


# what is not


@pytest.mark.parametrize(
    "raw",
    [
        get(method=b"HEAD"),
        get(method=b"OPTIONS"),
        get(method=b"POST"),
        get(method=b"get"),
        get(version=b"1.0"),
        get(version=b"1.0", more=b"connection: keep-alive\r\n"),
        get(more=b"connection: close\r\n"),
        get(more=b"Connection: Keep-Alive, close\r\n"),
        get(more=b"connection: upgrade\r\nupgrade: websocket\r\n"),
        get(more=b"upgrade: h2c\r\n"),
        get(more=b"expect: 100-continue\r\n"),
        get(more=b"content-length: 0\r\n"),
        get(more=b"content-length: 3\r\n") + b"abc",
        get(more=b"transfer-encoding: chunked\r\n") + b"3\r\nabc\r\n0\r\n\r\n",
        get(more=b"transfer-encoding: chunked\r\ncontent-length: 3\r\n") + b"3\r\nabc\r\n0\r\n\r\n",
        get(more=b"content-length: 3\r\ncontent-length: 4\r\n") + b"abcd",
        get(more=b"te: trailers\r\n"),
        get(more=b"trailer: x\r\n"),
        get(more=b"range: bytes=0-9\r\n"),
        get(more=b"range: bytes=99999999-\r\n"),
        get(more=b'range: bytes=0-9\r\nif-range: "x"\r\n'),
        get(more=b'if-match: "x"\r\n'),
        get(more=b"if-unmodified-since: Thu, 01 Jan 1970 00:00:00 GMT\r\n"),
        get(more=b"host: two\r\n"),
        get().replace(b"host: pictures.example\r\n", b""),
        get(more=b"x-fold: a\r\n b\r\n"),
        get(more=b"x-nul: a\0b\r\n"),
        get(more=b"x-cr: a\rb\r\n"),
        get(more=b"no colon\r\n"),
        get(more=b"bad name: x\r\n"),
        get(more=b"x-long: " + b"a" * 3_000 + b"\r\n"),
        get(more=b"x-too-long: " + b"a" * 40_000 + b"\r\n"),
        get().replace(b"\r\n", b"\n"),
        b"\r\n" + get(),
        get() + b"\r\n",
        get(b"http://pictures.example" + PLAIN),
        get(b"http://other.example" + PLAIN),
        get(PLAIN + b"#x"),
        get(PLAIN + b" x"),
        get(PLAIN + b"\xe9"),
        get(PLAIN + b"&x=1"),
        get(PLAIN[:-1]),
        get(PLAIN.replace(b"width=100", b"width=104")),
        get(PLAIN.partition(b"&signature")[0]),
        get(PLAIN.replace(b"/image", b"/imag%65")),
        get(PLAIN.replace(b"/image", b"/image/")),
        get(b"/image"),
        get(b"/image?"),
        get(b"/image?" + b"x" * 9_000),
        get(version=b"1.2"),
        get(version=b"2.0"),
    ],
)  # fmt: skip
def test_what_is_odd_goes_the_ordinary_way(pair, raw):
    """And is answered there, refused or not, with what follows it."""
    pair.alike(at_once(get(), raw + NOTHING), early=None)
    pair.alike(at_once(raw + NOTHING), early=0)


def test_heads_beyond_a_port_s_own_bound_are_refused(clock):
    """A port may allow less than what is remembered of heads; what is just short enough is still answered early."""
    pair = Pair(clock, max_head_bytes=600, max_target_bytes=500)
    try:
        pair.keep(PLAIN, entry(BODY))
        room = 600 - len(get(more=b"x-a: \r\n"))
        pair.alike(in_turn(get(more=b"x-a: %b\r\n" % (b"y" * room))), early=1)
        refused = pair.alike(at_once(get(more=b"x-a: %b\r\n" % (b"y" * 600))), early=0)
    finally:
        pair.close()

    assert refused[0].startswith(b"HTTP/1.1 400 ")


def test_what_is_remembered_of_heads_is_no_more_than_their_bytes(pair):
    """A head of many small headers, which as objects weigh twenty times what they do on the wire."""
    many = b"".join(b"x%03d:\r\n" % n for n in range(200))
    early = pair.quick.service.connections.early
    assert early is not None
    fields: list[tuple[bytes, bytes]] = []

    def meet() -> int:
        before = tracemalloc.get_traced_memory()[0]
        for n in range(100):
            assert early(get(more=b'if-none-match: "%d"\r\n%b' % (n, many)), "192.0.2.1", fields)
        return tracemalloc.get_traced_memory()[0] - before

    tracemalloc.start()
    try:
        held_bytes = pair.quick.on_loop(meet)
    finally:
        tracemalloc.stop()
    assert held_bytes < 100 * 10_000


@pytest.mark.parametrize("raw", [get(method=b"HEAD"), get(more=b"range: bytes=5-9\r\n"), get(more=b"te: trailers\r\n")])
def test_both_ways_on_one_connection(pair, raw):
    """A hit, something else, a hit: the parser has missed nothing."""

    def talk(inner: Inner) -> list[bytes]:
        with Client(inner.port) as client:
            answers = []
            for one in (get(), raw, get(), raw, raw, get()):
                client.send(one)
                answers.append(client.answer(head_only=one.startswith(b"HEAD")))
            client.send(NOTHING)
            return [*answers, client.rest()]

    pair.alike(talk, early=3)


def test_pipelined(pair):
    """Many in one segment are answered in order, and none is lost."""
    (answers,) = pair.alike(at_once(get() * 5 + get(OTHER, b'if-none-match: "x"\r\n') + NOTHING), early=0)

    assert answers.count(b"HTTP/1.1 200 OK") == 6


def test_behind_a_slow_miss(pair):
    """A hit does not overtake what was asked before it on its connection."""

    def talk(inner: Inner) -> list[bytes]:
        inner.on_loop(lambda: inner.service.l1.drop(inner.service.images.plan(_call(MISSING)).key))
        with Client(inner.port) as client, Client(inner.port) as other:
            client.send(get(MISSING))
            assert inner.engine.begun.acquire(timeout=20)
            client.send(get())
            other.send(get(OTHER))  # by its answer the loop has seen the bytes that came before
            answers = [other.answer()]
            inner.engine.go.release()
            answers += [client.answer(), client.answer()]
            client.send(NOTHING)
            return [*answers, client.rest()]

    _, miss, hit, _ = pair.alike(talk, early=1)

    assert miss.endswith(b"made")
    assert hit.endswith(BODY)


def _call(target: bytes) -> Call:
    return Call("GET", "/image", target.partition(b"?")[2], [(b"accept", b"image/avif,image/webp")], "r")


@pytest.mark.parametrize("cut", [1, 40, -1, -3])
def test_a_head_in_two_pieces(pair, cut):
    def talk(inner: Inner) -> list[bytes]:
        with Client(inner.port) as client, Client(inner.port) as other:
            client.send(get()[:cut])
            other.send(NOTHING)
            answers = [other.rest()]
            client.send(get()[cut:])
            answers.append(client.answer())
            client.send(get())
            answers.append(client.answer())
            client.send(NOTHING)
            return [*answers, client.rest()]

    pair.alike(talk, early=1)


def test_byte_by_byte(pair):
    """However a head comes, its answer is the same."""
    raw = b"GET %b HTTP/1.1\r\nhost: x\r\n\r\n" % PLAIN
    pair.alike(at_once(*(raw[n : n + 1] for n in range(len(raw))), NOTHING), early=None)


# what holds a hit back


def test_the_end_of_a_url(pair):
    """R05: judged each time, also where the same bytes were answered before."""
    pair.alike(in_turn(get(ENDING)), early=1)
    pair.clock.now_s = float(int(NOW_S) + 100)

    answer, _ = pair.alike(in_turn(get(ENDING)), early=0)

    assert answer.startswith(b"HTTP/1.1 410 ")


def test_a_purge(pair):
    """Nothing from before is answered with, though what comes then may be kept."""
    pair.alike(in_turn(get(OTHER)), early=1)
    for inner in pair.both:
        key = inner.on_loop(lambda inner=inner: inner.service.images.plan(_call(OTHER)).key)
        inner.on_loop(lambda inner=inner, key=key: inner.service.purges.note(
            Purge.of(Subject.KEY, key, inner.service.purges.now_ms() - 1_000)))  # fmt: skip
        inner.engine.go.release()

    answer, _ = pair.alike(in_turn(get(OTHER)), early=0)

    assert b"\r\nx-cache: MISS\r\n" in answer


def test_another_picture_in_its_place(pair):
    """What is remembered of an answer is not used for another entry, however alike."""
    pair.alike(in_turn(get()), early=1)
    pair.keep(PLAIN, entry(b"another of the same age"))

    answer, _ = pair.alike(in_turn(get()), early=1)

    assert answer.endswith(b"\r\n\r\nanother of the same age")


def test_what_is_stale_goes_the_ordinary_way(pair):
    """It is answered with while it is made anew behind: more than a hit."""
    pair.keep(PLAIN, entry(BODY, engine=0))
    for inner in pair.both:
        inner.engine.go.release()

    answer, _ = pair.alike(in_turn(get()), early=0)

    assert b"\r\nx-cache: STALE\r\n" in answer
    for inner in pair.both:
        assert inner.engine.begun.acquire(timeout=20)


def test_while_draining(clock):
    """The answer is the last, and says so."""
    pair = Pair(clock)
    try:
        pair.keep(PLAIN, entry(BODY))
        pair.alike(in_turn(get()), early=1)
        for inner in pair.both:
            inner.on_loop(lambda inner=inner: setattr(inner.service.connections, "draining", True))

        (answer,) = pair.alike(at_once(get()), early=0)

        assert b"\r\nconnection: close\r\n" in answer
    finally:
        pair.close()


def test_an_idle_connection_ends(clock):
    """L06: also where nothing but hits was asked on it."""
    pair = Pair(clock, keep_alive_s=1)
    try:
        pair.keep(PLAIN, entry(BODY))

        def talk(inner: Inner) -> list[bytes]:
            with Client(inner.port) as client:
                client.send(get())
                return [client.answer(), client.rest()]

        assert pair.alike(talk, early=1)[1] == b""
    finally:
        pair.close()


# who does not read


def test_a_reader_that_pauses(pair):
    """What is asked while an answer waits is answered after it, whole."""
    pair.keep(BIG, entry(LARGE))

    def talk(inner: Inner) -> list[bytes]:
        with Client(inner.port, receive_bytes=4096) as client, Client(inner.port) as other:
            client.send(get(BIG))
            client.answer_head()
            client.send(get())
            other.send(NOTHING)  # both were seen by now
            other.rest()
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
            return [client.answer(), client.answer()]

    large, small = pair.alike(talk, early=1)

    assert large.endswith(LARGE)
    assert small.endswith(BODY)


def test_a_client_that_reads_nothing(clock):
    """L06: it is cut off, and what it let wait is counted until then."""
    pair = Pair(clock, write_timeout_s=0.3)
    try:
        pair.keep(BIG, entry(LARGE))

        def talk(inner: Inner) -> list[bytes]:
            with Client(inner.port, receive_bytes=4096) as client:
                client.send(get(BIG))
                client.answer_head()
                waiting = inner.on_loop(lambda: inner.service.connections.unsent.bytes)
                _until(lambda: inner.on_loop(lambda: inner.service.connections.open) == 0)
            left = inner.on_loop(lambda: inner.service.connections.unsent.bytes)
            return [b"%d %d" % (waiting, left)]

        assert pair.alike(talk, early=1) == [b"%d 0" % len(LARGE)]
    finally:
        pair.close()


def _until(condition) -> None:
    for _ in range(2_000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError


# what is told of them


def test_what_is_logged_and_counted(clock):
    """One line a request with the same fields in the same order, and the same series with the same counts."""
    pair = Pair(clock, trusted_proxies=("127.0.0.1/32",))
    requests = [
        get(), get(), get(more=b'if-none-match: "%b"\r\n' % ETAG.encode()), get(more=b"range: bytes=0-9\r\n"),
        get(PLAIN[:-1]), get(more=b"x-request-id: given\r\nx-forwarded-for: 203.0.113.9\r\n"), get(NAMED),
        get(more=b"x-forwarded-for: 203.0.113.10\r\n"), get(more=b"cookie: a=b\r\n"),
    ]  # fmt: skip
    pair.keep(PLAIN, entry(BODY))
    pair.keep(NAMED, entry(BODY))

    pair.alike(in_turn(*requests), early=7)

    counted = [_counted(inner.metrics()) for inner in pair.both]
    pair.close()
    lines = [[_line(line) for line in out.getvalue().splitlines()] for out in pair.out]
    assert lines[0] == lines[1]
    assert [dict(line)["code"] for line in lines[1]] == [
        "ok", "ok", "not_modified", "ok", "signature_invalid", "ok", "ok", "ok", "ok", "not_found",
    ]  # fmt: skip
    assert [dict(line)["client"][-3:] for line in lines[1]][5:9] == ["3.9", "0.1", ".10", "0.1"]
    assert counted[0] == counted[1]
    assert counted[1]['imagemill_cache_events_total{cache="l1",event="hit"}'] == 8
    assert counted[1]['imagemill_request_seconds_count{cache="L1"}'] == 8
    assert counted[1]['imagemill_requests_total{outcome="not_modified"}'] == 1


def _line(text: str) -> list[tuple[str, object]]:
    fields = json.loads(text)
    assert fields["ms"] >= 0
    fields["request_id"] = fields["request_id"] if fields["request_id"] == "given" else len(fields["request_id"])
    return [*(fields | {"ms": 0}).items()]


def _counted(series: dict[str, float]) -> dict[str, float]:
    ours = ("imagemill_requests", "imagemill_request_seconds_count", "imagemill_cache_events", "imagemill_connections")
    return {name: value for name, value in series.items() if name.startswith(ours)}


def test_a_full_pipe_stops_nobody(clock, monkeypatch):
    """L19: hits go on while nobody reads the log; what cannot be written is dropped and counted."""
    monkeypatch.setattr(logs, "MAX_LINES", 50)
    monkeypatch.setattr(logs, "_BATCH", 10)
    pair, read_end, write_end = Pair(clock), *os.pipe()
    try:
        pair.keep(PLAIN, entry(b"small"))
        with os.fdopen(write_end, "w") as out:
            pipe = pair.quick.pipe
            pipe._out = out
            with pair.quick.logged(), Client(pair.quick.port) as client:
                for _ in range(1_000):
                    client.send(get())
                    client.answer()
            assert pair.quick.early == 1_000
            assert pipe.dropped > 0
            reading = threading.Thread(target=lambda: [None for _ in iter(lambda: os.read(read_end, 1 << 16), b"")])
            reading.start()
            pair.close()
        reading.join(20)
    finally:
        pair.close()
        os.close(read_end)
