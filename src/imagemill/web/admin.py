"""The admin port: health, readiness, metrics, versions, explain. Loopback by default; nothing secret in it."""

import json
from collections.abc import Callable
from typing import Any

from imagemill.obs.metrics import Metrics
from imagemill.web.app import App
from imagemill.web.problems import Reply
from imagemill.web.request import Call

_METRICS_TYPE = b"text/plain; version=0.0.4; charset=utf-8"


def build(
    metrics: Metrics,
    not_ready: Callable[[], list[str]],
    explained: Callable[[bytes, bytes], dict[str, Any]],
    version: Callable[[], dict[str, str]],
) -> App:
    """The application of the admin port."""

    async def healthz(_call: Call, _receive: Any) -> Reply:
        return _json(200, {"status": "ok"})

    async def readyz(_call: Call, _receive: Any) -> Reply:
        reasons = not_ready()
        return _json(503 if reasons else 200, {"ready": not reasons, "reasons": reasons})

    async def scrape(_call: Call, _receive: Any) -> Reply:
        return Reply(200, ((b"content-type", _METRICS_TYPE),), metrics.render())

    async def versions(_call: Call, _receive: Any) -> Reply:
        return _json(200, version())

    async def explain(call: Call, _receive: Any) -> Reply:
        return _json(200, explained(call.query, call.header(b"accept")))

    routes = {
        "/healthz": healthz,
        "/readyz": readyz,
        "/metrics": scrape,
        "/version": versions,
        "/explain": explain,
    }
    return App(routes, lambda *_: None)


def _json(status: int, value: Any) -> Reply:
    headers = (
        (b"content-type", b"application/json"),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    )
    return Reply(status, headers, json.dumps(value, indent=2).encode())
