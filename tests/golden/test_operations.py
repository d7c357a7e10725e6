"""Every operation against a second implementation: sizes exact, pixels within a mean difference."""

import numpy as np
import pytest
from PIL import ImageDraw

from golden import pictures, reference
from golden.mill import mill

CLOSE = 1.0
"""Levels of 255, mean: rounding and two implementations of the same filter."""

FITS = ["inside", "outside", "cover", "contain", "fill"]
BOXES = [(100, 100), (300, 60), (60, 150), (500, 700), (256, 160), (1, 1)]


def check(source, tolerance=CLOSE, pixels=None, **given):
    pixels = reference.opened(source) if pixels is None else pixels
    wanted = reference.expected(pixels, **given)

    made = mill(source, format="png", **given)

    found = reference.opened(made.body)
    assert (made.width_px, made.height_px) == (found.shape[1], found.shape[0])
    assert reference.difference(found, wanted) <= tolerance
    return found


@pytest.mark.parametrize("enlarge", ["0", "1"])
@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("box", BOXES)
def test_fit(fit, box, enlarge):
    """All five fits, larger and smaller than the picture, with and without enlarging."""
    source = pictures.encoded(pictures.gradient(), "PNG")
    check(source, 2.0, width=box[0], height=box[1], fit=fit, enlarge=enlarge)


@pytest.mark.parametrize("given", [{"width": 100}, {"height": 60}, {"width": 999}, {"width": 999, "enlarge": "1"}])
def test_one_side(given):
    """One side alone: the proportions give the other."""
    check(pictures.encoded(pictures.gradient(), "PNG"), **given)


@pytest.mark.parametrize("dpr", ["0.5", "1", "1.5", "2", "4"])
def test_dpr(dpr):
    """A ratio multiplies both sides."""
    check(pictures.encoded(pictures.gradient(), "PNG"), 1.5, width=50, height=31, fit="fill", enlarge="1", dpr=dpr)


@pytest.mark.parametrize("width", [37, 75, 74, 149, 150, 151, 299, 300, 301, 599])
def test_photograph_shrunk_on_load(width):
    """A JPEG decoded at a half, a quarter or an eighth is scaled to the same picture, at sizes around the steps."""
    source = pictures.encoded(pictures.photo(), "JPEG", quality=95, subsampling=0)
    check(source, 2.0, width=width)


@pytest.mark.parametrize("orientation", [1, 2, 3, 4, 6])
@pytest.mark.parametrize("size", [(607, 400), (600, 407), (603, 403), (601, 405)])
@pytest.mark.parametrize("width", [45, 70, 74, 110, 148, 290])
def test_odd_photograph_shrunk_on_load(width, size, orientation):
    """A side that does not divide by the shrink is neither cut nor stretched by more than half a pixel: stripes at the
    right and the bottom edge are where they were."""
    picture = pictures.photo(*size).copy()
    picture.paste((255, 0, 0), (size[0] - 7, 0, *size))
    picture.paste((0, 0, 255), (0, size[1] - 7, *size))
    source = pictures.encoded(picture, "JPEG", quality=95, subsampling=0, exif=pictures.exif(orientation))
    found = check(source, 3.5, reference.upright(source), width=width)

    wanted = reference.expected(reference.upright(source), width=width)
    for edge in (np.s_[:, -1], np.s_[-1], np.s_[:, 0], np.s_[0]):
        assert np.abs(found[edge] - wanted[edge]).mean() < 40


@pytest.mark.parametrize(
    "crop",
    ["0,0,60,40", "60,40,60,40", "30,20,50,50", "119,79,1,1", "100,70,500,500", "60,40", "1,1", "500,500", "119,1"],
)
@pytest.mark.parametrize("place", [{}, {"gravity": "southwest"}, {"focus": "0.75,0.25"}])
def test_crop(crop, place):
    """A box at a point, or placed by gravity or focus; clipped to the picture."""
    if crop.count(",") == 3 and place:
        pytest.skip("a box at a point takes no placing")
    check(pictures.encoded(pictures.corners(), "PNG"), 0.0, crop=crop, **place)


@pytest.mark.parametrize("gravity", list(reference.GRAVITY))
@pytest.mark.parametrize("fit", ["cover", "contain"])
def test_gravity(gravity, fit):
    """Nine places: what cover keeps, where contain lays the picture."""
    check(pictures.encoded(pictures.gradient(), "PNG"), width=90, height=100, fit=fit, gravity=gravity)


@pytest.mark.parametrize("focus", ["0,0", "1,1", "0.5,0.5", "0.3,0.8", "0.123456,0.9"])
def test_focus(focus):
    """The box is centred on the point as far as the edges allow."""
    check(pictures.encoded(pictures.gradient(), "PNG"), width=40, height=100, fit="cover", focus=focus)


@pytest.mark.parametrize("width", [30, 31, 59, 60, 61, 100, 119])
@pytest.mark.parametrize("crop", ["100,50,240,160", "301,201,299,199", "240,160"])
def test_crop_then_shrink(crop, width):
    """A JPEG cut before it is scaled, which is decoded smaller: the same part, the same size."""
    source = pictures.encoded(pictures.photo(), "JPEG", quality=95, subsampling=0)
    check(source, 3.0, crop=crop, width=width)


@pytest.mark.parametrize("flop", ["0", "1"])
@pytest.mark.parametrize("flip", ["0", "1"])
@pytest.mark.parametrize("rotate", ["0", "90", "180", "270"])
def test_turns(rotate, flip, flop):
    """Quarter turns, then top to bottom, then left to right; pixel for pixel."""
    check(pictures.encoded(pictures.corners(), "PNG"), 0.0, rotate=rotate, flip=flip, flop=flop)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation(orientation, kind):
    """All eight EXIF orientations end upright; ``orient=0`` leaves the pixels as they are stored."""
    options = {"exif": pictures.exif(orientation), "quality": 95}
    source = pictures.encoded(pictures.corners(), kind, **options)

    made = mill(source, format="png", width=100)
    unturned = mill(source, format="png", orient="0")

    wanted = reference.expected(reference.upright(source), width=100)
    assert reference.difference(reference.opened(made.body), wanted) < 3
    if kind != "AVIF":  # there, turning is part of decoding (irot, imir)
        assert (unturned.width_px, unturned.height_px) == (120, 80)


def test_turned_jpeg_is_shrunk_and_cut():
    """Orientation, crop, rotation, fit and shrink-on-load together."""
    source = pictures.encoded(pictures.photo(), "JPEG", quality=95, subsampling=0, exif=pictures.exif(6))
    given = {"crop": "20,40,300,500", "rotate": "270", "flop": "1", "width": 100, "height": 50, "fit": "cover"}
    check(source, 3.0, reference.upright(source), **given)


@pytest.mark.parametrize("sigma", ["0.3", "1", "2.5", "8"])
@pytest.mark.parametrize("picture", ["photo", "corners"])
def test_blur(sigma, picture):
    """A Gaussian of this sigma, edges extended."""
    source = pictures.encoded(getattr(pictures, picture)(), "PNG")
    check(source, 1.0, blur=sigma)


def test_blur_of_transparency():
    """Blurring mixes no colour of wholly transparent pixels in."""
    found = check(pictures.encoded(pictures.disc((0, 255, 0)), "PNG"), 1.5, blur="4")
    visible = found[found[..., 3] > 40]
    assert np.abs(visible[:, :3] - [255, 140, 30]).max() < 12


@pytest.mark.parametrize("sigma", ["0.5", "1", "3"])
def test_sharpen(sigma):
    """An unsharp mask on lightness, as libvips documents it."""
    check(pictures.encoded(pictures.photo(), "PNG"), 1.5, sharpen=sigma)


def test_sharpen_leaves_alpha_and_grey_alone():
    """Transparency is not sharpened; grey stays grey."""
    source = pictures.encoded(pictures.disc(), "PNG")
    found = reference.opened(mill(source, sharpen="1").body)
    assert (found[..., 3] == reference.opened(source)[..., 3]).all()
    grey = reference.opened(mill(pictures.encoded(pictures.photo().convert("L"), "PNG"), sharpen="1").body)
    assert np.ptp(grey[..., :3], axis=2).max() == 0


@pytest.mark.parametrize("background", ["fff", "000", "ff8800", "11223380", "ff000001", "00000000", "0f0"])
@pytest.mark.parametrize("fit", [{}, {"width": 100, "height": 60, "fit": "contain"}, {"width": 50}])
@pytest.mark.parametrize("picture", ["disc", "gradient"])
def test_background(background, fit, picture):
    """A colour under transparency and around contain; one that lets through is laid once, not twice."""
    check(pictures.encoded(getattr(pictures, picture)(), "PNG"), 1.2, background=background, **fit)


@pytest.mark.parametrize("hidden", [(0, 0, 0), (255, 255, 255), (0, 255, 0)])
@pytest.mark.parametrize("width", [20, 50, 100, 159])
def test_no_fringe(hidden, width):
    """Scaling never mixes the colour of wholly transparent pixels into an edge."""
    found = check(pictures.encoded(pictures.disc(hidden), "PNG"), width=width)
    visible = found[found[..., 3] > 60]
    assert np.abs(visible[:, :3] - [255, 140, 30]).max() <= 7, "rounding to 8 bits at a quarter of full alpha"
    assert np.abs((visible[:, :3] - [255, 140, 30]).mean(0)).max() < 0.5, "and no leaning to the dark"


@pytest.mark.parametrize("format_", ["png", "webp", "avif", "gif", "jpeg"])
def test_contain_is_transparent_where_it_can_be(format_):
    """Without a colour, contain fills with nothing; JPEG, which knows no nothing, with white."""
    source = pictures.encoded(pictures.gradient(), "PNG")
    found = reference.opened(mill(source, format=format_, width=100, height=100, fit="contain").body)
    corner = found[3, 50]
    assert corner[3] == (255 if format_ == "jpeg" else 0)
    assert format_ != "jpeg" or (corner[:3] >= 250).all()


@pytest.mark.parametrize("background", [None, "f00", "ff000080"])
def test_contain_in_jpeg(background):
    """Transparency, a box and a colour meet on white in a JPEG."""
    source = pictures.encoded(pictures.disc(), "PNG")
    given = {"width": 200, "height": 80, "fit": "contain"} | ({"background": background} if background else {})
    wanted = reference.over(reference.expected(reference.opened(source), **given), [255, 255, 255, 255])
    found = reference.opened(mill(source, format="jpeg", quality="95", **given).body)
    assert reference.difference(found, wanted) < 2


def test_all_at_once():
    """The fixed order: crop, rotate, flip, flop, resize, blur, sharpen, background."""
    given = {
        "crop": "10,20,120,100", "rotate": "90", "flip": "1", "flop": "1", "width": 80, "height": 90, "fit": "contain",
        "gravity": "north", "blur": "1.5", "background": "80ff20",
    }  # fmt: skip
    check(pictures.encoded(pictures.disc(), "PNG"), 1.5, **given)
    check(pictures.encoded(pictures.gradient(), "PNG"), 2.0, **given)


@pytest.mark.parametrize("hidden", [(0, 0, 0), (255, 255, 255), (200, 100, 50)])
@pytest.mark.parametrize(
    "given", [{"sharpen": "2"}, {"unsharp": "2"}, {"blur": "2"}, {"pixelate": "7"}, {"tilt": "20"}]
)
def test_what_cannot_be_seen_shows_nowhere(given, hidden):
    """A disc of one colour stays of that colour up to its edge, whatever lies below its transparent surroundings."""
    alpha = pictures.Image.new("L", (400, 400))
    ImageDraw.Draw(alpha).ellipse((40, 40, 360, 360), fill=255)
    alpha = alpha.resize((100, 100))
    disc = pictures.Image.new("RGB", (100, 100), hidden)
    disc.paste((200, 100, 50), mask=alpha.point(lambda level: 255 if level else 0))
    disc.putalpha(alpha)

    found = reference.opened(mill(pictures.encoded(disc, "PNG"), format="png", **given).body)

    dense = found[found[..., 3] >= 192][:, :3]
    assert abs(dense - (200, 100, 50)).max() <= 12
