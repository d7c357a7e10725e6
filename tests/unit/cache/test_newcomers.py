"""What nobody asks for a second time gets little room and little time."""

import pytest

from imagemill.cache.memory import OVERHEAD_BYTES, MemoryCache
from imagemill.cache.newcomers import Newcomers

ENTRY = 1_000 + OVERHEAD_BYTES


class Clock:
    """Time as the test has it."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def cache(clock: Clock, entries: int = 800, policy: str = "lru") -> MemoryCache[bytes]:
    return MemoryCache(entries * ENTRY, 300.0, len, policy, unread_s=45.0, clock=clock)


def fill(c: MemoryCache[bytes], names: range, now: float) -> None:
    for n in names:
        c.put(str(n), bytes(1_000), now, ttl_s=300)


def kept(c: MemoryCache[bytes], names: range, now: float) -> int:
    return sum(c.peek(str(n), now) is not None for n in names)


def test_one_hit_wonders_fill_no_more_than_an_eighth(clock):
    """However many come, however much room there is."""
    c = cache(clock)
    fill(c, range(2_000), 0.0)

    assert c.used_bytes <= 800 * ENTRY / 8 * 1.1  # a tenth for their names
    assert kept(c, range(1_950, 2_000), 0.0) == 50


def test_they_never_take_more_than_20_mib():
    """An eighth of a large cache is still too much for what is never asked for."""
    n = Newcomers(1 << 40, 45.0, lambda _key, value: len(value), Clock())
    for key in range(100):
        n.put(str(key), bytes(1 << 20), 300)

    assert 19 << 20 <= n.used_bytes <= 24 << 20


def test_what_is_unread_is_gone_after_its_stay(clock):
    """And what was read in that time has its whole life."""
    c = cache(clock)
    fill(c, range(50), 0.0)
    c.get("7", 1.0)
    clock.now = 45.0

    assert ENTRY <= c.used_bytes < 2 * ENTRY + 50 * 192
    assert (kept(c, range(50), 45.0), c.get("7", 269.0) is not None) == (1, True)


def test_what_is_read_is_safe_from_a_scan(clock):
    """A flood of newcomers pushes nothing out that was asked for twice."""
    c = cache(clock)
    fill(c, range(60), 0.0)
    assert kept(c, range(60), 0.0) == 60  # a look is a read
    fill(c, range(1_000, 9_000), 0.0)

    assert kept(c, range(60), 0.0) == 60


@pytest.mark.parametrize("leaves", ["in time", "for want of room"])
def test_what_comes_back_is_no_newcomer(clock, leaves):
    """Asked for once a minute, it is made twice, and then has its whole life: a name is remembered longer than a stay."""
    c = cache(clock)
    fill(c, range(1), 0.0)
    if leaves == "in time":
        clock.now = 46.0
        assert c.used_bytes < ENTRY
    else:
        fill(c, range(1, 150), 0.0)
    assert c.get("0", clock.now) is None
    fill(c, range(1), 60.0)
    clock.now = 60.0 + 46.0
    fill(c, range(1_000, 3_000), clock.now)

    assert c.used_bytes >= ENTRY
    assert c.get("0", 60.0 + 260) is not None


def test_what_was_read_once_is_no_newcomer_when_it_is_made_again(clock):
    """What was in demand does not begin anew at the end of its life."""
    c = cache(clock)
    fill(c, range(1), 0.0)
    c.get("0", 0.0)
    c.drop("0")
    fill(c, range(1), 300.0)
    fill(c, range(1_000, 1_200), 300.0)

    assert c.get("0", 300.0) is not None


def test_names_are_bounded_and_weigh():
    """Strangers can make up as many as they like."""
    n = Newcomers(8 << 20, 45.0, lambda _key, _value: 1 << 20, Clock())
    for key in range(10_000):
        n.put(str(key), b"", 300)

    assert n.used_bytes == n.reserved_bytes == (1 << 20) + 512 * 192


def test_what_is_larger_than_their_room_goes_past_them(clock):
    """Where a cache lets one entry take more of it than newcomers have together."""
    c = MemoryCache(80_000, 300.0, len, "lru", share_of_one=2, unread_s=45.0, clock=clock)
    c.put("large", bytes(30_000), 0.0, ttl_s=300)
    clock.now = 100.0

    assert c.used_bytes > 30_000
    assert c.get("large", 100.0) is not None


def test_what_grew_past_their_room_does_not_shrink_back(clock):
    """The value before it is gone, and does not come back when the new one has to make room."""
    c = MemoryCache(80_000, 300.0, len, "fifo", share_of_one=2, unread_s=45.0, clock=clock)
    c.put("grows", b"old", 0.0, ttl_s=300)
    c.put("grows", bytes(30_000), 0.0, ttl_s=300)
    for name in ("a", "b"):
        c.put(name, bytes(30_000), 0.0, ttl_s=300)

    assert c.get("grows", 0.0) is None
