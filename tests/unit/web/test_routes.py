"""Paths and methods: whole paths first, then those with variable segments; nothing is decoded or normalised."""

import pytest

from imagemill.web.app import App
from imagemill.web.problems import Reply
from imagemill.web.request import Call
from imagemill.web.routes import Route


def answering(name):
    async def handler(call, _receive):
        return Reply(200, ((b"x-handler", name.encode()),), "/".join(call.parts).encode())

    return handler


TABLE = [
    Route(method, path, answering(f"{method} {path}"))
    for method, path in (
        ("GET", "/things"), ("POST", "/things"), ("POST", "/things/batch"), ("GET", "/things/{id}"),
        ("DELETE", "/things/{id}"), ("POST", "/things/{id}/retry"), ("PUT", "/plans/{name}"),
    )
]  # fmt: skip


async def ask(method, path):
    """Status, headers and body."""
    sent = []

    async def send(message):
        sent.append(message)

    app = App({"/image": answering("image")}, lambda *_: None, table=TABLE)
    scope = {"type": "http", "method": method, "raw_path": path.encode(), "query_string": b"", "headers": [],
             "client": ("127.0.0.1", 1)}  # fmt: skip
    await app(scope, None, send)
    return sent[0]["status"], dict(sent[0]["headers"]), sent[1]["body"]


@pytest.mark.parametrize(
    ("method", "path", "handler", "parts"),
    [
        ("GET", "/image", "image", b""),
        ("GET", "/things", "GET /things", b""),
        ("POST", "/things", "POST /things", b""),
        ("POST", "/things/batch", "POST /things/batch", b""),
        ("GET", "/things/7", "GET /things/{id}", b"7"),
        ("DELETE", "/things/7", "DELETE /things/{id}", b"7"),
        ("POST", "/things/a%2Fb/retry", "POST /things/{id}/retry", b"a%2Fb"),
        ("PUT", "/plans/..", "PUT /plans/{name}", b".."),
    ],
)
async def test_who_answers(method, path, handler, parts):
    status, headers, body = await ask(method, path)

    assert (status, headers[b"x-handler"], body) == (200, handler.encode(), parts)


@pytest.mark.parametrize(
    "path", ["/", "/thing", "/things/", "/things/7/", "/things//retry", "/things/7/retry/8", "//things", "/Things"]
)
async def test_nobody_answers(path):
    assert (await ask("GET", path))[0] == 404


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/image", b"GET, HEAD, OPTIONS"),
        ("PUT", "/things", b"GET, HEAD, POST, OPTIONS"),
        ("GET", "/things/batch", b"POST, OPTIONS"),
        ("POST", "/things/7", b"GET, HEAD, DELETE, OPTIONS"),
    ],
)
async def test_another_method_is_told_which(method, path, allowed):
    """Also where OPTIONS asks for it."""
    status, headers, _ = await ask(method, path)
    asked = await ask("OPTIONS", path)

    assert (status, headers[b"allow"]) == (405, allowed)
    assert (asked[0], asked[1][b"allow"]) == (204, allowed)


async def test_head_is_get_without_a_body():
    status, headers, body = await ask("HEAD", "/things/7")

    assert (status, headers[b"content-length"], body) == (200, b"1", b"")


def test_a_call_knows_where_it_comes_from():
    scope = {"method": "GET", "raw_path": b"/", "query_string": b"", "headers": []}

    assert Call.of({**scope, "client": ("::1", 5)}, "r").client == "::1"
    assert Call.of({**scope, "client": None}, "r").client == ""
