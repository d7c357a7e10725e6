"""R05, R07: what `Images` itself sees to, before and after the transcoder; no node, no worker."""

import time

import pytest

from imagemill.cache.memory import MemoryCache
from imagemill.dialects.native import Native
from imagemill.model.entry import Entry
from imagemill.model.errors import BadOption, SignatureInvalid, TargetTooLong, UrlExpired
from imagemill.model.media import Format, Rendition
from imagemill.model.signing import sign
from imagemill.service.transcode import Served
from imagemill.settings import Limits, Secret, Settings, Signing
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
    ending = call(signed(f"{QUERY}&expires={int(time.time()) + 1}"))
    await service.get(ending, None)
    time.sleep(1.1)

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
