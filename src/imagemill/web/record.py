"""What is counted and logged of each request: once, whichever way it was answered."""

import logging
import time
from typing import Any

from imagemill.obs.lines import Holed
from imagemill.obs.logs import Log, LogPipe, redact
from imagemill.obs.metrics import Metrics
from imagemill.web.memo import Memo
from imagemill.web.problems import Reply, code_of
from imagemill.web.request import Call

_LOGGER, _EVENT = "imagemill.request", "request"
_CLIENT_GONE = 499
_TARGET_BYTES = 512
_TARGETS_BYTES = 4 * 1024 * 1024


class Record:
    """The requests of a port."""

    def __init__(self, metrics: Metrics) -> None:
        self._count = metrics.counting("requests")
        self._metrics = metrics
        self._log = Log(_LOGGER)
        self._level = logging.getLogger(_LOGGER)
        self._pipe: LogPipe | None = None
        self._targets: Memo[bytes, str] = Memo(_TARGETS_BYTES)
        self.in_flight = 0

    def write_to(self, pipe: LogPipe) -> None:
        """Hand lines that are made here to *pipe*, which is where the log's own go."""
        self._pipe = pipe

    def begun(self) -> None:
        """A request begins."""
        self.in_flight += 1

    def finished(self, call: Call, reply: Reply | None, seconds: float) -> None:
        """Count and log one request that began: one line each."""
        self.in_flight -= 1
        outcome = _outcome(call, reply)
        self._count(outcome)
        self._metrics.observe("request", call.tier, seconds)
        fields = {"request_id": call.request_id, **self.fields(call, reply, outcome), "ms": _ms(seconds)}
        if call.caller:
            fields["caller"] = call.caller
        if call.error is None:
            self._log.info(_EVENT, **fields)
            return
        reason = getattr(call.error, "reason", "") or str(call.error)
        if outcome == "internal":
            self._log.failure(_EVENT, call.error, **fields)
        else:
            self._log.info(_EVENT, **fields, detail=reason)

    def fields(self, call: Call, reply: Reply | None, outcome: str) -> dict[str, Any]:
        """What a line says between its id and its duration."""
        return {
            "client": call.asker, "method": call.method, "target": self._shown(call.target), "code": outcome,
            "status": reply.status if reply else _CLIENT_GONE,
            "bytes": len(reply.body) + call.streamed_bytes if reply else 0, "cache": call.tier,
        }  # fmt: skip

    def _shown(self, target: bytes) -> str:
        shown = self._targets.get(target)
        if shown is None:
            shown = redact(target)
            self._targets.put(target, shown, len(target) + len(shown) + _TARGET_BYTES)
        return shown

    def repeated(self, call: Call, reply: Reply) -> "Repeated":
        """What `finished` does for a *call* that is answered with *reply* at once, and for all that are like it."""
        return Repeated(self, call, reply)


class Repeated:
    """Requests that differ in their id, time and duration alone."""

    __slots__ = ("_count", "_fields", "_line", "_log", "_outcome", "_put", "_time")

    def __init__(self, record: Record, call: Call, reply: Reply) -> None:
        assert call.error is None
        assert not call.caller
        self._outcome = _outcome(call, reply)
        self._count = record._count  # noqa: SLF001 - two halves of one
        self._time = record._metrics.timing("request", call.tier)  # noqa: SLF001
        self._log = record._log  # noqa: SLF001
        self._fields = record.fields(call, reply, self._outcome)
        pipe = record._pipe if record._level.isEnabledFor(logging.INFO) else None  # noqa: SLF001
        self._line = Holed(pipe.line, _LOGGER, _EVENT, self._fields) if pipe else None
        self._put = pipe.put if pipe else None

    def is_of(self, reply: Reply) -> bool:
        """Whether *reply* to the same call would be told of in the same words."""
        return (self._fields["status"], self._fields["bytes"]) == (reply.status, len(reply.body))

    def finished(self, request_id: str, seconds: float) -> None:
        """Count and log one of them."""
        self._count(self._outcome)
        self._time(seconds)
        if self._line is not None and self._put is not None:
            self._put(self._line.filled(request_id, _ms(seconds), time.time()))
        else:
            self._log.info(_EVENT, request_id=request_id, **self._fields, ms=_ms(seconds))


def _outcome(call: Call, reply: Reply | None) -> str:
    if reply is None:
        return "client_gone"
    if call.error is not None:
        return code_of(call.error)
    return "not_modified" if reply.status == 304 else "ok"  # noqa: PLR2004


def _ms(seconds: float) -> float:
    return round(seconds * 1e5) / 100
