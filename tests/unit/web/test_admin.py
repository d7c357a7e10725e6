"""R20: what the admin port offers, and nothing else."""

import json

from imagemill.model.errors import BadOption
from imagemill.obs.metrics import Metrics
from imagemill.web.admin import build


async def ask(target, reasons=(), method="GET"):
    def explain(query, accept):
        if query == b"bad":
            raise BadOption("no such option")
        return {"query": query.decode(), "accept": accept.decode()}

    app = build(Metrics(), lambda: list(reasons), explain, lambda: {"imagemill": "1"})
    path, _, query = target.partition("?")
    scope = {
        "type": "http", "method": method, "raw_path": path.encode(), "query_string": query.encode(),
        "headers": [(b"accept", b"image/avif")],
    }  # fmt: skip
    sent = []

    async def send(message):
        sent.append(message)

    await app(scope, None, send)
    return sent[0]["status"], dict(sent[0]["headers"]), sent[1]["body"]


async def test_health_and_readiness():
    """Readiness gives its reasons; health does not depend on it."""
    assert (await ask("/healthz", ["draining"]))[0] == 200
    assert (await ask("/readyz"))[0] == 200
    status, _, body = await ask("/readyz", ["draining"])
    assert (status, json.loads(body)) == (503, {"ready": False, "reasons": ["draining"]})


async def test_metrics_and_version():
    status, headers, body = await ask("/metrics")
    assert (status, headers[b"content-type"].partition(b";")[0]) == (200, b"text/plain")
    assert b"# TYPE imagemill_requests_total counter" in body
    assert json.loads((await ask("/version"))[2]) == {"imagemill": "1"}


async def test_explain_is_given_the_raw_query():
    assert json.loads((await ask("/explain?a=%2F"))[2]) == {"query": "a=%2F", "accept": "image/avif"}
    status, headers, body = await ask("/explain?bad")
    assert (status, json.loads(body)["code"]) == (400, "bad_option")
    assert headers[b"content-type"] == b"application/problem+json"


async def test_nothing_else():
    """R20: no debugging, no images, no change by any verb."""
    for target in ("/", "/image", "/debug", "/metrics/", "/HEALTHZ", "/healthz%2f"):
        assert (await ask(target))[0] == 404
    for method in ("POST", "PUT", "DELETE"):
        assert (await ask("/metrics", method=method))[0] == 405
