"""One line an event, to standard error, never in the way of the event loop.

Form     JSON in ASCII, or pretty; either way nothing in a value can break a line or speak to a terminal (threat O01).
Units    a field is cut at 2,000 characters.
Errors   none: a line that cannot be written in time is dropped and counted (threat L19).
"""

import json
import logging
import queue
import re
import sys
import threading
import time
from typing import Any, TextIO

from imagemill.settings import Log as Settings
from imagemill.settings import Secret

_MOST = 2_000
_QUEUE = 10_000
_STANDARD = frozenset(logging.makeLogRecord({}).__dict__)
_SIGNATURE = re.compile(rb"(signature=)[^&]*")
_SOURCE = re.compile(rb"((?:^|[?&])(?:source|src)=)([^&]*)")


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
    """A bounded queue, and a thread that empties it."""

    def __init__(self, settings: Settings, out: TextIO) -> None:
        super().__init__()
        self._out = out
        pretty = settings.format == "pretty" or (settings.format == "auto" and out.isatty())
        self._form = pretty_line if pretty else json_line
        self._queue: queue.Queue[logging.LogRecord | None] = queue.Queue(_QUEUE)
        self._thread = threading.Thread(target=self._drain, name="log", daemon=True)
        self._thread.start()
        self.dropped = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Queue a record, or drop it."""
        try:
            self._queue.put_nowait(record)
        except queue.Full:
            self.dropped += 1

    def close(self) -> None:
        """Write what is queued, for at most two seconds."""
        super().close()
        try:
            self._queue.put(None, timeout=1)
        except queue.Full:
            return
        self._thread.join(2)

    def _drain(self) -> None:
        while (record := self._queue.get()) is not None:
            try:
                self._out.write(self._form(record) + "\n")
                if self._queue.empty():
                    self._out.flush()
            except (OSError, ValueError):
                self.dropped += 1


def configure(settings: Settings, out: TextIO = sys.stderr) -> LogPipe:
    """Send all logging of this process through one pipe."""
    pipe = LogPipe(settings, out)
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
    return json.dumps(_fields(record), default=_shown, ensure_ascii=True, separators=(",", ":"))


def pretty_line(record: logging.LogRecord) -> str:
    """A record for a person at a terminal."""
    fields = _fields(record)
    head = f"{fields.pop('time')} {fields.pop('level'):7} {_safe(str(fields.pop('event')))}"
    return head + "".join(f" {k}={_safe(str(v))}" for k, v in fields.items())


def redact(target: bytes) -> str:
    """A raw request target fit for a log: no signature, no query of the source, nothing beyond ASCII."""
    target = _SIGNATURE.sub(rb"\1***", target[:16_384])
    return _SOURCE.sub(_plain_source, target).decode("ascii", "backslashreplace")[:_MOST]


def _plain_source(match: re.Match[bytes]) -> bytes:
    value = re.split(rb"\?|%3[fF]", match[2], maxsplit=1)
    host = value[0]
    for at in (b"@", b"%40"):
        if at in host:
            host = b"***@" + host.rpartition(at)[2]
    return match[1] + host + (b"?***" if len(value) > 1 else b"")


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    when = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03}Z"
    fields = {"time": when, "level": record.levelname.lower(), "event": record.getMessage()[:_MOST]}
    if record.name not in {"imagemill", "imagemill.request"}:
        fields["logger"] = record.name
    for name, value in getattr(record, "fields", {}).items():
        fields[name] = _cut(value)
    if record.exc_info and record.exc_info[1] is not None:
        fields["exception"] = _trace(record)
    return fields


def _trace(record: logging.LogRecord) -> str:
    return logging.Formatter().formatException(record.exc_info)[-_MOST:] if record.exc_info else ""


def _cut(value: Any) -> Any:
    if isinstance(value, Secret):
        return "***"
    return value if isinstance(value, int | float | bool) or value is None else _shown(value)


def _shown(value: Any) -> str:
    return str(value)[:_MOST]


def _safe(text: str) -> str:
    return text.encode("ascii", "backslashreplace").decode().translate(_CONTROLS)


_CONTROLS = {n: f"\\x{n:02x}" for n in (*range(32), 127)}
