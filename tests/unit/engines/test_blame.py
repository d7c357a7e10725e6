"""L17: of several sources the one is refused that was being read when workers died; the others are innocent."""

import pytest

from imagemill.engines.base import Task
from imagemill.engines.blame import Blame
from imagemill.model.errors import ImageCorrupt, ProcessingTimeout
from imagemill.model.recipe import Encode, SourceRef

TASKS = [Task((Encode(),))]
LOGO, MARK = SourceRef("local", "a/logo"), SourceRef("local", "a/mark")
LAYERS = {LOGO: b"logo", MARK: b"mark!"}


@pytest.fixture
def blame():
    return Blame(10.0)


async def test_a_layer(blame):
    """By its number; it is refused wherever it lies, as itself or as a layer, and named there."""
    await blame.crashed(b"photo", LAYERS, 2)
    await blame.refuse(b"photo", TASKS, LAYERS)
    with pytest.raises(ImageCorrupt, match=r"^layer local:a/mark: ") as found:
        await blame.crashed(b"another photo", LAYERS, 2)
    assert found.value.layer == "local:a/mark"

    with pytest.raises(ImageCorrupt, match=r"^layer local:a/mark: "):
        await blame.refuse(b"a third", TASKS, {MARK: b"mark!"})
    with pytest.raises(ImageCorrupt, match=r"^this source"):
        await blame.refuse(b"mark!", TASKS, {})
    await blame.refuse(b"photo", TASKS, {LOGO: b"logo"})
    await blame.refuse(b"logo", TASKS, {})


@pytest.mark.parametrize("number", [0, 3, 200])
async def test_the_picture_itself(blame, number):
    """Also where a worker names a layer that there is not: nothing else is believed of it."""
    await blame.crashed(b"photo", LAYERS, number)
    with pytest.raises(ImageCorrupt, match=r"^the decoder") as found:
        await blame.crashed(b"photo", LAYERS, number)

    assert found.value.layer == ""
    with pytest.raises(ImageCorrupt):
        await blame.refuse(b"photo", TASKS, {})
    await blame.refuse(b"other", TASKS, LAYERS)


async def test_time_is_held_against_all_of_it_together(blame):
    """The same picture without the layer, or with another, may be quick."""
    for _ in range(2):
        await blame.overdue(b"photo", TASKS, LAYERS)

    with pytest.raises(ProcessingTimeout):
        await blame.refuse(b"photo", TASKS, LAYERS)
    await blame.refuse(b"photo", TASKS, {})
    await blame.refuse(b"photo", TASKS, {**LAYERS, MARK: b"other"})
    await blame.refuse(b"logo", TASKS, {})
