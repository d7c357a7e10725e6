"""Things that happen at the same moment, a thousand times."""

import asyncio
import random
import time

import pytest

from imagemill.model.errors import JobFinished
from imagemill.model.job import State
from support.jobs import Embedded, NoteTaking, callback, eventually, job, opened, store, until


async def test_a_job_cancelled_while_it_ends_has_one_end(tmp_path):
    """What the canceller was told is what stands, and what the receiver hears; places are free again afterwards."""
    chance = random.Random(7)

    async def work(order, report):
        await asyncio.sleep(chance.random() * 0.004)
        return await store(order, report)

    steps = NoteTaking(work)
    kit = Embedded(tmp_path / "data", concurrency=8)
    async with opened(kit.engine) as engine, kit.run(steps):

        async def race():
            order = await engine.submit(job(callback=callback()))
            await asyncio.sleep(chance.random() * 0.03)
            try:
                return order.id, (await engine.cancel(order.id)).outcome
            except JobFinished:
                return order.id, (await engine.read(order.id)).outcome

        ends = {}
        for _ in range(50):
            ends |= dict(await asyncio.gather(*(race() for _ in range(20))))
        found = [await until(engine, job_id, State.SUCCEEDED, State.CANCELLED) for job_id in ends]
        last = await engine.submit(job())
        await until(engine, last.id, State.SUCCEEDED)
        assert kit.runner.running == 0

    assert {one.id: one.outcome for one in found} == ends
    assert {State.SUCCEEDED, State.CANCELLED} == set(ends.values())
    heard = [(delivery.job, about.outcome) for delivery, about in steps.told]
    assert sorted(heard) == sorted(ends.items())


@pytest.mark.timed
async def test_a_flood_of_one_tenant_does_not_delay_another(tmp_path):
    """A thousand jobs wait, all of them more urgent: the other tenant's few begin at once."""

    async def work(order, report):
        await asyncio.sleep(0.01)
        return await store(order, report)

    kit = Embedded(tmp_path / "data", concurrency=4)
    async with opened(kit.engine) as engine, kit.run(NoteTaking(work)):
        await asyncio.gather(*(engine.submit(job("flood", priority=6)) for _ in range(1000)))
        calm = [await engine.submit(job("calm")) for _ in range(5)]
        done = [await until(engine, one.id, State.SUCCEEDED) for one in calm]
        left = sum(n for (state, _), n in (await engine.counts()).items() if state == State.QUEUED)

    assert left > 200
    assert max(one.times.started_s - one.times.created_s for one in done) < 2.0


@pytest.mark.timed
async def test_who_waits_hears_of_every_change_in_time(tmp_path):
    """Many watch many jobs; nobody is left behind."""
    kit = Embedded(tmp_path / "data", concurrency=8)
    async with opened(kit.engine) as engine:
        orders = [await engine.submit(job()) for _ in range(100)]

        async def watch(order):
            found = order
            while found.state is not State.SUCCEEDED:
                found = await engine.wait(order.id, found.version, 30.0)
            return time.time() - found.times.finished_s

        watching = [asyncio.create_task(watch(order)) for order in orders]
        async with kit.run(NoteTaking()):
            late_s = await asyncio.wait_for(asyncio.gather(*watching), 60)

        assert max(late_s) < 1.0
        await eventually(lambda: _nobody_listens(engine))


async def _nobody_listens(engine):
    return not engine._waiting and engine._db._listener is None
