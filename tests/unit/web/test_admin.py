"""R20: what the admin port offers, and nothing else."""

import json

import pytest

from imagemill.model.errors import BadOption, DependencyDown
from imagemill.obs.metrics import Metrics
from imagemill.service.purge import MAX_ORDER_BYTES, Order, Purged
from imagemill.web.admin import build
from imagemill.web.purges import handler


async def ask(target, reasons=(), method="GET", body=(), headers=(), purge=None):
    async def nothing(order):
        raise AssertionError(order)

    def explain(call):
        query, accept = call.query, call.header(b"accept")
        if query == b"bad":
            raise BadOption("no such option")
        return {"query": query.decode(), "accept": accept.decode()}

    def explain_info(call):
        return {**explain(call), "of": "info"}

    version = {"imagemill": "1"}
    app = build(Metrics(), lambda: list(reasons), explain, lambda: version, handler(purge or nothing), explain_info)
    path, _, query = target.partition("?")
    scope = {
        "type": "http", "method": method, "raw_path": path.encode(), "query_string": query.encode(),
        "headers": [(b"accept", b"image/avif"), *headers],
    }  # fmt: skip
    sent = []

    async def send(message):
        sent.append(message)

    pieces = list(body)

    async def receive():
        if not pieces:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces)}

    await app(scope, receive, send)
    if not sent:
        return None
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
    assert json.loads((await ask("/explain/info?a=%2F"))[2])["of"] == "info"
    status, headers, body = await ask("/explain?bad")
    assert (status, json.loads(body)["code"]) == (400, "bad_option")
    assert headers[b"content-type"] == b"application/problem+json"


async def test_nothing_else():
    """R20: no debugging, no images, no change by any verb."""
    for target in ("/", "/image", "/debug", "/metrics/", "/HEALTHZ", "/healthz%2f"):
        assert (await ask(target))[0] == 404
    for method in ("POST", "PUT", "DELETE"):
        assert (await ask("/metrics", method=method))[0] == 405


class Purging:
    def __init__(self, error=None):
        self.orders, self.error = [], error

    async def __call__(self, order):
        self.orders.append(order)
        if self.error:
            raise self.error
        return Purged(order, 1_500_000_000_123, 4)


@pytest.mark.parametrize("pieces", [[b'{"tag":"cats"}'], [b'{"ta', b"", b'g":"cats"}']])
async def test_purge(pieces):
    """What was purged, and when; the body may come in pieces."""
    purging = Purging()
    status, headers, body = await ask("/purge", method="POST", body=pieces, purge=purging)

    assert (status, headers[b"content-type"]) == (200, b"application/json")
    assert json.loads(body) == {
        "purged": {"tag": "cats"}, "at_ms": 1_500_000_000_123, "names": 4, "at": "2017-07-14T02:40:00.123000+00:00",
    }  # fmt: skip
    assert purging.orders == [Order(tag="cats")]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"tag=cats",
        b"{}",
        b'{"tag":"a","source":"b"}',
        b'{"everything":true}',
        b'{"tag":"' + b"a" * MAX_ORDER_BYTES + b'"}',
    ],
)
async def test_an_order_that_is_none(body):
    """400, and nothing is done."""
    status, headers, answer = await ask("/purge", method="POST", body=[body])

    assert (status, headers[b"content-type"]) == (400, b"application/problem+json")
    assert json.loads(answer)["code"] == "bad_request"


async def test_a_body_is_not_gathered_beyond_its_bound():
    """However it comes; and whoever leaves in its midst is not answered."""
    endless = [b"a" * 1024] * 100
    status, _, answer = await ask("/purge", method="POST", body=endless)
    assert (status, json.loads(answer)["detail"]) == (400, f"body: more than {MAX_ORDER_BYTES} bytes")
    assert await ask("/purge", method="POST", body=[]) is None
    assert (await ask("/purge", method="POST", body=[b'{"tag":"' + b"a" * 20, b'"}'], purge=Purging()))[0] == 200


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH", "post"])
async def test_purge_takes_post_alone(method):
    status, headers, _ = await ask("/purge", method=method, body=[b'{"tag":"a"}'])

    assert (status, headers[b"allow"]) == (405, b"POST, OPTIONS")


async def test_preflight_gives_no_leave():
    """A browser that asks first hears which methods there are, and of no permission."""
    status, headers, _ = await ask("/purge", method="OPTIONS", headers=[(b"origin", b"https://evil.example")])

    assert (status, headers[b"allow"]) == (204, b"POST, OPTIONS")
    assert not [name for name in headers if name.startswith(b"access-control")]
    assert (await ask("/metrics", method="OPTIONS"))[1][b"allow"] == b"GET, HEAD, OPTIONS"


@pytest.mark.parametrize(
    "header", [(b"origin", b"http://127.0.0.1:8081"), (b"origin", b"null"), (b"sec-fetch-site", b"cross-site")]
)
async def test_browsers_may_not_purge(header):
    """A page on the operator's machine reaches loopback too."""
    status, _, body = await ask("/purge", method="POST", body=[b'{"tag":"a"}'], headers=[header])

    assert (status, json.loads(body)["code"]) == (403, "origin_refused")


async def test_where_the_other_nodes_could_not_be_told():
    purging = Purging(DependencyDown("purged on this node; the other nodes could not be told"))
    status, headers, body = await ask("/purge", method="POST", body=[b'{"tag":"a"}'], purge=purging)

    problem = json.loads(body)
    assert (status, problem["code"], problem["retryable"]) == (503, "dependency_down", True)
    assert "on this node" in problem["detail"]
    assert headers[b"retry-after"] == b"1"
