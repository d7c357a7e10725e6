"""Read what a file's header claims, without a decoder: the first wall, and a second opinion on the decoder's.

Units    bytes and pixels; orientation is left to the decoder's EXIF reader, and applied where a format has its own.
Errors   `UnsupportedSourceType` by magic bytes; `ImageCorrupt` where the structure breaks off.
Source   a module for each family says its own.
Every walk is over bytes that are there: no length field is believed beyond the end of the file.
"""

import struct
from collections.abc import Callable
from functools import partial

from imagemill.engines.headers import bmp, gif, heif, ico, jpeg, jxl, png, tiff, webp
from imagemill.engines.headers.base import Buffer
from imagemill.engines.png_parts import SIGNATURE
from imagemill.engines.svg.header import svg
from imagemill.engines.svg.text import begins_svg
from imagemill.model.errors import ImageCorrupt, UnsupportedSourceType
from imagemill.model.media import Format, MediaInfo

__all__ = ["Buffer", "probe", "sniff"]

_STARTS = (
    (Format.JPEG, (b"\xff\xd8\xff",)),
    (Format.PNG, (SIGNATURE,)),
    (Format.GIF, (b"GIF87a", b"GIF89a")),
    (Format.TIFF, tiff.MAGICS),
    (Format.JXL, (jxl.BARE, jxl.BOXED)),
    (Format.BMP, (b"BM",)),
)
_READERS: dict[Format, Callable[[Buffer], MediaInfo]] = {
    Format.JPEG: jpeg.read,
    Format.PNG: png.read,
    Format.GIF: gif.read,
    Format.WEBP: webp.read,
    Format.AVIF: partial(heif.read, format_=Format.AVIF),
    Format.HEIC: partial(heif.read, format_=Format.HEIC),
    Format.TIFF: tiff.read,
    Format.JXL: jxl.read,
    Format.BMP: bmp.read,
    Format.ICO: ico.read,
    Format.SVG: svg,
}
_PAGED: dict[Format, Callable[[Buffer, int], MediaInfo]] = {Format.TIFF: tiff.read, Format.ICO: ico.read}


def sniff(head: Buffer) -> Format:
    """The format that the first bytes of a file announce; whether a PNG is an APNG is told by `probe` only."""
    head = bytes(head[:256])
    for format_, starts in _STARTS:
        if head.startswith(starts):
            return format_
    if ico.is_icon(head):
        return Format.ICO
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return Format.WEBP
    if head[4:8] == b"ftyp" and (family := heif.family(head)):
        return family
    if begins_svg(head):
        return Format.SVG
    raise UnsupportedSourceType("the source is no JPEG, PNG, WebP, AVIF, GIF, TIFF, HEIC, JPEG XL, BMP, ICO or SVG")


def probe(source: Buffer, page: int = -1) -> MediaInfo:
    """What the header of *source* claims, read in time proportional to its number of blocks.

    Where it has pages: of *page*, or with -1 of the one that is shown by itself.
    """
    format_ = sniff(source)
    try:
        info = _PAGED[format_](source, page) if format_ in _PAGED else _READERS[format_](source)
    except (struct.error, IndexError, OverflowError) as e:
        raise ImageCorrupt(f"{format_}: the header breaks off") from e
    if info.width_px < 1 or info.height_px < 1 or info.frames < 1:
        raise ImageCorrupt(f"{format_}: {info.width_px} × {info.height_px} px, {info.frames} frames")
    return info
