"""Make renditions with libvips: one decode, the steps of each, one encode each.

Units    as in `plan.resolve`.
Errors   `ImageCorrupt` for whatever libvips says of a source; `LimitExceeded` where the decoder's header is beyond
         what ours promised.
Source   libvips 8.18 reference: jpegload, pngload, webpload, gifload, heifload and the savers.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
from msgspec.structs import replace

from imagemill.engines import encoders, scaler
from imagemill.engines.base import Task
from imagemill.engines.decoded import Decoded, Image, needs_libvips, open_source, pyvips
from imagemill.engines.operations import applied
from imagemill.engines.operations.base import Context
from imagemill.engines.pixels import RGB, srgb
from imagemill.engines.rewrite.choice import smaller
from imagemill.engines.svg.document import Document
from imagemill.engines.svg.reading import read
from imagemill.model.errors import ImageCorrupt, LimitExceeded
from imagemill.model.keys import etag
from imagemill.model.media import ANIMATED, VECTORS, Format, MediaInfo, Rendition
from imagemill.plan.cost import check_cost
from imagemill.plan.geometry import Size, shrunk
from imagemill.plan.policy import check_source
from imagemill.plan.resolve import check_output, resolve
from imagemill.plan.steps import Cut, Scale, Step, Steps, Underlay
from imagemill.settings import Engine, Limits

_OF_ANIMATIONS = ("delay", "loop", "background")
_OPAQUE_BANDS = frozenset({1, 3})


class Vips:
    """The engine, inside a worker process."""

    def __init__(self, limits: Limits, settings: Engine) -> None:
        self._limits = limits
        self._settings = settings
        pyvips.operation_block_set("VipsForeignLoadSvg", False)  # noqa: FBT003 - given nothing but what `svg` wrote
        pyvips.cache_set_max(0)  # no result may be shared between strangers' pictures

    def run(self, source: memoryview, info: MediaInfo, tasks: Sequence[Task]) -> Iterator[Rendition]:
        """Make each task of *source*, of which *info* is what our own reader found."""
        with _as_ours(info.format):
            image, info = self.opened(source, info)
        work = [self._resolve(task, info) for task in tasks]
        shared = Decoded(source, info, work, image, partial(self._looked_at, source, info))
        del image
        for steps in work:
            with _as_ours(info.format):
                body = self._made(shared, steps)
                if self._settings.never_larger:
                    body = smaller(source, steps, body)
            if len(body) > self._limits.output_bytes:
                raise LimitExceeded("output_bytes", f"output: {len(body)} > {self._limits.output_bytes} bytes")
            yield Rendition(body, steps.format, etag(body), steps.size.width, steps.size.height, steps.frames)

    def opened(self, source: memoryview, info: MediaInfo) -> tuple[Image | Document | None, MediaInfo]:
        """*source* as far as it has to be read for all that is to be known of it, and what that says."""
        if info.format in VECTORS:
            document = read(source, self._limits)
            check_source(document.info, self._limits)
            return document, document.info
        if not needs_libvips(info):
            return None, info
        image = open_source(source, info.format)
        return image, self._agreed(image, info)

    def _looked_at(self, source: memoryview, info: MediaInfo) -> Image:
        """*source* as libvips opens it, once it agrees on what was believed of it so far."""
        image = open_source(source, info.format)
        if self._agreed(image, info) != info:
            raise ImageCorrupt(f"{info.format}: two readers of its header disagree")
        return image

    def _made(self, shared: Decoded, steps: Steps) -> bytes:
        """One rendition: on rows of pixels as far as that goes, the rest with libvips."""
        rows = shared.rows(steps)
        if rows is None:
            return encoders.from_image(self._apply(shared.image(steps), steps), steps, self._settings)
        rows, left = _on_rows(rows, steps)
        if not shared.has_profile and _is_finished(rows, left):
            body = encoders.from_rows(rows, steps, self._settings)
            if body is not None:
                return body
        left_steps = replace(steps, steps=left)
        return encoders.from_image(self._apply(shared.wrapped(rows), left_steps), left_steps, self._settings)

    def _agreed(self, image: Image, info: MediaInfo) -> MediaInfo:
        """*info* with what only the decoder knows, once the two headers are found to agree."""
        width, height = image.width, image.height
        same = (width, height) == (info.width_px, info.height_px)
        if info.format is Format.AVIF:  # turned and cropped by the decoder, as its own properties say
            same = max(width, height) <= max(info.width_px, info.height_px)
        if not same:
            raise ImageCorrupt(f"{info.format}: header {info.width_px} × {info.height_px}, decoder {width} × {height}")
        frames = image.get("n-pages") if info.format in ANIMATED and image.get_typeof("n-pages") else 1
        found = replace(
            info, width_px=width, height_px=height, frames=frames, channels=max(image.bands, info.channels),
            has_alpha=image.hasalpha() != 0, orientation=_orientation(image),
        )  # fmt: skip
        check_source(found, self._limits)
        return found

    def _resolve(self, task: Task, info: MediaInfo) -> Steps:
        steps = resolve(task.recipe, task.candidates, info, self._limits)
        check_source(info, self._limits, frames=steps.frames)
        check_output(steps, self._limits)
        check_cost(steps, self._settings, self._limits)
        return steps

    def _apply(self, image: Image, steps: Steps) -> Image:
        if steps.frames == 1:
            return _finish(applied(image, steps.steps, Context()), steps)
        joined = _each_scaled(image, steps)
        if joined is None:
            joined = pyvips.Image.arrayjoin(_one_by_one(image, steps), across=1).copy()
        for name in _OF_ANIMATIONS:
            if kind := image.get_typeof(name):
                joined.set_type(kind, name, image.get(name))
        joined.set_type(pyvips.GValue.gint_type, "page-height", steps.size.height)
        return joined


def _is_finished(rows: Any, left: tuple[Step, ...]) -> bool:
    """Whether what is *left* to do changes nothing: a colour below a picture that nothing shines through."""
    return not left or (rows.shape[2] in _OPAQUE_BANDS and all(isinstance(step, Underlay) for step in left))


def _on_rows(rows: Any, steps: Steps) -> tuple[Any, tuple[Step, ...]]:
    """*rows* after as many of *steps* as need no libvips, and those that are left."""
    left = steps.steps
    while left:
        match left:
            case [Cut() as cut, *_]:
                box = shrunk(cut.box, cut.of, Size(rows.shape[1], rows.shape[0]))
                rows, left = rows[box.top : box.top + box.height, box.left : box.left + box.width], left[1:]
                continue
            case [Scale(size=size), Cut(box=box, of=of), *_] if of == size:
                made, after = scaler.scaled(rows, size, box), left[2:]
            case [Scale(size=size), *_]:
                made, after = scaler.scaled(rows, size), left[1:]
            case _:
                break
        if made is None:
            break
        rows, left = made, after
    return rows, left


def _one_by_one(image: Image, steps: Steps) -> list[Image]:
    """The frames of a strip, each brought through its steps alone."""
    height = steps.source.height_px
    strip = srgb(image).copy_memory()
    found: dict[Any, Any] = {}
    return [
        _finish(applied(strip.crop(0, n * height, strip.width, height), steps.steps, Context(n, found)), steps)
        for n in range(steps.frames)
    ]


def _each_scaled(image: Image, steps: Steps) -> Image | None:
    """As `_one_by_one`, where all there is to do is to scale: on rows, without a pipeline for each frame."""
    match steps.steps:
        case [Scale(size=size)]:
            pass
        case _:
            return None
    strip = srgb(image)
    pixels = np.frombuffer(strip.write_to_memory(), np.uint8)
    frames = pixels.reshape(steps.frames, strip.height // steps.frames, strip.width, strip.bands)
    made = [scaler.scaled(rows, size) for rows in frames]
    if any(rows is None for rows in made):
        return None
    scaled = pyvips.Image.new_from_memory(
        np.concatenate(made), size.width, steps.frames * size.height, strip.bands, "uchar"
    )
    return _finish(scaled.copy(interpretation=strip.interpretation), steps)


def _orientation(image: Image) -> int:
    value = image.get("orientation") if image.get_typeof("orientation") else 1
    return value if 1 <= value <= 8 else 1  # noqa: PLR2004 - EXIF 2.32, tag 0x0112


def _finish(image: Image, steps: Steps) -> Image:
    image = srgb(image)
    if steps.format in {Format.WEBP, Format.AVIF, Format.GIF} and image.bands < RGB:
        image = image.colourspace("srgb")
    return image


@contextmanager
def _as_ours(format_: Format) -> Iterator[None]:
    try:
        yield
    except pyvips.Error as e:
        raise ImageCorrupt(f"{format_}: the decoder refused it") from e
