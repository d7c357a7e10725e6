"""Watermarks and layers: any picture on any other, on every frame, as the documentation says to the pixel."""

import base64
import re

import numpy as np
import pytest
from PIL import Image

from golden import inputs, pictures, reference, reference_layers, sources
from golden.mill import mill
from imagemill.model.errors import BadOption, ImageCorrupt, LimitExceeded, UnsupportedSourceType
from imagemill.model.operations.layers import Blend
from imagemill.settings import Limits

LOGO = "local:logos/a.png"


def logo():
    """Every density, dark and light, with a loud colour where it is wholly transparent."""
    y, x = np.mgrid[0:22, 0:34]
    alpha = np.clip((x - 5) * 14, 0, 255)
    colour = np.where(alpha[..., None] > 0, np.dstack([x * 7, y * 11, 255 - x * 7]), [255, 0, 255])
    return np.dstack([colour, alpha]).astype(np.uint8)


MARK = logo().astype(float)
FILES = {LOGO: pictures.encoded(Image.fromarray(logo(), "RGBA"), "PNG")}


def wm(**given):
    """Parameters of a watermark, without their prefix."""
    return {"watermark": LOGO, "layers": FILES} | {f"wm_{name}": value for name, value in given.items()}


def on(source, tolerance=1.0, **given):
    """Hold the watermark on *source*, on each frame of it, to the reference."""
    return source.check(lambda pixels: reference_layers.marked(pixels, MARK, **given), tolerance, **wm(**given))


@sources.everywhere
def test_on_any_picture(source):
    """Opaque, transparent, CMYK, deep, turned by EXIF, animated: the picture keeps its size and its own transparency."""
    on(source, gravity="southeast", x="3", y="5")


@sources.everywhere
def test_blended_with_any_picture(source):
    """Colours meet in sRGB, whatever the picture came in."""
    on(source, 1.5, scale="0.5", blend="multiply", opacity="80")


def test_an_icon_as_a_layer():
    """Its largest picture, wherever that stands in the file."""
    small, large = (np.asarray(pictures.disc(size=side)) for side in (16, 32))
    body = inputs.icon(small, large)
    ground = pictures.encoded(pictures.photo(120, 80), "PNG")

    made = mill(ground, watermark=LOGO, wm_x="20", layers={LOGO: body}, format="png")

    wanted = reference_layers.marked(sources.frames_of(ground)[0], large.astype(float), x="20")
    assert reference.difference(sources.frames_of(made.body)[0], wanted) <= 1


@sources.everywhere
def test_any_picture_as_a_layer(source):
    """What a picture may be, a layer may be: upright, in sRGB; of an animation the first frame, on every frame."""
    ground = pictures.photo(200, 150)

    made = mill(
        pictures.encoded(ground, "PNG"), watermark=LOGO, wm_x="-20", wm_y="11", layers={LOGO: source.body}, format="png"
    )

    pixels = np.asarray(ground.convert("RGBA"), float)
    wanted = reference_layers.marked(pixels, source.pixels, x="-20", y="11")
    found = reference.opened(made.body)
    assert (made.width_px, made.height_px, made.frames) == (200, 150, 1)
    assert reference.difference(found, wanted) < 1
    assert (found[..., 3] == 255).all()


@pytest.mark.parametrize(
    "given",
    [
        {}, {"gravity": "north"}, {"gravity": "northwest", "x": "7", "y": "2"}, {"gravity": "east", "x": "-9", "y": "4"},
        {"gravity": "southwest", "x": "-10", "y": "-8"}, {"scale": "0.3"}, {"scale": "1.4"}, {"rotate": "90"},
        {"rotate": "-30", "gravity": "northeast"}, {"rotate": "211.5", "scale": "0.6"}, {"opacity": "35"},
        {"tile": "1"}, {"tile": "1", "gravity": "northwest", "x": "5", "y": "3", "opacity": "60"},
        {"tile": "1", "scale": "0.13", "rotate": "20"},
        {"shadow": "4,4"}, {"shadow": "-6,3,0,ff0000ff"}, {"shadow": "5,5,2.5,0040ffc0", "gravity": "southeast", "opacity": "70"},
        {"shadow": "8,0,1", "tile": "1", "scale": "0.2"}, {"shadow": "12,2,1", "gravity": "northwest", "x": "-30"},
        {"blend": "screen", "shadow": "3,3,1"},
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["opaque", "alpha"])
def test_each_parameter(name, given):
    """Alone and together; what sticks out of the picture is cut."""
    on(sources.source(name), **given)


@pytest.mark.parametrize("blend", list(Blend))
@pytest.mark.parametrize("name", ["opaque", "alpha", "animated-webp"])
def test_each_blend(name, blend):
    """All twelve, as W3C Compositing and Blending says."""
    on(sources.source(name), scale="0.8", blend=blend.value)


def test_its_size_goes_by_the_finished_picture():
    """The share is of the picture as it is then, and offsets are pixels of it, however it was decoded."""
    body = pictures.encoded(pictures.photo(1200, 800), "JPEG", quality=95, subsampling=0)
    given = {"scale": "0.25", "gravity": "northwest", "x": "10", "y": "6"}

    made = mill(body, format="png", width="150", **wm(**given))

    scaled = reference.expected(reference.opened(body), width="150")
    wanted = reference_layers.marked(scaled, MARK, **given)
    assert (made.width_px, made.height_px) == (150, 100)
    assert reference.difference(reference.opened(made.body), wanted) < 1.5


def test_a_large_photograph_as_a_layer():
    """Decoded as small as that goes, and scaled: as if all of it had been."""
    body = pictures.encoded(pictures.photo(1200, 800), "JPEG", quality=95, subsampling=0)
    ground = sources.source("opaque")

    made = mill(ground.body, watermark=LOGO, wm_scale="0.5", layers={LOGO: body}, format="png")

    wanted = reference_layers.marked(ground.pixels, reference.opened(body), scale="0.5")
    assert reference.difference(reference.opened(made.body), wanted) < 1.5


def test_its_own_recipe():
    """What ``wm_ops`` says is done to it first; its width is reckoned after that."""
    ground = sources.source("opaque")

    made = mill(ground.body, wm_ops="crop:4,2,20,16%2Fflip%2Frotate:90", format="png", **wm(scale="0.4"))

    own = reference.expected(MARK, crop="4,2,20,16")
    own = np.rot90(own[::-1], -1)
    wanted = reference_layers.marked(ground.pixels, own, scale="0.4")
    assert reference.difference(reference.opened(made.body), wanted) < 1


def test_a_layer_on_a_layer():
    """Its own layers lie on it before it is laid itself, with their shares of it."""
    ground, card = sources.source("opaque"), sources.source("alpha")
    files = {"local:a/card": card.body, LOGO: FILES[LOGO]}
    inner = "layer:local%253Alogos%252Fa.png;wm_scale=0.5;wm_gravity=north"

    made = mill(ground.body, watermark="local:a/card", wm_scale="0.7", wm_ops=inner, layers=files, format="png")

    card_marked = reference_layers.marked(card.pixels, MARK, scale="0.5", gravity="north")
    wanted = reference_layers.marked(ground.pixels, card_marked, scale="0.7")
    assert reference.difference(reference.opened(made.body), wanted) < 1.2


@pytest.mark.parametrize("more", ["", "%2Fflip", "%2Fresize:width=40"])
def test_a_layer_that_is_trimmed(more):
    """Its sizes wait for its own pixels; what comes after the trim comes after it."""
    ground = sources.source("opaque")
    framed = np.full((60, 90, 4), 255.0)
    framed[12:34, 20:54] = np.dstack([MARK[..., :3] * 0.8, np.full((22, 34), 255.0)])
    body = pictures.encoded(Image.fromarray(framed.astype(np.uint8), "RGBA"), "PNG")

    made = mill(ground.body, watermark=LOGO, wm_ops=f"trim:10{more}", wm_scale="0.5", layers={LOGO: body}, format="png")

    own = framed.astype(np.uint8).astype(float)[12:34, 20:54]
    own = reference.expected(own, **{"flip": "1"} if "flip" in more else {"width": "40"} if "width" in more else {})
    wanted = reference_layers.marked(ground.pixels, own, scale="0.5")
    assert reference.difference(reference.opened(made.body), wanted) < 1.2


def test_a_layer_that_says_itself_what_is_kept():
    """What draws the eye in the layer, and not in the picture, decides."""
    ground = sources.source("opaque")
    pixels = np.full((40, 120, 3), 128, np.uint8)
    pixels[10:30, 90:110] = (255, 40, 40)
    body = pictures.encoded(Image.fromarray(pixels), "PNG")

    made = mill(ground.body, watermark=LOGO, wm_ops="crop:40,40;gravity=attention", layers={LOGO: body}, format="png")

    found = reference.opened(made.body)[20:60, 40:80]
    assert (found[..., 0] > 200).sum() == 400


def test_the_same_one_twice_with_a_picture_that_shrinks_between():
    """Each time on the picture as it is then."""
    ground = sources.source("opaque")
    mark = "layer:local%253Alogos%252Fa.png;wm_gravity=southeast"

    made = mill(ground.body, ops=f"{mark}/resize:width=60/{mark}", layers=FILES, format="png")

    first = reference.expected(reference_layers.marked(ground.pixels, MARK, gravity="southeast"), width="60")
    wanted = reference_layers.marked(first, MARK, gravity="southeast")
    assert reference.difference(reference.opened(made.body), wanted) < 1


def test_sixteen_bits_are_refused():
    """Layers are laid with eight: that is said before anything is read."""
    with pytest.raises(BadOption, match="works on eight bits"):
        mill(sources.source("deep").body, bits="16", format="png", **wm())


def test_one_after_the_other():
    """In ``ops`` layers lie in the order they are named in, between whatever else is done."""
    ground = sources.source("opaque")
    ops = "layer:local%253Alogos%252Fa.png;wm_gravity=west/flop/layer:local%253Alogos%252Fa.png;wm_gravity=west;wm_y=9"

    made = mill(ground.body, ops=ops, layers=FILES, format="png")

    first = reference_layers.marked(ground.pixels, MARK, gravity="west")[:, ::-1]
    wanted = reference_layers.marked(first, MARK, gravity="west", y="9")
    assert reference.difference(reference.opened(made.body), wanted) < 1


@pytest.mark.parametrize("format_", ["jpeg", "png", "webp", "avif", "gif"])
def test_in_every_format(format_):
    """Also where there is no transparency: white comes last, below picture and watermark."""
    ground = sources.source("alpha")
    made = mill(ground.body, format=format_, quality="95", **wm(gravity="north", scale="0.5"))

    wanted = reference_layers.marked(ground.pixels, MARK, gravity="north", scale="0.5")
    if format_ == "jpeg":
        wanted = reference.over(wanted, [255] * 4)
    if format_ == "gif":
        wanted[..., 3] = np.where(wanted[..., 3] >= 128, 255, 0)
    assert reference.difference(reference.opened(made.body), wanted) < (12 if format_ == "gif" else 4)


def test_grey_stays_grey_no_more():
    """A coloured mark on a grey picture is coloured."""
    on(sources.source("grey"))


def test_beside_the_picture():
    """Nothing of it would be seen: that is said, and by name."""
    with pytest.raises(BadOption, match=rf"^layer {LOGO}: 34 × 22 px at 200, "):
        mill(sources.source("opaque").body, format="png", **wm(gravity="northwest", x="200"))


@pytest.mark.parametrize(
    ("body", "error", "words"),
    [
        (b"<html>", UnsupportedSourceType, ""), (b"", UnsupportedSourceType, ""),
        (pictures.encoded(pictures.photo(), "PNG")[:-20_000], ImageCorrupt, "refused it"),
        (pictures.encoded(pictures.photo(), "JPEG")[:3_000], ImageCorrupt, ""),
    ],
)  # fmt: skip
def test_one_that_cannot_be_read(body, error, words):
    """The code is that of a source; the layer is named, and there is no picture without it."""
    with pytest.raises(error, match=rf"^layer {re.escape(LOGO)}: .*{words}") as found:
        mill(sources.source("opaque").body, format="png", watermark=LOGO, layers={LOGO: body})
    assert found.value.layer == LOGO


def bomb(width, height, kind="PNG"):
    """A picture that is large only once it is decoded, if it is a PNG."""
    return pictures.encoded(Image.new("L", (width, height)), kind)


def embedding(body):
    """A vector picture of ten pixels a side that shows a GIF."""
    link = f"data:image/gif;base64,{base64.b64encode(body).decode()}"
    root = "<svg xmlns='http://www.w3.org/2000/svg' width='10' height='10'>"
    return f"{root}<image width='9' height='9' href='{link}'/></svg>".encode()


class TestBombs:
    """S20, D01: a layer is held to the limits of a source, before any of its pixels."""

    SMALL = Limits(pixels=50_000, total_pixels=50_000)

    def test_pixels(self):
        with pytest.raises(LimitExceeded, match=rf"^layer {LOGO}: source pixels: 50625 > 50000") as found:
            self.laid(bomb(225, 225))
        assert (found.value.limit, found.value.layer) == ("pixels", LOGO)

    def test_pixels_of_all_layers_together(self):
        """Eight large ones are no less memory than one eight times as large."""
        files = {f"local:l/{n}": bomb(200, 200) for n in range(2)}
        ops = "/".join(f"layer:local%253Al%252F{n};wm_scale=0.1" for n in range(2))

        with pytest.raises(LimitExceeded, match="layers: 80000 > 50000 px in all"):
            mill(sources.source("opaque").body, ops=ops, layers=files, format="png", limits=self.SMALL)

    def test_cpu(self):
        """What it takes to decode it counts as what the picture itself takes."""
        big = bomb(7_000, 7_000)
        with pytest.raises(LimitExceeded) as found:
            self.laid(big, limits=Limits(cpu_s=0.5), wm_scale="0.1")
        assert found.value.limit == "cost"

    def test_cpu_before_any_is_opened(self):
        """R09: what is decoded where it is opened is judged by its header, broken as it is behind that."""
        broken = bomb(4_000, 4_000, "BMP")[:1_000]
        with pytest.raises(LimitExceeded, match=r"^layers: estimated CPU") as found:
            self.laid(broken, limits=Limits(cpu_s=0.1), wm_scale="0.1")
        assert found.value.limit == "cost"

    def test_pixels_of_all_layers_before_any_is_opened(self):
        files = {f"local:l/{n}": bomb(200, 200, "BMP")[:1_000] for n in range(2)}
        ops = "/".join(f"layer:local%253Al%252F{n};wm_scale=0.1" for n in range(2))

        with pytest.raises(LimitExceeded, match="layers: 80000 > 50000 px in all"):
            mill(sources.source("opaque").body, ops=ops, layers=files, format="png", limits=self.SMALL)

    def test_pixels_within_vector_pictures(self):
        """V08: what layers embed counts as they are opened: the last one, which is broken, is not reached."""
        whole = pictures.encoded(Image.new("P", (170, 170)), "GIF")
        files = {f"local:l/{n}": embedding(body) for n, body in enumerate((whole, whole, whole[:-30]))}
        ops = "/".join(f"layer:local%253Al%252F{n}" for n in range(3))

        with pytest.raises(LimitExceeded, match="layers: 58000 > 50000 px in all"):
            mill(sources.source("opaque").body, ops=ops, layers=files, format="png", limits=self.SMALL)

    def test_cpu_of_opening_counts(self):
        """What was decoded to be opened is decoded again to be laid: neither is free."""
        whole = bomb(4_000, 4_000, "BMP")
        self.laid(whole, limits=Limits(cpu_s=1.0), wm_scale="0.1")
        with pytest.raises(LimitExceeded, match=r"^estimated CPU") as found:
            self.laid(whole, limits=Limits(cpu_s=0.25), wm_scale="0.1")
        assert found.value.limit == "cost"

    def test_too_large_to_be_laid(self):
        """A layer that nobody scales down is as large as a picture may be that is written."""
        with pytest.raises(LimitExceeded) as found:
            self.laid(bomb(300, 100), limits=Limits(output_side_px=250))
        assert found.value.limit == "output_side"

    def laid(self, body, limits=SMALL, **given):
        return mill(
            sources.source("opaque").body, format="png", watermark=LOGO, layers={LOGO: body}, limits=limits, **given
        )
