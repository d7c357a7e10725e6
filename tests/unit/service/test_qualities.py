"""A quality that was found is found once for a source, whatever is made of it, and for that source only."""

from contextlib import aclosing

import pytest

from imagemill.cache.memory import MemoryCache
from imagemill.engines.base import NO_LAYERS, Known, Made, Stages, Task
from imagemill.model.media import Format, Rendition
from imagemill.model.recipe import Describe, Encode, Resize
from imagemill.service.qualities import Remembering

AUTO = Task((Resize(5), Encode(Format.WEBP, target_centi=7500)))
SMALL = Task((Resize(2), Encode(Format.WEBP, target_centi=7500)))
BETTER = Task((Resize(5), Encode(Format.WEBP, target_centi=9000)))
PLAIN = Task((Resize(5), Encode(Format.WEBP, 80)))


class Engine:
    """Finds 61 for whatever is not known."""

    def __init__(self):
        self.told = []
        self.closed = 0

    async def run(self, source, tasks, layers=NO_LAYERS):
        self.told.append([task.known for task in tasks])
        try:
            for task in tasks:
                last = task.recipe[-1]
                quality = 61 if isinstance(last, Encode) and last.target_centi else 0
                yield Made(Rendition(source, Format.WEBP, "e", 1, 1, quality=quality), Stages())
        finally:
            self.closed += 1


@pytest.fixture
def engine():
    return Engine()


@pytest.fixture
def remembering(engine):
    return Remembering(engine, MemoryCache(100_000, 60, lambda _: 1))


async def run(engine, source, *tasks):
    async with aclosing(engine.run(source, tasks)) as made:
        return [one async for one in made]


async def test_found_once(engine, remembering):
    """Another rendition of the same source is told; one of another source, or for another score, is not."""
    await run(remembering, b"a", AUTO)
    await run(remembering, b"a", SMALL)
    await run(remembering, b"b", AUTO)
    await run(remembering, b"a", BETTER)

    found = Known(Format.WEBP, 7500, 61)
    assert engine.told == [[()], [(found,)], [()], [(found,)]]
    await run(remembering, b"a", BETTER)
    assert engine.told[-1] == [(found, Known(Format.WEBP, 9000, 61))]


async def test_whoever_names_a_quality_is_left_alone(engine, remembering):
    """Nothing is hashed, told or kept."""
    await run(remembering, b"a", PLAIN)
    await run(remembering, b"a", PLAIN)
    assert engine.told == [[()], [()]]


async def test_several_tasks(engine, remembering):
    """Each is passed on in its order, and what one brings is kept under its own score."""
    made = await run(remembering, b"a", PLAIN, AUTO, BETTER)
    assert [one.rendition.quality for one in made] == [0, 61, 61]
    await run(remembering, b"a", AUTO)
    assert set(engine.told[-1][0]) == {Known(Format.WEBP, 7500, 61), Known(Format.WEBP, 9000, 61)}


async def test_giving_up(engine, remembering):
    """Closing the run closes the engine's."""
    made = remembering.run(b"a", [AUTO, SMALL])
    await anext(made)
    await made.aclose()
    assert engine.closed == 1


async def test_large_sources_have_a_name_too(engine, remembering):
    """Hashed beside the loop."""
    await run(remembering, b"a" * 300_000, AUTO)
    await run(remembering, b"a" * 300_000, AUTO)
    assert engine.told[-1][0]


async def test_what_is_told_has_no_quality(engine, remembering):
    """A description goes through as it is, alone and beside a picture whose quality is known."""
    told = Task((Describe(colours=2),))
    for tasks in ([told], [AUTO], [told, AUTO]):
        assert len([made async for made in remembering.run(b"source", tasks)]) == len(tasks)
    assert engine.told[0] == [()]
    assert engine.told[2] == [(Known(Format.WEBP, 7500, 61),)] * 2
