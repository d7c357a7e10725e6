"""Layers leave a store a store: they limit, count and repeat, and change nothing that it says."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from imagemill.model.entry import Validators
from imagemill.model.errors import (
    DependencyDown,
    SourceNotFound,
    SourceTimeout,
    SourceTruncated,
    StoreCorrupt,
    StoreRefused,
)
from imagemill.storage.base import Opened, Stat, Terms, Unchanged
from imagemill.storage.layers import Attempts, Metrics, Retry, Timeout
from support.stores import MemoryStore

CALLS = {
    "get": lambda store: store.get("a", limit=9),
    "put": lambda store: store.put("a", b"1", Terms()),
    "stat": lambda store: store.stat("a"),
    "url": lambda store: store.url("a", good_for_s=9),
    "check": lambda store: store.check(),
    "open": lambda store: opened(store),  # noqa: PLW0108 - it is defined below
}


class Failing(MemoryStore):
    """Raises these one after the other, then works."""

    def __init__(self, *errors):
        super().__init__()
        self.lay("a", b"1", Terms())
        self.errors = list(errors)
        self.asked = 0

    async def _next(self):
        self.asked += 1
        if self.errors:
            raise self.errors.pop(0)

    async def get(self, key, /, **rest):
        await self._next()
        return await super().get(key, **rest)

    async def put(self, key, body, /, terms):
        await self._next()
        return await super().put(key, body, terms)

    @asynccontextmanager
    async def open(self, key, /, **rest):
        await self._next()
        async with super().open(key, **rest) as it:
            yield it

    async def write(self, key, chunks, /, terms):
        await self._next()
        return await super().write(key, chunks, terms)

    async def stat(self, key, /):
        await self._next()
        return await super().stat(key)

    async def check(self):
        await self._next()

    async def url(self, key, /, *, good_for_s):
        await self._next()
        return f"https://x/{key}?{good_for_s}"


async def streamed(*chunks):
    for chunk in chunks:
        yield chunk


async def opened(store):
    async with store.open("a") as it:
        return b"".join([chunk async for chunk in it.chunks])


class Slow(MemoryStore):
    """Hangs; opens at once, gives one chunk, and takes one."""

    @asynccontextmanager
    async def open(self, key, /, **_):
        async def chunks():
            yield b"1"
            await asyncio.sleep(60)

        yield Opened(Stat(2), chunks())

    async def write(self, key, chunks, /, terms):
        async for _ in chunks:
            await asyncio.sleep(60)

    async def stat(self, key, /):
        await asyncio.sleep(60)

    async def get(self, key, /, **_):
        await asyncio.sleep(60)


def retrying(store, most=3, chance=1.0):
    pauses = []

    async def sleep(seconds):
        pauses.append(seconds)

    return Retry(store, Attempts(most, 0.1, 0.3), lambda: chance, sleep), pauses


@pytest.mark.timed
@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("error", [DependencyDown("x"), SourceTruncated("x"), SourceTimeout("x"), StoreCorrupt("x")])
async def test_what_may_pass_is_tried_again(name, error):
    store = Failing(error, error)
    retry, pauses = retrying(store)

    await CALLS[name](retry)

    assert store.asked == 3
    assert pauses == [0.1, 0.2]


@pytest.mark.parametrize("name", CALLS)
async def test_attempts_are_bounded(name):
    """So many and no more, then the last error as it came."""
    errors = [DependencyDown(str(n)) for n in range(9)]
    store = Failing(*errors)
    retry, pauses = retrying(store, most=4)

    with pytest.raises(DependencyDown, match="3"):
        await CALLS[name](retry)

    assert store.asked == 4
    assert pauses == [0.1, 0.2, 0.3]


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("error", [SourceNotFound("x"), StoreRefused("x"), ValueError("x"), asyncio.CancelledError()])
async def test_what_will_not_pass_is_not(name, error):
    store = Failing(error)
    retry, _ = retrying(store)

    with pytest.raises(type(error)):
        await CALLS[name](retry)

    assert store.asked == 1


async def test_one_attempt_is_one():
    store = Failing(DependencyDown("x"))
    retry, pauses = retrying(store, most=1)

    with pytest.raises(DependencyDown):
        await retry.stat("a")

    assert (store.asked, pauses) == (1, [])


@pytest.mark.parametrize(("chance", "pause_s"), [(0.0, 0.0), (0.5, 0.05), (1.0, 0.1)])
async def test_pauses_are_by_chance(chance, pause_s):
    """Full jitter: those who failed together do not come back together."""
    retry, pauses = retrying(Failing(DependencyDown("x")), chance=chance)

    await retry.stat("a")

    assert pauses == [pytest.approx(pause_s)]


async def test_what_takes_too_long_ends():
    """Reading as a slow source, all else as a store that is away; both may be tried again."""
    store = Timeout(Slow(), 0.01)

    with pytest.raises(SourceTimeout, match=r"0\.01 s"):
        await store.get("a", limit=9)
    with pytest.raises(DependencyDown, match=r"0\.01 s"):
        await store.stat("a")


async def test_a_timeout_from_elsewhere_stays_one():
    """Whoever wraps a limit of their own around a store gets their own error."""
    store = Timeout(Slow(), 60)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await store.stat("a")


async def test_outcomes_are_told():
    told = []
    store = Failing(DependencyDown("x"), ValueError("x"), asyncio.CancelledError())
    counted = Metrics(store, lambda operation, outcome, seconds: told.append((operation, outcome, seconds >= 0)))
    for kind in (DependencyDown, ValueError, asyncio.CancelledError):
        with pytest.raises(kind):
            await counted.stat("a")
    blob = await counted.get("a", limit=9)

    assert await counted.get("a", limit=9, known=blob.validators) == Unchanged()
    await counted.put("a", b"1", Terms())
    await counted.stat("no")
    await counted.url("a", good_for_s=9)
    await counted.check()
    assert told == [
        (operation, outcome, True)
        for operation, outcome in [
            ("stat", "dependency_down"), ("stat", "internal"), ("stat", "cancelled"), ("get", "ok"),
            ("get", "unchanged"), ("put", "ok"), ("stat", "absent"), ("url", "ok"), ("check", "ok"),
        ]
    ]  # fmt: skip


async def test_they_say_what_the_store_says():
    """Arguments and answers go through all of them unchanged."""
    store = Failing()
    layered = Retry(Metrics(Timeout(store, 9), lambda *_: None), Attempts())

    put = await layered.put("b", b"12", Terms("image/png", "max-age=1"))

    assert store.objects["b"][2] == Terms("image/png", "max-age=1")
    assert await layered.stat("b") == put
    assert (await layered.get("b", limit=2)).body == b"12"
    assert layered.address("b") == "memory:b"
    assert await layered.url("b", good_for_s=7) == "https://x/b?7"


async def test_writing_a_stream_is_not_repeated():
    """Its chunks are gone; who has them still, like `put`, begins again."""
    store = Failing(DependencyDown("x"))
    retry, pauses = retrying(store)

    with pytest.raises(DependencyDown):
        await retry.write("a", streamed(b"1"), Terms())

    assert (store.asked, pauses) == (1, [])


class Breaking(MemoryStore):
    """Gives a chunk, then fails."""

    opened = 0

    @asynccontextmanager
    async def open(self, key, /, **_):
        self.opened += 1

        async def chunks():
            yield b"1"
            raise SourceTruncated("x")

        yield Opened(Stat(2), chunks())


async def test_reading_on_is_not_repeated():
    """What was read already is out of our hands."""
    store = Breaking()
    retry, pauses = retrying(store)

    with pytest.raises(SourceTruncated):
        await opened(retry)

    assert (store.opened, pauses) == (1, [])


async def test_streams_that_hang_end():
    store = Timeout(Slow(), 0.01)

    with pytest.raises(SourceTimeout, match=r"0\.01 s"):
        await opened(store)
    with pytest.raises(DependencyDown, match=r"0\.01 s"):
        await store.write("a", streamed(b"1"), Terms())


async def test_the_time_of_others_is_not_the_stores():
    """A reader may think about a chunk, and a maker about the next, for longer than the store has for either."""
    store = Timeout(MemoryStore(), 0.1)

    async def thoughtful():
        for chunk in (b"1", b"2"):
            await asyncio.sleep(0.15)
            yield chunk
        await asyncio.sleep(0.15)

    await store.write("a", thoughtful(), Terms())
    async with store.open("a") as it:
        await asyncio.sleep(0.15)
        chunk = await anext(it.chunks)
        await asyncio.sleep(0.15)

        assert [chunk, *[more async for more in it.chunks]] == [b"12"]


async def test_what_a_maker_raises_is_passed_on():
    """And is not mistaken for an answer of the store's; nor is a time limit of the maker's own."""
    for error in (ZeroDivisionError(), TimeoutError()):

        async def failing(it=error):
            yield b"1"
            raise it

        with pytest.raises(type(error)):
            await Timeout(MemoryStore(), 9).write("a", failing(), Terms())


async def test_outcomes_of_streams_are_told():
    """Of opening, of each chunk and of the end, and of writing."""
    told = []
    observe = lambda operation, outcome, _: told.append((operation, outcome))  # noqa: E731 - a list would do, but for the seconds
    store = MemoryStore()
    store.chunk_bytes = 1
    counted = Metrics(store, observe)

    stat = await counted.write("a", streamed(b"1", b"2"), Terms())
    await opened(counted)
    async with counted.open("a", known=Validators(stat.etag)) as it:
        assert it == Unchanged()
    with pytest.raises(SourceNotFound):
        async with counted.open("no"):
            pass
    with pytest.raises(SourceTruncated):
        await opened(Metrics(Breaking(), observe))

    assert told == [
        ("write", "ok"), ("open", "ok"), ("read", "ok"), ("read", "ok"), ("read", "ok"), ("open", "unchanged"),
        ("open", "source_not_found"), ("open", "ok"), ("read", "ok"), ("read", "source_truncated"),
    ]  # fmt: skip
