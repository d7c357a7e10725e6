"""What all decoders share: libvips, and how rows of somebody else's pixels become one of its pictures."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from imagemill.engines import libvips
from imagemill.model.errors import ImageCorrupt, ImagemillError, LimitExceeded

pyvips = libvips.load()
Image = Any  # pyvips carries no types of its own that mypy could follow

PROFILE = "icc-profile-data"
MORE_MEMORY = "the picture needs more memory than a worker has"
_GREY_BANDS = 2
_NO_MEMORY = re.compile(
    r"(?:out of|insufficient) memory|memory (?:allocation|error)|failed to allocate|creating thread", re.IGNORECASE
)
"""As libvips, libpng and libavif, libjpeg, libheif and libtiff, libwebp, and GLib (of a thread's stack) say it."""
_KINDS = {
    "uint8": ("uchar", "b-w", "srgb"),
    "uint16": ("ushort", "grey16", "rgb16"),
    "float32": ("float", "b-w", "scrgb"),
}


def from_rows(rows: Any, profile: bytes = b"", interpretation: str = "") -> Image:
    """An array of rows, columns and bands as a picture; colours are RGB or grey unless *interpretation* says other."""
    height, width, bands = rows.shape
    kind, grey, colours = _KINDS[rows.dtype.name]
    image = pyvips.Image.new_from_memory(np.ascontiguousarray(rows), width, height, bands, kind)
    image = image.copy(interpretation=interpretation or (grey if bands <= _GREY_BANDS else colours))
    if profile:
        image.set_type(pyvips.GValue.blob_type, PROFILE, profile)
    return image


def told(image: Image, pages: int, delays_ms: tuple[int, ...] = (), loops: int = -1, orientation: int = 1) -> Image:
    """*image*, its frames below one another, and what is known of it beside the pixels."""
    image.set_type(pyvips.GValue.gint_type, "n-pages", pages)
    image.set_type(pyvips.GValue.gint_type, "orientation", orientation)
    if delays_ms:
        image.set_type(pyvips.GValue.array_int_type, "delay", list(delays_ms))
    if loops >= 0:
        image.set_type(pyvips.GValue.gint_type, "loop", loops)
    return image


def noted(image: Image, exif: bytes | None, xmp: bytes | None) -> Image:
    """*image*, with what its file has in words, as libvips names it; its orientation has to be `told` after that."""
    for name, body in (("exif-data", exif), ("xmp-data", xmp)):
        if body:
            image.set_type(pyvips.GValue.blob_type, name, body)
    return image


@contextmanager
def refusals(what: str, raised: type[Exception] = Exception) -> Iterator[None]:
    """Whatever is *raised* by a decoder's binding means that it refused *what*; what is ours stays as it is."""
    try:
        yield
    except (ImagemillError, MemoryError):
        raise
    except raised as e:
        raise refused(what, e) from e


def refused(what: str, error: Exception) -> ImagemillError:
    """What a decoder's *error* means for who has sent *what*: that it is damaged, or too large for a worker."""
    if ran_out(error):
        return LimitExceeded("memory", MORE_MEMORY)
    return ImageCorrupt(f"{what}: the decoder refused it")


def ran_out(error: Exception) -> bool:
    """Whether an error of some binding says that there was no memory."""
    return isinstance(error, MemoryError) or _NO_MEMORY.search(str(error)) is not None
