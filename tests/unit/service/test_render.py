"""The work itself: what it asks of its source, what it makes of the answer, and that nothing of it stays behind."""

import asyncio

import pytest

from imagemill.cache.memory import MemoryCache
from imagemill.cache.purges import Purges
from imagemill.model.entry import DAY_S, Validators
from imagemill.model.errors import ImageCorrupt, Overloaded
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
