"""Any recipe of geometry on any source is rendered with the size that was promised, or refused."""

import io

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from PIL import Image

from golden import sources
from imagemill.engines.base import Task
from imagemill.engines.headers import probe
from imagemill.engines.vips import Vips
from imagemill.model.errors import BadOption, LimitExceeded
from imagemill.model.media import Format
from imagemill.model.recipe import (
    AspectCrop,
    AutoOrient,
    Crop,
    Detect,
    Encode,
    Extend,
    Fill,
    Fit,
    Flip,
    Flop,
    Pad,
    Position,
    Resize,
    Rotate,
    Tilt,
    Trim,
)
from imagemill.plan.resolve import resolve
from imagemill.settings import Engine, Limits

LIMITS = Limits(output_side_px=600, output_pixels=200_000)
side, small = st.integers(1, 200), st.integers(0, 60)
ppm = st.integers(0, 1_000_000)
colours = st.sampled_from([0, 0xFFFFFFFF, 0x11223380])
found = st.builds(Position, detect=st.sampled_from([Detect.ATTENTION, Detect.ENTROPY]))
places = st.builds(Position, ppm, ppm, st.booleans()) | found
resizes = st.builds(
    Resize, side, side, st.sampled_from([f for f in Fit if f is not Fit.CONTAIN]), st.booleans(), places,
    min_width_px=small, min_height_px=small,
)  # fmt: skip
contains = st.builds(Resize, side, side, st.just(Fit.CONTAIN), st.booleans(), rgba=colours) | st.builds(
    Resize, side, side, st.just(Fit.CONTAIN), st.booleans(), fill=st.just(Fill.BLUR)
)
percents = st.builds(Resize, enlarge=st.booleans(), width_ppm=st.integers(1, 2_000_000))
pads = st.tuples(small, small, small, small).filter(any)
operations = st.one_of(
    st.builds(Trim, st.integers(0, 255), st.sampled_from([-1, 0, 0xFFFFFFFF]), equal_x=st.booleans(), equal_y=st.booleans()),
    st.builds(Crop, side, side, position=places), st.builds(AspectCrop, side, side, places), resizes, contains, percents,
    st.builds(Rotate, st.integers(1, 3)), st.builds(Flip), st.builds(Flop),
    st.builds(Tilt, st.integers(-35_999, 35_999).filter(lambda angle: angle % 9000), colours),
    st.builds(Extend, side, side, st.booleans(), rgba=colours), st.builds(Extend, side, side, fill=st.just(Fill.BLUR)),
    pads.map(lambda sides: Pad(*sides)), pads.map(lambda sides: Pad(*sides, fill=Fill.BLUR)),
)  # fmt: skip
recipes = st.lists(operations, min_size=1, max_size=8)


@pytest.mark.parametrize("name", sources.NAMES)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(recipe=recipes, written=st.sampled_from([Format.PNG, Format.JPEG, Format.WEBP]))
def test_sizes_are_as_promised(name, recipe, written):
    """What is decoded of the answer, and what is said of it, is the size that the plan came to; and all frames are there."""
    source = sources.source(name)
    task = Task((AutoOrient(), *recipe, Encode(written)))
    try:
        (made,) = Vips(LIMITS, Engine()).run(memoryview(source.body), probe(source.body), [task])
    except (LimitExceeded, BadOption):
        return

    picture = Image.open(io.BytesIO(made.body))
    picture.load()
    assert picture.size == (made.width_px, made.height_px)
    assert made.frames == (len(source.frames) if written is Format.WEBP else 1)
    if not any(isinstance(op, Trim) for op in recipe):
        info = replace(probe(source.body), orientation=6 if name == "rotated" else 1)
        size = resolve(task.recipe, (), info, LIMITS).size
        assert picture.size == (size.width, size.height)
