"""R05, R07: what `Images` itself sees to, before and after the transcoder; no node, no worker."""

import asyncio
import time

import pytest

from imagemill.cache.alone import Alone
from imagemill.cache.memory import MemoryCache
from imagemill.cache.purges import Purge, Purges, Subject
from imagemill.dialects.native import Native
from imagemill.model.entry import Entry
from imagemill.model.errors import (
    BadOption,
    LimitExceeded,
    PreconditionFailed,
    RangeNotSatisfiable,
    SignatureInvalid,
    TargetTooLong,
    UrlExpired,
)
from imagemill.model.media import Format, Rendition
from imagemill.model.signing import sign
from imagemill.service.transcode import Served, Transcoder
from imagemill.settings import Cache, Limits, Secret, Settings, Signing
from imagemill.web.images import Images
from imagemill.web.request import Call

KEY = "a-key-of-at-least-thirty-two-bytes-or-more"
UNSIGNED, REQUIRED = Signing("unsigned"), Signing("required", {"k1": Secret(KEY)})
QUERY = "source=local:a/b&width=5"


class Kept:
    """A transcoder that has everything, made *age_s* ago, and tells whether it was asked."""

    def __init__(self, age_s: float = 0) -> None:
        self.asked = 0
        self._entry = Entry(Rendition(b"body", Format.PNG, "e", 1, 1), time.time() - age_s)

    def hit(self, _plan):
        self.asked += 1
        return Served(self._entry, "L1")

    def left_s(self, _plan, _entry):
        return 100


def images(signing=UNSIGNED, kept=None):
    memo = MemoryCache(100_000, 60, lambda _: 1)
    return Images(Native(Limits(), str), kept or Kept(), memo, Settings(signing=signing))


def call(query):
    return Call("GET", "/image", query.encode(), [], "r")


def signed(query):
    return sign(f"/image?{query}".encode(), "k1", KEY.encode()).decode().removeprefix("/image?")


async def test_age_counts_from_the_fetch():
    """RFC 9111 5.1: what was fetched 42 s ago is 42 s old when it is answered from here."""
    reply = await images(kept=Kept(42.5)).get(call(QUERY), None)

    assert dict(reply.headers)[b"age"] == b"42"


def test_a_long_target_is_not_even_verified():
    """R07: whatever stands before this, the length is looked at first."""
    most = Settings(signing=UNSIGNED).server.max_target_bytes
    with pytest.raises(TargetTooLong):
        images(REQUIRED).plan(call("x" * most))


@pytest.mark.parametrize("query", [QUERY, "x", "", f"{QUERY}&signature=k1.{'A' * 43}"])
async def test_nothing_is_asked_before_it_is_verified(query):
    """R01, R06: no parser and no cache sees what is not signed."""
    kept = Kept()
    with pytest.raises(SignatureInvalid):
        await images(REQUIRED, kept).get(call(query), None)

    assert not kept.asked


async def test_expiry_is_judged_each_time():
    """R05: a plan that is remembered ends all the same, and so does what is cached for it."""
    kept = Kept()
    service = images(REQUIRED, kept)
    expires_s = int(time.time()) + 2
    ending = call(signed(f"{QUERY}&expires={expires_s}"))
    await service.get(ending, None)
    time.sleep(expires_s + 0.1 - time.time())

    with pytest.raises(UrlExpired):
        await service.get(ending, None)
    assert kept.asked == 1


def test_a_signature_where_there_are_no_keys():
    """Nobody is left to believe that it was checked."""
    with pytest.raises(BadOption, match="no keys"):
        images().plan(call(signed(QUERY)))


def test_a_signature_is_judged_also_where_none_is_needed():
    """Unsigned mode with keys: a signature that is there has to be a good one."""
    service = images(Signing("unsigned", {"k1": Secret(KEY)}))

    assert service.plan(call(signed(QUERY))).key == service.plan(call(QUERY)).key
    with pytest.raises(SignatureInvalid):
        service.plan(call(signed(QUERY)[:-1]))


class Node:
    """A real transcoder that holds *entry* in L1, and answers nothing else."""

    def __init__(self, entry, policy) -> None:
        cache, nothing = MemoryCache(1_000_000, 300, lambda _: 1), MemoryCache(1_000, 300, lambda _: 1)
        self.purges = Purges(10)
        self.service = Transcoder(None, cache, Alone(), nothing, nothing, self.purges, policy)
        plan = images().plan(call(QUERY))
        self.service._kept.fill(plan, entry)


def held(age_s, life_s=86_400, **terms):
    terms.setdefault("asked_ms", int((time.time() - age_s) * 1000))
    return Entry(Rendition(b"body", Format.PNG, "e", 1, 1), time.time() - age_s, life_s, "s", **terms)


async def answered(entry, query=QUERY, *, limits=Limits(), **cache):  # noqa: B008 - frozen
    policy = Cache(early_refresh=0, **cache)
    node = Node(entry, policy)
    memo = MemoryCache(100_000, 60, lambda _: 1)
    settings = Settings(signing=UNSIGNED, limits=limits, cache=policy)
    return dict((await Images(Native(limits, str), node.service, memo, settings).get(call(query), None)).headers)


def left_of(found) -> int:
    return int(found[b"cache-control"].removeprefix(b"public, max-age=")) - int(found[b"age"])


@pytest.mark.parametrize(
    ("age_s", "life_s", "query", "left_s"),
    [
        (0, 86_400, "", 86_400), (1_000.7, 86_400, "", 85_400), (86_300, 86_400, "", 100), (200_000, 259_200, "", 59_200),
        (200_000, 259_200, "&ttl=86400", 59_200), (1_000, 259_200, "&ttl=86400", 86_400), (0, 259_200, "&ttl=86400", 86_400),
        (1_000, 86_400, "&ttl=259200", 258_200), (86_000, 86_400, "&ttl=172800", 86_800), (10, 10**9, "", 259_190),
    ],
)  # fmt: skip
async def test_cache_control_and_age_agree(age_s, life_s, query, left_s):
    """Together they say what is left to this caller: of the entry, longer where a longer ttl is asked for, never more than
    was asked for, never past three days from birth."""
    found = await answered(held(age_s, life_s), QUERY + query)

    assert abs(left_of(found) - left_s) <= 1
    assert abs(int(found[b"age"]) - age_s) <= 1
    assert found[b"x-cache"] == b"L1"


async def test_nothing_is_left_beyond_the_urls_own_end():
    """A caller whose URL ends in a minute may keep it for a minute, whatever the entry has left."""
    found = await answered(held(1_000), f"{QUERY}&expires={int(time.time()) + 60}")

    assert 58 <= left_of(found) <= 60


@pytest.mark.parametrize(("private", "store", "control"), [
    (True, False, b"private, no-store"), (True, True, b"public"), (False, False, b"public"),
])  # fmt: skip
async def test_what_a_source_calls_private_is_passed_on(private, store, control):
    """Unless policy keeps it: then it is as public as policy makes it."""
    found = await answered(held(10, storable=not private), store_private=store)

    assert found[b"cache-control"].startswith(control)


@pytest.mark.parametrize(("asked", "given"), [(5, 86_400), (400_000, 259_200), (100_000, 100_000)])
async def test_a_clamped_ttl_is_told(asked, given):
    """X-TTL: what became of a lifetime outside policy; nothing where it was given as asked."""
    found = await answered(held(10, 259_200), f"{QUERY}&ttl={asked}", limits=Limits(ttl_outside="clamp"))

    assert found.get(b"x-ttl") == (None if asked == given else f"{given}; asked={asked}".encode())
    assert left_of(found) == pytest.approx(min(given, 259_190), abs=1)


@pytest.mark.parametrize("asked", [5, 86_399, 259_201])
async def test_a_ttl_outside_policy_is_refused(asked):
    """By default: a 422 that names the limit, before anything is looked up."""
    with pytest.raises(LimitExceeded) as caught:
        await answered(held(10), f"{QUERY}&ttl={asked}")

    assert caught.value.limit == "ttl"


async def test_what_a_changed_source_left_is_nobodys():
    """It is not even looked at as an answer."""
    node = Node(held(10), Cache())
    plan = images().plan(call(QUERY))
    assert node.service.hit(plan)

    node.purges.note(Purge.of(Subject.SOURCE, "s", node.purges.now_ms(), soft=True))

    assert node.service.hit(plan) is None
    assert node.service.left_s(plan, held(10)) == 0


class From(Kept):
    """A transcoder that has nothing at hand, and answers from *tier*."""

    def __init__(self, tier) -> None:
        super().__init__()
        self._tier = tier

    def hit(self, plan):
        found = super().hit(plan)
        return Served(found.entry, self._tier) if self._tier in {"L1", "STALE"} else None

    async def make(self, plan):
        return Served(super().hit(plan).entry, self._tier)


def asking(query=QUERY, method="GET", **headers):
    return Call(method, "/image", query.encode(), [(n.replace("_", "-").encode(), v) for n, v in headers.items()], "r")


async def staying():
    """A client that waits for its answer."""
    await asyncio.Event().wait()


@pytest.mark.parametrize("tier", ["L1", "STALE", "L2", "COALESCED", "MISS"])
async def test_a_part_from_every_tier(tier):
    """R14: whoever has the picture has it whole, and the part is cut from that."""
    reply = await images(kept=From(tier)).get(asking(range=b"bytes=1-2"), staying)
    found = dict(reply.headers)

    assert (reply.status, reply.body, found[b"x-cache"]) == (206, b"od", tier.encode())
    assert (found[b"content-range"], found[b"content-type"]) == (b"bytes 1-2/4", b"image/png")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"range": b"bytes=1-2", "if_range": b'"e"'}, 206), ({"range": b"bytes=1-2", "if_range": b'"f"'}, 200),
        ({"range": b"bytes=1-2", "if_none_match": b'"e"'}, 304), ({"if_modified_since": b"Sun, 06 Nov 1994 08:49:37 GMT"}, 200),
        ({"if_match": b'"e"'}, 200), ({"if_match": b'"f"'}, PreconditionFailed), ({"range": b"bytes=4-"}, RangeNotSatisfiable),
    ],
)  # fmt: skip
async def test_conditions_reach_the_picture(headers, status):
    """Each header is taken for what it is."""
    service = images()
    if isinstance(status, int):
        assert (await service.get(asking(**headers), staying)).status == status
    else:
        with pytest.raises(status):
            await service.get(asking(**headers), staying)


@pytest.mark.parametrize("asked", [b"bytes=1-2", b"bytes=4-"])
async def test_head_has_no_parts(asked):
    """RFC 9110 14.2: Range is for GET; HEAD tells of the whole."""
    reply = await images().get(asking(method="HEAD", range=asked), staying)

    assert (reply.status, dict(reply.headers)[b"content-length"]) == (200, b"4")


async def test_two_ranges_in_two_headers_are_several():
    call = asking()
    call.headers += [(b"range", b"bytes=0-1"), (b"range", b"bytes=2-3")]

    assert (await images().get(call, staying)).status == 200


@pytest.mark.parametrize(
    ("query", "value"),
    [
        ("", None), ("&attachment=0", None), ("&filename=cats", b'inline; filename="cats.png"'), ("&fn=cats.jpg&att=1", b'attachment; filename="cats.png"'),
        ("&attachment=1", b'attachment; filename="image.png"'), ("&filename=%C3%A9", b"inline; filename=\"_.png\"; filename*=UTF-8''%C3%A9.png"),
    ],
)  # fmt: skip
async def test_what_it_is_saved_as(query, value):
    """R15: with the suffix of what was encoded; on the picture and on its parts, and on nothing else."""
    service = images()
    whole, part_of = [await service.get(asking(QUERY + query, **h), staying) for h in ({}, {"range": b"bytes=0-1"})]
    none = await service.get(asking(QUERY + query, if_none_match=b"*"), staying)

    assert [dict(r.headers).get(b"content-disposition") for r in (whole, part_of, none)] == [value, value, None]
    assert dict(whole.headers)[b"content-type"] == b"image/png"


class Explained(Kept):
    """A transcoder that would have to make everything."""

    def tier(self, _plan):
        return "MISS"


def test_terms_of_delivery_are_explained():
    service = images(kept=Explained())
    told = service.explained(call(f"{QUERY}&filename=cats&attachment=1"))

    assert (told["filename"], told["attachment"]) == ("cats", True)


# what is ready


async def test_what_is_ready_is_what_get_answers_with():
    """Fresh in L1: a hit, counted as one. Anything else: nothing, and nothing is counted."""
    events = []
    for entry, found in ((held(10), True), (held(10, engine=-1), False), (held(200, 100), False)):
        node = Node(entry, Cache(early_refresh=0))
        node.service._kept._cache._observe = events.append
        service = Images(
            Native(Limits(), str), node.service, MemoryCache(100_000, 60, lambda _: 1), Settings(signing=UNSIGNED)
        )

        served = service.ready(service.plan(call(QUERY)), time.time())

        assert (served is not None) == found
        assert events == ["hit"] * found
        events.clear()


def test_nothing_is_ready_after_the_end_of_a_url():
    """R05: to the second."""
    kept = Kept()
    service = images(kept=kept)
    plan = service.plan(call(f"{QUERY}&expires={int(time.time()) + 50}"))

    assert service.ready(plan, float(plan.expires_at_s)) is None
    assert not kept.asked


@pytest.mark.parametrize("part", [0.0, 0.25, 0.999])
def test_an_answer_holds_until_its_seconds_change(part, monkeypatch):
    """Age, what is left and whole seconds are the same until just before `until_s`, and one of them is another after."""
    now_s = 1_000_000.5
    monkeypatch.setattr(time, "time", lambda: now_s)
    entry = Entry(Rendition(b"body", Format.PNG, "e", 1, 1), 999_000.0 + part, 86_400)
    node = Node(entry, Cache(early_refresh=0))
    service = Images(
        Native(Limits(), str), node.service, MemoryCache(100_000, 60, lambda _: 1), Settings(signing=UNSIGNED)
    )
    plan, served = service.plan(call(QUERY)), Served(entry, "L1")
    first = service.clock(plan, served)

    now_s = first.until_s - 1e-6
    same = service.clock(plan, served)
    now_s = first.until_s + 1e-6
    another = service.clock(plan, served)

    assert same[:3] == first[:3]
    assert another[:3] != first[:3]
