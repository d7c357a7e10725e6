"""R21: who may read pictures from other origins: tables over settings and origins, at the handler and at the port."""

import pytest

from imagemill.cache.memory import MemoryCache
from imagemill.dialects.native import Native
from imagemill.model.entry import Entry
from imagemill.model.errors import SourceNotFound
from imagemill.model.media import Format, Rendition
from imagemill.service.transcode import Served
from imagemill.settings import Limits, Server, Settings, Signing
from imagemill.web.app import App
from imagemill.web.images import Images
from imagemill.web.routes import Route

SHOP, LOCAL = b"https://shop.example", b"http://localhost:3000"
LISTED = (SHOP.decode(), LOCAL.decode())
HEADERS_OF_SHARING = (b"access-control-allow-origin", b"access-control-expose-headers", b"timing-allow-origin")


class Kept:
    """A transcoder that has one picture, and none of ``local:a/none``."""

    def hit(self, plan):
        if plan.source.address == "a/none":
            raise SourceNotFound("gone")
        return Served(Entry(Rendition(b"body", Format.PNG, "e", 1, 1), 0.0), "L1")

    def left_s(self, _plan, _entry):
        return 100


async def ask(origins, origin=None, method="GET", query=b"source=local:a/b", **headers):
    """What a port with ``server.cors_origins`` answers, as its status and its headers in a list."""
    settings = Settings(signing=Signing("unsigned"), server=Server(cors_origins=origins))
    images = Images(Native(Limits(), str), Kept(), MemoryCache(100_000, 60, lambda _: 1), settings)
    app = App({"/image": images.get}, lambda *_: None, table=[Route("OPTIONS", "/image", images.preflight)])
    sent = []

    async def send(message):
        sent.append(message)

    given = [(name.replace("_", "-").encode(), value) for name, value in headers.items()]
    scope = {"type": "http", "method": method, "raw_path": b"/image", "query_string": query, "client": ("127.0.0.1", 1),
             "headers": given + ([(b"origin", origin)] if origin is not None else [])}  # fmt: skip
    await app(scope, None, send)
    pairs = sent[0]["headers"]
    assert len({name for name, _ in pairs}) == len(pairs)
    assert not [value for name, value in pairs if name == b"access-control-allow-credentials"]
    return sent[0]["status"], dict(pairs)


STRANGERS = [
    b"https://evil.example", b"null", b"", b"*", b"https://shop.example.evil.example", b"https://evilshop.example", b"http://shop.example",
    b"https://shop.example:443", b"https://shop.example:8443", b"https://shop.example/", b"HTTPS://SHOP.EXAMPLE", b"https://shop.example ",
    b"https://shop.example, https://evil.example", b"https://a.shop.example", b"shop.example", b"https://user@shop.example",
    b"https://shop.example\r\nX: y", b"http://localhost", b"http://localhost:30000", b"\xff",
]  # fmt: skip


@pytest.mark.parametrize("origin", [*STRANGERS, SHOP, LOCAL, None])
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
async def test_by_default_nobody(origin, method):
    """No setting: not a word about origins, whoever asks."""
    _, found = await ask((), origin, method)

    assert not [
        name for name in found if name.startswith(b"access-control") or name in {b"timing-allow-origin", b"vary"}
    ]


@pytest.mark.parametrize("origin", [*STRANGERS, None])
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
async def test_strangers(origin, method):
    """What is not in the list byte for byte: nothing is reflected; only that the answer depends on the origin."""
    status, found = await ask(LISTED, origin, method)

    assert status == (204 if method == "OPTIONS" else 200)
    assert not [name for name in found if name.startswith(b"access-control") or name == b"timing-allow-origin"]
    assert found[b"vary"] == b"Origin"


@pytest.mark.parametrize("origin", [SHOP, LOCAL])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_listed_origins(origin, method):
    """Echoed, and what a script needs to see of the answer is exposed."""
    _, found = await ask(LISTED, origin, method)

    assert found[b"access-control-allow-origin"] == found[b"timing-allow-origin"] == origin
    assert found[b"vary"] == b"Origin"
    exposed = found[b"access-control-expose-headers"].decode().lower().split(", ")
    assert {"etag", "content-range", "x-cache", "x-request-id", "content-disposition"} <= set(exposed)


@pytest.mark.parametrize("origin", [*STRANGERS, SHOP, None])
async def test_a_star_is_the_same_for_everybody(origin):
    """So no cache needs to tell them apart, and no cookie is ever invited."""
    _, found = await ask(("*",), origin)

    assert found[b"access-control-allow-origin"] == found[b"timing-allow-origin"] == b"*"
    assert b"vary" not in found


async def test_both_reasons_to_vary_are_said_at_once():
    _, found = await ask(LISTED, SHOP, query=b"source=local:a/b&format=auto")

    assert found[b"vary"] == b"Accept, Origin"


@pytest.mark.parametrize(
    ("query", "headers", "status"),
    [
        (b"source=local:a/none", {}, 404), (b"source=", {}, 400), (b"source=local:a/b", {"if_none_match": b"*"}, 304),
        (b"source=local:a/b", {"range": b"bytes=1-2"}, 206), (b"source=local:a/b", {"range": b"bytes=9-"}, 416),
    ],
)  # fmt: skip
async def test_other_answers_can_be_read_too(query, headers, status):
    """A script that may read pictures may read why there is none, and parts."""
    told, found = await ask(LISTED, SHOP, query=query, **headers)

    assert (told, found[b"access-control-allow-origin"]) == (status, SHOP)
    told, found = await ask(LISTED, b"https://evil.example", query=query, **headers)
    assert told == status
    assert not found.keys() & set(HEADERS_OF_SHARING)


@pytest.mark.parametrize(("origins", "allowed"), [(LISTED, SHOP), (("*",), b"*")])
async def test_preflight(origins, allowed):
    """GET and HEAD with the headers that decide what of a picture is answered; nothing that was asked is reflected."""
    status, found = await ask(
        origins, SHOP, "OPTIONS", access_control_request_method=b"DELETE",
        access_control_request_headers=b"x-evil, authorization", access_control_request_private_network=b"true",
    )  # fmt: skip

    assert (status, found[b"allow"], found[b"access-control-allow-origin"]) == (204, b"GET, HEAD, OPTIONS", allowed)
    assert found[b"access-control-allow-methods"] == b"GET, HEAD"
    assert b"Range" in found[b"access-control-allow-headers"].split(b", ")
    assert not [
        value for value in found.values() if b"evil" in value or b"authorization" in value or b"DELETE" in value
    ]
    assert b"access-control-allow-private-network" not in found
