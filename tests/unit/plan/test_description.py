"""What is planned where a picture is told of: nothing is decoded for its header, and little for its colours."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from imagemill.engines.decoders import streams
from imagemill.model.errors import LimitExceeded
from imagemill.model.media import READABLE, VECTORS, Format, MediaInfo
from imagemill.model.recipe import AutoOrient, Blur, Crop, Describe, Fit, Frames, Mask, Resize, Rotate, Shape
from imagemill.plan.cost import estimate_us
from imagemill.plan.geometry import Size
from imagemill.plan.prepare import normal
from imagemill.plan.resolve import SAMPLE_SIDE_PX, changes_pixels, check_output, resolve
from imagemill.plan.steps import Scale, Underlay, Upright
from imagemill.settings import Engine, Limits

LIMITS, ENGINE = Limits(), Engine()
JPEG = MediaInfo(Format.JPEG, 4000, 3000, orientation=6)
ANIMATION = MediaInfo(Format.GIF, 400, 300, frames=150, has_alpha=True, channels=4)
COLOURS = Describe(colours=5)


def steps(*recipe, info=JPEG):
    return resolve(recipe, (), info, LIMITS)


def test_a_header_alone_needs_no_step():
    """Whatever the operations: their size is told, and none is done."""
    found = steps(AutoOrient(), Resize(100), Blur(500), Describe(metadata=True))

    assert (found.steps, found.size, found.format, found.frames) == ((), Size(100, 133), Format.JSON, 1)
    assert estimate_us(found, ENGINE) < 2_000


@pytest.mark.parametrize("format_", sorted(READABLE - VECTORS))
def test_a_header_is_dear_where_only_decoding_tells_it(format_):
    """R09: what such a decoder opens it decodes, whether a pixel was asked for or not."""
    info = MediaInfo(format_, 7_000, 7_000)

    asked_us = estimate_us(steps(Describe(), info=info), ENGINE)

    assert (asked_us > 100_000) == (not streams(info))
    if not streams(unusual := replace(info, unusual=True)):
        assert estimate_us(steps(Describe(), info=unusual), ENGINE) > 100_000


def test_a_later_frame_is_dearer_to_open():
    """What is decoded from its beginning is decoded up to there."""
    info = MediaInfo(Format.APNG, 1_000, 1_000, frames=20)
    one, ten = (estimate_us(steps(Frames(first), Describe(), info=info), ENGINE) for first in (0, 9))

    assert ten > 5 * one


def test_a_placeholder_that_shows_something_through_is_dearer():
    """WebP tries out what becomes of transparency, however small the picture."""
    opaque, clear = (steps(*some, Describe(placeholder=True)) for some in ((), (Mask(Shape.STAR),)))

    assert estimate_us(clear, ENGINE) > estimate_us(opaque, ENGINE) + 20_000


def test_pixels_are_looked_at_small():
    """Decoded at an eighth, turned, scaled to a hundred; not laid on a colour: transparency is told of, too."""
    found = steps(AutoOrient(), COLOURS)

    assert found.steps == (Upright(6), Scale(Size(75, 100)))
    assert (found.size, found.shrink) == (Size(3000, 4000), 8)
    assert not any(isinstance(step, Underlay) for step in steps(COLOURS, info=ANIMATION).steps)


def test_operations_come_before():
    """The sample is one of what they make."""
    found = steps(AutoOrient(), Resize(300), COLOURS)

    assert found.steps == (Upright(6), Scale(Size(300, 400)), Scale(Size(75, 100)))
    assert found.size == Size(300, 400)


def test_small_pictures_are_looked_at_as_they_are():
    assert steps(COLOURS, info=MediaInfo(Format.PNG, 100, 7)).steps == ()


def test_one_frame_of_many():
    """Colours of an animation are those of its first frame, at the price of one."""
    found = steps(COLOURS, info=ANIMATION)

    assert found.frames == 1
    assert estimate_us(found, ENGINE) < 20_000


@given(st.integers(1, 16_000), st.integers(1, 16_000))
def test_any_size(width, height):
    """No side of a sample is none, or more than it may be."""
    found = steps(COLOURS, info=MediaInfo(Format.PNG, width, height))
    (*_, last) = (*found.steps, Scale(Size(width, height)))
    size = found.steps[-1].size if found.steps else last.size

    assert 1 <= min(size.width, size.height)
    assert max(size.width, size.height) <= SAMPLE_SIDE_PX


def test_a_source_may_be_larger_than_a_rendition():
    """What is only told of need not fit into what may be written; steps on the way are bounded all the same."""
    check_output(steps(Describe(), info=MediaInfo(Format.PNG, 9_000, 100)), LIMITS)
    with pytest.raises(LimitExceeded):
        steps(Resize(8_000, 8_000, Fit.FILL, enlarge=True), Describe())


def test_metadata_costs_by_its_length():
    few, many = (MediaInfo(Format.JPEG, 9, 9, metadata_bytes=n) for n in (1_000, 1_000_000))

    assert estimate_us(steps(Describe(), info=many), ENGINE) == estimate_us(steps(Describe(), info=few), ENGINE)
    assert 20_000 < estimate_us(steps(Describe(metadata=True), info=many), ENGINE) < 200_000


@pytest.mark.parametrize(
    ("recipe", "changes"),
    [((Describe(),), False), ((AutoOrient(), COLOURS), False), ((AutoOrient(), Crop(1, 1), Describe()), True), ((Rotate(1), Describe()), True)],
)  # fmt: skip
def test_what_makes_another_picture(recipe, changes):
    """Turning upright does not."""
    assert changes_pixels(recipe) == changes


def test_it_stays_last():
    """No `Encode` is put behind it."""
    assert normal((AutoOrient(), COLOURS)) == (AutoOrient(), COLOURS)
