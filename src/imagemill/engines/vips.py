"""Make renditions with libvips: one decode, the steps of each, one encode each.

Units    as in `plan.resolve`.
Errors   `ImageCorrupt` for whatever libvips says of a source; `LimitExceeded` where the decoder's header is beyond
         what ours promised.
Source   libvips 8.18 reference: jpegload, pngload, webpload, gifload, heifload and the savers.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import groupby
from typing import Any

import numpy as np
from msgspec.structs import replace

from imagemill.engines import decoders, encoders, scaler
from imagemill.engines.base import Task
from imagemill.engines.decoded import Decoded, Image, needs_libvips, pyvips
from imagemill.engines.headers import probe
from imagemill.engines.operations import applied
from imagemill.engines.operations.base import Context
from imagemill.engines.pixels import RGB, srgb
from imagemill.model.errors import ImageCorrupt, LimitExceeded
from imagemill.model.keys import etag
from imagemill.model.media import PAGED, Format, MediaInfo, Rendition
from imagemill.plan.cost import check_cost
from imagemill.plan.frames import asked, selected
from imagemill.plan.geometry import Size, shrunk
from imagemill.plan.policy import check_source
from imagemill.plan.resolve import check_output, resolve
from imagemill.plan.steps import Cut, Scale, Step, Steps, Underlay
from imagemill.settings import Engine, Limits

_COUNTED = frozenset({Format.GIF, Format.WEBP})
"""Where the decoder's count of frames is the one that holds."""
_OPAQUE_BANDS = frozenset({1, 3})


class Vips:
    """The engine, inside a worker process."""

    def __init__(self, limits: Limits, settings: Engine) -> None:
        self._limits = limits
        self._settings = settings
        pyvips.cache_set_max(0)  # no result may be shared between strangers' pictures

    def run(self, source: memoryview, info: MediaInfo, tasks: Sequence[Task]) -> Iterator[Rendition]:
        """Make each task of *source*, of which *info* is what our own reader found."""
        for page, some in groupby(tasks, lambda task: asked(task.recipe).first):
            yield from self._run(source, self._of_page(source, info, page), list(some))

    def _of_page(self, source: memoryview, info: MediaInfo, page: int) -> MediaInfo:
        """*info*, where pages differ: of the one that is asked for."""
        if page < 0 or info.format not in PAGED:
            return info
        found = probe(source, page)
        check_source(found, self._limits)
        return found

    def _run(self, source: memoryview, info: MediaInfo, tasks: Sequence[Task]) -> Iterator[Rendition]:
        """Make *tasks*, which all begin at the same frame or page."""
        image = None
        if needs_libvips(info):
            first = selected(asked(tasks[0].recipe), info).first
            if not decoders.streams(info):  # what this opens it decodes: judged by our own header before
                for task in tasks:
                    self._resolve(task, info)
            with _as_ours(info.format):
                image = decoders.opened(source, info, first=first)
                info = self._agreed(image, info)
        work = [self._resolve(task, info) for task in tasks]
        shared = Decoded(source, info, work, image, partial(self._looked_at, source, info))
        del image
        for steps in work:
            with _as_ours(info.format):
                body = self._made(shared, steps)
            if len(body) > self._limits.output_bytes:
                raise LimitExceeded("output_bytes", f"output: {len(body)} > {self._limits.output_bytes} bytes")
            yield Rendition(body, steps.format, etag(body), steps.size.width, steps.size.height, steps.frames)

    def _looked_at(self, source: memoryview, info: MediaInfo) -> Image:
        """*source* as libvips opens it, once it agrees on what was believed of it so far."""
        image = decoders.opened(source, info)
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
        if info.format is Format.TIFF and info.unusual:  # turned upright by the decoder
            same = {width, height} == {info.width_px, info.height_px}
        if not same:
            raise ImageCorrupt(f"{info.format}: header {info.width_px} × {info.height_px}, decoder {width} × {height}")
        pages = image.get("n-pages") if image.get_typeof("n-pages") else 1
        if info.format is Format.TIFF and pages != info.pages:
            raise ImageCorrupt(f"tiff: header {info.pages} pages, decoder {pages}")
        frames = pages if info.format in _COUNTED else info.frames
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
        if kind := image.get_typeof("background"):
            joined.set_type(kind, "background", image.get("background"))
        _play(joined, image, steps)
        joined.set_type(pyvips.GValue.gint_type, "page-height", steps.size.height)
        return joined


def _play(made: Image, image: Image, steps: Steps) -> None:
    """How *made* is shown: as *image*, its source, says, save for what *steps* say."""
    delays_ms = image.get("delay")[steps.first : steps.first + steps.frames] if image.get_typeof("delay") else []
    if steps.delay_ms:
        delays_ms = [steps.delay_ms] * steps.frames
    if delays_ms:
        made.set_type(pyvips.GValue.array_int_type, "delay", delays_ms)
    loops = image.get("loop") if image.get_typeof("loop") and steps.loops < 0 else steps.loops
    if loops >= 0:
        made.set_type(pyvips.GValue.gint_type, "loop", loops)


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
