"""Where pixels go: for any picture and any box."""

import cmath
import math
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec.structs import replace

from imagemill.model.errors import BadOption
from imagemill.model.recipe import AspectCrop, Crop, Extend, Fit, Gravity, Position, Resize, Tilt, Trim
from imagemill.plan.geometry import (
    Box,
    Size,
    crop_box,
    crop_size,
    evened,
    extended,
    joined,
    place,
    shrunk,
    tilted,
    within,
)

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


@pytest.mark.parametrize("n", [2, 4, 8])
def test_last_pixels_are_kept(n):
    """What lies at the right and at the bottom is the last pixel of the smaller picture, and not the one behind it."""
    size, small = Size(16 * n, 8 * n), Size(16, 8)
    assert shrunk(Box(size.width - 1, 0, 1, 1), size, small) == Box(15, 0, 1, 1)
    assert shrunk(Box(0, size.height - 1, 1, 1), size, small) == Box(0, 7, 1, 1)


percents = st.integers(1, 5_000_000)
least = st.integers(0, 9000)


@given(sizes, percents, st.booleans())
def test_a_share_of_a_side(size, share, enlarge):
    """One side's share is the nearest pixel to it, never none, and never more than is allowed."""
    found = place(size, Resize(width_ppm=share, enlarge=enlarge)).size.width
    wanted = max(1, (2 * size.width * share + 1_000_000) // 2_000_000)
    assert found == (wanted if enlarge else min(wanted, size.width))


@given(sizes, resizes, least, least)
def test_least_sides(size, op, width, height):
    """Each minimum is reached where enlarging allows; nothing is larger than the picture where it does not."""
    op = replace(op, min_width_px=width, min_height_px=height)
    scaled = place(size, op).scaled
    if op.enlarge:
        assert scaled.width >= width
        assert scaled.height >= height
    else:
        assert scaled.width <= size.width
        assert scaled.height <= size.height
        assert op.fit is Fit.FILL or scaled == size or (scaled.width >= width and scaled.height >= height)
        assert scaled.width >= min(width, place(size, replace(op, min_width_px=0, min_height_px=0)).scaled.width)


@given(sizes, least, least)
def test_least_sides_hold_proportions(size, width, height):
    """Both sides grow alike, but for the rounding of one of them."""
    assume(width or height)
    scaled = place(size, Resize(min_width_px=width, min_height_px=height, enlarge=True)).scaled
    factors = sorted([Fraction(scaled.width, size.width), Fraction(scaled.height, size.height)])
    assert factors[1] - factors[0] <= Fraction(1, min(size.width, size.height))


@given(sizes, st.integers(1, 10_000), st.integers(1, 10_000), positions)
def test_proportions(size, width, height, position):
    """A crop to proportions touches two sides, and its other side is the nearest there is; so is a canvas of them."""
    cut = crop_size(size, AspectCrop(width, height, position))
    assert inside(within(size, cut, position), size)
    assert cut.width == size.width or cut.height == size.height
    assert abs(cut.width * height - cut.height * width) <= max(width, height) or 1 in {cut.width, cut.height}

    box = extended(size, Extend(width, height, is_ratio=True))
    assert box.width == size.width or box.height == size.height
    assert abs(box.width * height - box.height * width) <= max(width, height) or size == Size(box.width, box.height)
    assert inside(Box(box.left, box.top, size.width, size.height), Size(box.width, box.height))


@given(sizes, side, side)
def test_a_canvas_holds_the_picture(size, width, height):
    """A side that is larger already stays as it is."""
    box = extended(size, Extend(width, height))
    assert (box.width, box.height) == (max(size.width, width), max(size.height, height))
    assert inside(Box(box.left, box.top, size.width, size.height), Size(box.width, box.height))


@pytest.mark.parametrize(
    ("size", "degrees", "wanted"),
    [
        ((100, 50), 30, (112, 94)), ((100, 100), 45, (142, 142)), ((100, 100), -45, (142, 142)), ((3, 4), 60, (5, 5)),
        ((200, 1), 60, (101, 174)), ((1, 1), 45, (2, 2)), ((100, 50), 0.01, (101, 51)), ((100, 50), 210, (112, 94)),
    ],
)  # fmt: skip
def test_tilted_sizes(size, degrees, wanted):
    """Rounded up, and a cosine's last digit is no pixel: 200 x 1 by 60 degrees is 100.87 wide; 2 x 0 would be 1."""
    assert tilted(Size(*size), Tilt(round(degrees * 100))) == Size(*wanted)


def test_a_half_is_a_half():
    """A side that comes out whole is not rounded up because its cosine is not exact."""
    assert tilted(Size(100, 0), Tilt(6000)).width == 50
    assert tilted(Size(0, 100), Tilt(3000)).width == 50


@given(sizes, st.integers(-35_999, 35_999).filter(lambda angle: angle % 9000))
def test_tilted_holds_all_corners(size, angle):
    """No corner sticks out by more than a rounding error, and no whole row or column is to spare."""
    found = tilted(size, Tilt(angle))
    turn = cmath.exp(1j * math.radians(angle / 100))
    corners = [
        turn * complex(x, y) for x in (-size.width / 2, size.width / 2) for y in (-size.height / 2, size.height / 2)
    ]
    width, height = 2 * max(c.real for c in corners), 2 * max(c.imag for c in corners)
    assert width - 1e-5 <= found.width < width + 1
    assert height - 1e-5 <= found.height < height + 1


boxes = st.builds(Box, st.integers(0, 50), st.integers(0, 50), st.integers(1, 50), st.integers(1, 50))


@given(boxes, boxes)
def test_joined(one, other):
    """Both lie in it, and nothing smaller holds both."""
    found = joined(one, other)
    for box in (one, other):
        assert inside(
            Box(box.left - found.left, box.top - found.top, box.width, box.height), Size(found.width, found.height)
        )
    assert found.left in {one.left, other.left}
    assert found.left + found.width in {one.left + one.width, other.left + other.width}


@given(boxes, st.booleans(), st.booleans())
def test_evened(box, x, y):
    """What has to stay stays; opposite sides lose as much, the less of the two, where that is asked."""
    size = Size(100, 100)
    found = evened(box, size, Trim(equal_x=x, equal_y=y))
    assert joined(found, box) == found
    right, bottom = 100 - found.left - found.width, 100 - found.top - found.height
    assert (found.left == right == min(box.left, 100 - box.left - box.width)) if x else found.width == box.width
    assert (found.top == bottom == min(box.top, 100 - box.top - box.height)) if y else found.height == box.height
