"""Decode HEIC with the libheif and libde265 that pi-heif brings: the extra ``heic``.

Takes    the primary picture, turned and cut by libheif as its properties say; more than eight bits become eight.
Errors   the binding's own, for the caller to translate; `UnsupportedSourceType` where the extra is not installed.
Source   pi-heif 1.4. It has to be imported before a worker gives its rights up: files are out of reach then.
"""

from contextlib import suppress
from importlib import import_module
from io import BytesIO
from typing import Any

import numpy as np

from imagemill.engines.decoders.base import Image, from_rows, noted, told
from imagemill.model.errors import UnsupportedSourceType
from imagemill.model.media import MediaInfo

pi_heif: Any = None
with suppress(ImportError):  # an extra
    pi_heif = import_module("pi_heif")
if pi_heif:
    pi_heif.options.THUMBNAILS = pi_heif.options.DEPTH_IMAGES = pi_heif.options.AUX_IMAGES = False
    pi_heif.options.DECODE_THREADS = 1

AVAILABLE = pi_heif is not None


def decoded(source: memoryview, _info: MediaInfo, _first: int, _frames: int) -> Image:
    """The primary picture."""
    if not AVAILABLE:
        raise UnsupportedSourceType("the source is HEIC, which takes imagemill[heic]")
    file = pi_heif.open_heif(BytesIO(source), convert_hdr_to_8bit=True)
    picture = file[file.primary_index]
    rows: Any = np.array(picture)  # a copy: what is looked at here is libheif's memory, and goes with its picture
    rows = (rows if rows.ndim == 3 else rows[..., None])[:, : picture.size[0]]  # noqa: PLR2004 - no bands are one
    image = from_rows(rows, picture.info.get("icc_profile") or b"")
    image = image.unpremultiply().rint().cast("uchar") if picture.premultiplied_alpha else image
    return told(noted(image, picture.info.get("exif"), picture.info.get("xmp")), 1)
