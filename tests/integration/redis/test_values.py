"""Nothing that lies in Redis can hurt: what is no frame of ours, and of this key, is a miss and goes (L11, L12)."""

import asyncio
import random
import time
from contextlib import asynccontextmanager

import pytest

from imagemill.cache.frame import OVERHEAD_BYTES, pack
from imagemill.model.entry import Entry
from support.level2 import entry, level2, tolerance_s
from support.shim import relaying

KEY, OTHER = "ab" * 32, "cd" * 32
NAME = f"imagemill:{{{KEY}}}"
SECRET = "s" * 32


@pytest.fixture
async def level(empty):
    async with level2(empty.url, secret=SECRET, max_bytes=100_000, timeout_s=5.0, lease_s=60) as level:
        yield level


def frame(content=None, key=KEY, secret=SECRET) -> bytes:
    return pack(key, content or entry(b"small"), secret.encode())


async def gone(server, level, name=NAME):
    await level.eventually(lambda: not server.admin.exists(name))


async def test_damage_at_any_byte(empty, level):
    """A value that differs in one byte is a miss, deleted and counted, wherever that byte is."""
    whole = frame()
    for at in range(len(whole)):
        empty.admin.set(NAME, whole[:at] + bytes([whole[at] ^ (1 << random.randrange(8))]) + whole[at + 1 :])

        assert await level.cache.get(KEY) is None, at
        await gone(empty, level)

    assert level.events["bad_frame"] == len(whole)
    assert not level.states
    empty.admin.set(NAME, whole, px=5000)
    assert isinstance(await level.cache.get(KEY), Entry)


@pytest.mark.parametrize(
    "value",
    [
        b"x", b"imgm", b"\x80\x04K\x01.", b"\0" * 1000, frame()[:-1], frame() + b"\0", frame(key=OTHER),
        frame(secret="t" * 32), frame(secret=""), frame(entry(born_s=time.time() + 3600)),
        b"imgm\x02" + frame()[5:], frame(entry(b"x" * (100_001 + OVERHEAD_BYTES))),
    ],
    ids=[
        "a byte", "magic only", "pickle", "zeros", "truncated", "extended", "of another key",
        "of another secret", "of no secret", "of the future", "of another version", "too large",
    ],
)  # fmt: skip
async def test_what_is_no_frame_of_ours(empty, level, value):
    empty.admin.set(NAME, value)

    assert await level.cache.get(KEY) is None
    await gone(empty, level)
    assert level.events["bad_frame"] == 1


@pytest.mark.parametrize("fill", ["lpush", "hset", "sadd", "xadd"])
async def test_a_value_of_another_type(empty, level, fill):
    values = {"hset": ("a", "b"), "xadd": ({"a": "b"},)}.get(fill, ("a",))
    getattr(empty.admin, fill)(NAME, *values)

    assert await level.cache.get(KEY) is None
    await gone(empty, level)
    assert level.events["bad_frame"] == 1
    assert not level.states


@pytest.mark.timed
async def test_half_a_gigabyte(empty, level):
    """No more is read than an entry can have, so a value of 512 MB costs no more time than any."""
    empty.admin.setrange(NAME, 512 * 1024 * 1024 - 1, b"x")
    level.worst_s = 0.0

    assert await level.timed(level.cache.get(KEY)) is None

    assert level.worst_s < 0.05 + tolerance_s()
    await gone(empty, level)


async def test_a_store_replaces_whatever_is_there(empty, level):
    empty.admin.lpush(NAME, "x")
    await level.put(KEY, entry(b"first"))
    assert await level.cache.get(KEY)

    empty.admin.set(NAME, b"\xff" * 1000)
    await level.put(KEY, entry(b"second"))
    assert (await level.cache.get(KEY)).rendition.body == b"second"


async def test_what_was_stored_anew_is_not_deleted(empty, level):
    """Between a bad read and its deletion somebody may store: that stays."""
    damaged = frame()[:-1] + b"?"
    empty.admin.set(NAME, damaged)
    reading = asyncio.create_task(level.cache.get(KEY))
    while not level.events["bad_frame"]:
        await asyncio.sleep(0)
    empty.admin.set(NAME, frame(entry(b"new")))
    await reading
    await asyncio.sleep(0.1)

    assert (await level.cache.get(KEY)).rendition.body == b"new"


async def test_large_bodies_stay_out(empty, level):
    """One byte above the bound is not stored; the lease ends all the same, and who waits is told."""
    lease = await level.cache.lease(KEY)
    level.cache.put(KEY, entry(b"x" * 100_001), lease)
    await asyncio.wait_for(level.cache.wait(KEY, 50), 20)

    assert level.events["bypass"] == 1
    assert await level.cache.get(KEY) is None
    await level.put(KEY, entry(b"x" * 100_000))
    assert await level.cache.get(KEY)


async def test_two_answers_exchanged(empty):
    """An answer to another's question is a miss, and its connection is not used again."""
    async with relaying(empty.port) as shim, level2(shim.url, timeout_s=5.0) as level:
        await level.put(KEY, entry(b"one"))
        await level.put(OTHER, entry(b"other"))
        await asyncio.gather(level.cache.get(KEY), level.cache.get(OTHER))
        await asyncio.sleep(0.1)
        before = shim.accepted

        shim.swap = 1
        found = await asyncio.gather(level.cache.get(KEY), level.cache.get(OTHER))

        assert found == [None, None]
        assert level.events["bad_frame"] == 2
        await asyncio.sleep(0.1)
        one, other = await asyncio.gather(level.cache.get(KEY), level.cache.get(OTHER))
        assert (one.rendition.body, other.rendition.body) == (b"one", b"other"), "and nothing good was deleted"
        assert shim.accepted >= before + 2


@pytest.mark.parametrize("rounds", [10_000])
async def test_cancelled_in_mid_read(empty, rounds):
    """Ten thousand reads of which half are cancelled at any moment: none ever gives another key's value."""
    keys = [f"{n:064x}" for n in range(20)]
    dice = random.Random(12)
    async with level2(empty.url, timeout_s=2.0) as level:
        for key in keys:
            await level.put(key, entry(key.encode() * dice.randrange(1, 400)))
        wrong, right, cancelled, took_s = [], 0, 0, 0.006

        async def read(key):
            nonlocal right
            found = await level.cache.get(key)
            if found is not None and not found.rendition.body.startswith(key.encode()):
                wrong.append(key)
            right += found is not None

        for _ in range(rounds // 20):
            begun = time.perf_counter()
            tasks = [asyncio.create_task(read(key)) for key in keys]
            for task in tasks:
                if dice.random() < 0.5:
                    asyncio.get_running_loop().call_later(dice.random() * took_s, task.cancel)
            done = await asyncio.gather(*tasks, return_exceptions=True)
            took_s = time.perf_counter() - begun  # so that the next are met in mid read, on a machine of any speed
            cancelled += sum(isinstance(result, asyncio.CancelledError) for result in done)

        assert wrong == []
        assert level.events["bad_frame"] == 0
        assert cancelled > rounds // 10
        assert right > rounds // 4
        assert not level.states


@asynccontextmanager
async def short(server, **settings):
    async with level2(server.url, timeout_s=5.0, **settings) as level:
        yield level


async def test_the_life_of_a_key(empty):
    """It is the idle window, or what is left of life and stale window where that is less; a read puts it back."""
    async with short(empty, idle_s=100) as level:
        await level.put(KEY, entry(life_s=86_400))
        await level.put(OTHER, entry(life_s=10))
        assert 70_000 < empty.admin.pttl(NAME) <= 100_000
        assert 40_000 < empty.admin.pttl(f"imagemill:{{{OTHER}}}") <= 70_000

        empty.admin.pexpire(NAME, 5_000)
        await level.cache.get(KEY)
        await level.eventually(lambda: level.events["renewed"])
        assert empty.admin.pttl(NAME) > 70_000

        empty.admin.pexpire(NAME, 500_000)
        await level.cache.get(KEY)
        await asyncio.sleep(0.5)
        assert empty.admin.pttl(NAME) > 400_000, "a read never shortens"


async def test_renewals_go_together(empty):
    """Reads of one moment are renewed by few round trips, each key once."""
    async with short(empty) as level:
        keys = [f"{n:064x}" for n in range(100)]
        for key in keys:
            await level.put(key, entry())
        for key in keys:
            empty.admin.pexpire(f"imagemill:{{{key}}}", 60_000)
        asked, errand = [], level.cache._errands.run
        level.cache._errands.run = lambda work, held=0: asked.append(errand(work, held))

        await asyncio.gather(*(level.cache.get(key) for key in keys * 2))
        await level.eventually(lambda: level.events["renewed"] >= 100)
        await asyncio.sleep(0.3)

        assert len(asked) < 20
        assert all(empty.admin.pttl(f"imagemill:{{{key}}}") > 60_000 for key in keys)


async def test_what_is_swept_is_counted(empty):
    """Gone before its time is swept, with its bytes; gone at its end is not."""
    async with short(empty, idle_s=1) as level:
        await level.put(KEY, entry(b"x" * 5000))
        await level.put(OTHER, entry(life_s=0, born_s=time.time() - 58.6))

        await level.eventually(lambda: level.events["swept"])
        await asyncio.sleep(1.5)

        assert level.events["swept"] == 1
        assert 5000 < level.sizes["swept"] < 6000


async def test_a_lost_lease_is_noticed(empty):
    """Who finds its lease taken renews it no more, and stores nothing over the other's."""
    async with short(empty, lease_s=0.3) as level:
        lease = await level.cache.lease(KEY)
        empty.admin.set(f"{NAME}:lease", "another", px=60_000)

        await level.eventually(lambda: lease not in level.cache._leases)
        level.cache.put(KEY, entry(), lease)
        await level.eventually(lambda: level.events["fenced"])

        assert not empty.admin.exists(NAME)
        assert empty.admin.get(f"{NAME}:lease") == b"another"
        assert empty.admin.pttl(f"{NAME}:lease") > 50_000


@pytest.mark.timed
@pytest.mark.parametrize("life", ["endless", "a year", "a list"])
async def test_a_lease_that_never_ends_ends(empty, life):
    """No node of ours took it: else nobody could store the key any more, and all would ask for it without a rest."""
    name = f"{NAME}:lease"
    async with short(empty, lease_s=0.3) as level:
        empty.admin.rpush(name, "x") if life == "a list" else empty.admin.set(name, "x")
        if life == "a year":
            empty.admin.expire(name, 365 * 86_400)
        assert await level.cache.lease(KEY) is None

        await level.timed(level.cache.wait(KEY, 5.0))

        assert 0.2 < level.worst_s < 1.0
        lease = await level.cache.lease(KEY)
        assert lease
        assert lease.token


@pytest.mark.timed
@pytest.mark.parametrize("how", ["put", "release", "too large"])
async def test_who_waits_is_told_at_once(empty, how):
    """Not only when the lease would have run out."""
    async with short(empty, lease_s=30) as one, short(empty, lease_s=30) as two:
        lease = await one.cache.lease(KEY)
        wait = asyncio.create_task(two.cache.wait(KEY, 20))
        await asyncio.sleep(0.1)
        assert not wait.done()

        begun = time.monotonic()
        if how == "release":
            one.cache.release(lease)
        else:
            one.cache.put(KEY, entry(b"x" * (2**20 + 1) if how == "too large" else b"x"), lease)
        await wait

        assert time.monotonic() - begun < 1


async def test_scripts_that_redis_has_forgotten(empty):
    async with short(empty) as level:
        await level.put(KEY, entry(b"one"))
        empty.admin.script_flush()
        await level.put(KEY, entry(b"two"))

        assert (await level.cache.get(KEY)).rendition.body == b"two"
