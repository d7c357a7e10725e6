"""One picture on another: to the rounding what the W3C's recommendation says, placed to the pixel."""

import numpy as np
import pytest

from golden import reference_placing as reference
from imagemill.engines.decoded import pyvips
from imagemill.engines.operations.placing import put, ready, turned
from imagemill.model.errors import BadOption
from imagemill.model.operations.layers import Blend, Place
from imagemill.model.operations.values import Gravity, Position, Shadow
from imagemill.plan.geometry import Size


def noise(width, height, seed, bands=4):
    """Every combination of dense and faint, and whole rows and columns of nothing and all."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, bands))
    if bands == 4:
        pixels[: height // 8, :, 3] = 0
        pixels[height // 8 : height // 4, :, 3] = 255
        pixels[:, : width // 8, 3] = 255
        pixels[:, width // 8 : width // 4, 3] = 0
    return pixels.astype(float)


def image(pixels):
    return pyvips.Image.new_from_array(pixels.astype(np.uint8)).copy(interpretation="srgb")


def rgba(made):
    pixels = made.numpy().astype(float)
    return pixels if pixels.shape[2] == 4 else np.dstack([pixels, np.full(pixels.shape[:2], 255.0)])


def laid(below, overlay, place, *, blend=Blend.NORMAL, **how):
    """As a step does it: made ready once, then put on each frame."""
    return put(below, ready(Size(below.width, below.height), overlay, place, **how), blend)


def off(made, wanted):
    return np.abs(reference.dense(rgba(made)) - reference.dense(wanted)).max()


@pytest.mark.parametrize("bands", [3, 4])
@pytest.mark.parametrize("blend", list(Blend))
def test_blend(blend, bands):
    """All twelve modes, below opaque and below transparency: each sample to its rounding."""
    below, above = noise(40, 32, 1, bands), noise(40, 32, 2)

    made = laid(image(below), image(above), Place(), blend=blend)

    assert (made.width, made.height, made.bands, made.format) == (40, 32, bands, "uchar")
    assert off(made, reference.over(rgba(image(below)), above, blend.value)) <= 1.01


@pytest.mark.parametrize("gravity", list(Gravity))
@pytest.mark.parametrize(("x", "y"), [(0, 0), (3, 5), (-4, -2)])
@pytest.mark.parametrize("size", [(10, 7), (70, 50)])
def test_place(gravity, x, y, size):
    """Offsets lead inward from the edges touched; what is beyond the edges is cut; the rest does not change."""
    below, above = noise(48, 30, 1, 3), noise(*size, 2)
    across = {"west": 0, "east": 48 - size[0]}
    down = {"north": 0, "south": 30 - size[1]}
    left = next((v + (-x if k == "east" else x) for k, v in across.items() if k in gravity), (49 - size[0]) // 2 + x)
    top = next((v + (-y if k == "south" else y) for k, v in down.items() if k in gravity), (31 - size[1]) // 2 + y)

    made = laid(image(below), image(above), Place(Position.of(gravity), x, y))

    assert off(made, reference.placed(rgba(image(below)), above, left, top)) <= 1.01


@pytest.mark.parametrize(("x", "y"), [(48, 0), (-10, 0), (0, 30), (0, -7)])
def test_outside(x, y):
    """What would not be seen at all is refused, by the numbers."""
    with pytest.raises(BadOption, match=r"10 × 7 px at .* outside a picture of 48 × 30"):
        laid(image(noise(48, 30, 1, 3)), image(noise(10, 7, 2)), Place(Position.of(Gravity.NORTHWEST), x, y))


@pytest.mark.parametrize("degrees", [90, 180, 270, -90, 33.5, -33.5, 123.25])
def test_turned(degrees):
    """Clockwise, in the least box that holds it: to the pixel by quarters, else by bilinear mixing."""
    y, x = np.mgrid[0:60, 0:90]
    pixels = np.dstack([x * 2, y * 4, 255 - x, np.full(x.shape, 255)]).astype(float)

    made = turned(image(pixels), round(degrees * 100))

    if degrees % 90 == 0:
        assert (made.numpy() == np.rot90(pixels, round(-degrees / 90))).all()
        return
    cos, sin = abs(np.cos(np.radians(degrees))), abs(np.sin(np.radians(degrees)))
    assert (made.width, made.height) == (np.ceil(90 * cos + 60 * sin), np.ceil(90 * sin + 60 * cos))
    wanted = reference.turned(pixels, degrees, made.width, made.height)
    assert np.abs(reference.dense(rgba(made)) - wanted).max() <= 3.0


def test_opacity():
    """Alpha is multiplied, once."""
    below, above = noise(40, 32, 1, 3), noise(40, 32, 2)
    faint = above * [1, 1, 1, 0.3]

    made = laid(image(below), image(above), Place(opacity_percent=30))

    assert off(made, reference.over(rgba(image(below)), faint)) <= 1.3


def test_tile():
    """The picture is full of it, and one of them lies where it is placed."""
    below, above = noise(50, 40, 1, 3), noise(13, 9, 2)
    y, x = np.mgrid[0:40, 0:50]
    wanted = reference.over(rgba(image(below)), above[(y - 4) % 9, (x - 6) % 13])

    made = laid(image(below), image(above), Place(Position.of(Gravity.NORTHWEST), 6, 4), tile=True)

    assert off(made, wanted) <= 1.01


def test_sharp_shadow():
    """The overlay's shape in one colour, moved, below it; both fade together."""
    below = noise(50, 40, 1, 3)
    above = np.zeros((8, 8, 4))
    above[2:6, 2:6] = (250, 30, 20, 255)
    shape = above[..., 3:] / 255 * [0, 0, 255, 128]
    dark = reference.placed(np.zeros((40, 50, 4)), shape, 10 + 3, 12 - 2)
    wanted = reference.placed(dark, above, 10, 12) * [1, 1, 1, 0.5]

    place = Place(Position.of(Gravity.NORTHWEST), 10, 12, opacity_percent=50)
    made = laid(image(below), image(above), place, shadow=Shadow(3, -2, 0, 0x0000FF80))

    assert off(made, reference.over(rgba(image(below)), wanted)) <= 1.6


def test_soft_shadow():
    """A blurred shadow is as heavy as its shape, centred where it was moved, and does not move the overlay."""
    white = np.full((120, 120, 3), 255.0)
    above = np.zeros((20, 20, 4))
    above[:, :, 3] = 255

    place = Place(Position.of(Gravity.NORTHWEST), 40, 30)
    hard = laid(image(white), image(above), place).numpy().astype(float)
    made = laid(image(white), image(above), place, shadow=Shadow(20, 30, 400, 0x000000FF)).numpy().astype(float)

    assert (made[30:50, 40:60] == 0).all()
    dark = (hard - made)[..., 0] / 255
    y, x = np.mgrid[0:120, 0:120]
    full = dark.sum()
    assert full == pytest.approx(20 * 20, rel=0.02)
    assert (y * dark).sum() / full == pytest.approx(30 + 30 + 9.5, abs=0.3)
    assert (x * dark).sum() / full == pytest.approx(40 + 20 + 9.5, abs=0.3)
    assert np.sqrt(((x - 69.5) ** 2 * dark).sum() / full) == pytest.approx(np.hypot(20 / np.sqrt(12), 4), rel=0.05)


@pytest.mark.parametrize("gravity", list(Gravity))
@pytest.mark.parametrize("quarters", [0, 1, 2])
def test_margin(gravity, quarters):
    """What hangs over the box is seen and does not count: the box lies where it would without."""
    below, above = noise(60, 60, 1, 3), noise(16, 11, 2)
    wide = np.zeros((11 + 8, 16 + 8, 4))
    wide[4:-4, 4:-4] = above
    place = Place(Position.of(gravity), 5, 6, quarters * 9_000)

    bare, made = laid(image(below), image(above), place), laid(image(below), image(wide), place, margin_px=4)

    assert (bare.numpy() == made.numpy()).all()


def test_shadow_of_what_is_outside():
    """What is beyond the edges throws its shadow into the picture, cut or not; and what is far beyond costs nothing."""
    white, above = np.full((60, 60, 3), 255.0), np.full((20, 4000, 4), 255.0)
    shadow = Shadow(15, 12, 300, 0x000000FF)
    place = Place(Position.of(Gravity.NORTHWEST), -10, -8, 0)

    made = laid(image(white), image(above), place, shadow=shadow).numpy().astype(float)
    near = laid(image(white), image(above[:, :120]), place, shadow=shadow).numpy().astype(float)

    assert (made == near).all()
    assert made[15, 30, 0] < 10
    thin = Place(Position.of(Gravity.CENTER), 0, 0, 4_500)
    laid(
        image(white),
        pyvips.Image.black(30_000, 2, bands=4).cast("uchar").copy(interpretation="srgb"),
        thin,
        shadow=shadow,
    )


@pytest.mark.parametrize(("x", "y"), [(1, 0), (-1, 0), (0, 1), (0, -1)])
def test_shadow_from_beyond_each_edge(x, y):
    """What lies beyond an edge, and shows nothing itself, throws its shadow back over it."""
    white, above = np.full((50, 50, 3), 255.0), np.zeros((120, 120, 4))
    left, top = 60 + 45 * x, 60 + 45 * y  # of the overlay, whose middle is the picture's
    above[top - 10 : top + 10, left - 10 : left + 10] = 255

    made = laid(image(white), image(above), Place(), shadow=Shadow(-35 * x, -35 * y, 0, 0x000000FF)).numpy()

    wanted = np.full((50, 50), 255)
    wanted[25 + 10 * y - 10 : 25 + 10 * y + 10, 25 + 10 * x - 10 : 25 + 10 * x + 10] = 0
    assert (made[..., 0] == wanted).all()
