"""Workers live while there is work, and a little longer."""

import asyncio

import pytest

from imagemill.engines.base import Task
from imagemill.engines.on_demand import OnDemand
from imagemill.model.errors import DependencyDown, SettingsError

IDLE_S = 0.02


class Fake:
    """A pool that counts its lives."""

    def __init__(self, born, fails=None):
        self.states = {"idle": 1, "busy": 0, "starting": 0}
        self.versions = {"libvips": "8.18.7"}
        self.fails, self.closed = fails, False
        born.append(self)

    async def start(self):
        await asyncio.sleep(0)
        if self.fails:
            raise self.fails

    async def close(self):
        self.closed = True

    async def run(self, source, tasks, layers):
        assert not self.closed
        for task in tasks:
            await asyncio.sleep(0)
            yield task


async def runs(engine, count=1):
    async def one():
        return [made async for made in engine.run(b"x", [Task(())] * 2)]

    return await asyncio.gather(*(one() for _ in range(count)))


async def test_nobody_is_up_before_there_is_work():
    born = []
    engine = OnDemand(lambda: Fake(born), IDLE_S)

    assert (born, engine.states["idle"], engine.versions) == ([], 0, {})
    assert await runs(engine, 5) == [[Task(())] * 2] * 5
    assert (len(born), engine.states["idle"], engine.versions) == (1, 1, {"libvips": "8.18.7"})
    await engine.close()


async def test_they_rest_after_a_while_and_come_back():
    """Not while anything runs; the versions stay known."""
    born = []
    engine = OnDemand(lambda: Fake(born), IDLE_S)
    running = engine.run(b"x", [Task(())] * 2)
    await anext(running)
    await asyncio.sleep(3 * IDLE_S)
    assert not born[0].closed
    await running.aclose()

    async with asyncio.timeout(60):
        while not born[0].closed:
            await asyncio.sleep(IDLE_S)

    assert (born[0].closed, engine.states["idle"], engine.versions) == (True, 0, {"libvips": "8.18.7"})
    await runs(engine)
    assert len(born) == 2
    await engine.close()
    assert born[1].closed


async def test_a_pool_that_does_not_come_up_is_no_fault_of_the_source():
    """It can be tried again, and is, by the next."""
    born = []
    outcomes = [SettingsError("a worker did not start"), None]
    engine = OnDemand(lambda: Fake(born, outcomes[len(born)]), IDLE_S)

    with pytest.raises(DependencyDown, match="did not start"):
        await runs(engine)
    await runs(engine)
    await engine.close()


async def test_nothing_runs_after_the_end():
    engine = OnDemand(lambda: Fake([]), IDLE_S)
    await engine.close()

    with pytest.raises(DependencyDown, match="stopping"):
        await runs(engine)


async def test_who_comes_at_the_last_moment_is_not_cut_off():
    """The rest has begun, and work comes before anything of it is done."""
    born = []
    engine = OnDemand(lambda: Fake(born), IDLE_S)
    await runs(engine)
    engine._rest()

    running = engine.run(b"x", [Task(())] * 2)
    await anext(running)
    await asyncio.sleep(0)

    assert not born[0].closed
    await running.aclose()
    await engine.close()
