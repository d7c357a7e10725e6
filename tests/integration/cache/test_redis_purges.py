"""Purges between nodes, through a real Redis: on time, after every loss, and safely when nothing can be known."""

import asyncio
import contextlib
import logging
import signal
import time
from collections import Counter

import pytest
from redis.crc import key_slot
from redis.exceptions import ReadOnlyError

from imagemill.cache.purge_events import Seal
from imagemill.cache.purges import Purge, Purges, Subject, Verdict
from imagemill.cache.redis_client import connect
from imagemill.cache.redis_purges import PurgeFeed
from imagemill.model.entry import Entry
from imagemill.model.errors import SettingsError
from imagemill.model.media import Format, Rendition
from imagemill.settings import Level2, Secret
from support.ports import free_port
from support.redis import cluster, cluster_url, standalone, watched

RENDITION = Rendition(b"x", Format.PNG, "etag", 1, 1)
STREAM = "imagemill:purges"


@pytest.fixture
def redis(tmp_path):
    with standalone(tmp_path) as server:
        yield server


def settings_of(redis, **more):
    return Level2(**({"url": Secret(redis.url)} | more))


class Member:
    """What a node has of purges."""

    def __init__(self, settings, *, ahead_s=0.0):
        self.purges = Purges(settings.purges, blind_s=settings.blind_s, clock=lambda: time.time() + ahead_s)
        self.events = Counter()
        self.feed = PurgeFeed(settings, self.purges, lambda event: self.events.update([event]))

    def entry(self, asked_ms=None, source="s", tags=("t",)):
        asked_ms = self.purges.now_ms() if asked_ms is None else asked_ms
        return Entry(RENDITION, born_s=0, source_key=source, tags=tags, asked_ms=asked_ms)

    def of(self, subject, name, *, soft=False):
        return Purge.of(Subject(subject), name, self.purges.now_ms(), soft=soft)

    def sees(self, entry):
        return self.purges.judge(entry, "k")


@contextlib.asynccontextmanager
async def members(settings, count=1, **options):
    nodes = [Member(settings, **options) for _ in range(count)]
    await asyncio.gather(*(n.feed.start() for n in nodes))
    for node in nodes:
        node.at_start = dict(node.events)
    await asyncio.sleep(0.02)  # the stream's beginning is past
    try:
        yield nodes[0] if count == 1 else nodes
    finally:
        await asyncio.gather(*(n.feed.close() for n in nodes))


@contextlib.asynccontextmanager
async def asking(redis):
    client = connect(settings_of(redis), timeout_s=None)
    try:
        yield client.execute_command
    finally:
        await client.aclose()


async def until(true, within_s=30.0):
    """Wait until *true()*; the time it took."""
    begun = time.monotonic()
    while not true():
        assert time.monotonic() - begun < within_s, "not in time"
        await asyncio.sleep(0.01)
    return time.monotonic() - begun


@pytest.mark.timed
async def test_a_purge_reaches_every_node_within_two_seconds(redis):
    """By source, tag and key, hard and soft; on the node that tells it too."""
    async with members(settings_of(redis), 3) as nodes:
        assert all(n.feed.reading and n.purges.settled for n in nodes)
        for subject, name, soft in (
            ("source", "s", False),
            ("tag", "t", False),
            ("key", "k", False),
            ("source", "s2", True),
        ):
            old = [n.entry(source="s2" if soft else "s") for n in nodes]
            assert [n.sees(e) for n, e in zip(nodes, old, strict=True)] == [Verdict.VALID] * 3
            await asyncio.sleep(0.02)
            assert await nodes[0].feed.publish(nodes[0].of(subject, name, soft=soft))

            wanted = Verdict.STALE if soft else Verdict.GONE
            await until(
                lambda old=old, wanted=wanted: all(n.sees(e) is wanted for n, e in zip(nodes, old, strict=True)), 2.0
            )
            await asyncio.sleep(0.02)
            assert [n.sees(n.entry()) for n in nodes] == [Verdict.VALID] * 3
        assert nodes[2].events == {"source": 2, "tag": 1, "key": 1, "all": nodes[2].events["all"]}


async def test_a_node_that_starts_later_knows_what_was_purged_before(redis):
    """Before it serves anything: the shared level may hold what was purged while it was away."""
    async with members(settings_of(redis)) as first:
        held = first.entry()
        await asyncio.sleep(0.01)
        assert await first.feed.publish(first.of("tag", "t"))
        fresh = first.entry(tags=())
        async with members(settings_of(redis)) as second:
            assert second.sees(held) is Verdict.GONE
            assert second.sees(fresh) is Verdict.VALID


async def test_nothing_is_used_from_before_where_the_reading_begins(redis):
    """Whatever a shared level still holds: whether it was purged cannot be known."""
    async with members(settings_of(redis)) as first:
        first.purges.kept_ms = 1_000
        await first.feed.close()
        await asyncio.sleep(1.1)
        held = first.entry()
        second = Member(settings_of(redis))
        second.purges.kept_ms = 1_000
        await asyncio.sleep(1.1)
        await second.feed.start()
        assert second.sees(held) is Verdict.GONE
        assert second.sees(second.entry()) is Verdict.VALID
        await second.feed.close()


def test_wrong_settings_stop_the_start():
    with pytest.raises(SettingsError, match=r"l2\.url"):
        PurgeFeed(Level2(url=Secret("nonsense")), Purges(1))


async def test_more_than_one_batch_is_read_at_the_start(redis):
    async with members(settings_of(redis)) as first:
        held = first.entry(tags=("t1200",))
        for n in range(1201):
            await first.feed.publish(first.of("tag", f"t{n}"))
        async with members(settings_of(redis)) as second:
            assert second.sees(held) is Verdict.GONE
            assert second.at_start["tag"] == 1201, "nothing is served before"


@pytest.mark.parametrize("loss", ["hang", "cut"])
async def test_a_node_that_was_away_reads_on(redis, loss):
    """L11: whatever was purged meanwhile is known right after."""
    async with members(settings_of(redis)) as node, asking(redis) as ask:
        held, other = node.entry(), node.entry(tags=())
        floor = node.entry()
        if loss == "hang":
            redis.signal(signal.SIGSTOP)
            await until(lambda: not node.feed.reading)
            assert not await node.feed.publish(node.of("tag", "x"))
            redis.signal(signal.SIGCONT)
        else:
            await ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            await until(lambda: not node.feed.reading)
        event = Seal("", STREAM).encode(node.of("tag", "t"))
        await ask("XADD", STREAM, "*", "e", event)

        await until(lambda: node.sees(held) is Verdict.GONE)
        await until(lambda: node.feed.reading)
        assert node.sees(other) is Verdict.VALID, "nothing else was lost by it"
        assert node.sees(floor) is Verdict.GONE


async def test_publishing_survives_a_connection_that_died_at_rest(redis):
    async with members(settings_of(redis)) as node, asking(redis) as ask:
        assert await node.feed.publish(node.of("tag", "a"))
        await ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

        assert await node.feed.publish(node.of("tag", "b"))


async def test_what_was_trimmed_unread_raises_the_floor(redis, caplog):
    """More purges than the stream keeps, while a node was away: nothing older than what it can read is used."""
    settings = settings_of(redis)
    async with members(settings) as node, asking(redis) as ask:
        unnamed = node.entry(tags=())
        assert node.sees(unnamed) is Verdict.VALID
        redis.signal(signal.SIGSTOP)
        await until(lambda: not node.feed.reading)
        redis.signal(signal.SIGCONT)
        seal = Seal("", STREAM)
        pipe = [("XADD", STREAM, "MAXLEN", "=", 2, "*", "e", seal.encode(node.of("tag", str(n)))) for n in range(5)]
        await ask("MULTI")
        for command in pipe:
            await ask(*command)
        await ask("EXEC")

        await until(lambda: node.sees(unnamed) is Verdict.GONE)
        await until(lambda: node.feed.reading)
        await asyncio.sleep(0.01)
        assert node.sees(node.entry(tags=())) is Verdict.VALID
    assert [r.message for r in caplog.records].count("purges were missed: what was cached before is not used") == 1


async def test_what_was_trimmed_before_the_start_raises_the_floor(redis):
    """A fresh node uses nothing of the shared level that is older than the purges it can still read."""
    async with members(settings_of(redis)) as first, asking(redis) as ask:
        old = first.entry(tags=())
        await asyncio.sleep(0.01)
        await first.feed.publish(first.of("tag", "lost"))
        await asyncio.sleep(0.01)
        between = first.entry(tags=())
        await asyncio.sleep(0.01)
        await first.feed.publish(first.of("tag", "kept"))
        await asyncio.sleep(0.01)
        new = first.entry(tags=())
        await ask("XTRIM", STREAM, "MAXLEN", "=", 1)
        async with members(settings_of(redis)) as second:
            assert [second.sees(e) for e in (old, between, new)] == [Verdict.GONE, Verdict.GONE, Verdict.VALID]
        await ask("XTRIM", STREAM, "MAXLEN", "=", 0)
        async with members(settings_of(redis)) as third:
            assert [third.sees(e) for e in (old, between, new)] == [Verdict.GONE, Verdict.GONE, Verdict.VALID]


async def test_an_event_that_was_deleted_unread_raises_the_floor(redis):
    """XDEL in the middle of the stream is noticed."""
    async with members(settings_of(redis)) as first, asking(redis) as ask:
        held = first.entry()
        await asyncio.sleep(0.01)
        await first.feed.publish(first.of("tag", "t"))
        (purge,) = [i for i, _ in (await ask("XRANGE", STREAM, "-", "+"))[1:]]
        await first.feed.publish(first.of("tag", "last"))
        await ask("XDEL", STREAM, purge)
        async with members(settings_of(redis)) as second:
            assert second.sees(held) is Verdict.GONE


@pytest.mark.parametrize("then", ["nothing", "a purge", "a node"])
async def test_flushall_is_survived(redis, then, caplog):
    """The stream is gone: nothing from before is used, everything from after is, and the log says so once."""
    async with members(settings_of(redis)) as node, asking(redis) as ask:
        held = node.entry(tags=())
        await asyncio.sleep(0.01)
        await ask("FLUSHALL")
        if then == "a purge":
            assert await node.feed.publish(node.of("tag", "u"))

        await until(lambda: node.sees(held) is Verdict.GONE)
        await asyncio.sleep(0.05)
        fresh = node.entry(tags=())
        async with members(settings_of(redis)) as other:
            assert other.sees(held) is Verdict.GONE, "whoever comes later knows too"
            assert other.sees(fresh) is Verdict.VALID
        assert node.sees(fresh) is Verdict.VALID
        await asyncio.sleep(1.2)
        assert node.feed.reading
        assert node.sees(fresh) is Verdict.VALID, "it is not lost again and again"
        assert await node.feed.publish(node.of("tag", "t"))
    said = [r.message for r in caplog.records if "stream of purges was made anew" in r.message]
    assert len(said) == 1


async def test_a_stream_that_has_gone_back_is_another(redis):
    """A replica that had not heard all has become the primary: what is missing may concern anything."""
    async with members(settings_of(redis)) as node, asking(redis) as ask:
        assert await node.feed.publish(node.of("tag", "u"))
        await asyncio.sleep(0.1)
        held = node.entry(tags=())
        await asyncio.sleep(0.01)
        event = Seal("", STREAM).encode(Purge.everything(1_000))
        await ask("MULTI")
        await ask("DEL", STREAM)
        await ask("XADD", STREAM, "1000-0", "e", event)
        await ask("EXEC")

        await until(lambda: node.sees(held) is Verdict.GONE)
        await asyncio.sleep(0.05)
        fresh = node.entry()
        await asyncio.sleep(0.01)
        await ask("XADD", STREAM, "*", "e", Seal("", STREAM).encode(node.of("tag", "t")))
        await until(lambda: node.sees(fresh) is Verdict.GONE)


async def test_hostile_events_are_skipped_and_counted(redis):
    """L12: what is no event of ours, or not made by one who knows the secret, changes nothing."""
    settings = settings_of(redis, secret=Secret("x" * 40))
    async with members(settings) as node, asking(redis) as ask:
        held = node.entry()
        await asyncio.sleep(0.01)
        good = Seal("x" * 40, STREAM).encode(node.of("tag", "t"))
        hostile = [
            {"e": b""}, {"e": b"\x80" * 40}, {"e": b"x" * 100_000}, {"f": good}, {"e": good[:-1]}, {"e": good + b"\0"},
            {"e": Seal("", STREAM).encode(node.of("tag", "t"))}, {"e": Seal("x" * 40, "other:purges").encode(node.of("tag", "t"))},
            {"e": Seal("", STREAM).encode(Purge.everything(node.purges.now_ms()))}, {"\xff\0": "\r\n$-1\r\n"},
        ]  # fmt: skip
        for fields in hostile:
            await ask("XADD", STREAM, "*", *[x for pair in fields.items() for x in pair])

        await until(lambda: node.events["bad"] == len(hostile))
        assert node.sees(held) is Verdict.VALID
        await ask("XADD", STREAM, "*", "e", good)
        await until(lambda: node.sees(held) is Verdict.GONE)


async def test_dates_from_the_future_are_now(redis):
    """An id or a time far ahead neither blocks a name nor the stream."""
    async with members(settings_of(redis)) as node, asking(redis) as ask:
        event = Seal("", STREAM).encode(Purge.of(Subject.TAG, "t", node.purges.now_ms() + 3_600_000))
        await ask("XADD", STREAM, f"{node.purges.now_ms() + 7_200_000}-0", "e", event)
        await until(lambda: node.events["tag"] == 1)
        await asyncio.sleep(0.02)

        held = node.entry()
        assert node.sees(held) is Verdict.VALID
        await asyncio.sleep(0.02)
        assert await node.feed.publish(node.of("tag", "t"))
        await until(lambda: node.sees(held) is Verdict.GONE)


async def test_another_kind_of_value_in_the_streams_place(redis):
    """Nothing is heard until it is gone; then all is well again."""
    async with members(settings_of(redis)) as node, asking(redis) as ask:
        await ask("SET", STREAM, "x")
        await until(lambda: not node.feed.reading)
        assert not await node.feed.publish(node.of("tag", "t"))
        await ask("DEL", STREAM)

        await until(lambda: node.feed.reading)


@pytest.mark.timed
@pytest.mark.parametrize("ahead_s", [600, -600])
async def test_a_node_whose_clock_is_wrong_judges_right(redis, ahead_s):
    """Fetches and purges are dated by Redis' clock, whatever the machines' say."""
    async with members(settings_of(redis)) as right, members(settings_of(redis), ahead_s=ahead_s) as wrong:
        assert abs(right.purges.now_ms() - wrong.purges.now_ms()) < 200
        for teller, other in ((right, wrong), (wrong, right)):
            before = [n.entry() for n in (right, wrong)]
            assert all(n.sees(e) is Verdict.VALID for n in (right, wrong) for e in before)
            await asyncio.sleep(0.3)
            assert await teller.feed.publish(teller.of("tag", "t"))
            await until(lambda before=before: all(n.sees(e) is Verdict.GONE for n in (right, wrong) for e in before))
            await asyncio.sleep(0.3)
            after = [n.entry() for n in (right, wrong)]
            assert all(n.sees(e) is Verdict.VALID for n in (right, wrong) for e in after), other


@pytest.mark.timed
async def test_the_blind_bound(redis):
    """While purges cannot be heard, an entry is used for the bound after its fetch, and not longer."""
    async with members(settings_of(redis, blind_s=2.0)) as node:
        held = node.entry()
        await asyncio.sleep(2.5)
        assert node.sees(held) is Verdict.VALID, "while it hears, age does not matter"
        redis.stop()
        heard = time.monotonic()
        late = node.entry()

        took_s = await until(lambda: node.sees(held) is Verdict.GONE, 5)
        assert 0.5 < took_s < 3
        await asyncio.sleep(0.2)
        blind = node.entry()
        assert node.sees(blind) is Verdict.VALID
        await until(lambda: node.sees(late) is Verdict.GONE, 5)
        assert time.monotonic() - heard < 3
        assert node.purges.silence_s() > 1.5
        assert not node.feed.reading


@pytest.mark.timed
async def test_without_redis_a_node_starts_and_finds_it_later(redis, caplog):
    """The start waits a moment; then the node is blind, says so once, and recovers by itself."""
    caplog.set_level(logging.INFO)
    redis.stop()
    begun = time.monotonic()
    async with members(settings_of(redis)) as node:
        assert time.monotonic() - begun < 1.5
        assert not node.feed.reading
        assert node.sees(node.entry(node.purges.now_ms() - 61_000)) is Verdict.GONE
        assert node.sees(node.entry()) is Verdict.VALID
        assert not await node.feed.publish(node.of("tag", "t"))
        redis.start()

        await until(lambda: node.feed.reading)
        assert node.purges.settled
    said = [r.message for r in caplog.records]
    assert (said.count("purges cannot be heard"), said.count("purges are heard again")) == (1, 1)


async def test_with_few_rights(tmp_path):
    """XADD, XREAD, XINFO, EXISTS and TIME are enough."""
    with standalone(tmp_path) as server:
        rules = "~imagemill:* resetchannels +@connection +xadd +xread +xinfo|stream +exists +time"
        server.admin.execute_command("ACL", "SETUSER", "mill", "on", ">word", *rules.split())
        settings = Level2(url=Secret(f"redis://mill:word@127.0.0.1:{server.port}"))
        async with members(settings) as node:
            await until(lambda: node.feed.reading)
            held = node.entry()
            await asyncio.sleep(0.02)
            assert await node.feed.publish(node.of("tag", "t"))
            await until(lambda: node.sees(held) is Verdict.GONE)


async def test_in_a_cluster(tmp_path):
    """The clock is that of the server which dates the stream."""
    with cluster(tmp_path) as servers:
        settings = Level2(url=Secret(cluster_url(servers)))
        async with members(settings, 2) as (one, other):
            await until(lambda: one.feed.reading and other.feed.reading)
            held = other.entry()
            await asyncio.sleep(0.02)
            assert await one.feed.publish(one.of("tag", "t"))
            await until(lambda: other.sees(held) is Verdict.GONE)
        calls = [s.admin.info("commandstats").get("cmdstat_time", {}).get("calls", 0) for s in servers]
        holds = [s.admin.execute_command("CLUSTER", "COUNTKEYSINSLOT", key_slot(STREAM.encode())) for s in servers]
        assert [bool(n) for n in calls] == [bool(n) for n in holds]


async def test_with_sentinel(tmp_path):
    """A new primary is found; what is purged through it reaches those who listened to the old one."""
    with watched(tmp_path) as group:
        async with members(Level2(url=Secret(group.url)), 2) as (one, other):
            await until(lambda: one.feed.reading and other.feed.reading)
            old = group.primary()
            old.signal(signal.SIGKILL)
            await until(lambda: not one.feed.reading and not other.feed.reading)
            await until(lambda: group.primary() is not old)
            await until(lambda: one.feed.reading and other.feed.reading)

            held = other.entry()
            assert other.sees(held) is Verdict.VALID
            await asyncio.sleep(0.02)
            assert await one.feed.publish(one.of("tag", "t"))
            await until(lambda: other.sees(held) is Verdict.GONE)


async def test_a_primary_that_was_left_behind_is_left(tmp_path, monkeypatch):
    """A listener whose old primary lives on, but is no primary any more, hears of the new one's purges in time."""
    monkeypatch.setattr("imagemill.cache.redis_purges.REFRESH_S", 1.0)
    with watched(tmp_path) as group:
        async with members(Level2(url=Secret(group.url))) as node:
            await until(lambda: node.feed.reading)
            old = group.primary()
            group.sentinels[0].admin.execute_command("SENTINEL", "FAILOVER", "main")
            await until(lambda: group.primary() is not old)
            old.admin.execute_command("REPLICAOF", "NO", "ONE")

            held = node.entry()
            await asyncio.sleep(0.02)
            event = Seal("", STREAM).encode(node.of("tag", "t"))
            group.primary().admin.xadd(STREAM, {"e": event})
            await until(lambda: node.sees(held) is Verdict.GONE)


async def test_a_try_that_fails_is_repeated_once(redis):
    """A primary that has just become a replica refuses; the next is asked."""
    async with members(settings_of(redis)) as node:
        ask, failures = node.feed._ask, [ReadOnlyError("no"), OSError("no")]

        async def fail(*command, **options):
            if command[0] == "XADD" and failures:
                raise failures.pop()
            return await ask(*command, **options)

        node.feed._ask = fail
        assert not await node.feed.publish(node.of("tag", "a"))
        failures[:] = [ReadOnlyError("no")]
        assert await node.feed.publish(node.of("tag", "a"))


@pytest.mark.parametrize("form", ["redis://{}", "redis+cluster://{}", "redis+sentinel://{}/main"])
async def test_where_nothing_answers_the_publisher_is_told_so(form):
    """Whatever has to be reached: a Cluster that is wholly away has errors of its own."""
    node = Member(Level2(url=Secret(form.format(f"127.0.0.1:{free_port()}"))))

    assert not await node.feed.tune()
    assert not await node.feed.publish(node.of("tag", "t"))
    await node.feed.close()


@pytest.mark.parametrize("told_since", [False, True])
async def test_a_purge_that_a_failover_lost_is_made_up_for_by_whoever_had_read_it(redis, told_since):
    """Another node that had not read it sees nothing wrong with the older stream, and must be told."""
    async with members(settings_of(redis), 2) as (quick, slow), asking(redis) as ask:
        held = slow.entry()
        assert await quick.feed.publish(quick.of("tag", "another"))
        await until(lambda: slow.events["tag"] == 1)
        await slow.feed.close()
        older = await ask("DUMP", STREAM)
        assert await quick.feed.publish(quick.of("tag", "t"))
        await until(lambda: quick.events["tag"] == 2)
        await quick.feed.close()
        await ask("RESTORE", STREAM, 0, older, "REPLACE")
        if told_since:
            assert await slow.feed.publish(slow.of("tag", "other"))
        await asyncio.gather(quick.feed.start(), slow.feed.start())

        await until(lambda: slow.sees(held) is Verdict.GONE)
        assert quick.sees(held) is Verdict.GONE
        await asyncio.sleep(0.02)
        assert [n.sees(n.entry()) for n in (quick, slow)] == [Verdict.VALID] * 2


async def test_what_cannot_be_published_is_told_once(tmp_path, caplog):
    """No log storm while Redis is away, and a word again for the next time."""
    with standalone(tmp_path) as server:
        node = Member(settings_of(server))
        with caplog.at_level(logging.WARNING, "imagemill.purges"):
            for _ in range(2):
                server.stop()
                for _ in range(3):
                    assert not await node.feed.publish(node.of("tag", "t"))
                server.admin = type(server.admin)(port=server.port)
                server.start()
                assert await node.feed.publish(node.of("tag", "t"))
        await node.feed.close()

    assert [record.message for record in caplog.records] == ["a purge could not be published"] * 2
