"""The same level on every kind of Redis: with a user of few rights, over TLS, under Sentinels, in a Cluster."""

import asyncio
import signal
import time

import pytest
from redis.crc import key_slot

from support.level2 import entry, level2, tolerance_s
from support.redis import cluster, cluster_url, watched, with_tls, with_user

KEYS = [f"{n:064x}" for n in range(30)]
PATIENT = {"timeout_s": 5.0, "lease_s": 60.0}
"""Room for a busy machine, in tests that are not about time."""


async def use(one, two):
    """Lead, wait, store, read, extend, see: on two nodes."""
    for key in KEYS[:10]:
        lease = await one.cache.lease(key)
        assert lease.token, one.states
        assert await two.cache.lease(key) is None
        wait = asyncio.create_task(two.cache.wait(key, 50))
        await asyncio.sleep(0.02)
        content = entry(key.encode())
        one.cache.put(key, content, lease)
        async with asyncio.timeout(20):  # long before the lease would have run out
            await wait
        assert await two.cache.get(key) == content
        assert await one.cache.seen(key, "1") == ""
        assert await two.cache.seen(key, "2") == "1"
    await one.eventually(lambda: one.events["stored"] == 10)
    await two.eventually(lambda: two.events["renewed"] == 10)
    assert not one.events["error"]
    assert not two.events["error"]
    assert not one.states + two.states


async def test_a_user_with_few_rights(tmp_path):
    with with_user(tmp_path / "user") as (_, url):
        async with level2(url, prefix="mill", **PATIENT) as one, level2(url, prefix="mill", **PATIENT) as two:
            await use(one, two)


async def test_a_user_with_too_few_rights(tmp_path):
    """What the user may not do is said, and Redis is left alone."""
    with with_user(tmp_path / "user") as (_, url):
        async with level2(url, prefix="other", **PATIENT) as level:
            assert [well for well, _ in level.states] == [False]
            assert "NoPermission" in level.states[0][1]
            assert "p@ss" not in level.states[0][1]


async def test_tls(tmp_path):
    with with_tls(tmp_path / "tls") as (_, url, ca):
        async with (
            level2(url, ca_file=str(ca), **PATIENT) as one,
            level2(url, ca_file=str(ca), **PATIENT) as two,
        ):
            await use(one, two)
        async with level2(url, **PATIENT) as stranger:
            assert [well for well, _ in stranger.states] == [False]
            assert "certificate" in stranger.states[0][1].lower()


async def test_cluster(three):
    url = cluster_url(three[:1])
    async with level2(url, **PATIENT) as one, level2(url, **PATIENT) as two:
        await use(one, two)
    assert all(server.admin.dbsize() for server in three)


async def test_slots_that_move_disturb_nobody_else(three):
    """While a Cluster is made larger each slot that has moved is said by an error; no other question is lost to it."""
    names = [f"imagemill:{{{key}}}" for key in KEYS[:12]]
    owner, others = three[0], three[1:]
    for server in three:
        server.admin.flushall()
    slots = {name: key_slot(name.encode()) for name in names if key_slot(name.encode()) > 5460}
    assert len(slots) > 5
    first, home = "{imagemill}:queue", {slot: others[slot > 10921] for slot in slots.values()}
    async with level2(cluster_url(three), timeout_s=60.0) as level:  # for so long the first question may wait
        ask = level.cache.commands.execute_command
        waiting = asyncio.create_task(ask("BLPOP", first, 60))
        await asyncio.sleep(0.1)
        try:
            for name, slot in slots.items():
                give(three, slot, home[slot], owner)
                assert await ask("GET", name) is None
        finally:
            for slot, server in home.items():
                give(three, slot, owner, server)

        await ask("LPUSH", first, "x")
        assert await waiting == (first.encode(), b"x")
        assert level.states == []


def give(servers, slot, giver, taker):
    """Move the empty *slot* as operators do: who takes it in gets a newer epoch, so that gossip does not take it back."""
    from_, to = (server.admin.execute_command("CLUSTER", "MYID").decode() for server in (giver, taker))
    taker.admin.execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", from_)
    giver.admin.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", to)
    for server in [taker, *servers]:
        server.admin.execute_command("CLUSTER", "SETSLOT", slot, "NODE", to)


@pytest.mark.timed
async def test_one_of_a_cluster_hangs(three):
    """The others' keys are served as ever; those of the one that hangs cost little, and come back."""
    async with level2(cluster_url(three)) as level:
        for key in KEYS:
            await level.put(key, entry(key.encode()))
        assert all([await level.cache.get(key) for key in KEYS])
        there = [key for key in KEYS if three[0].admin.execute_command("CLUSTER", "KEYSLOT", key) <= 5460]
        others = [key for key in KEYS if key not in there]
        assert there
        assert others

        with three[0].frozen():
            level.worst_s = 0.0
            for _ in range(3):
                for key in there[:4]:
                    assert await level.timed(level.cache.get(key)) is None
                    await asyncio.sleep(0.06)
            assert level.worst_s < level.settings.timeout_s + tolerance_s()
            assert [well for well, _ in level.states] == [False]
            level.worst_s = 0.0
            for key in others:
                while await level.timed(level.cache.get(key)) is None:
                    await asyncio.sleep(0.06)
            assert level.worst_s < level.settings.timeout_s + tolerance_s()

        await level.eventually(lambda: level.states[-1:] == [(True, "")], 20)
        await asyncio.sleep(0.3)
        assert all([await level.cache.get(key) for key in KEYS])


@pytest.mark.timed
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
async def test_failover_in_a_cluster(tmp_path, how):
    """A primary dies, or hangs, and its replica takes over: its keys are served again, without a restart."""
    with cluster(tmp_path / "cluster", replicas=1) as servers:
        async with level2(cluster_url(servers)) as level:
            (key,) = [k for k in KEYS if servers[1].admin.execute_command("CLUSTER", "KEYSLOT", _name(k)) <= 5460][:1]
            await level.put(key, entry(b"before"))
            assert await level.request(key)
            await asyncio.sleep(0.3)

            level.worst_s = 0.0
            servers[0].signal(how)
            end = time.monotonic() + 30
            while not level.states or not level.states[-1][0] or not await level.request(key):
                assert time.monotonic() < end, level.states
                await level.request(key)
                await asyncio.sleep(0.02)

            assert level.worst_s < level.settings.timeout_s + tolerance_s()
            assert servers[3].admin.info("replication")["role"] == "master"


def _name(key):
    return f"imagemill:{{{key}}}"


async def test_a_cluster_asked_as_if_it_were_one_server(three):
    """It is said that it is a Cluster; what lies elsewhere is a miss."""
    async with level2(three[0].url, **PATIENT) as level:
        for _ in range(10):
            await asyncio.gather(*(level.request(key) for key in KEYS))
            await asyncio.sleep(0.06)

        assert level.states
        assert "Moved" in level.states[0][1]


@pytest.mark.timed
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
async def test_failover(tmp_path, how):
    """The primary is killed, or hangs: no request loses more than the bound, and the new primary is used by itself."""
    with watched(tmp_path / "watched") as sentinels:
        url = sentinels.url
        async with level2(url) as level:
            await level.put(KEYS[0], entry())
            assert await level.request(KEYS[0])
            await asyncio.sleep(0.2)
            first = await asyncio.to_thread(sentinels.primary)
            level.worst_s, answered = 0.0, 0

            first.signal(how)
            end = time.monotonic() + 30
            while not level.states or not level.states[-1][0]:
                assert time.monotonic() < end, level.states
                await asyncio.gather(*(level.request(key) for key in KEYS[:10]))
                answered += 10
                await asyncio.sleep(0.02)

            assert level.worst_s < level.settings.timeout_s + tolerance_s()
            assert answered > 100
            assert await asyncio.to_thread(sentinels.primary) is not first
            await asyncio.sleep(0.1)
            await level.put(KEYS[20], entry(b"after"))
            assert await level.request(KEYS[20])
            assert [well for well, _ in level.states][:2] == [False, True]


async def test_a_sentinel_that_hangs(tmp_path):
    """The first Sentinel of the list hangs: the next is asked, behind requests, and the level is used."""
    with watched(tmp_path / "watched") as sentinels, sentinels.sentinels[0].frozen():
        async with level2(sentinels.url, timeout_s=1.0) as level:
            await level.eventually(lambda: not level.states or level.states[-1][0])
            await level.put(KEYS[0], entry())
            assert await level.request(KEYS[0])
