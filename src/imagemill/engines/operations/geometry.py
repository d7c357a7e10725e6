"""Steps of `plan.operations.geometry` with libvips."""

import math

from imagemill.engines.decoded import Image, pyvips
from imagemill.engines.operations.base import Alpha, Colours, Context, How, Table
from imagemill.engines.operations.bells import blurred
from imagemill.engines.operations.finding import cut_chosen, find_border
from imagemill.engines.pixels import OPAQUE, RGB, RGBA, with_bands
from imagemill.model.recipe import Position
from imagemill.plan.geometry import Size, proportional, shrunk, within
from imagemill.plan.steps import (
    Backdrop,
    Border,
    Canvas,
    Chosen,
    Cut,
    Mirror,
    Scale,
    Slant,
    Trimmed,
    Turn,
    Upright,
)

_TURNS = {3: "d180", 4: "d180", 5: "d90", 6: "d90", 7: "d270", 8: "d270"}
_SMALL_SIGMA = 3.0
"""As far as a copy that is to be blurred is scaled down before."""
_TAIL = 0.01
"""Where a bell is cut off: further out than elsewhere, as the blur of few pixels costs little."""
_MIRRORED = frozenset({2, 4, 5, 7})


def _upright(image: Image, step: Upright, _context: Context) -> Image:
    """Turn clockwise, then mirror left to right: EXIF 2 to 8."""
    image = image.copy_memory()
    if step.orientation in _TURNS:
        image = image.rot(_TURNS[step.orientation])
    return image.flip("horizontal") if step.orientation in _MIRRORED else image


def _cut(image: Image, step: Cut, _context: Context) -> Image:
    box = shrunk(step.box, step.of, Size(image.width, image.height))
    return image.crop(box.left, box.top, box.width, box.height)


def _turn(image: Image, step: Turn, _context: Context) -> Image:
    return image.copy_memory().rot(f"d{step.quarters * 90}")


def _mirror(image: Image, step: Mirror, _context: Context) -> Image:
    return image.copy_memory().flip("vertical" if step.vertical else "horizontal")


def _scale(image: Image, step: Scale, _context: Context) -> Image:
    return scaled(image, step.size)


def scaled(image: Image, size: Size, enlarge_by: str = "bicubic") -> Image:
    """*image* at this size; middles of pixels stay where they were.

    Enlarging is done here: libvips' own ``resize`` (8.18.7) moves what it enlarges by half a new pixel.
    """
    across, down = size.width / image.width, size.height / image.height
    if across < 1 or down < 1:
        image = image.resize(min(1.0, across), vscale=min(1.0, down))
    if across <= 1 and down <= 1:
        return image
    across, down = max(1.0, across), max(1.0, down)
    image = image.copy_memory()  # each of its pixels is asked for by many, and with it all that comes before
    return image.affine(
        [across, 0, 0, down], interpolate=pyvips.Interpolate.new(enlarge_by), extend="copy", premultiplied=True,
        odx=(across - 1) / 2, ody=(down - 1) / 2, oarea=[0, 0, size.width, size.height],
    )  # fmt: skip


def _canvas(image: Image, step: Canvas, _context: Context) -> Image:
    red, green, blue, alpha = step.rgba.to_bytes(4, "big")
    image = with_bands(image, RGB if alpha == OPAQUE and not image.hasalpha() else RGBA)
    return image.embed(
        step.left, step.top, step.size.width, step.size.height, extend="background",
        background=[red, green, blue, alpha][: image.bands],
    )  # fmt: skip


def _backdrop(image: Image, step: Backdrop, _context: Context) -> Image:
    """A blur needs few pixels: that of a small copy, with a small sigma, is scaled up."""
    image = image.copy_memory()
    whole, size = Size(image.width, image.height), step.size
    kept = within(whole, proportional(whole, size.width, size.height), Position())
    scale = min(1.0, _SMALL_SIGMA / step.sigma)
    width, height = max(1, round(size.width * scale)), max(1, round(size.height * scale))
    small = image.crop(kept.left, kept.top, kept.width, kept.height)
    small = scaled(small, Size(width, height))
    soft = blurred(small, step.sigma * scale, _TAIL).copy_memory()
    under = scaled(soft, size, "bilinear")
    if not image.hasalpha():
        return under.insert(image, step.left, step.top)
    over = under.composite2(image, "over", x=step.left, y=step.top, premultiplied=True)
    return over.cast("uchar").copy(interpretation=image.interpretation)


def _slant(image: Image, step: Slant, _context: Context) -> Image:
    """Each pixel of the canvas is looked up where it comes from, about the middles of both."""
    red, green, blue, alpha = step.rgba.to_bytes(4, "big")
    image = with_bands(image, RGB if alpha == OPAQUE and not image.hasalpha() else RGBA).copy_memory()
    angle, size = math.radians(step.centidegrees / 100), step.size
    cos, sin = math.cos(angle), math.sin(angle)
    colour = [c * alpha / OPAQUE for c in (red, green, blue)] + [alpha]
    turned = image.affine(
        [cos, -sin, sin, cos], interpolate=pyvips.Interpolate.new("bicubic"),
        idx=-(image.width - 1) / 2, idy=-(image.height - 1) / 2,
        odx=(size.width - 1) / 2, ody=(size.height - 1) / 2, oarea=[0, 0, size.width, size.height],
        background=colour[: image.bands], premultiplied=True,
    )  # fmt: skip
    return turned.copy(interpretation=image.interpretation)


TABLE: Table = {
    Upright: How(_upright, Alpha.ANY, Colours.ANY),
    Cut: How(_cut, Alpha.ANY, Colours.ANY),
    Turn: How(_turn, Alpha.ANY, Colours.ANY),
    Mirror: How(_mirror, Alpha.ANY, Colours.ANY),
    Scale: How(_scale, Alpha.PREMULTIPLIED, Colours.ANY),
    Trimmed: How(_cut, Alpha.ANY, Colours.ANY),
    Border: How(find_border, Alpha.PREMULTIPLIED, Colours.SRGB),
    Chosen: How(cut_chosen, Alpha.STRAIGHT, Colours.ANY),
    Canvas: How(_canvas, Alpha.STRAIGHT, Colours.SRGB),
    Backdrop: How(_backdrop, Alpha.PREMULTIPLIED, Colours.ANY),
    Slant: How(_slant, Alpha.PREMULTIPLIED, Colours.SRGB),
}
