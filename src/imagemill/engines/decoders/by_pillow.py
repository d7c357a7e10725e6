"""Decode with Pillow what libvips does not: bitmaps, icons, odd TIFFs, and animations in PNG and AVIF.

Each class of Pillow is called by name: nothing is left to be guessed from the bytes (threat D14).
Units    delays in milliseconds; loops count showings, 0 = for ever.
Errors   Pillow's own, for the caller to translate.
Source   Pillow 13: the plugins named; APNG (PNG 3rd edition, 11.3.6).
"""

from io import BytesIO
from struct import pack
from typing import Any

import numpy as np
from PIL import AvifImagePlugin, BmpImagePlugin, IcoImagePlugin, ImageFile, ImageOps, PngImagePlugin, TiffImagePlugin
from PIL import Image as Pillow

from imagemill.engines.decoders.base import Image, from_rows, pyvips, told
from imagemill.engines.headers import heif, ico
from imagemill.model.errors import ImageCorrupt
from imagemill.model.media import MediaInfo

Pillow.MAX_IMAGE_PIXELS = None  # our own limits have judged the header before
AvifImagePlugin.DEFAULT_MAX_THREADS = 1
_ORIENTATION = 0x0112
_SPACES = {"CMYK": "cmyk"}
_AS_THEY_ARE = frozenset({"L", "LA", "RGB", "RGBA", "CMYK"})
_BY_WAY_OF = {"1": "L", "La": "LA", "RGBa": "RGBA", "PA": "RGBA", "RGBX": "RGB", "YCbCr": "RGB", "LAB": "RGB"}
_ICON_HEADER_BYTES = 22
_TOP = 0xFFFF


def bitmap(source: memoryview, _info: MediaInfo, _first: int, _frames: int) -> Image:
    """A BMP."""
    return _still(BmpImagePlugin.BmpImageFile(BytesIO(source)))


def icon(source: memoryview, info: MediaInfo, first: int, _frames: int) -> Image:
    """One picture of an icon or a cursor, its mask made transparency."""
    entry = ico.entries(source)[first]
    if entry.is_png:
        image = pyvips.Image.pngload_buffer(source[entry.at : entry.at + entry.length], fail_on="error")
        return told(image.copy(), info.pages)
    body = bytes(source[entry.at : entry.at + entry.length])
    sides = bytes(side & 0xFF for side in (entry.width_px, entry.height_px))
    head = pack("<HHH", 0, 1, 1) + sides + pack("<HHHII", 0, 1, entry.bits, len(body), _ICON_HEADER_BYTES)
    return told(_still(IcoImagePlugin.IcoFile(BytesIO(head + body)).frame(0)), info.pages)


def page(source: memoryview, info: MediaInfo, first: int, frames: int) -> Image:
    """Pages of a TIFF whose samples lie apart, or in what came before today's JPEG in TIFF; turned upright."""
    picture = TiffImagePlugin.TiffImageFile(BytesIO(source))
    made = []
    for n in range(first, first + frames):
        picture.seek(n)
        made.append(_still(picture))
    return told(_joined(made), info.pages)


def frames_of_png(source: memoryview, info: MediaInfo, first: int, frames: int) -> Image:
    """Frames of an APNG, each as it is seen: blended over what the one before left."""
    picture = PngImagePlugin.PngImageFile(BytesIO(source))
    hidden = int(bool(picture.info.get("default_image")))  # a picture for those who know no APNG: no frame
    image = _sequence(picture, info, first + hidden, frames, hidden)
    return told(
        image, info.frames, _delays(image), int(picture.info.get("loop", 0)), picture.getexif().get(_ORIENTATION, 1)
    )


def frames_of_avif(source: memoryview, info: MediaInfo, first: int, frames: int) -> Image:
    """Frames of an AVIF sequence, or a still in layers; turned as its properties say."""
    picture = AvifImagePlugin.AvifImageFile(BytesIO(source))
    if picture.n_frames != info.frames:
        raise ImageCorrupt(f"avif: header {info.frames} frames, decoder {picture.n_frames}")
    image = _sequence(picture, info, first, frames, 0)
    return told(image, info.frames, _delays(image), heif.loops(source) if info.frames > 1 else -1)


def _sequence(picture: ImageFile.ImageFile, info: MediaInfo, first: int, frames: int, hidden: int) -> Image:
    """*frames* of them, below one another, with the delays of all up to the last."""
    delays_ms, made = [], []
    for n in range(hidden, first + frames):
        picture.seek(n)
        picture.load()
        delays_ms.append(round(picture.info.get("duration", 0)))
        if n >= first:
            turned = ImageOps.exif_transpose(picture) if picture.format == "AVIF" else picture
            made.append(np.asarray(turned.convert("RGBA" if info.has_alpha else "RGB")))
    image = from_rows(np.concatenate(made), picture.info.get("icc_profile") or b"")
    return told(image, info.frames, tuple(delays_ms))


def _delays(image: Image) -> tuple[int, ...]:
    return tuple(image.get("delay"))


def _joined(images: list[Image]) -> Image:
    return images[0] if len(images) == 1 else pyvips.Image.arrayjoin(images, across=1).copy()


def _still(picture: Pillow.Image) -> Image:
    picture.load()
    profile = picture.info.get("icc_profile") or b""
    rows, space = _rows(picture)
    return told(from_rows(rows, profile, space), 1)


def _rows(picture: Pillow.Image) -> tuple[Any, str]:
    """Pixels as an array, and their space where it is not RGB or grey."""
    mode = picture.mode
    if mode == "P":
        mode = "RGBA" if "transparency" in picture.info else "RGB"
    mode = _BY_WAY_OF.get(mode, mode)
    if mode in _AS_THEY_ARE:
        rows = np.asarray(picture if picture.mode == mode else picture.convert(mode))
        return (rows if rows.ndim == 3 else rows[..., None]), _SPACES.get(mode, "")  # noqa: PLR2004 - no bands are one
    deep = np.asarray(picture)[..., None]
    if deep.dtype.kind == "f":
        return deep.astype(np.float32), ""
    return np.clip(deep, 0, _TOP).astype(np.uint16), ""
