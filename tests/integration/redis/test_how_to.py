"""What the how-to tells operators to put into their Redis is enough, and what the doctor says of it is so."""

import asyncio
import re
from pathlib import Path

import pytest

from imagemill import doctor
from imagemill.cache.purges import Purge, Purges, Subject
from imagemill.cache.redis import RedisCache
from imagemill.cache.redis_purges import PurgeFeed
from imagemill.settings import Level2, Secret, Settings, Signing
from support.level2 import entry
from support.redis import standalone

HOW_TO = Path(__file__).parents[3] / "docs" / "how-to" / "redis.md"
KEY = "a" * 64


@pytest.fixture
def url(tmp_path):
    """A server with the user of the how-to and no other."""
    (line,) = re.findall(r"^user (.*)$", HOW_TO.read_text(), re.MULTILINE)
    name, *rules = line.split()
    with standalone(tmp_path) as server:
        server.admin.execute_command("ACL", "SETUSER", name, *rules)
        yield f"redis://{name}:password@127.0.0.1:{server.port}"


async def test_the_user_may_all_that_is_needed_and_no_more(url):
    """Entries, leases, messages, statistics and purges work with the rules of the page; dangerous commands do not."""
    settings, states, events = Level2(url=Secret(url), timeout_s=5.0), [], []
    purges = Purges(100, blind_s=5)
    feed = PurgeFeed(settings, purges, events.append)
    cache = RedisCache(
        settings, stale_s=60, negative_s=10, observe=lambda event, _: events.append(event),
        on_state=lambda well, why: states.append((well, why)),
    )  # fmt: skip
    await cache.start()
    await feed.start()
    try:
        lease = await cache.lease(KEY)
        cache.put(KEY, entry(), lease)
        await cache.wait(KEY, 20)
        assert await cache.get(KEY) is not None
        assert await cache.seen("b" * 64, "v1") == ""
        assert await cache.seen("b" * 64, "v2") == "v1"
        assert (await cache.stats())["entries"] == 1
        assert await cache.sweep(100_000) == (0, 0)
        assert await feed.publish(Purge.of(Subject.TAG, "t", purges.now_ms()))
        async with asyncio.timeout(60):
            while "tag" not in events:
                await asyncio.sleep(0.02)
        assert purges.settled
        with pytest.raises(Exception, match=r"(?i)permission"):
            await cache.commands.execute_command("FLUSHALL")
    finally:
        await feed.close()
        await cache.close()

    assert states == []
    assert "error" not in events


async def test_the_doctor_looks_at_it(url):
    """Well, without a secret; away; and wrong."""

    async def finding(text):
        settings = Settings(signing=Signing("unsigned"), l2=Level2(url=Secret(text), timeout_s=5.0))
        found = await doctor._shared_level(settings)
        return found.state, found.detail

    assert (await finding(""))[1].startswith("off")
    assert await finding(url) == ("ok", "Redis answers; l2.secret is empty: whoever can write into it is believed")
    state, detail = await finding("redis://127.0.0.1:1")
    assert (state, "do without it" in detail) == ("warn", True)
    state, detail = await finding(url.replace("password", "wrong"))
    assert (state, "wrong" in detail.partition(":")[2].partition("@")[0]) == ("warn", False)
