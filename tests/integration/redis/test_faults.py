"""Whatever happens to Redis, no call raises, none takes longer than its bound, and all is well again by itself (L10)."""

import asyncio
import time
from contextlib import contextmanager

import pytest

from imagemill.cache.redis_client import Topology
from imagemill.model.errors import DependencyDown, SettingsError
from support.level2 import entry, level2, tolerance_s
from support.redis import standalone
from support.shim import relaying

KEYS = [f"{n:064x}" for n in range(64)]


@pytest.fixture
def own(tmp_path):
    """A server of the test's own, for it may be stopped."""
    with standalone(tmp_path / "own") as running:
        yield running


@contextmanager
def down(own, shim):
    own.stop()
    try:
        yield
    finally:
        own.admin = type(own.admin)(port=own.port, socket_timeout=5, protocol=2)
        own.start()


@contextmanager
def frozen(own, shim):
    with own.frozen():
        yield


@contextmanager
def fault(shim, **attributes):
    for name, value in attributes.items():
        setattr(shim, name, value)
    try:
        yield
    finally:
        for name, value in attributes.items():
            setattr(shim, name, type(value)())


def hole(own, shim):
    return fault(shim, hole=True)


def slow(own, shim):
    return fault(shim, delay_s=2.0)


def loading(own, shim):
    return fault(shim, says=b"-LOADING Redis is loading the dataset in memory\r\n")


def moved(own, shim):
    return fault(shim, says=b"-MOVED 3999 127.0.0.1:1\r\n")


def nonsense(own, shim):
    return fault(shim, says=b"HTTP/1.1 400 Bad Request\r\n\r\n")


def cut(own, shim):
    return fault(shim, cut=True)


@contextmanager
def read_only(own, shim):
    own.admin.replicaof("127.0.0.1", 1)
    try:
        yield
    finally:
        own.admin.replicaof("NO", "ONE")


@contextmanager
def full(own, shim):
    own.admin.config_set("maxmemory", 1)
    try:
        yield
    finally:
        own.admin.config_set("maxmemory", 0)


@contextmanager
def locked(own, shim):
    own.admin.config_set("requirepass", "changed")
    own.admin.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    try:
        yield
    finally:
        own.admin.config_set("requirepass", "")


TROUBLES = {
    "down": (down, "Connect"),
    "refused": (down, "Connect call failed|Error 111"),
    "frozen": (frozen, "in time"),
    "black hole": (hole, "in time"),
    "2 s slow": (slow, "in time"),
    "LOADING": (loading, "loading"),
    "MOVED": (moved, "Moved"),
    "no Redis at all": (nonsense, "Protocol|Invalid"),
    "reset in mid-reply": (cut, "Connection|reset|Error"),
    "READONLY": (read_only, "refuses writes: ReadOnly"),
    "OOM": (full, "refuses writes: OutOfMemory"),
    "wrong password": (locked, "Authentication"),
}


@pytest.mark.timed
@pytest.mark.parametrize("name", TROUBLES)
async def test_trouble(own, name):
    """A request loses the bound at most, almost nothing once the breaker has learnt; each change is told once."""
    trouble, words = TROUBLES[name]
    async with relaying(own.port) as shim, level2(own.url if name == "refused" else shim.url) as level:
        await level.put(KEYS[0], entry())
        assert await level.request(KEYS[0])
        await asyncio.sleep(0.1)
        assert level.states == []
        level.worst_s = 0.0

        with trouble(own, shim):
            end = time.monotonic() + 10
            while not level.states:
                assert time.monotonic() < end, level.events
                await asyncio.gather(*(level.request(key) for key in KEYS[:8]))
                await asyncio.sleep(0.07)
            assert level.worst_s < level.settings.timeout_s + tolerance_s()
            assert level.events["error"] >= level.settings.failures

            level.worst_s = 0.0
            lost = []
            for _ in range(20):
                begun = time.perf_counter()
                found = await level.request(KEYS[0])
                lost.append(time.perf_counter() - begun)
                await asyncio.sleep(0.02)
            reads = name in {"READONLY", "OOM"}
            assert bool(found) == reads, "what can be read is read"
            assert sorted(lost)[10] < (0.02 if reads else 0.002)
            assert len(level.states) == 1

        await level.eventually(lambda: len(level.states) > 1, 15)
        assert [well for well, _ in level.states] == [False, True]
        assert any(word in level.states[0][1] for word in words.split("|")), level.states
        await asyncio.sleep(0.1)
        await level.put(KEYS[63], entry(b"after"))
        assert await level.request(KEYS[63])


@pytest.mark.timed
@pytest.mark.parametrize("name", ["down", "black hole", "LOADING", "wrong password"])
async def test_starting_in_trouble(own, name):
    """A node starts where Redis is away, and uses it as soon as it is there."""
    trouble, _ = TROUBLES[name]
    async with relaying(own.port) as shim:
        with trouble(own, shim):
            async with level2(shim.url) as level:
                assert [well for well, _ in level.states] == [False]
                assert await level.request(KEYS[0]) is None
                assert level.worst_s < tolerance_s()
                shim.hole, shim.says = False, b""
                if name == "down":
                    own.start()
                if name == "wrong password":
                    own.admin.config_set("requirepass", "")
                await level.eventually(lambda: len(level.states) == 2)
                await level.put(KEYS[0], entry())
                assert await level.request(KEYS[0])


@pytest.mark.timed
async def test_a_request_pays_once(own):
    """Of one request, the second question after one that failed costs nothing, also while the breaker still counts."""
    async with relaying(own.port) as shim, level2(shim.url, failures=1000) as level:
        shim.hole = True
        for _ in range(5):
            begun = time.perf_counter()
            assert await level.cache.get(KEYS[0]) is None
            paid_s = time.perf_counter() - begun
            begun = time.perf_counter()
            lease = await level.cache.lease(KEYS[0])
            assert lease
            assert lease.token == ""
            assert time.perf_counter() - begun < 0.01
            assert paid_s > 0.04
            await asyncio.sleep(0.06)


@pytest.mark.timed
async def test_a_thousand_at_once(own):
    """A thousand requests that meet the fault together each lose the bound at most."""
    async with relaying(own.port) as shim, level2(shim.url) as level:
        shim.hole = True

        begun = time.perf_counter()
        await asyncio.gather(*(level.request(KEYS[n % 64]) for n in range(1000)))

        assert time.perf_counter() - begun < level.settings.timeout_s + 10 * tolerance_s()
        assert len(level.states) == 1


@pytest.mark.timed
async def test_a_burst_of_our_own_is_not_held_against_redis(own):
    """A thousand reads at once take longer than the bound: they are answered in turn, for Redis answers."""
    async with level2(own.url) as level:
        await level.put(KEYS[0], entry(b"x" * 30_000))

        found = await asyncio.gather(*(level.cache.get(KEYS[0]) for _ in range(1000)))
        await asyncio.gather(*(level.cache.get(KEYS[0]) for _ in range(5000)))
        await asyncio.sleep(0.06)

        assert level.states == []
        assert sum(content is not None for content in found) > (900 if tolerance_s() < 0.34 else 20)
        assert await level.cache.get(KEYS[0])


@pytest.mark.timed
async def test_followers_are_not_held_up_by_a_fault(own):
    """Whoever waits for another node's result when Redis goes away goes on alone within the lease's time."""
    async with relaying(own.port) as shim, level2(shim.url, lease_s=0.3) as one, level2(shim.url, lease_s=0.3) as two:
        assert await one.cache.lease(KEYS[0])
        wait = asyncio.create_task(two.cache.wait(KEYS[0], 10))
        await asyncio.sleep(0.05)

        shim.hole = True
        begun = time.perf_counter()
        await wait

        assert time.perf_counter() - begun < 0.3 + 0.05 + tolerance_s()


async def test_too_old(own):
    """A server before 7.0 is left alone, in clear words."""
    version = own.admin.info("server")["redis_version"].encode()
    async with relaying(own.port) as shim:
        shim.rewrite = (version, b"6" + version[1:])
        async with level2(shim.url, timeout_s=5.0) as level:
            assert [well for well, _ in level.states] == [False]
            assert "too old: Redis 7.0" in level.states[0][1]
            assert await level.request(KEYS[0]) is None
            assert own.admin.dbsize() == 0


async def test_writes_are_bounded(own):
    """What waits to be written is bounded in bytes; more is let go and counted, and the lease with it."""
    async with relaying(own.port) as shim, level2(shim.url, write_bytes=200_000, timeout_s=10.0) as level:
        lease = await level.cache.lease(KEYS[9])
        assert lease.token
        shim.delay_s = 0.3
        for n in range(10):
            level.cache.put(KEYS[n], entry(b"x" * 50_000), lease if n == 9 else None)

        await level.eventually(lambda: level.events["stored"] + level.events["dropped"] == 10)

        assert level.events["dropped"] >= 6
        assert level.events["stored"]
        await level.eventually(lambda: own.admin.keys("*:lease") == [])


@pytest.mark.timed
async def test_closing_in_trouble_takes_seconds_at_most(own):
    async with relaying(own.port) as shim:
        async with level2(shim.url) as level:
            await level.cache.lease(KEYS[0])
            shim.hole = True
            for key in KEYS[:10]:
                level.cache.put(key, entry(), None)
            begun = time.perf_counter()
        assert time.perf_counter() - begun < 4
        assert await level.cache.get(KEYS[0]) is None
        level.cache.put(KEYS[0], entry(), None)


async def test_closing_finishes_writes(own):
    async with level2(own.url, timeout_s=5.0) as level:
        for key in KEYS[:20]:
            level.cache.put(key, entry(), None)
    assert len(own.admin.keys("imagemill:{*}")) == 20


async def test_wrong_settings_stop_the_start():
    with pytest.raises(SettingsError) as caught:
        async with level2("redis+sentinel://user:hush@127.0.0.1"):
            pass
    assert "hush" not in str(caught.value)
    assert Topology.SENTINEL in str(caught.value)


@pytest.mark.parametrize("password", ["hunter22", "long" * 40])
async def test_what_a_server_repeats_of_its_commands_is_not_told(tmp_path, password):
    """Redis repeats the arguments of a command that it does not know, cut off: those of AUTH are nobody's to read."""
    with standalone(tmp_path, "--rename-command", "AUTH", "") as server:
        url = server.url.replace("://", f"://mill:{password}@")
        async with level2(url, timeout_s=5.0) as level:
            with pytest.raises(DependencyDown, match="unknown command") as caught:
                await level.cache.stats()

    told = f"{caught.value} {level.states}"
    assert "unknown command 'AUTH'" in told
    assert password[:8] not in told


async def test_a_message_with_a_secret_in_it_is_told_without(own):
    """Whatever answers in the place of Redis may say anything."""
    async with relaying(own.port) as shim:
        with fault(shim, says=b"-ERR mill may not come in with p@ss/word\r\n"):
            async with level2(shim.url.replace("://", "://mill:p%40ss%2Fword@"), timeout_s=5.0) as level:
                ((well, why),) = level.states

    assert not well
    assert why.endswith("mill may not come in with ***")
