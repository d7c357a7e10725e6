"""Decode plain JPEGs with libjpeg-turbo, beside libvips: the same pixels for less CPU.

Takes    8 bits a sample, grey or three channels, Huffman-coded DCT, up to `MOST_BYTES` of pixels. Everything else,
         and whatever libjpeg-turbo so much as warns of, is left to libvips, whose verdict is the one that counts.
Units    a shrink of n gives sides of ceil(side / n) pixels; libvips' own ``shrink`` leaves a rest of a pixel away.
Source   simplejpeg 1.9 (libjpeg-turbo 3.1.2); ``strict`` raises on warnings. Lossless JPEGs are not taken: with
         decompression scaling the compatibility calls of libjpeg-turbo before 3.1.4 could overrun their buffer.
         It does not encode here: simplejpeg knows the quick transform only, at up to half a point of SSIMULACRA2.
"""

from typing import Any

import simplejpeg

from imagemill.engines.scans import shortened
from imagemill.model.media import Format, MediaInfo

MOST_BYTES = 16 * 1024 * 1024
"""Of decoded pixels; beyond, libvips decodes strip by strip and needs less memory."""
_COLOURS = {1: "GRAY", 3: "RGB"}


def decode(source: memoryview, info: MediaInfo, shrink: int, *, coarse: bool = False) -> Any | None:
    """Rows of pixels, an array of three dimensions; None where libvips has to decide.

    With *coarse*, colours that are stored at half size are doubled instead of being smoothed.
    """
    width, height = -(-info.width_px // shrink), -(-info.height_px // shrink)
    if not is_plain(info) or width * height * info.channels > MOST_BYTES:
        return None
    file = shortened(source, shrink) if info.interlaced else source
    try:
        pixels = simplejpeg.decode_jpeg(
            file, _COLOURS[info.channels], min_height=height, min_width=width, min_factor=0,
            fastupsample=coarse,
        )  # fmt: skip
    except ValueError:
        return None
    return pixels if pixels.shape == (height, width, info.channels) else None


def is_plain(info: MediaInfo) -> bool:
    """Whether a picture is of the kind that is decoded here, whatever its size."""
    return info.format is Format.JPEG and info.huffman_dct and info.bits == 8 and info.channels in _COLOURS  # noqa: PLR2004
