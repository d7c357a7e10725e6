"""Decode JPEG XL with the libjxl that pillow-jxl-plugin brings: the extra ``jxl``.

Takes    the codestream alone: no box but those it lies in is handed on, so that no metadata is unpacked, and no JPEG
         is put together again, only to be decoded.
Errors   the binding's own, for the caller to translate; `UnsupportedSourceType` where the extra is not installed.
Source   pillow-jxl-plugin 1.3.8, whose licence is the GPL. It has to be imported before a worker gives its rights up:
         files are out of reach then.
"""

from contextlib import suppress
from importlib import import_module
from typing import Any

import numpy as np

from imagemill.engines.decoders.base import Image, from_rows, told
from imagemill.engines.headers import jxl
from imagemill.model.errors import ImageCorrupt, UnsupportedSourceType
from imagemill.model.media import MediaInfo

Decoder: Any = None
with suppress(ImportError):  # an extra
    Decoder = import_module("pillow_jxl").Decoder

AVAILABLE = Decoder is not None
_TYPES = {1: np.uint8, 2: np.uint16, 4: np.float32}


def decoded(source: memoryview, info: MediaInfo, _first: int, _frames: int) -> Image:
    """The one picture, as the codestream turns it."""
    if not AVAILABLE:
        raise UnsupportedSourceType("the source is JPEG XL, which takes imagemill[jxl]")
    _, found, pixels, profile, _ = _decode(jxl.codestream(source))
    bands, samples = found.num_channels + found.has_alpha_channel, found.width * found.height
    kind = _TYPES.get(len(pixels) // max(1, samples * bands))
    if kind is None or (found.width, found.height) != (info.width_px, info.height_px):
        raise ImageCorrupt(f"jxl: header {info.width_px} × {info.height_px}, decoder {found.width} × {found.height}")
    rows: Any = np.frombuffer(pixels, kind).reshape(found.height, found.width, bands)
    return told(from_rows(rows, profile or b""), 1)


def _decode(codestream: bytes) -> Any:
    try:
        return Decoder(num_threads=0)(codestream)
    except BaseException as e:
        if type(e).__name__ == "PanicException":  # of Rust; no `Exception`, so that nobody catches it by chance
            raise ImageCorrupt("jxl: the decoder gave up") from e
        raise
