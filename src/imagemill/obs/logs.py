"""One line an event, to standard error, never in the way of the event loop.

Form     JSON in ASCII, or pretty; either way nothing in a value can break a line or speak to a terminal (threat O01).
Units    a string is cut at 2,000 characters, a line at 16 KiB; at most 10,000 lines and 8 MiB wait.
Errors   none: a line that cannot be written in time is dropped and counted (threat L19).
Secrets  `Secret` values; userinfo and queries of URLs; what is named like a secret (threat O02).
"""

import json
import logging
import math
import os
import re
import select
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping
from itertools import islice
from typing import Any, Literal, TextIO
from urllib.parse import unquote_to_bytes

from imagemill.settings import Log as Settings
from imagemill.settings import Secret

MAX_CHARS = 2_000
MAX_LINE_BYTES = 16 * 1024
MAX_LINES = 10_000
MAX_WAITING_BYTES = 8 * 1024 * 1024
_MAX_ITEMS = 32
_MAX_DEPTH = 3
_MAX_NAME_CHARS = 64
_MAX_INT_BITS = 128
_LOOKED_AT_CHARS = 32 * MAX_CHARS
_BATCH = 1024
_LINGER_S = 0.01
"""After what is there was written, more is waited for: at a high rate each line would wake the thread, and cost more
than all else about it."""
_FLUSH_S = 2.0
_HIDDEN = "***"


class Log:
    """A named log whose keyword arguments become fields."""

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)

    def info(self, event: str, **fields: Any) -> None:
        """Something happened."""
        self._logger.info(event, extra={"fields": fields})

    def warning(self, event: str, **fields: Any) -> None:
        """Something that an operator may want to change."""
        self._logger.warning(event, extra={"fields": fields})

    def error(self, event: str, **fields: Any) -> None:
        """Something that should not happen."""
        self._logger.error(event, extra={"fields": fields})

    def failure(self, event: str, error: BaseException, **fields: Any) -> None:
        """Something that must not happen, with its trace."""
        self._logger.error(event, exc_info=error, extra={"fields": fields})


class LogPipe(logging.Handler):
    """A bounded queue of finished lines, and a thread that empties it."""

    def __init__(self, settings: Settings, out: TextIO) -> None:
        super().__init__()
        self._out = out
        pretty = settings.format == "pretty" or (settings.format == "auto" and out.isatty())
        self.form: Literal["json", "pretty"] = "pretty" if pretty else "json"
        self.line = pretty_line if pretty else json_line
        """A record as a line of this form, without its end."""
        self._lines: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._closing = threading.Event()
        self._asleep = False
        self._lock = threading.Lock()
        self._ready = threading.Condition(self._lock)
        self.dropped = 0
        self._thread = threading.Thread(target=self._drain, name="log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Queue a record's line, or drop it; made here, so that what waits is bounded and does not change."""
        try:
            line = self.line(record)
        except Exception as e:  # noqa: BLE001 - a record that cannot be shown must not stop what it tells of
            line = json.dumps(_head(record, "a record could not be shown") | {"reason": type(e).__name__})
        self.put(line.encode("ascii") + b"\n")

    def relay(self, line: bytes) -> None:
        """Queue a line that another process of ours has made already; it stays one line."""
        self.put(_safe(line[:MAX_LINE_BYTES].decode("utf-8", "replace")).encode("ascii") + b"\n")

    def close(self) -> None:
        """Write what is queued, for at most two seconds."""
        super().close()
        with self._ready:
            self._closing.set()
            self._ready.notify()
        self._thread.join(_FLUSH_S)

    def put(self, line: bytes) -> None:
        """Queue a finished line, its end included, or drop and count it."""
        with self._lock:
            full = len(self._lines) >= MAX_LINES or self._waiting_bytes + len(line) > MAX_WAITING_BYTES
            if full or self._closing.is_set():
                self.dropped += 1
                return
            self._lines.append(line)
            self._waiting_bytes += len(line)
            if self._asleep:
                self._asleep = False
                self._ready.notify()

    def _drain(self) -> None:
        while batch := self._take():
            try:
                _write(self._out, b"".join(batch))
            except (OSError, ValueError):
                with self._ready:
                    self.dropped += len(batch)
            if not self._lines:
                self._closing.wait(_LINGER_S)

    def _take(self) -> list[bytes]:
        """The next lines; none once closed and done."""
        with self._ready:
            while not self._lines and not self._closing.is_set():
                self._asleep = True
                self._ready.wait()
            batch = [self._lines.popleft() for _ in range(min(len(self._lines), _BATCH))]
            self._waiting_bytes -= sum(map(len, batch))
            return batch


def _write(out: TextIO, data: bytes) -> None:
    """Write all of *data*, past the stream's own buffer: a thread stuck in that would break the interpreter's end."""
    try:
        fd = out.fileno()
    except (OSError, ValueError):
        out.write(data.decode("ascii"))
        return
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(fd, rest) :]
        except BlockingIOError:
            select.select([], [fd], [], 1.0)


def configure(settings: Settings, out: TextIO | None = None) -> LogPipe:
    """Send all logging of this process through one pipe, to standard error."""
    pipe = LogPipe(settings, out or sys.stderr)
    root = logging.getLogger()
    root.handlers[:] = [pipe]
    root.setLevel(settings.level.upper())
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "asyncio"):
        logger = logging.getLogger(name)
        logger.handlers[:] = []
        logger.propagate = True
        logger.setLevel("WARNING")
    return pipe


def json_line(record: logging.LogRecord) -> str:
    """A record as one line of ASCII JSON."""
    fields = _fields(record)
    line = _json(fields)
    while len(line) > MAX_LINE_BYTES:
        # the last fields go first; time, level and event stay
        kept = [name for name in fields if name != "cut"][:-1]
        fields = {name: fields[name] for name in kept} | {"cut": True}
        line = _json(fields)
    return line


def pretty_line(record: logging.LogRecord) -> str:
    """A record for a person at a terminal; a trace follows on lines of its own, indented."""
    fields = _fields(record)
    trace = str(fields.pop("exception", ""))
    head = f"{fields.pop('time')} {fields.pop('level'):7} {_safe(fields.pop('event'))}"
    line = (head + "".join(f" {_safe(k)}={_safe(str(v))}" for k, v in fields.items()))[:MAX_LINE_BYTES]
    return "\n  | ".join([line, *map(_safe, trace.splitlines())])


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))


def _safe(text: str) -> str:
    return text.encode("ascii", "backslashreplace").decode().translate(_CONTROLS)


_CONTROLS = {n: f"\\x{n:02x}" for n in (*range(32), 127)}


def _head(record: logging.LogRecord, event: str) -> dict[str, Any]:
    when = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03}Z"
    head = {"time": when, "level": record.levelname.lower(), "event": event}
    return head if record.name in {"imagemill", "imagemill.request"} else head | {"logger": record.name}


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    fields = _head(record, _text(_message(record)))
    for name, value in islice(getattr(record, "fields", {}).items(), _MAX_ITEMS):
        fields[name[:_MAX_NAME_CHARS]] = _named(name, value)
    if record.exc_info and record.exc_info[1] is not None:
        fields["exception"] = _clean(logging.Formatter().formatException(record.exc_info))[-MAX_CHARS:]
    return fields


def _message(record: logging.LogRecord) -> str:
    args: Any = record.args
    if isinstance(args, Mapping):
        args = {name: _veiled(value) for name, value in args.items()}
    elif args:
        args = tuple(map(_veiled, args))
    message = str(_veiled(record.msg))
    return message % args if args else message


def _veiled(value: Any) -> Any:
    return _HIDDEN if isinstance(value, Secret) else value


def _named(name: str, value: Any, depth: int = 0) -> Any:
    return _HIDDEN if isinstance(value, str | bytes) and _SECRET_NAME.search(name) else _plain(value, depth)


def _plain(value: Any, depth: int = 0) -> Any:
    """*value* as something that JSON has, bounded."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value) if value.bit_length() <= _MAX_INT_BITS else f"an integer of {value.bit_length()} bits"
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, bytes | bytearray):
        return _text(bytes(value[:_LOOKED_AT_CHARS]).decode("utf-8", "backslashreplace"))
    if isinstance(value, Mapping) and depth < _MAX_DEPTH:
        pairs = islice(value.items(), _MAX_ITEMS)
        return {_text(str(name))[:_MAX_NAME_CHARS]: _named(str(name), item, depth + 1) for name, item in pairs}
    if isinstance(value, list | tuple | set | frozenset) and depth < _MAX_DEPTH:
        return [_plain(item, depth + 1) for item in islice(value, _MAX_ITEMS)]
    return _text(str(_veiled(value)))


def _text(text: str) -> str:
    return _clean(text)[:MAX_CHARS]


def _clean(text: str) -> str:
    """*text* without secrets, and without halves of surrogate pairs, which not every reader of JSON takes."""
    text = mask(text[:_LOOKED_AT_CHARS])
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")


_NAMES = r"signature|token|secret|passw(?:or)?d|credential|access_?key|api_?key"
_SECRET_NAME = re.compile(_NAMES + r"|authorization|cookie", re.IGNORECASE)
_SECRET_VALUE = re.compile(rf"((?:{_NAMES})(?:=|%3d))[^&\s\"'<>]+", re.IGNORECASE)
_SECRET_HEADER = re.compile(r"\b(authorization|cookie)(\W{1,4})[^\r\n]+", re.IGNORECASE)
_USERINFO = re.compile(r"//[^/\s]*@")
_QUERY = re.compile(r"(?<=\?)[^\s\"'<>]+")
_WORD = re.compile(r"\S+|\s+")


def mask(text: str) -> str:
    """*text* without what it may hold of secrets: userinfo and queries of URLs, what is named like one. Linear time."""
    if "@" in text:
        text = _USERINFO.sub(f"//{_HIDDEN}@", text)
    if "=" in text or "%3" in text:
        text = _SECRET_VALUE.sub(rf"\1{_HIDDEN}", text)
    if "://" in text and "?" in text:
        text = "".join(map(_without_query, _WORD.findall(text)))
    return _SECRET_HEADER.sub(rf"\1\2{_HIDDEN}", text)


def _without_query(word: str) -> str:
    begin = word.find("://")
    return word if begin < 0 else word[:begin] + _QUERY.sub(_HIDDEN, word[begin:])


# of a percent-encoded value; each "%25" is one more layer of encoding
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*(?::|%(?:25)*3[aA])")
_SLASH = re.compile(r"[/\\]|%(?:25)*(?:2[fF]|5[cC])")
_AT = re.compile(r"@|%(?:25)*40")
_MARK = re.compile(r"\?|%(?:25)*3[fF]")
_SOURCES = frozenset({b"source", b"src"})


def redact(target: bytes) -> str:
    """A raw request target fit for a log: no signature, no userinfo or query of the source, nothing beyond ASCII."""
    path, mark, query = target[:_LOOKED_AT_CHARS].partition(b"?")
    parts = "&".join(map(_parameter, query.split(b"&"))) if mark else ""
    return (_ascii(path) + mark.decode() + parts)[:MAX_CHARS]


def _parameter(part: bytes) -> str:
    name, equals, value = part.partition(b"=")
    plain = unquote_to_bytes(name).lower()
    if plain in _SOURCES:
        shown = _source(_ascii(value))
    else:
        shown = _HIDDEN if value and _SECRET_NAME.search(plain.decode("latin-1")) else _ascii(value)
    return _ascii(name) + equals.decode() + shown


def _source(value: str) -> str:
    """A source as it was written, however often it was encoded."""
    mark = _MARK.search(value)
    head, rest = (value[: mark.start()], f"%3F{_HIDDEN}") if mark else (value, "")
    scheme = _SCHEME.match(head)
    begin = scheme.end() if scheme else 0
    while slash := _SLASH.match(head, begin):
        begin = slash.end()
    end = slash.start() if (slash := _SLASH.search(head, begin)) else len(head)
    ats = list(_AT.finditer(head, begin, end))
    return (f"{head[:begin]}{_HIDDEN}{head[ats[-1].start() :]}" if ats else head) + rest


def _ascii(raw: bytes) -> str:
    return raw.decode("ascii", "backslashreplace")
