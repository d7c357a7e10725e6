"""What pictures look like after an operation, in every kind of file, against a second implementation of each."""

import io

import numpy as np
import pytest
from PIL import Image

from golden import pictures, reference, sources
from golden import reference_look as look
from golden.mill import mill

CLOSE = 1.0
"""Levels of 255, mean."""
RED, CLEAR_RED = "c81e28", "c81e2880"


@sources.everywhere
@pytest.mark.parametrize(
    ("given", "operation"),
    [
        ({"brightness": "20"}, lambda p: look.brightness(p, 20)),
        ({"brightness": "-35"}, lambda p: look.brightness(p, -35)),
        ({"contrast": "40"}, lambda p: look.contrast(p, 40)),
        ({"contrast": "-60"}, lambda p: look.contrast(p, -60)),
        ({"gamma": "2.2"}, lambda p: look.gamma(p, 2.2)),
        ({"gamma": "0.45"}, lambda p: look.gamma(p, 0.45)),
        ({"negate": "1"}, look.negate),
        ({"grayscale": "1"}, look.grayscale),
        ({"saturation": "80"}, lambda p: look.saturation(p, 80)),
        ({"saturation": "-70"}, lambda p: look.saturation(p, -70)),
        ({"hue": "120"}, lambda p: look.hue(p, 120)),
        ({"hue": "-45"}, lambda p: look.hue(p, -45)),
        ({"sepia": "100"}, lambda p: look.sepia(p, 100)),
        ({"sepia": "40"}, lambda p: look.sepia(p, 40)),
        ({"tint": RED}, lambda p: look.tint(p, RED)),
        ({"tint": CLEAR_RED}, lambda p: look.tint(p, CLEAR_RED)),
        ({"duotone": "102030,ffd0a0"}, lambda p: look.duotone(p, "102030", "ffd0a0")),
        ({"colorize": CLEAR_RED}, lambda p: look.colorize(p, CLEAR_RED)),
    ],
)  # fmt: skip
def test_colours(source, given, operation):
    """Each pixel for itself; alpha is as it was."""
    source.check(operation, CLOSE, **given)


@sources.everywhere
@pytest.mark.parametrize(
    ("given", "operation"),
    [
        ("000000ff,ff000000", lambda p: look.gradient(p, "000000ff", "ff000000")),
        ("ff0000d0,0000ffa0,90", lambda p: look.gradient(p, "ff0000d0", "0000ffa0", 90)),
        ("00ff0080,0000ff20,30,0.2,0.7", lambda p: look.gradient(p, "00ff0080", "0000ff20", 30, 0.2, 0.7)),
        ("fff,00000040,237,0,0.5", lambda p: look.gradient(p, "fff", "00000040", 237, 0, 0.5)),
    ],
)
def test_gradient(source, given, operation):
    """Along its line, as dense as it is, and nowhere where nothing is."""
    source.check(operation, CLOSE, gradient=given)


@sources.everywhere
@pytest.mark.parametrize("given", ["1", "2.5,150", "1.2,80,6", "6,300,20"])
def test_unsharp(source, given):
    """What a blur takes away is added, each colour for itself."""
    sigma, *more = (float(n) for n in given.split(","))
    tolerance = 1 + (more[0] if more else 100) / 200  # a blur is rounded to whole levels before it is multiplied
    source.check(lambda p: look.unsharp(p, sigma, *more), tolerance, unsharp=given)


@pytest.mark.parametrize("asked", [{"unsharp": "0.5,500"}, {"unsharp": "1,300"}, {"unsharp": "3,500"}, {"blur": "3"}])
def test_one_colour_stays(asked):
    """What is blurred of one colour is that colour, to the level: nothing is left that could be added five times."""
    source = pictures.encoded(Image.new("RGB", (20, 15), (250, 220, 35)), "PNG")

    found = reference.opened(mill(source, **asked).body)

    assert (found[..., :3] == [250, 220, 35]).all()


@pytest.mark.parametrize("threshold", [1, 2, 7])
def test_unsharp_threshold(threshold):
    """The smallest difference that is added is the threshold itself."""
    source = pictures.encoded(pictures.photo(120, 80), "PNG")
    before = reference.opened(source)
    added = np.abs(reference.opened(mill(source, unsharp=f"2,100,{threshold}").body) - before)
    inside = (before > 20) & (before < 235) & (added > 0)  # elsewhere, less may be left of it
    assert added[inside].min() == threshold


@sources.everywhere
@pytest.mark.parametrize("size", [2, 7, 40, 80, 500])
def test_pixelate(source, size):
    """Squares of one colour, at the far edges as well, in pictures that are smaller than one as well."""
    source.check(lambda p: look.pixelate(p, size), CLOSE, pixelate=str(size))


@sources.everywhere
@pytest.mark.parametrize("radii", ["12", "max", "5,0,40,17", "0,0,0,1", "8192,3,3,3"])
def test_radius(source, radii):
    """Corners are gone, and nothing else."""
    each = [int(n) for n in radii.replace("max", "8192").split(",")]
    source.check(lambda p: look.rounded(p, *(each * 4 if len(each) == 1 else each)), 0.6, radius=radii)


@sources.everywhere
@pytest.mark.parametrize(
    "mask",
    ["circle", "ellipse", "triangle", "pentagon", "hexagon", "square", "star", "heart", "triangle-180", "pentagon-180", "star-180",
     "heart-180"],
)  # fmt: skip
def test_mask(source, mask):
    """A shape is left."""
    name, turned, _ = mask.partition("-180")
    source.check(lambda p: look.masked(p, name, bool(turned)), 0.6, mask=mask)


@pytest.mark.parametrize("size", [(1, 1), (2, 90), (300, 7), (64, 64), (33, 120)])
@pytest.mark.parametrize("given", [{"mask": m} for m in look.MASKS] + [{"radius": "20"}, {"radius": "max"}])
def test_edges_at_every_size(size, given):
    """Pixel by pixel: no edge is off by more than an eighth of one."""
    source = pictures.encoded(Image.new("RGB", size, "white"), "PNG")

    found = reference.opened(mill(source, format="png", **given).body)

    white = np.full((size[1], size[0], 4), 255.0)
    radius = 20 if given.get("radius") == "20" else 8192
    wanted = look.masked(white, given["mask"]) if "mask" in given else look.rounded(white, *[radius] * 4)
    assert np.abs(found[..., 3] - wanted[..., 3]).max() <= 32


class TestMatrices:
    def test_neighbours_lose_nothing_between_them(self):
        """Saturated beyond what a level can say, and grey again: the same as grey at once, and not clipped on the way."""
        source = pictures.encoded(pictures.corners(), "PNG")
        twice = reference.opened(mill(source, ops="saturation:100/grayscale").body)
        once = reference.opened(mill(source, grayscale="1").body)
        assert np.abs(twice - once).max() <= 1

    def test_others_are_clipped(self):
        """A curve in between is one of whole levels."""
        source = pictures.encoded(pictures.gradient(), "PNG")
        pixels = reference.opened(source)
        for ops, wanted in (
            ("saturation:100/brightness:10/hue:90", look.hue(look.brightness(look.saturation(pixels, 100), 10), 90)),
            ("brightness:60/brightness:-60", look.brightness(look.brightness(pixels, 60), -60)),
            (
                "brightness:30/contrast:50/gamma:2/negate",
                look.negate(look.gamma(look.contrast(look.brightness(pixels, 30), 50), 2)),
            ),
        ):
            assert reference.difference(reference.opened(mill(source, ops=ops).body), wanted) < 1, ops


def test_all_in_the_fixed_order():
    """Whatever the order in the URL: the one that is documented."""
    given = {
        "mask": "circle", "radius": "9", "gradient": "000,fff", "colorize": "00ff0040", "duotone": "012,fed", "negate": "1",
        "sepia": "60", "grayscale": "0", "tint": "ff800080", "gamma": "1.4", "hue": "33", "saturation": "25", "contrast": "15",
        "brightness": "5", "pixelate": "3", "unsharp": "1.5",
    }  # fmt: skip
    source = pictures.encoded(pictures.photo(120, 80), "PNG")
    p = look.pixelate(look.unsharp(reference.opened(source), 1.5), 3)
    p = look.saturation(look.contrast(look.brightness(p, 5), 15), 25)
    p = look.tint(look.negate(look.sepia(look.gamma(look.hue(p, 33), 1.4), 60)), "ff800080")
    p = look.gradient(look.colorize(look.duotone(p, "012", "fed"), "00ff0040"), "000", "fff")
    wanted = look.masked(look.rounded(p, 9, 9, 9, 9), "circle")

    found = reference.opened(mill(source, orient="0", **given).body)

    assert reference.difference(found, wanted) < 2.5


class TestTransparency:
    def test_one_colour_stays_one(self):
        """Neither what lies hidden nor an edge of alpha makes another colour of it."""
        source = pictures.encoded(pictures.disc((0, 255, 0)), "PNG")
        for given in ({"unsharp": "4"}, {"pixelate": "9"}):
            found = reference.opened(mill(source, **given).body)
            assert np.abs(found[found[..., 3] > 40][:, :3] - [255, 140, 30]).max() <= 6, given

    @pytest.mark.parametrize("given", [{"brightness": "40"}, {"colorize": "f00"}, {"gradient": "f00,0f0"}, {"duotone": "000,0ff"},
                                       {"hue": "90"}, {"grayscale": "1"}, {"unsharp": "2"}])  # fmt: skip
    def test_alpha_is_kept_to_the_level(self, given):
        """What nothing is in stays nothing, and half stays half."""
        source = sources.source("alpha")
        (found,) = sources.frames_of(source.rendered(**given).body)
        assert (found[..., 3] == source.pixels[..., 3]).all()

    @pytest.mark.parametrize("given", [{"mask": "circle"}, {"radius": "30"}])
    @pytest.mark.parametrize(("background", "corner"), [(None, (255, 255, 255)), ("0000ff", (0, 0, 255))])
    def test_formats_without_it(self, given, background, corner):
        """The background is seen outside of a mask, or white."""
        source = pictures.encoded(pictures.photo(120, 80), "JPEG")
        given = given | ({"background": background} if background else {})
        made = Image.open(io.BytesIO(mill(source, quality="95", **given).body))
        assert made.format == "JPEG"
        assert np.abs(np.array(made.getpixel((0, 0)), int) - corner).max() < 12

    @pytest.mark.parametrize("background", ["", "fff"])
    def test_auto_format(self, background):
        """A mask without a background is answered in a format that can hold it."""
        source = pictures.encoded(pictures.photo(120, 80), "JPEG")
        given = {"background": background} if background else {}
        assert mill(source, format="auto", mask="star", **given).format == ("jpeg" if background else "png")


class TestGrey:
    @pytest.mark.parametrize(
        ("given", "mode"),
        [
            ({"grayscale": "1"}, "L"),
            ({"brightness": "9"}, "RGB"),
            ({"saturation": "-100"}, "L"),
            ({"saturation": "-99"}, "RGB"),
        ],
    )
    def test_grey_is_written_as_grey(self, given, mode):
        """One sample a pixel, where nothing but greys is left."""
        source = pictures.encoded(pictures.photo(120, 80), "PNG")
        assert Image.open(io.BytesIO(mill(source, **given).body)).mode == mode

    @pytest.mark.parametrize(
        "given", [{"gamma": "2"}, {"negate": "1"}, {"hue": "90"}, {"unsharp": "1"}, {"pixelate": "5"}, {"mask": "star"}]
    )
    def test_grey_stays_grey(self, given):
        """What makes no colour of a grey keeps it one sample a pixel."""
        assert Image.open(io.BytesIO(sources.source("grey").rendered(**given).body)).mode in {"L", "LA"}


def test_same_bytes_every_time():
    """Determined to the byte, over runs and whatever was made before."""
    source = pictures.encoded(pictures.photo(), "JPEG")
    given = {
        "unsharp": "2",
        "pixelate": "3",
        "hue": "20",
        "gamma": "1.2",
        "gradient": "000,ffffff00,33",
        "radius": "40",
        "mask": "heart",
    }
    assert len({mill(source, width=300, format="webp", **given).etag for _ in range(4)}) == 1
