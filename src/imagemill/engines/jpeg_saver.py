"""Encode rows of pixels as JPEG with Pillow, beside libvips: the same bytes but for the header, at half the CPU.

Pillow brings libjpeg-turbo, libvips the encoder of mozjpeg, which without its trellis writes the same picture more
slowly. Like libvips, qualities from 90 keep the colours at full size.

Takes    8 bits a sample, grey or RGB.
Source   Pillow 12.3: with optimized tables its buffer holds a byte a pixel, and a picture that needs more is refused.
"""

from typing import Any

from PIL import Image, JpegImagePlugin

from imagemill.engines.pillow import written

_BANDS = frozenset({1, 3})
_FULL_COLOURS_FROM = 90
_FULL, _HALVED = 0, 2
_MOST_SIDE_PX = 65_500

Image.preinit()  # what it imports is out of a worker's reach later on


def saved(
    pixels: Any, quality: int, *, optimize: bool, progressive: bool = False, full_colours: bool | None = None
) -> bytes | None:
    """A JPEG file; None where libvips has to write it. *full_colours* None = as the quality says."""
    height, width, bands = pixels.shape
    if bands not in _BANDS or max(width, height) > _MOST_SIDE_PX:
        return None
    full = quality >= _FULL_COLOURS_FROM if full_colours is None else full_colours
    try:
        return written(
            pixels, JpegImagePlugin.JpegImageFile.format, quality=quality, optimize=optimize,
            subsampling=_FULL if full else _HALVED, progressive=progressive,
        )  # fmt: skip
    except OSError:
        return None
