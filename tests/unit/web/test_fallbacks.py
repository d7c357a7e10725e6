"""A picture in place of an error: marked, short-lived, and never the truth under another picture's name."""

import asyncio
import time

import pytest
from msgspec.structs import replace

from imagemill.cache.alone import Alone
from imagemill.cache.memory import MemoryCache
from imagemill.cache.purges import Purges
from imagemill.dialects.native import Native
from imagemill.model import errors
from imagemill.model.entry import Entry, Validators
from imagemill.model.errors import PreconditionFailed, SourceForbidden, SourceNotFound
from imagemill.model.keys import etag
from imagemill.model.media import Format, Rendition
from imagemill.model.request import SourceRef
from imagemill.model.signing import sign
from imagemill.service.render import Fresh
from imagemill.service.transcode import Transcoder
from imagemill.settings import FALLBACK_STATUSES, Cache, Engine, Fallback, Limits, Secret, Server, Settings, Signing
from imagemill.web.app import App
from imagemill.web.fallbacks import REPLACED, Fallbacks
from imagemill.web.hits import Hits
from imagemill.web.images import Images
from imagemill.web.problems import STATUS
from imagemill.web.request import Call

SHOWN, OTHER = SourceRef("local", "assets/missing.png"), SourceRef("local", "assets/broken.png")
QUERY = "source=local:a/b&width=5&format=webp"
KEY = "a-key-of-at-least-thirty-two-bytes-or-more"


class Renderer:
    """Makes what it is told to of each source; sources that it does not know are not found."""

    def __init__(self) -> None:
        self.found = {SHOWN: b"a stand-in", OTHER: b"another one"}
        self.plans = []

    async def render(self, plan, _known, *, after_s=0.0):
        self.plans.append(plan)
        found = self.found.get(plan.source, SourceNotFound("no such object"))
        if isinstance(found, Exception):
            raise found
        if callable(found):
            found = await found()
        rendition = Rendition(found, Format.WEBP, etag(found), 5, 4)
        return Fresh(Entry(rendition, time.time(), source_key=plan.source_key, validators=Validators("v", 1_000_000)))


class Shared(Alone):
    """What nodes would share, as it is handed over."""

    def __init__(self) -> None:
        self.kept = []

    def put(self, key, content, lease):
        self.kept.append((key, content))
        super().put(key, content, lease)


class Node:
    """Everything from a call to its answer, but for workers and stores."""

    def __init__(self, found=None, signing=Signing("unsigned"), server=Server(), **fallback) -> None:  # noqa: B008
        def cache():
            return MemoryCache(1_000_000, 300, lambda _: 1)

        self.renderer, self.shared = Renderer(), Shared()
        if found is not None:
            self.renderer.found[SourceRef("local", "a/b")] = found
        policy = Cache(early_refresh=0)
        self.transcoder = Transcoder(self.renderer, cache(), self.shared, cache(), cache(), Purges(10), policy)
        settings = Settings(
            server, signing, engine=Engine(deadline_s=server.request_timeout_s / 2), cache=policy,
            fallback=Fallback(**fallback),
        )  # fmt: skip
        sources = {"404": SHOWN, "default": OTHER}
        self.images = Images(
            Native(Limits(), str), self.transcoder, cache(), settings, fallbacks=Fallbacks(sources, settings.fallback)
        )

    def call(self, query=QUERY, method="GET", **headers):
        pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        return Call(method, "/image", query.encode(), pairs, "r")

    async def get(self, query=QUERY, method="GET", **headers):
        return await self.images.get(self.call(query, method, **headers), never)


async def never():
    await asyncio.Event().wait()


def headers_of(reply):
    found = dict(reply.headers)
    assert len(found) == len(reply.headers), "none twice"
    return found


async def test_a_picture_that_is_not_there():
    """The status of the error, the body of the stand-in, rendered as was asked; marked, and kept for a minute."""
    node = Node()

    reply = await node.get(f"{QUERY}&tags=shop&ttl=90000&filename=cat")

    found = headers_of(reply)
    assert (reply.status, reply.body) == (404, b"a stand-in")
    assert found[b"x-fallback"] == b"404; code=source_not_found"
    assert found[b"content-type"] == b"image/webp"
    assert found[b"content-length"] == b"10"
    assert found[b"cache-control"] == b"public, max-age=60"
    assert found[b"content-disposition"] == b'inline; filename="cat.webp"'
    assert found[b"x-content-type-options"] == b"nosniff"
    assert b"sandbox" in found[b"content-security-policy"]
    assert not found.keys() & {b"etag", b"last-modified", b"age", b"accept-ranges"}
    asked, shown = node.renderer.plans
    assert (shown.source, shown.recipe, shown.tags, shown.ttl_s) == (SHOWN, asked.recipe, (), None)


@pytest.mark.parametrize(
    "error",
    [
        SourceForbidden("why"), errors.SourceTooLarge("x"), errors.UnsupportedSourceType("x"), errors.ImageCorrupt("x"),
        errors.LimitExceeded("pixels", "x"), errors.SourceBadResponse("x"), errors.SourceTruncated("x"),
        errors.DependencyDown("x", 7), errors.SourceTimeout("x"), errors.ProcessingTimeout("x"),
    ],
    ids=lambda e: e.code,
)  # fmt: skip
async def test_every_other_error_of_a_source(error):
    """The default, under the status of each."""
    reply = await Node(error).get()

    status = STATUS[type(error)]
    assert (reply.status, reply.body) == (status, b"another one")
    assert headers_of(reply)[b"x-fallback"] == f"{status}; code={error.code}".encode()
    assert headers_of(reply).get(b"retry-after") == (b"7" if error.code == "dependency_down" else None)


@pytest.mark.parametrize("error", [errors.Overloaded("x"), errors.SettingsError("x")], ids=lambda e: e.code)
async def test_what_has_none(error):
    """A node with too much to do is not given more; what nobody foresaw is not covered up."""
    node = Node(error)

    with pytest.raises(type(error)):
        await node.get()
    assert len(node.renderer.plans) == 1


@pytest.mark.parametrize(
    "query", ["source=local:a/b&what=1", f"{QUERY}&expires=1", "width=5", "x" * 9_000, "source=local:a/b&ttl=1"]
)
async def test_what_is_wrong_with_the_request_itself(query):
    """Is told to whoever wrote it: 400, 410, 414, 422."""
    node = Node()

    with pytest.raises(errors.ImagemillError):
        await node.get(query)
    assert not node.renderer.plans


async def test_nothing_unsigned_is_rendered():
    """403 for a signature has none."""
    node = Node(signing=Signing("required", {"k1": Secret(KEY)}))

    with pytest.raises(errors.SignatureInvalid):
        await node.get()
    assert not node.renderer.plans
    signed = sign(f"/image?{QUERY}".encode(), "k1", KEY.encode()).decode().removeprefix("/image?")
    assert (await node.get(signed)).status == 404


def test_statuses_are_those_of_the_errors():
    """What may be set is what may come, and nothing else."""
    replaced = {str(status) for kind, status in STATUS.items() if issubclass(kind, REPLACED)}

    assert {*replaced, "default"} == FALLBACK_STATUSES


async def test_as_success():
    """200 where that is set; the mark says the truth."""
    reply = await Node(as_success=True, max_age_s=5).get()

    assert (reply.status, headers_of(reply)[b"x-fallback"]) == (200, b"404; code=source_not_found")
    assert headers_of(reply)[b"cache-control"] == b"public, max-age=5"


@pytest.mark.parametrize("as_success", [False, True])
@pytest.mark.parametrize(
    "asked",
    [
        {"if_none_match": f'"{etag(b"a stand-in")}"'}, {"if_none_match": "*"}, {"range": "bytes=0-3"},
        {"if_modified_since": "Sun, 06 Nov 2044 08:49:37 GMT"},
        {"range": "bytes=0-3", "if_range": f'"{etag(b"a stand-in")}"'},
    ],
)  # fmt: skip
async def test_conditions_and_ranges_are_of_the_true_picture(asked, as_success):
    """They select nothing of a stand-in: all of it is sent, under no tag that could be taken for the picture's."""
    reply = await Node(as_success=as_success).get(**asked)

    assert (reply.status, reply.body) == (200 if as_success else 404, b"a stand-in")


@pytest.mark.parametrize(
    "asked", [{"if_match": f'"{etag(b"a stand-in")}"'}, {"if_unmodified_since": "Sun, 06 Nov 2044 08:49:37 GMT"}]
)
async def test_a_part_of_a_certain_picture_is_not_had_of_another(asked):
    """If-Match: as a success it would be taken for the picture; as an error it cannot be."""
    assert (await Node().get(**asked)).status == 404
    with pytest.raises(PreconditionFailed):
        await Node(as_success=True).get(**asked)


async def test_head():
    """The same head."""
    node = Node()

    assert headers_of(await node.get(method="HEAD")) == headers_of(await node.get()) | {b"x-cache": b"MISS"}


async def test_a_url_that_ends_sooner():
    """Not kept beyond the end of the URL."""
    reply = await Node().get(f"{QUERY}&expires={int(time.time()) + 20}")

    assert 18 <= int(headers_of(reply)[b"cache-control"].removeprefix(b"public, max-age=")) <= 20


async def test_a_url_that_ends_later():
    """Nor beyond what the settings allow, however long the URL is good."""
    reply = await Node(max_age_s=5).get(f"{QUERY}&expires={int(time.time()) + 3_000}")

    assert headers_of(reply)[b"cache-control"] == b"public, max-age=5"


async def test_what_its_source_calls_private():
    """A stand-in that must not be stored is not."""
    node = Node()
    render = node.renderer.render

    async def private(*arguments, **more):
        made = await render(*arguments, **more)
        return replace(made, entry=replace(made.entry, storable=False))

    node.renderer.render = private

    assert headers_of(await node.get())[b"cache-control"] == b"private, no-store"


# never the truth


async def test_no_cache_holds_it_under_the_picture_s_key():
    """Neither L1 nor L2: under that key lies that nothing was found; the stand-in is kept as what it is."""
    node = Node()
    await node.get()

    plan = node.images.plan(node.call())
    own = node.images.plan(node.call("source=local:assets/missing.png&width=5&format=webp"))
    assert node.transcoder.hit(plan) is None
    assert node.transcoder.ready(plan) is None
    assert [(key, type(content).__name__) for key, content in node.shared.kept] == [
        (plan.key, "Failure"), (plan.source_key, "Failure"), (own.key, "Entry"),
    ]  # fmt: skip
    assert node.transcoder.hit(own).entry.rendition.body == b"a stand-in"


async def test_it_goes_when_the_picture_comes():
    """As soon as the failure is forgotten, the picture is answered, under its own tag."""
    node = Node()
    assert (await node.get()).status == 404
    again = await node.get()
    assert (again.status, len(node.renderer.plans), headers_of(again)[b"x-cache"]) == (404, 2, b"L1")

    _forget(node)
    node.renderer.found[SourceRef("local", "a/b")] = b"the picture"
    reply = await node.get(if_none_match=f'"{etag(b"a stand-in")}"')

    assert (reply.status, reply.body) == (200, b"the picture")
    assert headers_of(reply)[b"etag"] == f'"{etag(b"the picture")}"'.encode()
    assert b"x-fallback" not in headers_of(reply)


def _forget(node):
    plan = node.images.plan(node.call())
    for key in (plan.key, plan.source_key):
        node.transcoder._kept._failures.drop(key)


async def test_hits_before_they_are_parsed_never_are_it():
    """The same head again and again goes the ordinary way."""
    node = Node()
    app = App({"/image": node.images.get}, lambda *_: None)
    hits = Hits("/image", node.images, None, app.introduced)
    head = f"GET /image?{QUERY} HTTP/1.1\r\nhost: x\r\n\r\n".encode()

    for _ in range(3):
        assert hits.answer(head, "", []) is None
        assert (await node.get()).status == 404

    assert not hits._met._young


async def test_an_old_picture_is_better():
    """Where the true one may still be shown, it is."""
    node = Node(errors.SourceTimeout("x"))
    plan = node.images.plan(node.call())
    old = Entry(Rendition(b"old", Format.WEBP, "e", 5, 4), time.time() - 86_500, 86_400, plan.source_key)
    node.transcoder._kept._cache.put(plan.key, old, time.monotonic(), ttl_s=300)

    reply = await node.get()

    assert (reply.status, reply.body) == (200, b"old")


# where there is none after all


@pytest.mark.parametrize(
    "why", [SourceNotFound("gone"), errors.ImageCorrupt("x"), errors.Overloaded("x")], ids=lambda e: e.code
)
async def test_a_stand_in_that_cannot_be_made(why):
    """The first error is the answer."""
    node = Node(errors.SourceTimeout("the first"))
    node.renderer.found[OTHER] = why

    with pytest.raises(errors.SourceTimeout, match="the first"):
        await node.get()


@pytest.mark.parametrize("why", [SourceNotFound("gone"), errors.DependencyDown("not now")], ids=lambda e: e.code)
async def test_its_own_address(why):
    """Where a stand-in itself is asked for and cannot be had, it is not tried again."""
    node = Node()
    node.renderer.found[SHOWN] = node.renderer.found[OTHER] = why

    with pytest.raises(type(why)):
        await node.get(f"source=local:{(SHOWN if why.code == 'source_not_found' else OTHER).address}&width=5")
    assert len(node.renderer.plans) == 1


async def test_no_more_time():
    """A request that has used up its time gets what is at hand, and waits for nothing."""

    async def hang():
        await asyncio.Event().wait()

    node = Node(hang, Signing("unsigned"), Server(request_timeout_s=0.05))
    with pytest.raises(errors.ProcessingTimeout):
        node.renderer.found[OTHER] = hang
        await node.get()

    node.renderer.found[OTHER] = b"at hand"
    await node.get("source=local:assets/broken.png&width=5&format=webp")
    reply = await node.get()

    assert (reply.status, reply.body) == (504, b"at hand")


async def test_a_client_that_leaves():
    """Ends the work on the stand-in, too."""
    node, left = Node(), asyncio.Event()

    async def hang():
        left.set()
        await asyncio.Event().wait()

    async def leave():
        await left.wait()
        return {"type": "http.disconnect"}

    node.renderer.found[SHOWN] = hang

    assert await node.images.get(node.call(), leave) is None


async def test_what_is_logged():
    """The error, and the tier of the stand-in."""
    node = Node()
    call = node.call()
    await node.images.get(call, never)

    assert (type(call.error), call.tier) == (SourceNotFound, "MISS")
