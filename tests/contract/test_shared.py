"""What every level that nodes share promises, once for all of them."""

import asyncio
import time
from contextlib import asynccontextmanager

import msgspec
import pytest

from imagemill.cache.base import Lease
from imagemill.cache.redis import RedisCache
from imagemill.model.entry import Entry, Failure, Validators
from imagemill.model.keys import etag
from imagemill.model.media import Format, Rendition
from imagemill.settings import Level2, Secret
from support.redis import standalone
from support.shared import Hub, MemoryShared

KEY, OTHER = "ab" * 32, "cd" * 32
LEASE_S, IDLE_S, STALE_S, NEGATIVE_S = 0.3, 1, 0.5, 0.6


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with standalone(tmp_path_factory.mktemp("redis")) as running:
        yield running


class InMemory:
    def __init__(self):
        self.hub = Hub(LEASE_S, IDLE_S, STALE_S, NEGATIVE_S)

    def node(self):
        return MemoryShared(self.hub)

    def die(self, node):
        node.renewing = False


class InRedis:
    def __init__(self, server):
        server.admin.flushall()
        self._settings = Level2(url=Secret(server.url), lease_s=LEASE_S, idle_s=IDLE_S, timeout_s=1.0)

    def node(self):
        return RedisCache(self._settings, stale_s=STALE_S, negative_s=NEGATIVE_S)

    def die(self, node):
        """Stop keeping leases up, as a process does that is killed."""
        node._leases.take_all()


@pytest.fixture(params=["memory", "redis"])
def level(request):
    return InMemory() if request.param == "memory" else InRedis(request.getfixturevalue("server"))


@asynccontextmanager
async def nodes(level, count=2):
    started = [level.node() for _ in range(count)]
    for node in started:
        await node.start()
    await asyncio.sleep(0.03)
    try:
        yield started
    finally:
        for node in started:
            await node.close()


def entry(body=b"picture", **terms):
    terms.setdefault("born_s", time.time())
    return Entry(Rendition(body, Format.WEBP, etag(body), 4, 3), **terms)


async def eventually(node, key, content):
    """Writes happen behind: wait until *content* is there."""
    until = time.monotonic() + 30
    while (found := await node.get(key)) != content:
        assert time.monotonic() < until, found
        await asyncio.sleep(0.01)


async def test_what_one_node_stores_all_find(level):
    content = entry(
        bytes(range(256)) * 100,
        source_key=OTHER,
        validators=Validators('"v1"', 1_700_000_000),
        max_age_s=60,
        tags=("a", "é"),
        asked_ms=5,
        cost_ms=7,
    )
    async with nodes(level) as (one, two):
        one.put(KEY, content, None)

        await eventually(two, KEY, content)
        assert await two.get(OTHER) is None


@pytest.mark.timed
async def test_failures_are_shared_for_a_moment(level):
    failure = Failure("source_not_found", "cats/1.jpg", time.time(), OTHER, ("a",))
    async with nodes(level) as (one, two):
        one.put(KEY, failure, None)
        await eventually(two, KEY, failure)

        await asyncio.sleep(NEGATIVE_S)

        assert await two.get(KEY) is None


@pytest.mark.timed
async def test_one_leads_and_the_others_get_it(level):
    """Of many nodes one has the lease; the others hear when it is done, and find what it made."""
    content = entry()
    async with nodes(level, 4) as members:
        leases = [await node.lease(KEY) for node in members]
        assert [lease is not None for lease in leases] == [True, False, False, False]
        waits = [asyncio.create_task(node.wait(KEY, 5)) for node in members[1:]]
        await asyncio.sleep(LEASE_S * 2)
        assert not any(wait.done() for wait in waits), "a lease is kept up while its holder lives"

        begun = time.monotonic()
        members[0].put(KEY, content, leases[0])
        await asyncio.gather(*waits)

        assert time.monotonic() - begun < LEASE_S
        assert [await node.get(KEY) for node in members] == [content] * 4
        assert await members[1].lease(KEY)


@pytest.mark.timed
async def test_giving_up(level):
    """A lease given up is free at once, and who waits is told."""
    async with nodes(level) as (one, two):
        lease = await one.lease(KEY)
        wait = asyncio.create_task(two.wait(KEY, 5))
        await asyncio.sleep(0.05)

        begun = time.monotonic()
        one.release(lease)
        await wait

        assert time.monotonic() - begun < LEASE_S
        assert await two.lease(KEY)


async def test_closing_gives_up(level):
    async with nodes(level) as (one, two):
        assert await one.lease(KEY)

        await one.close()

        assert await two.lease(KEY)


@pytest.mark.timed
async def test_a_dead_leader_costs_the_rest_of_its_lease(level):
    async with nodes(level) as (one, two):
        assert await one.lease(KEY)
        level.die(one)

        begun = time.monotonic()
        await two.wait(KEY, 5)
        waited_s = time.monotonic() - begun

        assert waited_s < LEASE_S + 0.1
        assert await two.lease(KEY)


@pytest.mark.timed
async def test_waiting_for_nobody(level):
    """Where nobody has the lease, nobody is waited for."""
    async with nodes(level, 1) as (one,):
        begun = time.monotonic()
        await one.wait(KEY, 5)

        assert time.monotonic() - begun < 0.2


@pytest.mark.timed
async def test_waiting_has_an_end(level):
    async with nodes(level) as (one, two):
        await one.lease(KEY)

        begun = time.monotonic()
        await two.wait(KEY, 0.4)

        assert 0.35 < time.monotonic() - begun < 0.8


@pytest.mark.timed
async def test_who_lost_the_lease_stores_nothing(level):
    """Fencing: a leader that slept too long changes nothing while another leads, and nothing newer after that."""
    late, fresh = entry(b"late", born_s=time.time() - 1), entry(b"fresh")
    async with nodes(level) as (one, two):
        first = await one.lease(KEY)
        level.die(one)
        await two.wait(KEY, 5)
        second = await two.lease(KEY)
        assert second

        one.put(KEY, late, first)
        await asyncio.sleep(0.1)
        assert await two.get(KEY) is None

        two.put(KEY, fresh, second)
        await eventually(one, KEY, fresh)
        one.put(KEY, late, first)
        await asyncio.sleep(0.1)
        assert await two.get(KEY) == fresh


async def test_without_a_lease_the_later_born_stays(level):
    now = time.time()
    old, new = entry(b"old", born_s=now - 10), entry(b"new", born_s=now)
    async with nodes(level) as (one, two):
        one.put(KEY, new, None)
        await eventually(two, KEY, new)

        two.put(KEY, old, Lease(KEY, ""))
        await asyncio.sleep(0.1)
        assert await one.get(KEY) == new

        newer = entry(b"newer", born_s=now + 1)
        two.put(KEY, newer, None)
        await eventually(one, KEY, newer)


@pytest.mark.timed
async def test_nobody_stores_beside_a_leader(level):
    async with nodes(level) as (one, two):
        await one.lease(KEY)

        two.put(KEY, entry(), None)
        await asyncio.sleep(0.1)

        assert await one.get(KEY) is None


async def test_extending(level):
    """A longer life and more tags are kept, and add up over nodes; the body stays."""
    content = entry(tags=("a",), life_s=60)
    async with nodes(level) as (one, two):
        one.put(KEY, content, None)
        await eventually(two, KEY, content)

        two.extend(KEY, msgspec.structs.replace(content, tags=("a", "b"), life_s=90))
        await asyncio.sleep(0.1)
        one.extend(KEY, msgspec.structs.replace(content, tags=("a", "c"), life_s=60))

        await eventually(two, KEY, msgspec.structs.replace(content, tags=("a", "b", "c"), life_s=90))


async def test_many_extend_at_once(level):
    """Whoever brings a tag or a longer life at the same moment, here or on another node, none of it is lost."""
    async with nodes(level) as both:
        both[0].put(KEY, content := entry(tags=("a",), life_s=50), None)
        await eventually(both[1], KEY, content)
        names = [f"t{n}" for n in range(40)]
        for n, name in enumerate(names):
            both[n % 2].extend(KEY, msgspec.structs.replace(content, tags=("a", name), life_s=60 + n))

        joined = msgspec.structs.replace(content, tags=tuple(sorted(["a", *names])), life_s=99)
        await eventually(both[0], KEY, joined)
        await eventually(both[1], KEY, joined)


async def test_what_has_changed_is_not_extended(level):
    now = time.time()
    old, new = entry(b"old", born_s=now - 1), entry(b"new", born_s=now)
    async with nodes(level) as (one, two):
        one.put(KEY, old, None)
        await eventually(two, KEY, old)
        one.put(KEY, new, None)
        await eventually(one, KEY, new)

        two.extend(KEY, msgspec.structs.replace(old, tags=("b",)))
        one.extend(OTHER, new)
        await asyncio.sleep(0.1)

        assert await one.get(KEY) == new
        assert await one.get(OTHER) is None


async def test_what_nobody_reads_goes(level):
    content = entry()
    async with nodes(level) as (one, two):
        one.put(KEY, content, None)
        await eventually(two, KEY, content)

        await asyncio.sleep(IDLE_S + 0.3)

        assert await two.get(KEY) is None


@pytest.mark.timed
async def test_what_is_read_stays(level):
    content = entry()
    async with nodes(level) as (one, two):
        one.put(KEY, content, None)
        for _ in range(6):
            await asyncio.sleep(IDLE_S / 3)
            assert await two.get(KEY) == content


@pytest.mark.timed
async def test_nothing_outlives_its_life_and_the_stale_window(level):
    """However often it is read."""
    content = entry(life_s=1)
    async with nodes(level) as (one, two):
        one.put(KEY, content, None)
        await eventually(two, KEY, content)

        while time.time() < content.expires_s + STALE_S - 0.1:
            assert await two.get(KEY) == content
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.15)

        assert await two.get(KEY) is None


async def test_the_version_seen_before(level):
    async with nodes(level) as (one, two):
        assert await one.seen(OTHER, '"v1"') == ""
        assert await two.seen(OTHER, '"v2"') == '"v1"'
        assert await one.seen(OTHER, "") == '"v2"'
        assert await one.seen(KEY, "x") == ""


async def test_cancelled_calls_leave_the_level_usable(level):
    content = entry()
    async with nodes(level, 1) as (one,):
        one.put(KEY, content, None)
        await eventually(one, KEY, content)
        tasks = [asyncio.create_task(call) for call in (one.get(KEY), one.lease(KEY), one.wait(OTHER, 5))]
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

        assert await one.get(KEY) == content


@pytest.mark.timed
async def test_a_write_that_is_known_to_have_happened(level):
    """Found by every node at once when it returns, its lease over; said, where the lease was lost meanwhile."""
    async with nodes(level) as (one, two):
        lease = await one.lease(KEY)
        content = entry()

        stored = await one.store(KEY, content, lease)

        assert (stored, await two.get(KEY)) == (True, content)
        late = await two.lease(KEY)
        assert late
        assert not await one.store(KEY, entry(b"too late"), lease)
        assert await two.get(KEY) == content
        two.release(late)


async def test_a_write_to_a_level_that_is_away_is_known_not_to_have_happened(tmp_path):
    with standalone(tmp_path) as gone:
        node = RedisCache(Level2(url=Secret(gone.url), timeout_s=0.2), stale_s=1, negative_s=1)
        await node.start()
        lease = await node.lease(KEY)
        gone.stop()

        assert not await node.store(KEY, entry(), lease)
        await node.close()
