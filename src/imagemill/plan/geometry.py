"""Where pixels go: integers in, integers out, no picture needed.

Units    pixels, and parts per million for positions.
Rounding to the nearest, halves up; a side is never less than 1.
"""

import math

from msgspec import Struct

from imagemill.model.errors import BadOption
from imagemill.model.recipe import MILLION, AspectCrop, Crop, Detect, Extend, Fit, Pad, Position, Resize, Tilt, Trim

_NO_PIXEL = 1e-6
"""So much of a pixel is but the rounding of a sine."""


class Size(Struct, frozen=True):
    """A picture's sides."""

    width: int
    height: int


class Box(Struct, frozen=True):
    """A rectangle inside a picture."""

    left: int
    top: int
    width: int
    height: int


class Placed(Struct, frozen=True):
    """What a resize does: scale to `scaled`, then cut `cut` out or lay it on a canvas at `at`."""

    scaled: Size
    cut: Box | None = None
    """Where it is not the picture that decides."""
    chosen: Size | None = None
    """In place of `cut`: what is cut where the picture says so."""
    canvas: Size | None = None
    at: tuple[int, int] = (0, 0)

    @property
    def size(self) -> Size:
        """Sides of the result."""
        if self.canvas:
            return self.canvas
        if self.chosen:
            return self.chosen
        return Size(self.cut.width, self.cut.height) if self.cut else self.scaled


def place(size: Size, op: Resize) -> Placed:
    """How *op* brings a picture of *size* to its box."""
    box = Size(_side(op.width_px, op.width_ppm, size.width), _side(op.height_px, op.height_ppm, size.height))
    fit = op.fit if box.width and box.height else Fit.INSIDE
    scaled = _scaled(size, box, fit, enlarge=op.enlarge) if box.width or box.height else size
    scaled = _at_least(scaled, size, op, fit)
    if fit is Fit.COVER:
        cut = Size(min(box.width, scaled.width), min(box.height, scaled.height))
        if cut == scaled:
            return Placed(scaled)
        if op.position.detect is not Detect.NONE:
            return Placed(scaled, chosen=cut)
        return Placed(scaled, cut=within(scaled, cut, op.position))
    if fit is Fit.CONTAIN:
        canvas = Size(max(box.width, scaled.width), max(box.height, scaled.height))
        spot = within(canvas, scaled, op.position)
        return Placed(scaled) if canvas == scaled else Placed(scaled, canvas=canvas, at=(spot.left, spot.top))
    return Placed(scaled)


def _side(px: int, ppm: int, of: int) -> int:
    return px or (max(1, _div(of * ppm, MILLION)) if ppm else 0)


def _at_least(scaled: Size, size: Size, op: Resize, fit: Fit) -> Size:
    """*scaled*, enlarged until its sides are not below their least; where nothing may be, no more than *size* is."""
    least = Size(max(scaled.width, op.min_width_px), max(scaled.height, op.min_height_px))
    if least == scaled:
        return scaled
    most = None if op.enlarge else size
    if fit is Fit.FILL:
        return Size(min(least.width, most.width), min(least.height, most.height)) if most else least
    held = _scaled(size, Size(op.min_width_px, op.min_height_px), Fit.OUTSIDE, enlarge=True)
    return most if most and (held.width > most.width or held.height > most.height) else held


def within(outer: Size, inner: Size, position: Position) -> Box:
    """Where *inner* lies in *outer*."""
    left = _offset(outer.width, inner.width, position.x_ppm, focal=position.focal)
    top = _offset(outer.height, inner.height, position.y_ppm, focal=position.focal)
    return Box(left, top, inner.width, inner.height)


def crop_box(size: Size, op: Crop) -> Box:
    """The part of a picture of *size* that *op* keeps, clipped to the picture."""
    if op.left_px < 0:
        return within(size, crop_size(size, op), op.position)
    if op.left_px >= size.width or op.top_px >= size.height:
        raise BadOption(f"crop: {op.left_px},{op.top_px} lies outside a picture of {size.width} × {size.height}")
    return Box(
        op.left_px, op.top_px, min(op.width_px, size.width - op.left_px), min(op.height_px, size.height - op.top_px)
    )


def crop_size(size: Size, op: Crop | AspectCrop) -> Size:
    """How much of a picture of *size* is kept by an *op* that says no place for it."""
    if isinstance(op, Crop):
        return Size(min(op.width_px, size.width), min(op.height_px, size.height))
    return proportional(size, op.width, op.height)


def proportional(size: Size, width: int, height: int) -> Size:
    """The largest size of these proportions within *size*."""
    if size.width * height > size.height * width:
        return Size(min(size.width, max(1, _div(size.height * width, height))), size.height)
    return Size(size.width, min(size.height, max(1, _div(size.width * height, width))))


def extended(size: Size, op: Extend) -> Box:
    """The canvas of *op*: its size, and where on it a picture of *size* lies."""
    canvas = Size(max(size.width, op.width), max(size.height, op.height))
    if op.is_ratio and size.width * op.height > size.height * op.width:
        canvas = Size(size.width, max(size.height, _div(size.width * op.height, op.width)))
    elif op.is_ratio:
        canvas = Size(max(size.width, _div(size.height * op.width, op.height)), size.height)
    spot = within(canvas, size, op.position)
    return Box(spot.left, spot.top, canvas.width, canvas.height)


def padded(size: Size, op: Pad) -> Size:
    """A picture of *size* with its border."""
    return Size(size.width + op.left_px + op.right_px, size.height + op.top_px + op.bottom_px)


def tilted(size: Size, op: Tilt) -> Size:
    """The smallest canvas that holds a turned picture of *size*."""
    angle = math.radians(op.centidegrees / 100)
    cos, sin = abs(math.cos(angle)), abs(math.sin(angle))
    width, height = size.width * cos + size.height * sin, size.width * sin + size.height * cos
    return Size(max(1, math.ceil(width - _NO_PIXEL)), max(1, math.ceil(height - _NO_PIXEL)))


def joined(one: Box, other: Box) -> Box:
    """The smallest box that holds both."""
    left, top = min(one.left, other.left), min(one.top, other.top)
    right = max(one.left + one.width, other.left + other.width)
    bottom = max(one.top + one.height, other.top + other.height)
    return Box(left, top, right - left, bottom - top)


def evened(box: Box, size: Size, op: Trim) -> Box:
    """What *op* leaves of a picture of *size* where *box* has to stay: opposite sides lose as much, if it says so."""
    right, bottom = size.width - box.left - box.width, size.height - box.top - box.height
    left, top = box.left, box.top
    if op.equal_x:
        left = right = min(left, right)
    if op.equal_y:
        top = bottom = min(top, bottom)
    return Box(left, top, size.width - left - right, size.height - top - bottom)


def shrunk(box: Box, whole: Size, small: Size) -> Box:
    """*box* of a picture of size *whole*, as it lies in the same picture decoded at size *small*."""
    left = min(_div(box.left * small.width, whole.width), small.width - 1)
    top = min(_div(box.top * small.height, whole.height), small.height - 1)
    width = min(max(1, _div(box.width * small.width, whole.width)), small.width - left)
    height = min(max(1, _div(box.height * small.height, whole.height)), small.height - top)
    return Box(left, top, width, height)


def _scaled(size: Size, box: Size, fit: Fit, *, enlarge: bool) -> Size:
    if fit is Fit.FILL:
        most = (box.width, box.height) if enlarge else (min(box.width, size.width), min(box.height, size.height))
        return Size(*most)
    by_width = _by_width(size, box, fit)
    grows = box.width > size.width if by_width else box.height > size.height
    if grows and not enlarge:
        return size
    if by_width:
        return Size(box.width, max(1, _div(size.height * box.width, size.width)))
    return Size(max(1, _div(size.width * box.height, size.height)), box.height)


def _by_width(size: Size, box: Size, fit: Fit) -> bool:
    """Whether the width decides the scale."""
    if not box.height or not box.width:
        return not box.height
    wider = box.width * size.height <= box.height * size.width
    return wider if fit in {Fit.INSIDE, Fit.CONTAIN} else not wider


def _offset(outer: int, inner: int, ppm: int, *, focal: bool) -> int:
    slack = outer - inner
    if not focal:
        return _div(slack * ppm, MILLION)
    return min(max(_div(2 * outer * ppm - inner * MILLION, 2 * MILLION), 0), slack)


def _div(a: int, b: int) -> int:
    """The nearest integer to a/b, halves up."""
    return (2 * a + b) // (2 * b)
