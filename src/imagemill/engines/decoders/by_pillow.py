"""Decode with Pillow what libvips does not: bitmaps, icons, odd TIFFs, and AVIFs that move.

Each class of Pillow is called by name: nothing is left to be guessed from the bytes (threat D14).
Units    delays in milliseconds; loops count showings, 0 = for ever.
Errors   Pillow's own, for the caller to translate.
Source   Pillow 13: the plugins named.
"""

from io import BytesIO
from struct import pack
from typing import Any

import numpy as np
from PIL import AvifImagePlugin, BmpImagePlugin, IcoImagePlugin, ImageOps, TiffImagePlugin
from PIL import Image as Pillow

from imagemill.engines.decoders.base import Image, from_rows, noted, pyvips, told
from imagemill.engines.headers import heif, ico
from imagemill.model.errors import ImageCorrupt
from imagemill.model.media import MediaInfo

Pillow.MAX_IMAGE_PIXELS = None  # our own limits have judged the header before
AvifImagePlugin.DEFAULT_MAX_THREADS = 1
_SPACES = {"CMYK": "cmyk"}
_AS_THEY_ARE = frozenset({"L", "LA", "RGB", "RGBA", "CMYK"})
_BY_WAY_OF = {"1": "L", "La": "LA", "RGBa": "RGBA", "PA": "RGBA", "RGBX": "RGB", "YCbCr": "RGB", "LAB": "RGB"}
_ICON_HEADER_BYTES = 22
_TOP = 0xFFFF
_WITH_ALPHA = 32
"""Bits of a pixel."""


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
    picture = IcoImagePlugin.IcoFile(BytesIO(head + body)).frame(0)
    picture.load()
    if entry.bits == _WITH_ALPHA and not picture.getchannel("A").getbbox():
        picture.putalpha(_mask(body, entry))
    return told(_still(picture), info.pages)


def _mask(body: bytes, entry: ico.Entry) -> Pillow.Image:
    """What the mask of an icon shows, which counts where its colours have an alpha that is nothing but zeros."""
    row_bytes = (entry.width_px + 31) // 32 * 4
    start = int.from_bytes(body[:4], "little") + 4 * entry.width_px * entry.height_px
    bits = body[start : start + row_bytes * entry.height_px]
    if len(bits) < row_bytes * entry.height_px:
        return Pillow.new("L", (entry.width_px, entry.height_px), 255)
    rows = np.unpackbits(np.frombuffer(bits, np.uint8).reshape(entry.height_px, row_bytes), axis=1)
    return Pillow.fromarray((1 - rows[::-1, : entry.width_px]) * np.uint8(255))


def page(source: memoryview, info: MediaInfo, first: int, frames: int) -> Image:
    """Pages of a TIFF whose samples lie apart, or in what came before today's JPEG in TIFF; turned upright."""
    picture = TiffImagePlugin.TiffImageFile(BytesIO(source))
    made = []
    for n in range(first, first + frames):
        picture.seek(n)
        made.append(_still(picture))
    return told(_joined(made), info.pages)


def frames_of_avif(source: memoryview, info: MediaInfo, first: int, frames: int) -> Image:
    """Frames of an AVIF sequence, a still in layers or in greys; turned as its properties say."""
    picture = AvifImagePlugin.AvifImageFile(BytesIO(source))
    if picture.n_frames != info.frames:
        raise ImageCorrupt(f"avif: header {info.frames} frames, decoder {picture.n_frames}")
    delays_ms, made = [], []
    for n in range(first + frames):
        picture.seek(n)
        picture.load()
        delays_ms.append(round(picture.info.get("duration", 0)))
        if n >= first:
            turned = ImageOps.exif_transpose(picture)
            made.append(np.asarray(turned.convert("RGBA" if info.has_alpha else "RGB")))
    image = from_rows(np.concatenate(made), picture.info.get("icc_profile") or b"")
    moves = info.frames > 1
    if moves:
        delays_ms += heif.delays_ms(source)[len(delays_ms) :]  # of frames that nobody has decoded
    image = noted(image, picture.info.get("exif"), picture.info.get("xmp"))
    return told(image, info.frames, tuple(delays_ms) if moves else (), heif.loops(source) if moves else -1)


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
