"""Where pixels go: for any picture and any box."""

from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from imagemill.model.errors import BadOption
from imagemill.model.recipe import Crop, Fit, Gravity, Position, Resize
from imagemill.plan.geometry import Box, Size, crop_box, place, shrunk

side = st.integers(1, 9000)
sizes = st.builds(Size, side, side)
ppm = st.integers(0, 1_000_000)
positions = st.builds(Position, ppm, ppm, st.booleans())
resizes = st.builds(Resize, side, side, st.sampled_from(Fit), st.booleans(), positions)
narrow = st.builds(Resize, side, st.just(0), st.sampled_from(Fit), st.booleans()) | st.builds(
    Resize, st.just(0), side, st.sampled_from(Fit), st.booleans()
)


def inside(box: Box, size: Size) -> bool:
    return (
        box.left >= 0 and box.top >= 0 and box.width >= 1 and box.height >= 1
        and box.left + box.width <= size.width and box.top + box.height <= size.height
    )  # fmt: skip


@given(sizes, resizes | narrow)
def test_every_size_is_a_size(size, op):
    """No side is ever below 1, and what is cut or laid out stays in its frame."""
    placed = place(size, op)
    assert min(placed.scaled.width, placed.scaled.height, placed.size.width, placed.size.height) >= 1
    if placed.cut:
        assert inside(placed.cut, placed.scaled)
    if placed.canvas:
        assert inside(Box(*placed.at, placed.scaled.width, placed.scaled.height), placed.canvas)


@given(sizes, resizes)
def test_bounds_of_each_fit(size, op):
    """Contain is the box exactly; inside and cover never leave it; outside covers it, unless that would enlarge."""
    box, result = Size(op.width_px, op.height_px), place(size, op).size
    match op.fit:
        case Fit.CONTAIN:
            assert result == box
        case Fit.INSIDE:
            assert result.width <= box.width
            assert result.height <= box.height
            assert op.enlarge is False or result.width == box.width or result.height == box.height
        case Fit.COVER:
            assert result.width <= box.width
            assert result.height <= box.height
            assert not op.enlarge or result == box
        case Fit.OUTSIDE:
            covers = result.width >= box.width and result.height >= box.height
            assert covers or (not op.enlarge and result == size)
        case Fit.FILL:
            assert result == (box if op.enlarge else Size(min(box.width, size.width), min(box.height, size.height)))


@given(sizes, resizes | narrow)
def test_enlarge_off_never_grows(size, op):
    """Without ``enlarge`` no side is scaled up."""
    assume(not op.enlarge)
    scaled = place(size, op).scaled
    assert scaled.width <= size.width
    assert scaled.height <= size.height


@given(sizes, resizes | narrow)
def test_proportions_are_kept(size, op):
    """But for fill, both sides have one scale, within half a pixel (or the one pixel that is left)."""
    assume(op.fit is not Fit.FILL or not (op.width_px and op.height_px))
    scaled = place(size, op).scaled
    by_width = Fraction(scaled.width, size.width)
    by_height = Fraction(scaled.height, size.height)
    off = min(abs(size.height * by_width - scaled.height), abs(size.width * by_height - scaled.width))
    assert off <= Fraction(1, 2) or min(scaled.width, scaled.height) == 1


@given(sizes, narrow)
def test_one_side_is_exact(size, op):
    """The side that is given is met, unless that would enlarge."""
    scaled = place(size, op).size
    given_side, found, own = (
        (op.width_px, scaled.width, size.width) if op.width_px else (op.height_px, scaled.height, size.height)
    )
    assert found == (given_side if op.enlarge else min(given_side, own))


@given(sizes, st.builds(Crop, side, side, position=positions))
def test_placed_crop_stays_inside(size, op):
    """A placed box is as large as asked, as far as there is picture."""
    box = crop_box(size, op)
    assert inside(box, size)
    assert (box.width, box.height) == (min(op.width_px, size.width), min(op.height_px, size.height))


@given(sizes, st.builds(Crop, side, side, side.map(lambda n: n - 1), side.map(lambda n: n - 1)))
def test_crop_at_a_point(size, op):
    """A box at a point is clipped; wholly outside it is an error that names both."""
    if op.left_px >= size.width or op.top_px >= size.height:
        with pytest.raises(BadOption, match=f"{size.width} × {size.height}"):
            crop_box(size, op)
    else:
        box = crop_box(size, op)
        assert inside(box, size)
        assert (box.left, box.top) == (op.left_px, op.top_px)


@given(sizes, ppm, ppm, side, side)
def test_focus_is_in_the_middle_as_far_as_edges_allow(size, x, y, width, height):
    """The focal point is in the box, and in its middle unless an edge is in the way."""
    box = crop_box(size, Crop(width, height, position=Position(x, y, focal=True)))
    for start, length, whole, point in (
        (box.left, box.width, size.width, x), (box.top, box.height, size.height, y),
    ):  # fmt: skip
        at = Fraction(whole * point, 1_000_000)
        assert start <= at <= start + length
        assert start in {0, whole - length} or abs(start + Fraction(length, 2) - at) <= Fraction(1, 2)


@pytest.mark.parametrize("gravity", Gravity)
def test_gravity_touches_its_edges(gravity):
    """Each compass name lies at its edges."""
    box = crop_box(Size(100, 80), Crop(30, 20, position=Position.of(gravity)))
    left, top = (0 if "west" in gravity else 70 if "east" in gravity else 35), (
        0 if "north" in gravity else 60 if "south" in gravity else 30
    )  # fmt: skip
    assert (box.left, box.top) == (left, top)


@given(st.data(), sizes, st.sampled_from([1, 2, 4, 8]))
def test_shrunk_box_stays_inside(data, size, n):
    """A box in a picture decoded smaller is in that picture, near where it was."""
    left, top = data.draw(st.integers(0, size.width - 1)), data.draw(st.integers(0, size.height - 1))
    box = Box(left, top, data.draw(st.integers(1, size.width - left)), data.draw(st.integers(1, size.height - top)))
    small = Size(-(-size.width // n), -(-size.height // n))
    found = shrunk(box, size, small)
    assert inside(found, small)
    if n == 1:
        assert found == box
    assert abs(found.left * n - box.left) <= n * 2
    assert abs((found.left + found.width) * n - (box.left + box.width)) <= n * 3
