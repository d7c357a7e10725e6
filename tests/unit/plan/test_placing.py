"""Where a box that is laid on a picture comes to lie, and how large it is turned."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagemill.model.operations.layers import Place
from imagemill.model.operations.values import Gravity, Position
from imagemill.plan.geometry import Size
from imagemill.plan.placing import spot, turned_size

PICTURE = Size(100, 60)


@pytest.mark.parametrize(
    ("box", "x", "y", "at"),
    [
        (Size(20, 10), 500_000, 500_000, (40, 25)), (Size(21, 11), 500_000, 500_000, (40, 25)), (Size(20, 10), 250_000, 750_000, (15, 40)),
        (Size(20, 10), 0, 0, (0, 0)), (Size(20, 10), 1_000_000, 1_000_000, (80, 50)), (Size(20, 10), 50_000, 950_000, (0, 50)),
        (Size(120, 80), 500_000, 500_000, (-10, -10)), (Size(120, 80), 0, 1_000_000, (-20, 0)), (Size(120, 80), 1_000_000, 0, (0, -20)),
    ],
)  # fmt: skip
def test_on_a_point(box, x, y, at):
    """Its middle on the point, as far as the edges allow: a smaller one lies in the picture, a larger one covers it."""
    assert spot(PICTURE, box, Place(Position(x, y, focal=True))) == at
    moved = spot(PICTURE, box, Place(Position(x, y, focal=True), 3, -7))
    assert moved == (at[0] + 3, at[1] - 7), "beyond the edges, if so asked"


@given(st.sampled_from(Gravity), st.integers(1, 200), st.integers(1, 200), st.integers(-50, 50), st.integers(-50, 50))
def test_offsets_lead_inward(gravity, width, height, x, y):
    """From the edge that is touched, each axis by itself."""
    left, top = spot(PICTURE, Size(width, height), Place(Position.of(gravity)))
    right, bottom = "east" in gravity, "south" in gravity
    assert left + width == 100 if right else left == 0 if "west" in gravity else abs(2 * left + width - 100) <= 1
    assert top + height == 60 if bottom else top == 0 if "north" in gravity else abs(2 * top + height - 60) <= 1

    moved = spot(PICTURE, Size(width, height), Place(Position.of(gravity), x, y))

    assert moved == (left + (-x if right else x), top + (-y if bottom else y))


@pytest.mark.parametrize(
    ("centidegrees", "wanted"),
    [
        (0, (30, 10)), (9_000, (10, 30)), (-9_000, (10, 30)), (18_000, (30, 10)), (27_000, (10, 30)), (36_000, (30, 10)), (3_000, (31, 24)),
        (-3_000, (31, 24)), (15_000, (31, 24)), (6_000, (24, 31)), (4_500, (29, 29)), (1, (31, 11)), (35_999, (31, 11)),
    ],
)  # fmt: skip
def test_turned(centidegrees, wanted):
    """The least box that holds it, whatever way it is turned."""
    assert turned_size(Size(30, 10), centidegrees) == Size(*wanted)
