"""The work itself: what it asks of its source, what it makes of the answer, and that nothing of it stays behind."""

import asyncio
import time
from contextlib import aclosing

import pytest

from imagemill.cache.memory import MemoryCache
from imagemill.cache.purges import Purges
from imagemill.engines.base import Made, Stages
from imagemill.model.entry import DAY_S, Validators
from imagemill.model.errors import ImageCorrupt, Overloaded, SourceTimeout
from imagemill.model.keys import etag
from imagemill.model.media import Format, Rendition
from imagemill.service.gate import Gate
from imagemill.service.origin import Origin
from imagemill.service.render import Renderer
from imagemill.settings import Cache as CacheSettings
from imagemill.settings import Gate as GateSettings
from imagemill.storage.base import NONE_KNOWN, Unchanged
from unit.service.cluster import ENGINE, SOURCE_KEY, Engine, Source, plan


def renderer(source, engine, gate=None, **policy):
    settings = CacheSettings(**policy)
    caches = [MemoryCache(1_000_000, 60, lambda _: 1) for _ in range(2)]
    origin = Origin(source, {}, {}, *caches, Purges(10), settings, limit=1_000)
    gate = Gate(GateSettings(), 1) if gate is None else gate
    return Renderer(origin, engine, gate, settings, lambda: ENGINE)


async def test_an_entry_has_all_that_it_is_kept_by():
    """Terms of the source, the request and the engine, and what it cost; born when its source was asked."""
    engine = Engine()
    engine.wait_s = 0.02
    source = Source("v1", max_age_s=70, storable=False, last_modified_s=5)

    made = (await renderer(source, engine).render(plan(tags=("a",)), NONE_KNOWN)).entry

    assert (made.source_key, made.validators, made.tags, made.engine) == (
        SOURCE_KEY,
        Validators("v1", 5),
        ("a",),
        ENGINE,
    )
    assert (made.life_s, made.max_age_s, made.storable) == (70, 70, False)
    assert made.asked_ms > 0
    assert 20 <= made.cost_ms < 2_000


async def test_what_is_unchanged_costs_no_worker():
    """Nothing is decoded, and no slot is taken; what was said goes on."""
    engine = Engine()

    got = await renderer(Source("v1", max_age_s=70), engine).render(plan(), Validators("v1"))

    assert isinstance(got, Unchanged)
    assert (got.max_age_s, engine.runs) == (70, 0)
    assert got.born_s > 0
    assert got.asked_ms > 0


async def test_what_has_changed_is_made():
    got = await renderer(Source("v2"), Engine()).render(plan(ttl_s=2 * DAY_S), Validators("v1"))

    assert (got.entry.validators.etag, got.entry.life_s) == ("v2", 2 * DAY_S)


async def test_a_full_house_does_not_even_fetch():
    """The queue is asked first: a source in hand would only be held in vain."""
    gate = Gate(GateSettings(queue=1, wait_s=0.1), 1)
    source = Source()
    async with gate.slot():
        gate._service_s = 100.0

        with pytest.raises(Overloaded):
            await renderer(source, Engine(), gate).render(plan(), NONE_KNOWN)

    assert not source.asked


@pytest.mark.timed
@pytest.mark.parametrize("error", [ImageCorrupt("x"), asyncio.CancelledError()])
async def test_a_slot_comes_back(error):
    """However the work ends, the next one finds the slot free."""
    engine, gate = Engine(), Gate(GateSettings(), 1)
    engine.error = error

    with pytest.raises(type(error)):
        await renderer(Source(), engine, gate).render(plan(), NONE_KNOWN)

    assert (gate._free, len(gate), gate._held_bytes) == (1, 0, 0)


async def test_waiting_is_no_cost():
    """An entry is as dear as its making, not as the queue before it: early refresh would follow the load."""
    engine, gate = Engine(), Gate(GateSettings(), 1)
    it = renderer(Source(), engine, gate)

    async with gate.slot():
        waiting = asyncio.create_task(it.render(plan(), NONE_KNOWN))
        await asyncio.sleep(0.2)
    made = await waiting

    assert made.entry.cost_ms < 150
    assert made.stages.queue_ms > 150


class Many(Engine):
    """Makes each task."""

    def __init__(self, lost=0) -> None:
        super().__init__()
        self.lost, self.closed = lost, 0

    async def run(self, source, tasks, layers):
        self.runs += 1
        try:
            for task in tasks[self.lost :]:
                body = b"%d of " % task.recipe[-1].quality + source
                yield Made(Rendition(body, Format.PNG, etag(body), 1, 1), Stages(probe_ms=1, render_ms=30))
        finally:
            self.closed += 1


async def test_many_of_one_source():
    """One fetch, one run, one slot; each entry with the terms of its own plan."""
    engine, source, gate = Many(), Source("v1", max_age_s=70), Gate(GateSettings(), 1)
    plans = [plan(width=1), plan(width=2, tags=("a",)), plan(width=3, ttl_s=DAY_S)]

    made = [(fresh, gate._free) async for fresh in renderer(source, engine, gate).render_all(plans)]

    entries = [fresh.entry for fresh, _ in made]
    assert [entry.rendition.body for entry in entries] == [b"1 of source v1", b"2 of source v1", b"3 of source v1"]
    assert [(entry.tags, entry.life_s) for entry in entries] == [((), 70), (("a",), 70), ((), DAY_S)]
    assert (engine.runs, len(source.asked), [free for _, free in made], gate._free) == (1, 1, [0, 0, 0], 1)
    assert all(31 <= entry.cost_ms < 200 for entry in entries)


async def test_many_with_one_missing():
    """Fewer than were asked for is an error, not a short list."""
    with pytest.raises(ImageCorrupt, match="1 renditions are missing"):
        [fresh async for fresh in renderer(Source(), Many(lost=1)).render_all([plan(1), plan(2)])]


async def test_who_has_enough_of_many_gives_all_back():
    engine, gate = Many(), Gate(GateSettings(), 1)

    async with aclosing(renderer(Source(), engine, gate).render_all([plan(1), plan(2)])) as made:
        async for _ in made:
            break

    assert (engine.closed, gate._free, gate._held_bytes) == (1, 1, 0)


async def test_a_copy_from_before_does_not_do():
    """Who asks for a source of later than now gets it asked for; who does not, the copy."""
    source = Source()
    it = renderer(source, Many())

    for after in (lambda: 0.0, lambda: 0.0, time.time):
        [fresh async for fresh in it.render_all([plan(1)], after_s=after())]

    assert len(source.asked) == 2


async def test_a_failure_from_before_does_not_do():
    """A job that is tried again asks its source again, however short the pause was."""
    source = Source()
    source.error = SourceTimeout("slow")
    it = renderer(source, Many())
    for after in (lambda: 0.0, lambda: 0.0, time.time):
        with pytest.raises(SourceTimeout):
            [fresh async for fresh in it.render_all([plan(1)], after_s=after())]

    assert len(source.asked) == 2
