"""Places change hands without being lost (F10, F11)."""

import asyncio

import pytest

from imagemill.model.errors import DependencyDown, Overloaded, SourceForbidden
from imagemill.net.turns import Turns
from imagemill.settings import Fetch

FETCH = Fetch(per_host=1, per_host_queue=2, total=3, breaker_failures=2, breaker_s=10, total_s=5)


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def turns(clock):
    return Turns(FETCH, clock)


def holder(turns, host="h"):
    """A task that holds a turn until it is told to let go."""
    go = asyncio.Event()

    async def hold():
        async with turns.take(host):
            await go.wait()

    return asyncio.create_task(hold()), go


async def settle():
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_turn_that_comes_to_one_who_leaves_goes_on(turns):
    """Cancelled in the very moment its turn comes, a task hands the place to the next."""
    first, go = holder(turns)
    await settle()
    second, _ = holder(turns)
    third, let_third = holder(turns)
    await settle()

    go.set()
    await asyncio.sleep(0)  # the place has changed hands; its new owner has not run
    second.cancel()
    await settle()
    let_third.set()

    await asyncio.wait_for(third, 20)
    await first
    assert second.cancelled()
    assert (turns.running, turns.hosts) == (0, 0)


async def test_those_who_left_do_not_count_as_waiting(turns):
    first, go = holder(turns)
    await settle()
    for _ in range(3):
        left = [holder(turns)[0] for _ in range(2)]
        await settle()
        for task in left:
            task.cancel()
        await settle()
        assert all(task.cancelled() for task in left)

    waiting = [holder(turns) for _ in range(2)]
    await settle()
    with pytest.raises(Overloaded):
        async with turns.take("h"):
            pass
    for event in (go, *(e for _, e in waiting)):
        event.set()
    await asyncio.gather(first, *(t for t, _ in waiting))
    assert (turns.running, turns.hosts) == (0, 0)


async def test_waiting_ones_are_told_when_the_host_shuts(turns):
    """What waits behind the last straw is not sent after it."""
    go = asyncio.Event()

    async def fail():
        async with turns.take("h") as turn:
            await go.wait()
            turn.unwell(refused=False)

    tasks = [asyncio.create_task(fail()) for _ in range(3)]
    await settle()
    go.set()
    ends = await asyncio.gather(*tasks, return_exceptions=True)

    assert [type(e) for e in ends] == [type(None), type(None), DependencyDown]
    assert ends[2].retry_after_s == 10


@pytest.mark.parametrize(("refused", "error"), [(True, SourceForbidden), (False, DependencyDown)])
async def test_breaker_by_the_clock(turns, clock, refused, error):
    """Shut for so long; then one probe, which opens or shuts it again. Refused and blocked answer alike."""

    async def once(*, well):
        async with turns.take("h") as turn:
            turn.well() if well else turn.unwell(refused=refused)

    await once(well=False)
    await once(well=True)
    for _ in range(2):
        await once(well=False)
    for passed_s in (0, 9.9):
        clock.now_s = 100 + passed_s
        with pytest.raises(error):
            await once(well=True)

    clock.now_s = 110
    await once(well=False)
    with pytest.raises(error):
        await once(well=True)
    clock.now_s = 120
    for _ in range(3):
        await once(well=True)
    assert turns.hosts == 0
