"""O01, O02, L19: whatever is logged, each line stays one line, holds no secret, and waits for nobody."""

import io
import json
import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagemill.obs import logs
from imagemill.obs.logs import MAX_CHARS, MAX_LINE_BYTES, Log, LogPipe, configure, json_line, mask, pretty_line, redact
from imagemill.settings import Log as Settings
from imagemill.settings import Secret

HOSTILE = {
    "line ends": "a\r\nb\nc\rd\x0be\x0cf",
    "ansi": "\x1b[2J\x1b]0;title\x07\x9b31m",
    "unicode line ends": "a\u2028b\u2029c\u0085d",
    "direction": "\u202eexe.gpj",
    "surrogates": "\ud800x\udcff",
    "nul and del": "\0\x7f\x08",
    "forged": '"}\n{"level":"error","event":"forged',
    "bytes": b"\xff\xfe\n\x1b[0m",
    "long": "x" * 1_000_000,
    "long of others": "\U0001f600" * 100_000,
    "not a number": float("nan"),
    "infinite": float("-inf"),
    "huge": 10**20_000,
    "nested": {"a": {"b": {"c": {"d": ["e"] * 1000}}}},
    "wide": dict.fromkeys(range(10_000), "x" * 5_000),
    "itself": [],
    "object": object(),
    "exception": ValueError("a\nb"),
}
HOSTILE_TEXT = {name: value for name, value in HOSTILE.items() if isinstance(value, str)}
HOSTILE["itself"].append(HOSTILE["itself"])  # type: ignore[union-attr]


@contextmanager
def logging_to(out, form="json", level="info") -> Iterator[LogPipe]:
    """The process's logging through a pipe, put back afterwards."""
    names = (None, "uvicorn", "uvicorn.error", "uvicorn.access", "asyncio")
    loggers = [logging.getLogger(name) for name in names]
    before = [(logger, logger.handlers[:], logger.level, logger.propagate) for logger in loggers]
    pipe = configure(Settings(format=form, level=level), out)
    try:
        yield pipe
    finally:
        pipe.close()
        for logger, handlers, old_level, propagate in before:
            logger.handlers[:], logger.propagate = handlers, propagate
            logger.setLevel(old_level)


def record(event="e", args=(), **fields):
    made = logging.LogRecord("imagemill.request", logging.INFO, "f", 1, event, args, None)
    made.fields = fields
    return made


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_values_stay_in_their_line(name):
    """O01: as a field, as a message and as an argument; JSON and pretty."""
    value = HOSTILE[name]
    for made in (
        record(value=value),
        record(str(value)[:5_000] if name == "huge_" else "e %s", (repr(type(value)),), value=value),
    ):
        line, pretty = json_line(made), pretty_line(made)

        assert json.loads(line)["event"].startswith("e")
        assert len(line) <= MAX_LINE_BYTES
        for text in (line, pretty):
            assert text.isascii()
            assert not any(ord(c) < 32 or c == "\x7f" for c in text)


def test_what_some_readers_of_json_refuse_is_escaped():
    """O01: DEL is a control character, and half a surrogate pair is no text to most readers."""
    assert json_line(record(value="a\x7f")).endswith('"value":"a\\u007f"}')
    assert json.loads(json_line(record(value="\ud800")))["value"] == "\\ud800"


@given(st.text(), st.dictionaries(st.text(), st.text() | st.integers() | st.floats() | st.binary(), max_size=5))
def test_any_record_is_one_line(event, fields):
    """O01: parse every line."""
    line, pretty = json_line(record(event, fields=fields)), pretty_line(record(event, fields=fields))

    assert isinstance(json.loads(line, parse_constant=pytest.fail), dict)
    for text in (line, pretty):
        assert text.isascii()
        assert text.isprintable()


def test_fields_are_cut():
    """O01: 2 kB a string, 16 kB a line; the head stays."""
    shown = json.loads(json_line(record("e" * 5_000, **{f"f{n}": "x" * 5_000 for n in range(100)})))

    assert len(shown["event"]) == len(shown["f0"]) == MAX_CHARS
    assert shown["cut"] is True
    assert {"time", "level", "event"} <= shown.keys()


def test_a_trace_is_shown_and_bounded():
    made = record()
    try:
        raise ValueError("x" * 10_000 + "\x1b[0m end")
    except ValueError as e:
        made.exc_info = (ValueError, e, e.__traceback__)

    assert json.loads(json_line(made))["exception"].endswith("end")
    assert all(row.startswith("  | ") for row in pretty_line(made).split("\n")[1:])
    assert "\x1b" not in pretty_line(made)


def test_a_record_that_cannot_be_shown_does_not_end_the_log():
    """L19: wrong arguments, an object that raises: a line says so, and the next line comes."""

    class Bad:
        def __str__(self):
            raise RuntimeError("no")

    out = io.StringIO()
    with logging_to(out):
        logging.getLogger("imagemill.x").warning("%d", "not a number")
        Log("imagemill").info("bad", value=Bad())
        Log("imagemill").info("after")

    events = [json.loads(line)["event"] for line in out.getvalue().splitlines()]
    assert events == ["a record could not be shown"] * 2 + ["after"]


CANARY = "CANARY0123456789"


def secrets():
    s = Secret(CANARY)
    yield record(key=s, keys={"a": s}, rows=[s])
    yield record("key %s", (s,))
    yield record("key %(k)s", ({"k": s},))
    yield record(s)
    yield record(Authorization=f"Bearer {CANARY}", cookie=CANARY, api_key=CANARY, token=CANARY.encode())
    yield record(headers={"Authorization": CANARY, "X-Amz-Security-Token": CANARY})
    yield record(f"GET https://user:{CANARY}@host/a failed")
    yield record(f"redis://:{CANARY}@host:6379/0")
    yield record(f"https://host/a?X-Amz-Signature={CANARY}&b={CANARY}")
    yield record(f"Authorization: Basic {CANARY}")
    yield record(detail=f"signature=k1.{CANARY}")
    yield record(error=OSError(f"https://host/a?sig={CANARY}"))


@pytest.mark.parametrize("made", list(secrets()))
def test_no_secret_is_shown(made):
    """O02: by type, by name, by shape."""
    assert CANARY not in json_line(made)
    assert CANARY not in pretty_line(made)


@pytest.mark.parametrize(
    "query",
    [
        "source=https://h/a.jpg?sig={c}&width=9",
        "src=https%3A%2F%2Fh%2Fa.jpg%3Fsig%3D{c}",
        "source=https%253A%252F%252Fh%252Fa.jpg%253Fsig%253D{c}",
        "%73ource=https://h/a?{c}",
        "SOURCE=https://h/a?{c}",
        "source=https://h/a?X-Amz-Credential=x&X-Amz-Signature={c}",
        "source=https://u:{c}@h/a.jpg",
        "source=https%3A%2F%2Fu%3A{c}%40h%2Fa.jpg",
        "source=https%253A%252F%252Fu%253A{c}%2540h%252Fa.jpg",
        "source=https:u:{c}@h/a",
        "source=https:\\\\u:{c}@h/a",
        "source=//u:{c}@a@h/a",
        "source=u:{c}@h",
        "width=1&signature=k1.{c}",
        "width=1&%73ignature=k1.{c}",
        "width=1&Signature={c}",
        "a=1&access_token={c}",
    ],
)
def test_targets_are_redacted(query):
    """O02: signature, query and userinfo of the source, however they are written."""
    shown = redact(f"/image?{query.format(c=CANARY)}".encode())

    assert CANARY not in shown
    assert CANARY not in json_line(record(target=shown))


def test_what_is_no_secret_stays():
    """A log that hides everything helps nobody."""
    target = b"/image?source=https://h.example/a/b@2x.jpg?v=3&width=512&format=webp&signature=k1.abc"

    shown = json.loads(json_line(record(target=redact(target))))["target"]

    assert shown == "/image?source=https://h.example/a/b@2x.jpg%3F***&width=512&format=webp&signature=***"
    assert mask("a plain line, a/b@2x.jpg, 5 = 5?") == "a plain line, a/b@2x.jpg, 5 = 5?"


@given(st.binary(max_size=300))
def test_any_target_can_be_redacted(raw):
    """O01: ASCII, bounded."""
    assert redact(raw).isascii()
    assert len(redact(raw * 50)) <= MAX_CHARS


@pytest.mark.parametrize(
    "part",
    ["a", "%", "%25", "/", "//", "@", "?", "%40", "://", "source=", "&", "a:", "signature=", "cookie ", "=", " "],
)
def test_masking_takes_linear_time(part):
    """R07: no input makes a pattern try again and again."""
    hostile = ("/image?source=" + part * 1_000_000)[:1_000_000]
    begun = time.thread_time()

    redact(hostile.encode())
    mask(hostile[:64_000])

    assert time.thread_time() - begun < 2


# the pipe


@pytest.mark.timed
def test_a_full_pipe_stops_nobody():
    """L19: with nobody reading, lines are dropped and counted, and each call returns at once."""
    read, write = os.pipe()
    with os.fdopen(read, "rb", 0) as reader, os.fdopen(write, "w") as out, logging_to(out) as pipe:
        log, slowest = Log("imagemill"), 0.0
        for n in range(logs.MAX_LINES + 4_000):  # more than wait, than a batch holds, and than the pipe itself
            begun = time.perf_counter()
            log.info("request", n=n)
            slowest = max(slowest, time.perf_counter() - begun)

        assert slowest < 0.2
        assert pipe.dropped >= 500
        reading = threading.Thread(target=lambda: [None for _ in iter(lambda: reader.read(65536), b"")])
        reading.start()
        pipe.close()
        dropped = pipe.dropped
        out.close()
        reading.join(5)
        assert dropped < 4_000 + 1


def test_what_waits_is_bounded_in_bytes():
    """L19: long lines do not fill the memory instead."""
    read, write = os.pipe()
    with os.fdopen(read, "rb", 0) as reader, os.fdopen(write, "w") as out, logging_to(out) as pipe:
        for _ in range(3_000):
            Log("imagemill").info("request", **{f"f{n}": "x" * 2_000 for n in range(7)})

        assert pipe._waiting_bytes <= logs.MAX_WAITING_BYTES
        assert pipe.dropped > 1_000
        threading.Thread(target=lambda: [None for _ in iter(lambda: reader.read(65536), b"")], daemon=True).start()
        pipe.close()
        out.close()
        time.sleep(0.05)


def test_closing_writes_what_waits_and_takes_no_more():
    read, write = os.pipe()
    with os.fdopen(write, "w") as out, logging_to(out) as pipe:
        for n in range(500):
            Log("imagemill").info("request", n=n)
        pipe.close()
        Log("imagemill").info("late")
        assert pipe.dropped == 1
    with os.fdopen(read, "rb") as reader:
        assert [json.loads(line)["n"] for line in reader] == list(range(500))


def test_a_closed_reader_ends_nothing():
    """L19: a broken pipe is counted."""
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as out, logging_to(out) as pipe:
        Log("imagemill").info("request")
        pipe.close()

        assert pipe.dropped == 1


def test_uvicorn_goes_through_the_same_pipe():
    out = io.StringIO()
    with logging_to(out):
        logging.getLogger("uvicorn.error").warning("hello\n%s", "you")
        logging.getLogger("uvicorn.error").info("chatter")
        logging.getLogger("uvicorn.access").info("chatter")

    (line,) = out.getvalue().splitlines()
    assert json.loads(line)["event"] == "hello\nyou"
    assert json.loads(line)["logger"] == "uvicorn.error"


def test_levels_and_forms():
    out = io.StringIO()
    with logging_to(out, form="pretty", level="warning"):
        Log("imagemill").info("no")
        Log("imagemill").warning("yes", a=1)
        Log("imagemill").error("also")
        Log("imagemill").failure("this", ValueError("too"))

    rows = out.getvalue().splitlines()
    assert [row.split()[1:3] for row in rows[:3]] == [["warning", "yes"], ["error", "also"], ["error", "this"]]
    assert rows[-1] == "  | ValueError: too"
