"""Geometry against a second implementation, on every kind of source: sizes exact, pixels within a mean difference."""

import io

import numpy as np
import pytest
from PIL import Image

from golden import pictures, reference, sources
from golden import reference_geometry as again
from golden.mill import mill
from imagemill.engines.decoded import pyvips

RED = (255, 0, 0, 255)
SOFT = 1.5
"""Levels, mean: two ways to blur, or two interpolators in eight bits."""


@sources.everywhere
@pytest.mark.parametrize(("given", "size"), [({"width": "50p"}, (60, 40)), ({"width": "33.3p", "height": "80p", "fit": "fill"}, (40, 64)),
                                             ({"height": "62.5%25"}, (75, 50))])  # fmt: skip
def test_percent(source, given, size):
    """A share is of the picture's own side, once it is upright; the other side follows."""
    source.check(lambda pixels: again.scaled(pixels, *size), 2.0, **given)


@sources.everywhere
def test_least_sides(source):
    """A minimum wins over the box, proportions held; what sticks out of the box stays, but for cover."""
    source.check(lambda pixels: again.scaled(pixels, 60, 40), 2.0, width=30, height=30, min_height=40)
    source.check(
        lambda pixels: again.at(again.scaled(pixels, 75, 50), 28, 0, 20, 50), 2.0,
        ops="resize:20;min_height=50/crop:20,50",
    )  # fmt: skip
    larger = {"min_width": 150, "min_height": 120, "enlarge": "1"}
    source.check(lambda pixels: again.scaled(pixels, 180, 120), 5.0, **larger)  # another filter enlarges


@sources.everywhere
@pytest.mark.parametrize(("ratio", "place", "x", "y"), [("1:1", {}, 0.5, 0.5), ("16:9", {"gravity": "south"}, 0.5, 1), ("3:2", {}, 0.5, 0.5),
                                                        ("2:3", {"gravity": "east"}, 1, 0.5), ("100:1", {}, 0.5, 0.5)])  # fmt: skip
def test_aspect(source, ratio, place, x, y):
    """The largest box of these proportions, where it is wanted."""
    source.check(lambda pixels: again.aspect(pixels, ratio, x, y), 1.0, aspect=ratio, **place)


@sources.everywhere
def test_border_of_one_colour(source):
    """Pad and extend: the picture where it is wanted, the colour around it."""
    source.check(lambda p: again.laid(p, 170, 100, 40, 5, RED), 1.0, pad="5,10,15,40", fill="f00")
    source.check(lambda p: again.laid(p, 170, 100, 40, 5), 1.0, pad="5,10,15,40")
    source.check(lambda p: again.laid(p, 130, 80, 10, 0, RED), 1.0, extend="130,20", fill="f00", extend_gravity="east")
    source.check(lambda p: again.laid(p, 120, 120, 0, 20, (0, 0, 255, 128)), 1.0, extend="1:1", fill="0000ff80")
    source.check(lambda p: again.laid(p, 160, 80, 20, 0, RED), 1.0, width="160", height="80", fit="contain", fill="f00")


@sources.everywhere
def test_border_of_a_blurred_copy(source):
    """Pad, extend and contain: the picture is sharp where it lies, and blurred around; through what lets through, too."""
    source.check(lambda p: again.on_blur(p, 170, 100, 40, 5), SOFT, pad="5,10,15,40", fill="blur")
    source.check(lambda p: again.on_blur(p, 120, 240, 0, 80), SOFT, extend="1:2", fill="blur")
    source.check(
        lambda p: again.on_blur(again.scaled(p, 60, 40), 60, 60, 0, 10), 2.0,
        width="60", height="60", fit="contain", fill="blur",
    )  # fmt: skip


@sources.everywhere
@pytest.mark.parametrize("degrees", [30, -7.25, 135, 359.99, -200.5])
def test_tilt(source, degrees):
    """Turned by any angle about the middle, on the smallest canvas that holds all of it."""
    source.check(lambda p: again.tilted(p, degrees), SOFT, tilt=degrees)
    source.check(lambda p: again.tilted(p, degrees, RED), SOFT, tilt=degrees, fill="f00")


@pytest.mark.parametrize("after", ["", "/resize:70", "/pad:3", "/blur:1", "/rotate:90"])
def test_tilt_leaves_colours_as_dense_as_they_are(after):
    """The edges of an opaque picture are no darker than it is, and a fill that is half dense keeps its colour."""
    white = pictures.encoded(pictures.Image.new("RGB", (100, 60), "white"), "PNG")
    edges = reference.opened(mill(white, ops=f"tilt:30{after}", format="png").body)
    filled = reference.opened(mill(white, ops=f"tilt:30;fill=00ff0080{after}", format="png").body)

    assert (edges[..., 3] == 0).any()
    assert ((edges[..., 3] > 0) & (edges[..., 3] < 255)).any()
    assert edges[edges[..., 3] >= 64][:, :3].min() >= 250
    assert filled[5, 5] == pytest.approx((0, 255, 0, 128))


@sources.everywhere
@pytest.mark.parametrize(("given", "rgba", "corner"), [({}, None, (0, 0)), ({"trim_corner": "bottom-right"}, None, (-1, -1)),
                                                       ({"trim_color": "00000000"}, (0, 0, 0, 0), (0, 0))])  # fmt: skip
def test_trim_what_is_there(source, given, rgba, corner):
    """Cut to what any frame needs; a picture that is nothing but border is left as it is."""
    box = again.content(source.frames, 40, rgba, corner=corner) or (0, 0, sources.WIDTH, sources.HEIGHT)
    source.check(lambda p: p[box[1] : box[3], box[0] : box[2]], 1.0, trim="40", **given)


@sources.everywhere
def test_trim_undoes_a_border(source):
    """A border that was added is found to the pixel, whatever the source is; trims are done where they stand."""
    source.check(lambda p: p, 1.0, ops="pad:7,9,0,30;fill=0f0/trim:10;trim_color=0f0")
    source.check(
        lambda p: again.laid(p, 130, 90, 5, 5, (0, 0, 255, 255)), 2.0,
        ops="pad:3;fill=0f0/trim:0/pad:12;fill=00f/trim:5/pad:5;fill=00f",
    )  # fmt: skip


def bordered(left, top, right, bottom, colour=(200, 30, 40), ground=(255, 255, 255)):
    pixels = np.full((top + 20 + bottom, left + 30 + right, 3), ground, np.uint8)
    pixels[top : top + 20, left : left + 30] = colour
    return pictures.encoded(pictures.Image.fromarray(pixels), "PNG")


@pytest.mark.parametrize(("equal", "size"), [("", (30, 20)), ("x", (34, 20)), ("y", (30, 27)), ("xy", (34, 27))])
def test_trim_evenly(equal, size):
    """As much from opposite sides, the less of the two."""
    given = {"trim_equal": equal} if equal else {}
    made = mill(bordered(9, 10, 5, 3), trim=10, **given)
    assert (made.width_px, made.height_px) == size


def test_trim_threshold_is_inclusive():
    """A pixel that is just as far away is border; one level further, and it is not."""
    source = bordered(4, 4, 4, 4, colour=(235, 255, 255))
    assert mill(source, trim=20).width_px == 38, "nothing but border"
    assert mill(source, trim=19).width_px == 30


def test_trim_finds_single_pixels():
    """No smoothing: a line of one pixel is part of the picture."""
    pixels = np.full((40, 60, 3), 255, np.uint8)
    pixels[5, 50] = pixels[30, 7] = 0
    made = mill(pictures.encoded(pictures.Image.fromarray(pixels), "PNG"), trim=10)
    assert (made.width_px, made.height_px) == (44, 26)


@pytest.mark.parametrize("format_", ["jpeg", "png", "webp"])
@pytest.mark.parametrize("given", [{"pad": 10}, {"tilt": 20}, {"extend": "200,200"}])
def test_white_where_nothing_can_be_transparent(format_, given):
    """What an operation adds is nothing; and where the format knows no nothing, white."""
    made = mill(pictures.encoded(pictures.corners(), "PNG"), format=format_, **given)
    corner = reference.opened(made.body)[1, 1]
    assert np.allclose(corner, (255, 255, 255, 255), atol=3) if format_ == "jpeg" else corner[3] == 0


def test_background_is_what_is_added():
    """Where no fill is named, the background is around, too; a fill has its own way."""
    source = pictures.encoded(pictures.corners(), "PNG")
    for given in ({"pad": 10}, {"tilt": 20}, {"extend": "200,200"}):
        assert reference.opened(mill(source, background="00f", **given).body)[1, 1] == pytest.approx((0, 0, 255, 255))
        made = mill(source, background="00f", fill="0f0", **given)
        assert reference.opened(made.body)[1, 1] == pytest.approx((0, 255, 0, 255))


@pytest.mark.parametrize("factor", [1.5, 2, 3.7])
def test_enlarging_moves_nothing(factor):
    """Middles of pixels stay where they were: a ramp is the same ramp, not one half a pixel to the right."""
    ramp = np.tile((np.arange(40) * 6).astype(np.uint8), (8, 1))
    made = mill(pictures.encoded(pictures.Image.fromarray(ramp), "PNG"), width=round(40 * factor), enlarge="1")

    found = reference.opened(made.body)[4, :, 0]
    wanted = ((np.arange(len(found)) + 0.5) * 40 / len(found) - 0.5) * 6
    assert np.abs(found - wanted)[8:-8].max() <= 1.0


def test_trim_of_sixteen_bits():
    """The border is found in eight bits, and what is left is written with all that it had."""
    samples = np.full((40, 60, 3), 65_535, np.uint16)
    samples[10:30, 15:50] = np.arange(35, dtype=np.uint16)[None, :, None] * 257 + 77
    made = mill(pictures.png16(samples), trim=5, bits=16, format="png")

    assert (made.width_px, made.height_px) == (35, 20)
    found = pyvips.Image.new_from_buffer(made.body, "").numpy()
    assert np.abs(found.astype(int) - samples[10:30, 15:50]).max() <= 1


def test_a_smart_crop_of_sixteen_bits():
    """What draws the eye is looked for in eight bits, and cut out of all that there is."""
    samples = np.full((60, 200, 3), 30_000, np.uint16)
    samples[10:50, 150:190] = (60_001, 10_002, 9_003)
    made = mill(pictures.png16(samples), crop="60,60", gravity="attention", bits=16, format="png")

    found = pyvips.Image.new_from_buffer(made.body, "").numpy().astype(int)
    assert found.shape == (60, 60, 3)
    assert (np.abs(found - (60_001, 10_002, 9_003)).max(axis=-1) <= 1).sum() == 1600


@pytest.mark.parametrize(
    "given", [{"tilt": "10"}, {"extend": "300,300"}, {"pad": "5"}, {"width": "90", "height": "90", "fit": "contain"}]
)
@pytest.mark.parametrize("fill", ["00f", "0000ff80", None])
@pytest.mark.parametrize("alpha", [False, True])
def test_transparency_comes_where_it_is_needed(given, fill, alpha):
    """What is opaque and stays so is written without: a file of four bands is a third larger."""
    source = pictures.encoded(pictures.disc() if alpha else pictures.corners(), "PNG")
    more = {"fill": fill} if fill else {}

    made = Image.open(io.BytesIO(mill(source, format="png", **given, **more).body))

    assert made.mode == ("RGB" if fill == "00f" and not alpha else "RGBA")
