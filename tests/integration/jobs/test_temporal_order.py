"""In which order a real server hands jobs out: approximately by priority, in turns among tenants."""

import asyncio
import time
from pathlib import Path

import pytest
from msgspec.structs import replace

from imagemill.jobs.base import Query
from imagemill.model.job import State
from imagemill.model.recipe import Resize
from support.temporal_jobs import ended, job, lines, spec, until

JOBS, DELAYED, URGENT = 500, 50, 10
MOST_AHEAD = 50
"""Five to twenty are seen, on quick and on slow machines: so many begin within a second or so."""
GROWN_BYTES = 32 * 1024 * 1024
CLASSES = (6, 3, 0)


@pytest.mark.timed
@pytest.mark.timeout(400)
@pytest.mark.parametrize("setting", [{"concurrency": 8}], indirect=True)
async def test_five_hundred_jobs_go_by_priority(setting):
    """Of mixed priority and delay, submitted before anything works: all are done, and higher ones begin earlier on the
    whole; urgent ones that come later begin before all but a few of those, and none begins before its time. The
    worker does not grow.
    """
    due_s = time.time() + 30
    delayed = [job("noop", priority=CLASSES[n % 3], not_before_s=due_s) for n in range(DELAYED)]
    jobs = [job("noop", priority=CLASSES[n % 3]) for n in range(JOBS - DELAYED - URGENT)] + delayed
    for n in range(0, len(jobs), 25):
        await asyncio.gather(*(setting.engine.submit(one) for one in jobs[n : n + 25]))

    async with setting.running():
        await until(lambda: lines(setting.log, "make"), "the first is begun")
        resident = _resident_bytes()
        ahead = [await _ahead(setting, job("noop", priority=9)) for _ in range(URGENT)]
        assert len(lines(setting.log, "make")) < JOBS - DELAYED, "the flood was over before them"
        await until(lambda: len(lines(setting.log, "make")) == JOBS, "all are begun", 300)
        await until(lambda: len(setting.seen.jobs) == JOBS, "all outcomes are noted")

    assert max(ahead) < MOST_AHEAD, ahead
    assert _resident_bytes() - resident < GROWN_BYTES
    begun = {line["job"]: line for line in lines(setting.log, "make")}
    assert len(begun) == JOBS
    assert all(begun[one.id]["t"] >= due_s for one in delayed)
    order = [line["priority"] for line in begun.values() if line["job"] in {one.id for one in jobs[:-DELAYED]}]
    places = {p: [n for n, found in enumerate(order) if found == p] for p in CLASSES}
    means = {p: sum(found) / len(found) for p, found in places.items()}
    assert means[6] < means[3] < means[0], means
    assert order[:100].count(6) > 60, order
    assert {state for state, _ in setting.seen.jobs} == {State.SUCCEEDED}


async def _ahead(setting, urgent):
    """How many others begin between its acceptance and its beginning."""
    await setting.engine.submit(urgent)
    before = len(lines(setting.log, "make"))
    await ended(setting.engine, urgent.id, 100)
    return [line["job"] for line in lines(setting.log, "make")].index(urgent.id) - before


def _resident_bytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.mark.timed
@pytest.mark.parametrize("setting", [{"concurrency": 8}], indirect=True)
async def test_tenants_take_turns(setting):
    """Whoever comes second, with little, is not behind all of whoever came first."""
    for tenant, number in (("flood", 100), ("second", 10)):
        await asyncio.gather(*(setting.engine.submit(job("noop", tenant=tenant)) for _ in range(number)))

    async with setting.running():
        await until(lambda: len(lines(setting.log, "make")) == 110, "all are begun", 100)

    begun = [line["tenant"] for line in lines(setting.log, "make")]
    places = [n for n, tenant in enumerate(begun) if tenant == "second"]
    # whole turns are not promised: each partition of a queue shares out by itself, and one of the ten may be late
    assert sum(places) / len(places) < 55, begun  # behind all of the flood it is 104


@pytest.mark.parametrize("many", ["large", "small"])
@pytest.mark.parametrize("setting", [{"concurrency": 4}], indirect=True)
async def test_neither_large_nor_small_work_holds_the_other_up(setting, many):
    """More of the one than there are places, and one of the other is done while they run."""
    long, short = spec("sleep:60"), spec()
    if many == "large":
        long = replace(long, renditions=_large(long))
    else:
        short = replace(short, renditions=_large(short))
    for _ in range(6):
        await setting.engine.submit(replace(job(), spec=long))
    async with setting.running():
        await until(lambda: lines(setting.log, "first"), "one of the many runs")
        other = await setting.engine.submit(replace(job(), spec=short))
        await until(lambda: any(line["job"] == other.id for line in lines(setting.log, "made")), "it is done", 30)
        page = await setting.engine.list(Query("default"))
        for one in page.jobs:
            if one.id != other.id:
                await setting.engine.cancel(one.id)


def _large(of):
    return tuple(replace(one, recipe=(Resize(8000, 8000),)) for one in of.renditions)
