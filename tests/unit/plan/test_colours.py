"""Curves and mixtures of colours: their tables and matrices, and neighbours as one (see also tests/golden/test_look.py)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagemill.model.errors import LimitExceeded
from imagemill.model.media import Format, MediaInfo
from imagemill.model.recipe import (
    Background,
    Brightness,
    Contrast,
    Duotone,
    Encode,
    Flip,
    Grayscale,
    Hue,
    Mask,
    Negate,
    Round,
    Saturation,
    Sepia,
    Shape,
    Tint,
    Unsharp,
)
from imagemill.plan.operations import colours
from imagemill.plan.operations.colours import Curve, Mix
from imagemill.plan.prepare import check
from imagemill.plan.resolve import resolve
from imagemill.plan.steps import Mirror
from imagemill.settings import Limits

PNG = MediaInfo(Format.PNG, 40, 30)
LIMITS = Limits()


def steps(*recipe, info=PNG, to=Format.KEEP):
    return resolve((*recipe, Encode(to)), (), info, LIMITS)


@pytest.mark.parametrize(
    ("curve", "levels"),
    [
        (colours.brightness(100), {0: 255, 255: 255}), (colours.brightness(-100), {0: 0, 255: 0}), (colours.brightness(20), {0: 51, 100: 151, 250: 255}),
        (colours.contrast(-100), {0: 128, 255: 128}), (colours.contrast(100), {0: 0, 64: 1, 127: 127, 128: 129, 191: 255}),
        (colours.gamma(50), {0: 0, 128: 64, 255: 255}), (colours.gamma(200), {0: 0, 64: 128, 255: 255}), (colours.negate(), {0: 255, 1: 254, 255: 0}),
    ],
)  # fmt: skip
def test_curves(curve, levels):
    """Levels at the ends and in between, rounded and clipped."""
    assert {level: curve.tables[0][level] for level in levels} == levels
    assert curve.keeps_grey
    assert all(len(table) == 256 for table in curve.tables)


def test_curves_of_colours():
    """One table for each part of a colour."""
    assert [t[0] for t in colours.duotone(0x102030FF, 0xF0E0D0FF).tables] == [0x10, 0x20, 0x30]
    assert [t[255] for t in colours.duotone(0x102030FF, 0xF0E0D0FF).tables] == [0xF0, 0xE0, 0xD0]
    assert [t[100] for t in colours.colorize(0xFF006480).tables] == [178, 50, 100]
    assert not colours.colorize(0xFF006480).keeps_grey


@given(st.integers(-100, 100), st.integers(-359, 359))
def test_greys_are_kept(percent, degrees):
    """Saturation and hue change no grey; both may be joined."""
    assert colours.saturation(percent).keeps_grey
    (both,) = colours.joined([colours.saturation(percent), colours.hue(degrees)])
    assert both.keeps_grey


def test_what_makes_grey():
    """Grey is known as such, also at the end of a row of matrices; half of it is none."""
    assert colours.grayscale().makes_grey
    (joined,) = colours.joined([colours.sepia(100), colours.hue(20), colours.grayscale()])
    assert joined.makes_grey
    assert colours.saturation(-100).makes_grey
    assert not colours.saturation(-99).makes_grey
    assert not colours.joined([colours.grayscale(), colours.tint(0xFF0000FF)])[0].makes_grey


def test_neighbours_are_one_step():
    """Curves with curves, matrices with matrices, nothing over anything else."""
    found = steps(
        Brightness(5),
        Contrast(5),
        Saturation(5),
        Hue(5),
        Flip(),
        Sepia(),
        Tint(0xFF0000FF),
        Negate(),
        Duotone(0xFF, 0xFFFFFFFF),
    )
    assert [type(step) for step in found.steps] == [Curve, Mix, Mirror, Mix, Curve, Mix, Curve]


@given(st.lists(st.sampled_from([colours.brightness(30), colours.contrast(-40), colours.gamma(220), colours.negate(), colours.colorize(0x12345678)]),
                min_size=2, max_size=6), st.integers(0, 255))  # fmt: skip
def test_curves_in_turn(curves, level):
    """One look-up gives what all of them give in turn."""
    (joined,) = colours.joined(curves)
    for n in range(3):
        wanted = level
        for curve in curves:
            wanted = curve.tables[n][wanted]
        assert joined.tables[n][level] == wanted


def test_unsharp_limit():
    """R09: a sigma beyond policy is a limit, named."""
    check((Unsharp(10_000), Encode()), LIMITS)
    with pytest.raises(LimitExceeded) as caught:
        check((Unsharp(10_001), Encode()), LIMITS)
    assert caught.value.limit == "unsharp"


@pytest.mark.parametrize("mask", [Mask(Shape.STAR), Round(5)])
def test_masks_and_auto_format(mask):
    """What is outside of a mask is transparent, unless a background is asked for."""
    jpeg = MediaInfo(Format.JPEG, 40, 30)
    assert steps(mask, info=jpeg, to=Format.AUTO).format is Format.PNG
    assert steps(mask, Background(0xFFFFFFFF), info=jpeg, to=Format.AUTO).format is Format.JPEG
    assert steps(Grayscale(), info=jpeg, to=Format.AUTO).format is Format.JPEG
    assert steps(mask, info=jpeg).format is Format.JPEG, "kept, where that is asked for"


def test_greys_take_all_three():
    """One row, or one table, that differs makes a colour of a grey."""
    same, other = (0.2, 0.3, 0.5), (0.5, 0.3, 0.2)
    up, down = bytes(range(256)), bytes(range(255, -1, -1))
    assert Mix((same, same, same)).makes_grey
    assert Curve((up, up, up)).keeps_grey
    for n in range(3):
        assert not Mix(tuple(other if m == n else same for m in range(3))).makes_grey
        assert not Mix(tuple((2.0, 0.0, 0.0) if m == n else same for m in range(3))).keeps_grey
        assert not Curve(tuple(down if m == n else up for m in range(3))).keeps_grey
