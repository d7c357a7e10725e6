"""Lay one picture on another: turned, shadowed, faded, placed, and cut at the edges of the one below.

Takes    sRGB of eight bits with straight alpha, or without any.
Gives    a picture of the size and the bands of the one below.
Order    as CSS has it: the overlay is turned, gets its shadow, both fade together, and are blended as one.
Errors   `BadOption` where the overlay lies outside the picture.
Source   W3C Filter Effects and Compositing for the order; libvips 8.18 reference: affine, insert.
"""

import math

from msgspec import Struct

from imagemill.engines.decoded import Image
from imagemill.engines.operations.bells import blurred
from imagemill.engines.operations.blending import blended
from imagemill.engines.pixels import RGB, RGBA, premultiplied, straight, with_bands
from imagemill.model.errors import BadOption
from imagemill.model.operations.layers import Blend, Place
from imagemill.model.operations.values import Shadow
from imagemill.plan.geometry import Box, Size
from imagemill.plan.placing import spot, turned_size

_QUARTER, _FULL = 9_000, 36_000
_REACH = 3.0
"""Sigmas that a blurred edge is followed for: beyond, less than 1 in 255 is left."""
_TAIL = 0.02
"""Of its height, where the bell that a shadow is blurred with is cut off."""
_CLEAR = [0, 0, 0, 0]


class Ready(Struct, frozen=True):
    """What is laid on a picture of one size, again and again."""

    overlay: Image
    """In memory, cut at the edges of the picture."""
    part: Box
    """Of the picture, where it comes to lie."""


def ready(
    picture: Size,
    overlay: Image,
    place: Place,
    *,
    shadow: Shadow | None = None,
    tile: bool = False,
    margin_px: int = 0,
) -> Ready:
    """*overlay* turned, shadowed, faded and placed on a picture of that size.

    So many pixels around it, *margin_px*, are seen but not counted where it is placed.
    """
    inner = Size(overlay.width - 2 * margin_px, overlay.height - 2 * margin_px)
    overlay = turned(with_bands(overlay, RGBA), place.centidegrees)
    box = turned_size(inner, place.centidegrees)
    left, top = spot(picture, box, place)
    left, top = left - (overlay.width - box.width) // 2, top - (overlay.height - box.height) // 2
    if tile:
        overlay, left, top = _tiled(overlay, picture, left, top)
    if shadow:
        near = _common(_reached(picture, shadow), Box(left, top, overlay.width, overlay.height))
        overlay = overlay.crop(near.left - left, near.top - top, near.width, near.height)
        overlay, left, top = _shadowed(picture, overlay, shadow, near.left, near.top)
    part = _common(Box(0, 0, picture.width, picture.height), Box(left, top, overlay.width, overlay.height))
    overlay = faded(overlay.crop(part.left - left, part.top - top, part.width, part.height), place.opacity_percent)
    return Ready(overlay.copy_memory(), part)


def put(image: Image, this: Ready, blend: Blend) -> Image:
    """*this* on *image*, which is of the size that it was made ready for."""
    part = this.part
    image = image.copy_memory()  # it is read twice, which what is streamed cannot be
    below = image.crop(part.left, part.top, part.width, part.height)
    made = blended(below, this.overlay, blend)
    whole = (part.width, part.height) == (image.width, image.height)
    return made if whole else image.insert(made, part.left, part.top)


def turned(image: Image, centidegrees: int) -> Image:
    """*image* turned clockwise within the least box that holds it; what is new is transparent."""
    angle = centidegrees % _FULL
    if angle % _QUARTER == 0:
        return image.copy_memory().rot(f"d{angle // 100}") if angle else image
    radians = math.radians(centidegrees / 100)
    cos, sin = math.cos(radians), math.sin(radians)
    size = turned_size(Size(image.width, image.height), centidegrees)
    # about its centre, to the centre of the new one: both are counted from the middle of the first pixel
    x, y = (image.width - 1) / 2, (image.height - 1) / 2
    made = premultiplied(image.copy_memory()).affine(
        [cos, -sin, sin, cos], oarea=[0, 0, size.width, size.height], premultiplied=True,
        odx=(size.width - 1) / 2 - cos * x + sin * y, ody=(size.height - 1) / 2 - sin * x - cos * y,
        background=_CLEAR, extend="background",
    )  # fmt: skip
    return straight(made)


def faded(image: Image, opacity_percent: int) -> Image:
    """*image*, which has alpha, as dense as that."""
    if opacity_percent == 100:  # noqa: PLR2004
        return image
    return (image * [1, 1, 1, opacity_percent / 100]).rint().cast("uchar").copy(interpretation="srgb")


def _tiled(overlay: Image, picture: Size, left: int, top: int) -> tuple[Image, int, int]:
    """*overlay* again and again over all of *picture*, one of them at *left*, *top*."""
    left, top = left % overlay.width - overlay.width, top % overlay.height - overlay.height
    across = math.ceil((picture.width - left) / overlay.width)
    down = math.ceil((picture.height - top) / overlay.height)
    return overlay.copy_memory().replicate(across, down), left, top


def _reached(picture: Size, shadow: Shadow) -> Box:
    """Where the shadow of what lies there may still fall on *picture*: the rest is not worth a blur."""
    far = _reach(shadow) + max(abs(shadow.x_px), abs(shadow.y_px))
    return Box(-far, -far, picture.width + 2 * far, picture.height + 2 * far)


def _reach(shadow: Shadow) -> int:
    return math.ceil(_REACH * shadow.sigma_centi / 100)


def _shadowed(picture: Size, overlay: Image, shadow: Shadow, left: int, top: int) -> tuple[Image, int, int]:
    """*overlay* over its shadow, on a larger ground as far as *picture* shows it, and where that lies."""
    sigma, reach = shadow.sigma_centi / 100, _reach(shadow)
    before, above = max(0, reach - shadow.x_px), max(0, reach - shadow.y_px)
    width = before + overlay.width + max(0, reach + shadow.x_px)
    height = above + overlay.height + max(0, reach + shadow.y_px)
    left, top = left - before, top - above
    part = _common(Box(0, 0, picture.width, picture.height), Box(left, top, width, height))
    seen = part.left - left, part.top - top, part.width, part.height
    overlay = overlay.copy_memory()
    shape = overlay.extract_band(RGB).embed(before + shadow.x_px, above + shadow.y_px, width, height)
    if sigma:
        shape = blurred(shape, sigma, _TAIL)
    *colour, density = shadow.rgba.to_bytes(4, "big")
    below = (shape.crop(*seen) * (density / 0xFF)).rint().cast("uchar")
    ground = below.new_from_image(colour).bandjoin(below).copy(interpretation="srgb")
    above_it = overlay.embed(before, above, width, height).crop(*seen)
    return blended(ground, above_it, Blend.NORMAL), part.left, part.top


def _common(picture: Box, box: Box) -> Box:
    """What *box* has in common with all there is."""
    left, top = max(picture.left, box.left), max(picture.top, box.top)
    width = min(picture.left + picture.width, box.left + box.width) - left
    height = min(picture.top + picture.height, box.top + box.height) - top
    if width < 1 or height < 1:
        raise BadOption(
            f"{box.width} × {box.height} px at {box.left}, {box.top} "
            f"would lie outside a picture of {picture.width} × {picture.height}"
        )
    return Box(left, top, width, height)
