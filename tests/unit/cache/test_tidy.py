"""Memory that nothing lies on any more goes back, and not more often than is worth it."""

import asyncio

import pytest

from imagemill.cache.tidy import WORTH_BYTES, Tidy


class Held:
    """A cache, an allocator and a clock of CPU."""

    def __init__(self) -> None:
        self.used_bytes = 0
        self.free = 0
        self.cpu_s = 0.0
        self.trims = 0

    def trim(self) -> None:
        self.trims += 1

    def tidy(self, every_s: float = 5.0) -> Tidy:
        return Tidy((self,), lambda: self.free, self.trim, every_s=every_s, cpu_s=lambda: self.cpu_s)


@pytest.fixture
def held() -> Held:
    return Held()


@pytest.mark.parametrize(
    ("cpu_s", "dropped", "free", "trims"),
    [
        (1.0, 0, WORTH_BYTES, 1),
        (0.0, 1, WORTH_BYTES, 1),
        (0.0, 0, WORTH_BYTES, 0),
        (1.0, 1, WORTH_BYTES - 1, 0),
    ],
    ids=["work was done", "a cache let go of something", "nothing happened", "it is not worth it"],
)
def test_what_is_free_goes_back_after_something_happened(held, cpu_s, dropped, free, trims):
    """Pages that were given back still count as free: nobody asks again for them while nothing happens."""
    tidy = held.tidy()
    held.used_bytes = 100
    tidy.look()
    held.trims = 0

    held.cpu_s += cpu_s
    held.used_bytes -= dropped
    held.free = free
    tidy.look()

    assert held.trims == trims


async def test_it_looks_until_it_is_cancelled(held):
    """By itself, again and again."""
    looks = []
    tidy = held.tidy(every_s=0.001)
    tidy.look = lambda: looks.append(1)
    running = asyncio.create_task(tidy.run())
    while len(looks) < 3:
        await asyncio.sleep(0.001)
    running.cancel()

    assert not running.done() or running.cancelled()
