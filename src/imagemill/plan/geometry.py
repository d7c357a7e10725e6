"""Where pixels go: integers in, integers out, no picture needed.

Units    pixels, and parts per million for positions.
Rounding to the nearest, halves up; a side is never less than 1.
"""

from msgspec import Struct

from imagemill.model.errors import BadOption
from imagemill.model.recipe import MILLION, Crop, Fit, Position, Resize


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
    canvas: Size | None = None
    at: tuple[int, int] = (0, 0)

    @property
    def size(self) -> Size:
        """Sides of the result."""
        if self.canvas:
            return self.canvas
        return Size(self.cut.width, self.cut.height) if self.cut else self.scaled


def place(size: Size, op: Resize) -> Placed:
    """How *op* brings a picture of *size* to its box."""
    fit = op.fit if op.width_px and op.height_px else Fit.INSIDE
    box = Size(op.width_px, op.height_px)
    scaled = _scaled(size, box, fit, enlarge=op.enlarge)
    if fit is Fit.COVER:
        cut = Size(min(box.width, scaled.width), min(box.height, scaled.height))
        return Placed(scaled, cut=None if cut == scaled else _within(scaled, cut, op.position))
    if fit is Fit.CONTAIN and box != scaled:
        spot = _within(box, scaled, op.position)
        return Placed(scaled, canvas=box, at=(spot.left, spot.top))
    return Placed(scaled)


def crop_box(size: Size, op: Crop) -> Box:
    """The part of a picture of *size* that *op* keeps, clipped to the picture."""
    if op.left_px < 0:
        return _within(size, Size(min(op.width_px, size.width), min(op.height_px, size.height)), op.position)
    if op.left_px >= size.width or op.top_px >= size.height:
        raise BadOption(f"crop: {op.left_px},{op.top_px} lies outside a picture of {size.width} × {size.height}")
    return Box(
        op.left_px, op.top_px, min(op.width_px, size.width - op.left_px), min(op.height_px, size.height - op.top_px)
    )


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


def _within(outer: Size, inner: Size, position: Position) -> Box:
    """Where *inner* lies in *outer*."""
    left = _offset(outer.width, inner.width, position.x_ppm, focal=position.focal)
    top = _offset(outer.height, inner.height, position.y_ppm, focal=position.focal)
    return Box(left, top, inner.width, inner.height)


def _offset(outer: int, inner: int, ppm: int, *, focal: bool) -> int:
    slack = outer - inner
    if not focal:
        return _div(slack * ppm, MILLION)
    return min(max(_div(2 * outer * ppm - inner * MILLION, 2 * MILLION), 0), slack)


def _div(a: int, b: int) -> int:
    """The nearest integer to a/b, halves up."""
    return (2 * a + b) // (2 * b)
