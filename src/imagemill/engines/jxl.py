"""Encode JPEG XL with libjxl, where the extra ``jxl`` is installed: libvips' wheel brings none.

Takes    rows of eight bits: grey or RGB, with alpha or without; colours are sRGB.
Units    quality 1 to 100 on libjxl's scale, on which 90 is a distance of 1 and 100 loses nothing; effort 1 to 9.
Errors   `NotSupported` where the extra is missing.
Source   pillow-jxl-plugin 1.3 (libjxl 0.11), which registers itself with Pillow where `decoders.jxl` imports it. Its
         licence is the GPL, which is why it is an extra and no dependency.
"""

from typing import Any

from imagemill.engines.decoders.jxl import AVAILABLE
from imagemill.engines.extras import Extras
from imagemill.engines.pillow import written
from imagemill.model.errors import NotSupported

_NO_THREADS, _ALL = 0, 100


def require() -> None:
    """Raise where there is no encoder."""
    if not AVAILABLE:
        raise NotSupported("format: jxl needs the extra imagemill[jxl] on the server")


def still(rows: Any, quality: int, effort: int, extras: Extras, *, lossless: bool) -> bytes:
    """One picture: rows, columns, bands."""
    require()
    how = {"lossless": True} if lossless or quality >= _ALL else {"quality": quality}
    return written(
        rows, "JXL", effort=effort, exif=extras.exif, xmp=extras.xmp, num_threads=_NO_THREADS, **how,
    )  # fmt: skip
