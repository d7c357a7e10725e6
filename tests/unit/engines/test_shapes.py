"""Coverage of pixels by shapes: exact where it can be said, and whole over strips (pixels: tests/golden/test_look.py)."""

import numpy as np
import pytest

from imagemill.engines.operations import shapes
from imagemill.model.recipe import Mask, Round, Shape

TURNABLE = (Shape.TRIANGLE, Shape.PENTAGON, Shape.STAR, Shape.HEART)


def covered(mask, width, height):
    edges = shapes.rounded if isinstance(mask, Round) else shapes.shaped
    return shapes.coverage(edges(mask, width, height), width, height)


@pytest.mark.parametrize(
    ("shape", "share"),
    [
        (Shape.CIRCLE, np.pi / 4), (Shape.ELLIPSE, np.pi / 4 * 1.5), (Shape.SQUARE, 1), (Shape.TRIANGLE, np.sqrt(3) / 3),
        (Shape.PENTAGON, 5 / 8 * np.sqrt(10 + 2 * np.sqrt(5)) / (1 + np.cos(np.pi / 5)) ** 2), (Shape.HEXAGON, 3 * np.sqrt(3) / 8),
        (Shape.STAR, 10 / 2 * np.sin(np.pi / 5) * (3 - np.sqrt(5)) / 2 / (1 + np.cos(np.pi / 5)) ** 2),
        (Shape.HEART, (2 + np.pi / 2) / (1.5 + np.sqrt(0.5)) ** 2),
    ],
)  # fmt: skip
def test_area(shape, share):
    """As geometry has it, in squares of the picture's height; the picture is half as wide again as it is high."""
    found = covered(Mask(shape), 300, 200)
    assert found.sum() / 255 == pytest.approx(share * 200 * 200, rel=0.002)


@pytest.mark.parametrize("shape", [s for s in Shape if s not in TURNABLE])
@pytest.mark.parametrize("size", [(40, 30), (31, 57), (3, 3), (1, 1)])
def test_symmetry(shape, size):
    """The same from either side, and upside down: so there is no upside down of them."""
    found = covered(Mask(shape), *size).astype(int)
    assert np.abs(found - found[:, ::-1]).max() <= 1
    assert np.abs(found - found[::-1]).max() <= 1


@pytest.mark.parametrize("shape", TURNABLE)
@pytest.mark.parametrize("size", [(40, 30), (31, 57), (9, 9)])
def test_upside_down(shape, size):
    """The mirror image, which is another one."""
    found, turned = (covered(Mask(shape, upside_down), *size).astype(int) for upside_down in (False, True))
    assert np.abs(found - turned[::-1]).max() <= 1
    assert np.abs(found - found[:, ::-1]).max() <= 1
    assert np.abs(found - turned).max() > 20


@pytest.mark.parametrize("mask", [Mask(Shape.STAR), Mask(Shape.HEART), Round(9, 0, 30, 4)])
def test_strips_make_a_whole(mask, monkeypatch):
    """However many rows are made at once."""
    whole = covered(mask, 50, 40)
    for pixels in (1, 50, 333):
        monkeypatch.setattr(shapes, "_PIXELS_AT_ONCE", pixels)
        assert (covered(mask, 50, 40) == whole).all()


def test_corners():
    """Each radius at its own corner, clockwise from the top left; all else is whole."""
    found = covered(Round(20, 0, 10, 0), 60, 50)
    assert [found[0, 0], found[0, -1], found[-1, -1], found[-1, 0]] == [0, 255, 0, 255]
    assert (found[20:40] == 255).all()
    assert (found[:20, 20:] == 255).all()
    lost = (20 * 20 + 10 * 10) * (1 - np.pi / 4)
    assert 60 * 50 - found.sum() / 255 == pytest.approx(lost, rel=0.01)


def test_radius_ends_at_half_the_shorter_side():
    """The roundest there is: a circle, of a square."""
    assert (covered(Round(*[8192] * 4), 64, 64) == covered(Mask(Shape.CIRCLE), 64, 64)).all()
    assert (covered(Round(*[8192] * 4), 90, 40) == covered(Round(*[20] * 4), 90, 40)).all()
