"""One fetch for all who want a source within a minute, whatever they want of it."""

import asyncio
import time

import pytest

from imagemill.cache.memory import MemoryCache
from imagemill.cache.purges import Purge, Purges, Subject
from imagemill.model.entry import Validators
from imagemill.model.errors import Overloaded, SourceForbidden, SourceNotFound, SourceTimeout
from imagemill.model.failures import as_failure
from imagemill.model.keys import source_key
from imagemill.model.request import Plan, SourceRef
from imagemill.service.origin import Origin
from imagemill.settings import Cache as CacheSettings
from imagemill.storage.base import NONE_KNOWN, Blob, Unchanged

REMOTE = SourceRef("http", "http://example.com/a.png")
LOCAL = SourceRef("local", "photos/a/b.png")
LIMIT = 10_000


class Store:
    """Answers with *answer*, or raises it; keeps what it was asked."""

    def __init__(self, answer, slow_s=0.01) -> None:
        self.answer = answer
        self.slow_s = slow_s
        self.asked = []

    async def get(self, key, /, *, limit, known=NONE_KNOWN):
        self.asked.append((key, limit))
        await asyncio.sleep(self.slow_s)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def origin(store: Store, buckets=None, **cache) -> Origin:
    return Origin(
        store,
        {"photos": store},
        buckets or {},
        MemoryCache(1_000_000, 60, lambda blob: len(blob.body)),
        MemoryCache(1_000_000, 30, lambda _: 1),
        Purges(100),
        CacheSettings(**cache),
        limit=LIMIT,
    )


class Later:
    """The clocks, moved on for one module alone: the loop keeps its own."""

    def __init__(self, later_s: float) -> None:
        self.later_s = later_s
        self.time = time.time

    def monotonic(self) -> float:
        return time.monotonic() + self.later_s


def plan(source: SourceRef = REMOTE, key: str = "k", **terms) -> Plan:
    return Plan(key, source, source_key(source), (), **terms)


async def get(it: Origin, source: SourceRef = REMOTE, **terms) -> Blob:
    return await it.get(plan(source, **terms))


async def test_a_srcset_is_one_fetch():
    """Eight at once and one later ask the store once, and get the same bytes."""
    store = Store(Blob(b"picture"))
    it = origin(store)

    got = [*await asyncio.gather(*(get(it) for _ in range(8))), await get(it)]

    assert {blob.body for blob in got} == {b"picture"}
    assert len(store.asked) == 1


async def test_one_flight_even_without_a_cache():
    """What may not be kept is still fetched once for all who ask at once."""
    store = Store(Blob(b"picture", storable=False))
    it = origin(store)

    await asyncio.gather(*(get(it) for _ in range(8)))
    assert len(store.asked) == 1
    await get(it)
    assert len(store.asked) == 2


async def test_private_is_kept_only_by_setting():
    store = Store(Blob(b"picture", storable=False))
    it = origin(store, store_private=True)

    await get(it)
    await get(it)

    assert len(store.asked) == 1


@pytest.mark.parametrize(("ttl_s", "later_s", "fetches"), [(60, 50, 1), (60, 60, 2), (5, 6, 2), (5, 4, 1)])
async def test_never_older_than_the_setting(monkeypatch, ttl_s, later_s, fetches):
    """After `cache.source_ttl_s`, counted from the asking, the store is asked again."""
    store = Store(Blob(b"picture"))
    it = origin(store, source_ttl_s=ttl_s)
    await get(it)

    monkeypatch.setattr("imagemill.service.origin.time", Later(later_s))
    await get(it)

    assert len(store.asked) == fetches


@pytest.mark.parametrize(
    ("error", "later_s", "asked"),
    [
        (SourceNotFound("x"), 5, 1),
        (SourceTimeout("x"), 5, 1),
        (SourceNotFound("x"), 31, 2),
        (SourceForbidden("x"), 5, 1),
        (Overloaded("x"), 5, 2),
    ],
)
async def test_failures_are_remembered_briefly(monkeypatch, error, later_s, asked):
    """A source that failed or a name that leads nowhere, is not asked again for some seconds; a full house is."""
    store = Store(error)
    it = origin(store)
    with pytest.raises(type(error)):
        await get(it)

    monkeypatch.setattr("imagemill.service.origin.time", Later(later_s))
    with pytest.raises(type(error)):
        await get(it)

    assert len(store.asked) == asked


async def test_every_store_is_told_the_limit():
    """The bound on a source's bytes holds for the web and for local stores, each asked by its own key."""
    store = Store(Blob(b"picture"))
    it = origin(store)

    await get(it, REMOTE)
    await get(it, LOCAL)

    assert store.asked == [("http://example.com/a.png", LIMIT), ("a/b.png", LIMIT)]


async def test_stores_are_known_by_name():
    """A store that was not configured is forbidden, and nobody is asked."""
    store = Store(Blob(b"picture"))
    with pytest.raises(SourceForbidden):
        await get(origin(store), SourceRef("local", "other/a.png"))
    assert store.asked == []


@pytest.mark.parametrize(
    ("address", "asked"),
    [
        ("pictures/a/b.png", ("whole", "a/b.png")),
        ("pictures/part/b.png", ("part", "b.png")),
        ("pictures/part/../b.png", ("part", "../b.png")),  # no key: its store says so
        ("pictures/partly/b.png", ("whole", "partly/b.png")),
        ("pictures/part", ("whole", "part")),
        ("locked/open/b.png", ("open", "b.png")),
    ],
)
async def test_buckets_are_read_through_the_store_that_has_them(address, asked):
    """The one with the longest folder in common; folders end where names end."""
    stores = {name: Store(Blob(name.encode())) for name in ("whole", "part", "open")}
    buckets = {"pictures": stores["whole"], "pictures/part": stores["part"], "locked/open": stores["open"]}

    blob = await get(origin(Store(None), buckets), SourceRef("s3", address))

    name, key = asked
    assert blob.body == name.encode()
    assert stores[name].asked == [(key, LIMIT)]


@pytest.mark.parametrize(
    "address", ["other/a.png", "pictures", "picture/a", "pictures2/a", "locked/a.png", "locked/opened/b"]
)
async def test_a_bucket_that_is_not_configured_is_forbidden(address):
    """In the same words as any address that is not allowed, and nobody is asked (no oracle for names of buckets)."""
    store = Store(Blob(b"picture"))
    it = origin(store, {"pictures": store, "locked/open": store})
    with pytest.raises(SourceForbidden) as caught:
        await get(it, SourceRef("s3", address))

    assert str(caught.value) == str(SourceForbidden())
    assert store.asked == []


PURGES = [(Subject.SOURCE, source_key(REMOTE)), (Subject.TAG, "summer"), (Subject.KEY, "k")]


def purge(it: Origin, subject: Subject, name: str) -> None:
    it._purges.note(Purge.of(subject, name, it._purges.now_ms()))


@pytest.mark.parametrize("answer", [Blob(b"picture"), SourceNotFound("x")])
@pytest.mark.parametrize(("subject", "name"), PURGES)
async def test_nothing_from_before_a_purge(subject, name, answer):
    """A copy or a failure kept here is judged by source, tag and key alike: a rendition of it would be gone at once."""
    store = Store(answer)
    it = origin(store)
    await asyncio.gather(get(it, tags=("summer",)), return_exceptions=True)
    purge(it, subject, name)
    await asyncio.sleep(0.002)

    await asyncio.gather(get(it, tags=("summer",)), return_exceptions=True)

    assert len(store.asked) == 2


@pytest.mark.parametrize("answer", [Blob(b"picture"), SourceNotFound("x")])
@pytest.mark.parametrize(("subject", "name"), PURGES)
async def test_no_flight_is_joined_across_a_purge(subject, name, answer):
    """Whoever asks after a purge gets nothing that was asked for before it, neither bytes nor a failure."""
    store = Store(answer, slow_s=0.1)
    it = origin(store)
    first = asyncio.create_task(get(it, tags=("summer",)))
    await asyncio.sleep(0.003)
    purge(it, subject, name)
    await asyncio.sleep(0.002)
    store.answer = Blob(b"new")

    assert (await get(it, tags=("summer",))).body == b"new"
    assert len(store.asked) == 2
    await asyncio.gather(first, return_exceptions=True)


async def test_others_are_not_concerned_by_a_purge():
    """A tag's purge costs nobody else a fetch."""
    store = Store(Blob(b"picture"))
    it = origin(store)
    await get(it)
    purge(it, Subject.TAG, "summer")

    await get(it)

    assert len(store.asked) == 1


async def test_a_copy_may_be_too_old_for_what_it_replaces():
    """What is made anew is made of a later source: of the same one it would end when the old one ends."""
    store = Store(Blob(b"picture"))
    it = origin(store)
    first = await get(it)

    assert await it.get(plan(), after_s=first.born_s - 1) == first
    again = await it.get(plan(), after_s=first.born_s)

    assert len(store.asked) == 2
    assert again.born_s > first.born_s


async def test_a_copy_tells_that_nothing_has_changed():
    """Whoever knows this version is told so from the copy, with the copy's own time and terms."""
    store = Store(Blob(b"picture", "a", max_age_s=50))
    it = origin(store)
    first = await get(it)

    same = await it.get(plan(), Validators("a"))
    other = await it.get(plan(), Validators("b"))

    assert same == Unchanged(50, True, first.born_s, first.asked_ms)
    assert other == first
    assert len(store.asked) == 1


async def test_what_took_long_to_fail_is_remembered_as_long(monkeypatch):
    """A failure is as old as its end, not as the asking: one that took long would be forgotten at birth."""
    it = origin(Store(SourceTimeout("x")))
    clock = iter([1000.0, 1020.0])
    monkeypatch.setattr("imagemill.service.origin.time.time", lambda: next(clock))

    with pytest.raises(SourceTimeout):
        await get(it)

    assert it._failures.peek(source_key(REMOTE), time.monotonic()).born_s == 1020


async def test_a_failure_is_as_old_as_it_was_found():
    """However late it was put here, by whoever was told of it: it is believed for its time, and no longer."""
    store = Store(Blob(b"picture"))
    it = origin(store)
    for age_s, asked in ((9, 0), (11, 1)):
        it._failures.put(
            source_key(REMOTE), as_failure(SourceNotFound("x"), "s", time.time() - age_s, it._purges.now_ms()),
            time.monotonic(), ttl_s=10,
        )  # fmt: skip
        await asyncio.gather(get(it), return_exceptions=True)

        assert len(store.asked) == asked
