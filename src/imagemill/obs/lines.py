"""Lines that differ in little: made once with holes, and filled.

Whatever a log line is made by makes these, too: holes are found in what it gives for values that stand for themselves.
Units    milliseconds; ``now_s`` Unix seconds.
"""

import logging
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any

_SINCE = "1970-01-01T00:00:00.000Z"
_ID = "0123456789abcdef"
_MS = 0.123456789


class Holed:
    """The line of an event whose time, first field ``request_id`` and last field ``ms`` are still to come."""

    __slots__ = ("_after_id", "_after_ms", "_after_time", "_before")

    def __init__(
        self, line: Callable[[logging.LogRecord], str], logger: str, event: str, fields: dict[str, Any]
    ) -> None:
        """Have *line* make it once: from *fields*, between the first and the last."""
        record = logging.makeLogRecord({"name": logger, "levelno": logging.INFO, "levelname": "INFO", "msg": event})
        record.created, record.msecs = 0.0, 0.0
        record.fields = {"request_id": _ID, **fields, "ms": _MS}
        self._before, _, rest = line(record).partition(_SINCE)
        self._after_time, _, rest = rest.partition(_ID)
        self._after_id, _, self._after_ms = rest.rpartition(str(_MS))

    def filled(self, request_id: str, ms: float, now_s: float) -> bytes:
        """The whole line, with its end."""
        return (
            f"{self._before}{_stamp(int(now_s * 1e3))}{self._after_time}{request_id}{self._after_id}"
            f"{_shown(ms)}{self._after_ms}\n"
        ).encode("ascii")


class _Stamp:
    """The time that was asked for last, as text."""

    def __init__(self) -> None:
        self._at_ms, self._text = -1, ""

    def __call__(self, at_ms: int) -> str:
        if at_ms != self._at_ms:
            self._text = f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(at_ms // 1000))}.{at_ms % 1000:03}Z"
            self._at_ms = at_ms
        return self._text


_stamp = _Stamp()
_shown = lru_cache(1024)(str)
"""A duration of a request as text: at a hundredth of a millisecond, those of hits are few."""
