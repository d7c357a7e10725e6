"""What is remembered of failures holds nothing alive, and lifetimes count from the fetch."""

import asyncio
import gc
import time

import pytest
from msgspec.structs import replace

from imagemill.cache.alone import Alone
from imagemill.cache.memory import MemoryCache
from imagemill.cache.purges import Purge, Purges, Subject
from imagemill.engines.base import Made, Stages
from imagemill.model.entry import Failure
from imagemill.model.errors import (
    DependencyDown,
    ImageCorrupt,
    Overloaded,
    ProcessingTimeout,
    SourceForbidden,
    SourceNotFound,
    SourceTruncated,
)
from imagemill.model.keys import result_key, source_key
from imagemill.model.media import Format, Rendition
from imagemill.model.recipe import Encode
from imagemill.model.request import Plan, SourceRef
from imagemill.service.gate import Gate
from imagemill.service.origin import Origin
from imagemill.service.render import Renderer
from imagemill.service.transcode import Transcoder
from imagemill.settings import Cache as CacheSettings
from imagemill.settings import Gate as GateSettings
from imagemill.storage.base import NONE_KNOWN, Blob

SOURCE = SourceRef("http", "http://example.com/a.png")
SOURCE_KEY = source_key(SOURCE)


class Store:
    def __init__(self, max_age_s=30, last_modified_s=0, error=None) -> None:
        self.body = b"x" * 1000
        self.asked = 0
        self.max_age_s, self.last_modified_s = max_age_s, last_modified_s
        self.error = error
        self.etag = ""

    async def get(self, key, /, *, limit, known=NONE_KNOWN):
        self.asked += 1
        if self.error:
            raise self.error
        return Blob(self.body, etag=self.etag, max_age_s=self.max_age_s, last_modified_s=self.last_modified_s)


class Engine:
    def __init__(self, error=None) -> None:
        self.error = error

    async def run(self, source, tasks, layers):
        if self.error:
            raise self.error("no")
        yield Made(Rendition(b"body", Format.PNG, "e", 1, 1), Stages())


def plan(width: int = 1) -> Plan:
    recipe = (Encode(Format.JPEG, width),)
    return Plan(result_key(SOURCE, recipe), SOURCE, source_key(SOURCE), recipe)


def transcoder(store: Store, engine: Engine, settings: CacheSettings = CacheSettings()) -> Transcoder:  # noqa: B008 - frozen
    def cache() -> MemoryCache:
        return MemoryCache(10_000_000, 60, lambda _: 1)

    failures = cache()
    purges = Purges(100)
    origin = Origin(store, {}, {}, cache(), failures, purges, settings, limit=10_000)
    renderer = Renderer(origin, engine, Gate(GateSettings(), 1), settings)
    made = Transcoder(renderer, cache(), Alone(), failures, cache(), purges, settings)
    made.origin, made.engine, made.failures = origin, engine, failures
    return made


async def test_a_remembered_failure_keeps_no_source_alive():
    """The failure cache counts a failure as small, so it must not hold the frames that hold the source."""
    store = Store()
    service = transcoder(store, Engine(ImageCorrupt))
    service.origin._settings = CacheSettings(source_ttl_s=0.001)

    for n in range(1, 4):
        with pytest.raises(ImageCorrupt):
            await service.serve(plan(n))
    kept = [service.failures.get(plan(n).key, time.monotonic()) for n in range(1, 4)]

    gc.collect()
    assert all(type(failure) is Failure and failure.code == "image_corrupt" for failure in kept)
    assert not any(isinstance(o, Blob) for o in gc.get_objects())
    with pytest.raises(ImageCorrupt, match="no"):
        await service.serve(plan(1))


async def test_lifetimes_count_from_the_fetch(monkeypatch):
    """A second width made from a source fetched 20 s ago is 20 s old, and not newborn."""
    store = Store()
    service = transcoder(store, Engine())
    first = await service.serve(plan(1))
    later = time.time() + 20
    monkeypatch.setattr("imagemill.service.origin.time.time", lambda: later)

    second = await service.serve(plan(2))

    assert store.asked == 1
    assert second.entry.born_s == first.entry.born_s


async def test_the_tier_told_is_the_tier_that_answers():
    """`tier` applies the same age test as `hit`, and begins nothing."""
    store = Store()
    service = transcoder(store, Engine())
    assert service.tier(plan()) == "MISS"
    await service.serve(plan())
    assert service.tier(plan()) == "L1"
    service._purges.note(Purge.of(Subject.SOURCE, SOURCE_KEY, service._purges.now_ms()))

    assert service.tier(plan()) == "MISS"
    assert service.hit(plan()) is None
    await asyncio.sleep(0)
    assert store.asked == 1


@pytest.mark.parametrize("claimed_s", [253_402_343_999, 2**62, 4_000_000_000, -1])
async def test_no_source_was_changed_in_the_future(claimed_s):
    """RFC 9110 8.8.2.1: such a date is none; a year 10000 has no HTTP date, and no frame holds one before 1970."""
    served = await transcoder(Store(last_modified_s=claimed_s), Engine()).serve(plan())

    assert not served.entry.validators


async def test_a_date_in_the_future_is_no_change_at_each_fetch():
    """Brought back to the time of the fetch it would be another version each time, and take all that was made along."""
    service = transcoder(Store(last_modified_s=4_000_000_000), Engine())
    await service.serve(plan(1))
    service.origin._cache.drop(SOURCE_KEY)
    await asyncio.sleep(1.1)

    await service.serve(plan(2))

    assert service.tier(plan(1)) == "L1"


@pytest.mark.parametrize(("ttl_s", "policy_s", "said_s", "life_s"), [
    (7, 50, 60, 7), (7, 0, None, 7), (None, 50, 60, 50), (None, 50, None, 50), (None, 0, 60, 60), (None, 0, 0, 0),
    (None, 0, None, 86_400),
])  # fmt: skip
async def test_whose_lifetime_counts(ttl_s, policy_s, said_s, life_s):
    """The request's, else the policy's, else the source's, else a day."""
    service = transcoder(Store(said_s), Engine(), CacheSettings(default_ttl_s=policy_s))
    asked = replace(plan(), ttl_s=ttl_s)

    served = await service.serve(asked)

    assert served.entry.life_s == life_s
    assert life_s - 1 <= service.left_s(asked, served.entry) <= life_s


@pytest.mark.parametrize(("ttl_s", "said_s"), [(10, None), (10, 3600), (None, 10)])
async def test_a_short_life_ends_with_its_source(monkeypatch, ttl_s, said_s):
    """What is made again after a short life is made of a new source: of the old one it would be stale at birth, every time."""
    store = Store(said_s)
    service = transcoder(store, Engine(), CacheSettings(stale_s=0))
    asked = replace(plan(), ttl_s=ttl_s)
    await service.serve(asked)
    later = time.time() + 11
    monkeypatch.setattr("imagemill.service.origin.time.time", lambda: later)

    again, hit = await service.serve(asked), await service.serve(asked)

    assert store.asked == 2
    assert (again.tier, hit.tier, again.entry.born_s) == ("MISS", "L1", later)


@pytest.mark.parametrize("said_s", [0, 1])
async def test_a_burst_fetches_once(monkeypatch, said_s):
    """Eight widths within seconds are one fetch, also where the source wants none of it kept for long."""
    store = Store(said_s)
    service = transcoder(store, Engine())
    for n in range(8):
        later = time.time() + 0.5
        monkeypatch.setattr("imagemill.service.origin.time.time", lambda later=later: later)
        await service.serve(plan(n))

    assert store.asked == 1


@pytest.mark.parametrize(
    ("error", "asked"),
    [(SourceNotFound, 1), (SourceTruncated, 1), (SourceForbidden, 1), (Overloaded, 2), (DependencyDown, 2)],
)
async def test_what_a_source_answers_is_remembered_briefly(error, asked):
    """A failure of the source, names that do not resolve included, is not asked for again at once; a full house is."""
    store = Store(error=error("no"))
    service = transcoder(store, Engine())

    for n in (1, 2):
        with pytest.raises(error):
            await service.serve(plan(n))

    assert store.asked == asked
    later = time.monotonic() + 10.1
    assert service.failures.get(SOURCE_KEY, later) is None


@pytest.mark.parametrize(
    ("error", "kept"), [(ImageCorrupt, True), (ProcessingTimeout, True), (Overloaded, False), (DependencyDown, False)]
)
async def test_what_the_work_ended_in_is_remembered_briefly(error, kept):
    """What the same work would end in again is answered without it, for a while; what chance did is not."""
    service = transcoder(Store(), Engine(error))

    with pytest.raises(error):
        await service.serve(plan())
    service.engine.error = None

    if kept:
        with pytest.raises(error):
            await service.serve(plan())
        assert service.hit(plan()) is None
    else:
        assert (await service.serve(plan())).tier == "MISS"
    assert service.failures.get(plan().key, time.monotonic() + 10.1) is None


@pytest.mark.parametrize(("then", "tier"), [("b", "MISS"), ("a", "L1"), ("", "L1")])
async def test_nothing_is_served_past_a_change_of_its_source(then, tier):
    """R12: a source that was seen with another validator takes what was made of it before along; silence does not."""
    store = Store()
    service = transcoder(store, Engine())
    store.etag = "a"
    await service.serve(plan(1))
    service.origin._cache.drop(SOURCE_KEY)
    store.etag = then
    await asyncio.sleep(0.002)
    await service.serve(plan(2))

    assert (service.tier(plan(1)), service.tier(plan(2))) == (tier, "L1")
    assert (await service.serve(plan(1))).tier == tier
    assert (await service.serve(plan(1))).tier == "L1"
