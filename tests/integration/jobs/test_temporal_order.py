"""In which order a real server hands jobs out: approximately by priority, in turns among tenants."""

import asyncio

import pytest
from msgspec.structs import replace

from imagemill.jobs.base import Query
from imagemill.model.job import State
from imagemill.model.recipe import Resize
from support.temporal_jobs import job, lines, spec, until

JOBS = 500
CLASSES = (9, 5, 0)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("setting", [{"concurrency": 16}], indirect=True)
async def test_five_hundred_jobs_go_by_priority(setting):
    """Of mixed priority, submitted before anything works: all are done, and higher ones begin earlier on the whole."""
    jobs = [job("noop", priority=CLASSES[n % 3]) for n in range(JOBS)]
    for n in range(0, JOBS, 25):
        await asyncio.gather(*(setting.engine.submit(one) for one in jobs[n : n + 25]))

    async with setting.running():
        await until(lambda: len(lines(setting.log, "make")) == JOBS, "all are begun", 300)

    begun = [line["priority"] for line in lines(setting.log, "make")]
    assert len(begun) == JOBS
    places = {p: [n for n, found in enumerate(begun) if found == p] for p in CLASSES}
    means = {p: sum(found) / len(found) for p, found in places.items()}
    assert means[9] < means[5] < means[0], means
    assert begun[:100].count(9) > 60, begun
    await until(lambda: len(setting.seen.jobs) == JOBS, "all outcomes are noted")
    assert {state for state, _ in setting.seen.jobs} == {State.SUCCEEDED}


@pytest.mark.parametrize("setting", [{"concurrency": 8}], indirect=True)
async def test_tenants_take_turns(setting):
    """Whoever comes second, with little, is not behind all of whoever came first."""
    for tenant, number in (("flood", 100), ("second", 10)):
        await asyncio.gather(*(setting.engine.submit(job("noop", tenant=tenant)) for _ in range(number)))

    async with setting.running():
        await until(lambda: len(lines(setting.log, "make")) == 110, "all are begun", 100)

    begun = [line["tenant"] for line in lines(setting.log, "make")]
    last = max(n for n, tenant in enumerate(begun) if tenant == "second")
    assert last < 80, begun


@pytest.mark.parametrize("setting", [{"concurrency": 4}], indirect=True)
async def test_large_work_does_not_hold_small_work_up(setting):
    """More large jobs than there are places, and a small one is done while they run."""
    large = spec("sleep:20", "large")
    wanted = tuple(replace(one, recipe=(Resize(8000, 8000),)) for one in large.renditions)
    for _ in range(6):
        await setting.engine.submit(replace(job(), spec=replace(large, renditions=wanted)))
    async with setting.running():
        await until(lambda: lines(setting.log, "first"), "a large one runs")
        small = await setting.engine.submit(job())
        await until(lambda: any(line["job"] == small.id for line in lines(setting.log, "made")), "it is done", 5)
        page = await setting.engine.list(Query("default"))
        for one in page.jobs:
            if one.id != small.id:
                await setting.engine.cancel(one.id)
