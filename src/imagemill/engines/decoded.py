"""The pixels of one source, decoded once for all that is made of it: as rows in memory, or as libvips streams them.

Rows     of plain JPEGs by libjpeg-turbo (`engines.turbo`), and of what has transparency, which libvips mixes slowly.
         Bounded by `turbo.MOST_BYTES`; whatever is larger, or odd, is streamed.
Errors   `pyvips.Error`, which the caller translates; `ImageCorrupt`.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from imagemill.engines import decoders, exif, scaler, turbo
from imagemill.engines.decoders.base import PROFILE, Image, noted, pyvips
from imagemill.engines.svg.document import Document
from imagemill.model.errors import ImageCorrupt
from imagemill.model.media import Format, MediaInfo
from imagemill.plan.geometry import Size
from imagemill.plan.steps import Scale, Steps

__all__ = ["PROFILE", "Decoded", "Image", "needs_libvips", "pyvips"]

_GREY_BANDS = 2
_CHROMA_HALVED = 2


def draw(file: bytes, size: Size) -> Image:
    """A vector picture that was written by us, at the *size* it says."""
    image = pyvips.Image.svgload_buffer(file, access="sequential", fail_on="error")
    if (image.width, image.height) != (size.width, size.height):
        raise ImageCorrupt(f"svg: drawn at {image.width} × {image.height} for {size.width} × {size.height}")
    return image


def needs_libvips(info: MediaInfo) -> bool:
    """Whether only libvips can say all that has to be known of a source before it is decoded."""
    return not (turbo.is_plain(info) and info.bare)


class Decoded:
    """One decode for all the work: at the largest size anyone needs, kept when more than one needs it."""

    def __init__(
        self,
        source: memoryview,
        info: MediaInfo,
        work: Sequence[Steps],
        opened: Image | Document | None,
        look: Callable[[], Image],
    ) -> None:
        """Hold what is given; nothing is decoded before it is asked for.

        Args:
            source: The file.
            info: What is known of it.
            work: All that will be asked for; all of it begins at the same frame or page.
            opened: The source as libvips opened it, where that was done; a vector picture as it was read.
            look: Opens and judges it, where that turns out to be needed after all.
        """
        self._source = source
        self._info = info
        self._shrink = min(steps.shrink for steps in work)
        self._first = work[0].first
        self._frames = max(steps.frames for steps in work)
        self._coarse = self._shrink == 1 and all(_halves(steps) for steps in work)
        self._keep = len(work) > 1 or any(steps.border is not None for steps in work)
        self._opened = None if isinstance(opened, Document) else opened
        self._look = look
        self._document = opened if isinstance(opened, Document) else None
        self._header: Image = self._opened
        self._image: Image = None
        self._rows: Any = None

    def rows(self, steps: Steps) -> Any | None:
        """The pixels for *steps* as an array of rows; None where `image` is the way to them."""
        if self._rows is not None:
            return self._rows
        if self._image is not None or self._frames > 1 or self._document:
            return None
        rows = turbo.decode(self._source, self._info, self._shrink, coarse=self._coarse)
        if rows is not None:
            rows = rows[: max(1, self._info.height_px // self._shrink), : max(1, self._info.width_px // self._shrink)]
        elif self._opened is not None and _mixes(self._opened, steps):
            rows = np.frombuffer(self._opened.write_to_memory(), np.uint8)
            rows = rows.reshape(self._opened.height, self._opened.width, self._opened.bands)
            self._opened = None
        self._rows = rows if self._keep else None
        return rows

    def image(self, steps: Steps) -> Image:
        """The decoded source for *steps*: all frames below one another where it is animated."""
        if self._document and steps.drawing:
            return draw(self._document.drawn(steps.drawing), steps.drawing.size)
        if self._rows is not None:
            return self.wrapped(self._rows)
        if self._image is None:
            fresh = self._streamed()
            self._image = fresh.copy_memory() if self._keep else fresh
            self._opened = None
        if steps.frames < self._frames:
            return self._image.crop(0, 0, self._image.width, steps.source.height_px)
        return self._image

    def picture(self, steps: Steps) -> Image:
        """The pixels for *steps* as an image, whichever way they come; asked for again, they are there."""
        rows = self.rows(steps)
        return self.image(steps) if rows is None else self.wrapped(rows)

    def wrapped(self, rows: Any) -> Image:
        """*rows* as an image, with the profile that libvips found beside them."""
        image = as_image(rows)
        if self.has_profile:
            image.set_type(pyvips.GValue.blob_type, PROFILE, self._header.get(PROFILE))
        return image

    @property
    def header(self) -> Image | None:
        """The source as libvips opened it, where that was done: for what stands beside its pixels."""
        return self._header

    @property
    def notes(self) -> Image | None:
        """`header`, for EXIF, XMP and IPTC: a TIFF has the first in fields of its own, which libvips does not tell."""
        if self._header is None or self._info.format is not Format.TIFF or self._header.get_typeof("exif-data"):
            return self._header
        return noted(self._header.copy(), exif.written(exif.of_tiff(bytes(self._source))), None)

    @property
    def has_profile(self) -> bool:
        """Whether the colours are those of a profile that libvips could read."""
        return self._header is not None and bool(self._header.get_typeof(PROFILE))

    def _streamed(self) -> Image:
        """The source as libvips reads it: row by row, as the pixels are asked for."""
        if self._opened is None:
            self._opened = self._header = self._look()
        if self._shrink == self._frames == 1:
            return self._opened
        return decoders.opened(self._source, self._info, self._shrink, self._first, self._frames)


def as_image(rows: Any) -> Image:
    """*rows* as an image of sRGB, or its grey."""
    height, width, bands = rows.shape
    image = pyvips.Image.new_from_memory(np.ascontiguousarray(rows), width, height, bands, "uchar")
    return image.copy(interpretation="b-w" if bands <= _GREY_BANDS else "srgb")


def _mixes(image: Image, steps: Steps) -> bool:
    """Whether pixels of different transparency are to be mixed, and are few enough to be held."""
    if not scaler.AVAILABLE:
        return False
    plain = image.format == "uchar" and image.interpretation in {"srgb", "b-w"} and image.hasalpha()
    small = image.width * image.height * image.bands <= turbo.MOST_BYTES
    return bool(plain and small and steps.steps and isinstance(steps.steps[0], Scale))


def _halves(steps: Steps) -> bool:
    """Whether *steps* begin by halving the picture at least: then nobody sees how its colours were smoothed."""
    match steps.steps:
        case [Scale(size=size), *_]:
            of = steps.source
            return min(of.width_px / size.width, of.height_px / size.height) >= _CHROMA_HALVED
    return False
