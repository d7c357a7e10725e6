"""Lines that differ in little: made once with holes, and filled.

Whatever a log line is made by makes these, too: holes are found in what it gives for values that stand for themselves.
Units    milliseconds; ``now_s`` Unix seconds.
"""

import logging
import time
from collections.abc import Callable
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

    def __len__(self) -> int:
        """About how many characters it holds."""
        return len(self._after_id) + 200

    def filled(self, request_id: str, ms: float, now_s: float) -> bytes:
        """The whole line, with its end."""
        whole_s = int(now_s)
        time_ = f"{_second(whole_s)}.{int((now_s - whole_s) * 1e3):03}Z"
        text = f"{self._before}{time_}{self._after_time}{request_id}{self._after_id}{ms}{self._after_ms}\n"
        return text.encode("ascii")


class _Second:
    """The last whole second that was asked for, as text."""

    def __init__(self) -> None:
        self._at_s, self._text = -1, ""

    def __call__(self, at_s: int) -> str:
        if at_s != self._at_s:
            self._text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at_s))
            self._at_s = at_s
        return self._text


_second = _Second()
