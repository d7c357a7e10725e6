"""The admin port: health, readiness, metrics, versions, explain, purge. Loopback by default; nothing secret in it."""

from collections.abc import Callable
from typing import Any

from imagemill.obs.logs import Log
from imagemill.obs.metrics import Metrics
from imagemill.web.app import App, Handler
from imagemill.web.problems import Reply, code_of, json_reply
from imagemill.web.request import Call

_METRICS_TYPE = b"text/plain; version=0.0.4; charset=utf-8"


def build(
    metrics: Metrics,
    not_ready: Callable[[], list[str]],
    explained: Callable[[Call], dict[str, Any]],
    version: Callable[[], dict[str, str]],
    purge: Handler,
    explained_info: Callable[[Call], dict[str, Any]],
) -> App:
    """The application of the admin port."""
    routes = {
        **_probes(metrics, not_ready, version),
        "/explain": _telling(explained),
        "/explain/info": _telling(explained_info),
    }
    return App(routes, _finished(Log("imagemill.admin")), posts={"/purge": purge})


def _telling(explained: Callable[[Call], dict[str, Any]]) -> Handler:
    async def explain(call: Call, _receive: Any) -> Reply:
        return json_reply(200, explained(call))

    return explain


def build_for_jobs(metrics: Metrics, not_ready: Callable[[], list[str]], version: Callable[[], dict[str, str]]) -> App:
    """The application of a job process's own port."""
    return App(_probes(metrics, not_ready, version), _finished(Log("imagemill.admin")))


def _probes(
    metrics: Metrics, not_ready: Callable[[], list[str]], version: Callable[[], dict[str, str]]
) -> dict[str, Handler]:
    async def healthz(_call: Call, _receive: Any) -> Reply:
        return json_reply(200, {"status": "ok"})

    async def readyz(_call: Call, _receive: Any) -> Reply:
        reasons = not_ready()
        return json_reply(503 if reasons else 200, {"ready": not reasons, "reasons": reasons})

    async def scrape(_call: Call, _receive: Any) -> Reply:
        return Reply(200, ((b"content-type", _METRICS_TYPE), (b"x-content-type-options", b"nosniff")), metrics.render())

    async def versions(_call: Call, _receive: Any) -> Reply:
        return json_reply(200, version())

    return {"/healthz": healthz, "/readyz": readyz, "/metrics": scrape, "/version": versions}


def _finished(log: Log) -> Callable[[Call, Reply | None, float], None]:
    def finished(call: Call, _reply: Reply | None, _seconds: float) -> None:
        """Tell only of what must not happen: probes would fill the log otherwise."""
        if call.error is not None and code_of(call.error) == "internal":
            log.failure("request", call.error, request_id=call.request_id, code="internal")

    return finished
