"""One decoder for each kind of source, chosen by what our own reader found: none is asked to guess (threat D14)."""

from collections.abc import Callable, Mapping
from typing import Any

from imagemill.engines.decoders import apng, by_pillow, heic, jxl
from imagemill.engines.decoders.base import Image, pyvips, refusals
from imagemill.engines.decoders.samples import usual
from imagemill.model.errors import ImageCorrupt
from imagemill.model.media import Format, MediaInfo

_LIBVIPS = {
    Format.JPEG: "jpegload_buffer",
    Format.PNG: "pngload_buffer",
    Format.WEBP: "webpload_buffer",
    Format.GIF: "gifload_buffer",
    Format.AVIF: "heifload_buffer",
    Format.TIFF: "tiffload_buffer",
}
_PAGES = frozenset({Format.GIF, Format.WEBP, Format.TIFF})
Decode = Callable[[memoryview, MediaInfo, int, int], Image]
"""Some frames or pages, from the one whose number comes third."""
_OTHERS: Mapping[Format, Decode] = {
    Format.APNG: apng.decoded,
    Format.BMP: by_pillow.bitmap,
    Format.ICO: by_pillow.icon,
    Format.HEIC: heic.decoded,
    Format.JXL: jxl.decoded,
}
_UNUSUAL: Mapping[Format, Decode] = {Format.AVIF: by_pillow.frames_of_avif, Format.TIFF: by_pillow.page}


def streams(info: MediaInfo) -> bool:
    """Whether `opened` reads no more than a header, and pixels as they are asked for: libvips does, and no other."""
    return _other(info) is None


def opened(source: memoryview, info: MediaInfo, shrink: int = 1, first: int = 0, frames: int = 1) -> Image:
    """*frames* frames or pages of *source* from *first* on, below one another."""
    decode = _other(info)
    if decode is not None:
        with refusals(info.format):
            return decode(source, info, first, frames)
    options: dict[str, Any] = {"access": "sequential", "fail_on": "error"}
    if shrink > 1:
        options["shrink"] = shrink
    if info.format in _PAGES and (first or frames > 1):
        options |= {"page": first, "n": frames}
    loader: Callable[..., Image] = getattr(pyvips.Image, _LIBVIPS[info.format])
    image = loader(source, **options)
    if info.format is Format.AVIF and image.get_typeof("heif-compression") and image.get("heif-compression") != "av1":
        raise ImageCorrupt("avif: holds another codec")
    return usual(image) if info.format is Format.TIFF else image


def _other(info: MediaInfo) -> Decode | None:
    return _UNUSUAL.get(info.format) if info.unusual else _OTHERS.get(info.format)
