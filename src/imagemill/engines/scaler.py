"""Shrink rows of pixels with fast_image_resize, beside libvips: the same filter, for less CPU where a picture is small.

A pipeline of libvips costs about half a millisecond to set up and to hand between its threads, whatever its size, and
mixes transparency in floating point. This resizer works at once, in one thread, in eight bits.

Takes    8 bits a sample; grey or RGB, with or without alpha. Enlarging is left to libvips, which has another filter
         for it; so is everything where the wheel is not to be had (there is none but for x86-64).
Units    pixels; a cut is given in pixels of the scaled picture.
Source   cykooz-resizer 4.0: Lanczos with three lobes is its default; a crop box of fractional pixels bounds what is
         made, not what the filter sees. So a part is what scaling first and cutting then gives, but for rounding: its
         weights are whole numbers, as fine as the largest of them lets them be, and a part may have another largest.
"""

from collections.abc import Iterator
from math import ceil, floor
from typing import Any

import numpy as np

from imagemill.plan.geometry import Box, Size

try:
    from cykooz_resizer.rust_lib import Image, RustResizeOptions, RustResizer
except ImportError:  # no wheel for this machine
    RustResizer = None

AVAILABLE = RustResizer is not None
_MOST_BANDS = 4
"""U8, U8x2, U8x3 and U8x4 have the numbers 1 to 4."""
_LOBES = 3
_STRIP_BYTES = 4 * 1024 * 1024
_WITH_ALPHA = frozenset({2, 4})


def scaled(pixels: Any, size: Size, cut: Box | None = None) -> Any | None:
    """*pixels* scaled to *size*, or the part *cut* of that; None where libvips has to do it."""
    height, width, bands = pixels.shape
    if not AVAILABLE or bands > _MOST_BANDS or size.width > width or size.height > height:
        return None
    kept = cut or Box(0, 0, size.width, size.height)
    parts = [_part(pixels, size, strip) for strip in _strips(kept, size, pixels.nbytes)]
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _strips(kept: Box, size: Size, whole_bytes: int) -> Iterator[Box]:
    """*kept* in strips of rows, each of which is made of few bytes: the resizer wants copies of its own."""
    rows = max(1, _STRIP_BYTES * size.height // whole_bytes)
    for top in range(0, kept.height, rows):
        yield Box(kept.left, kept.top + top, kept.width, min(rows, kept.height - top))


def _part(pixels: Any, size: Size, kept: Box) -> Any:
    """The part *kept* of what *pixels* are scaled to, made of no more of them than the filter sees."""
    height, width, bands = pixels.shape
    left, columns = _seen(kept.left, kept.width, width / size.width, width)
    top, rows = _seen(kept.top, kept.height, height / size.height, height)
    seen = pixels[rows, columns]
    options = RustResizeOptions().set_use_alpha(bands in _WITH_ALPHA)
    box = (left, top, kept.width * width / size.width, kept.height * height / size.height)
    made = Image(kept.width, kept.height, bands, None)
    source = Image(seen.shape[1], seen.shape[0], bands, seen.tobytes())
    RustResizer().resize(source, made, options.set_crop_box(*_inside(box, seen.shape)))
    return np.frombuffer(made.buffer(), np.uint8).reshape(kept.height, kept.width, bands)


def _seen(begin: int, length: int, ratio: float, whole: int) -> tuple[float, slice]:
    """Where a part begins in what the filter sees of one axis, and what that is."""
    reach = ceil(_LOBES * ratio) + 1
    first = max(0, floor(begin * ratio) - reach)
    return begin * ratio - first, slice(first, min(whole, ceil((begin + length) * ratio) + reach))


def _inside(box: tuple[float, float, float, float], shape: tuple[int, ...]) -> tuple[float, float, float, float]:
    """*box*, which rounding must not bring over the edge."""
    left, top, width, height = box
    return left, top, min(width, shape[1] - left), min(height, shape[0] - top)
