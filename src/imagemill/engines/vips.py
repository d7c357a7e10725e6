"""Make renditions with libvips: one decode, the steps of each, one encode each.

Units    as in `plan.resolve`.
Errors   `ImageCorrupt` for whatever libvips says of a source; `LimitExceeded` where it says that memory ran out, or
         where the decoder's header is beyond what ours promised.
Source   libvips 8.18 reference: jpegload, pngload, webpload, gifload, heifload and the savers.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import groupby
from typing import Any

import numpy as np
from msgspec.structs import replace

from imagemill.engines import decoders, description, encoders, jxl
from imagemill.engines.base import Task
from imagemill.engines.decoded import Decoded, Image, needs_libvips, pyvips
from imagemill.engines.decoders.base import refusals
from imagemill.engines.extras import Extras, kept
from imagemill.engines.frames import brought, on_rows, trimmed
from imagemill.engines.headers import probe
from imagemill.engines.judging import Aim, is_aimed
from imagemill.engines.layers import NONE_GIVEN, Given, Layers
from imagemill.engines.operations import applied
from imagemill.engines.operations.base import Context
from imagemill.engines.operations.lettering import Lettering
from imagemill.engines.pixels import srgb
from imagemill.engines.rewrite.choice import smaller
from imagemill.engines.search import within
from imagemill.engines.spaces import profile_for
from imagemill.engines.svg.document import Document
from imagemill.engines.svg.reading import read
from imagemill.engines.typefaces import found
from imagemill.model.description import Description, Sides
from imagemill.model.errors import ImageCorrupt, LimitExceeded
from imagemill.model.keys import etag
from imagemill.model.media import PAGED, VECTORS, Format, MediaInfo, Rendition
from imagemill.model.operations.encoding import EIGHT_BITS
from imagemill.model.recipe import Describe, Encode, Metadata, Space
from imagemill.plan.cost import check_cost, estimate_us
from imagemill.plan.frames import asked, selected
from imagemill.plan.geometry import Box
from imagemill.plan.policy import check_source
from imagemill.plan.resolve import changes_pixels, check_output, resolve, resolved
from imagemill.plan.steps import Overlay, Step, Steps, Trimmed, Underlay
from imagemill.settings import Engine, Limits, Text

_COUNTED = frozenset({Format.GIF, Format.WEBP})
"""Where the decoder's count of frames is the one that holds."""
_OPAQUE_BANDS = frozenset({1, 3})


class Vips:
    """The engine, inside a worker process."""

    def __init__(self, limits: Limits, settings: Engine, lettering: Lettering | None = None) -> None:
        self._limits = limits
        self._settings = settings
        self._lettering = lettering or Lettering(found(Text()), limits.output_pixels)
        pyvips.operation_block_set("VipsForeignLoadSvg", False)  # noqa: FBT003 - given nothing but what `svg` wrote
        pyvips.cache_set_max(0)  # no result may be shared between strangers' pictures

    def run(
        self, source: memoryview, info: MediaInfo, tasks: Sequence[Task], given: Given = NONE_GIVEN
    ) -> Iterator[Rendition]:
        """Make each task of *source*, of which *info* is what our own reader found; *given* are the layers' sources."""
        for page, some in groupby(tasks, lambda task: asked(task.recipe).first):
            yield from self._run(source, self._of_page(source, info, page), list(some), given)

    def _of_page(self, source: memoryview, info: MediaInfo, page: int) -> MediaInfo:
        """*info*, where pages differ: of the one that is asked for."""
        if page < 0 or info.format not in PAGED:
            return info
        found = probe(source, page)
        check_source(found, self._limits)
        return found

    def _run(self, source: memoryview, info: MediaInfo, tasks: Sequence[Task], given: Given) -> Iterator[Rendition]:
        """Make *tasks*, which all begin at the same frame or page."""
        layers = Layers(given, self, self._limits)
        if not decoders.streams(info):  # what this opens it decodes: judged by our own header before
            for task in tasks:
                self._resolve(task, info, layers)
        first = selected(asked(tasks[0].recipe), info).first
        with refusals(info.format, pyvips.Error):
            image, info = self.opened(source, info, first, whole=any(_asks_for_metadata(task) for task in tasks))
        work = [self._resolve(task, info, layers) for task in tasks]
        aim = Aim(self._settings, [known for task in tasks for known in task.known])
        shared = Decoded(source, info, work, image, partial(self._looked_at, source, info))
        del image
        for task, begun in zip(tasks, work, strict=True):
            context = self._context(layers)
            with refusals(info.format, pyvips.Error):
                steps = begun if begun.border is None else self._settled(shared, task, info, layers, context)
                if steps.describe:
                    known = description.seen(len(source), info, shared.header)
                    body = self._told(known, shared, task, steps, context)
                else:
                    body = self._made(shared, steps, context, aim)
                    if self._settings.never_larger:
                        body = smaller(source, steps, body)
            if len(body) > self._limits.output_bytes:
                raise LimitExceeded("output_bytes", f"output: {len(body)} > {self._limits.output_bytes} bytes")
            size, quality = steps.size, aim.quality(steps)
            yield Rendition(body, steps.format, etag(body), size.width, size.height, steps.frames, quality)

    def opened(
        self, source: memoryview, info: MediaInfo, first: int = 0, *, whole: bool = False
    ) -> tuple[Image | Document | None, MediaInfo]:
        """*source* as its decoder opens it, where only that says all there is to know, or *whole*; and what that says.

        From *first* on, where there are several frames or pages. A vector picture is read as a whole.
        """
        if info.format in VECTORS:
            document = read(source, self._limits)
            check_source(document.info, self._limits)
            if document.has_text:
                self._lettering.load()
            return document, document.info
        if not (whole or needs_libvips(info)):
            return None, info
        image = decoders.opened(source, info, first=first)
        return image, self._agreed(image, info)

    def layer(self, source: memoryview, step: Overlay, layers: Layers) -> Image:
        """What *step* lays, made of *source*, in sRGB, not computed yet; `pyvips.Error` where it is broken."""
        image, info = self.opened(source, step.made.source, step.made.first)
        task, steps = Task(step.waits), step.made
        begun = self._resolve(task, info, layers) if step.waits else steps
        shared = Decoded(source, info, [begun], image, partial(self._looked_at, source, info))
        context = self._context(layers)
        if begun.border is not None:
            steps = self._settled(shared, task, info, layers, context)
        rows = shared.rows(steps)
        found, left = (shared.image(steps), steps.steps) if rows is None else on_rows(rows, steps, context)
        found = found if rows is None else shared.wrapped(found)
        return srgb(applied(found, left, context))

    def _looked_at(self, source: memoryview, info: MediaInfo) -> Image:
        """*source* as libvips opens it, once it agrees on what was believed of it so far."""
        image = decoders.opened(source, info)
        if self._agreed(image, info) != info:
            raise ImageCorrupt(f"{info.format}: two readers of its header disagree")
        return image

    def _settled(self, shared: Decoded, task: Task, info: MediaInfo, layers: Layers, context: Context) -> Steps:
        """All steps of *task*, one of which has to be answered by pixels before there can be others."""
        spent_us = layers.opened_us

        def answer(asked: Steps) -> Box:
            nonlocal spent_us
            self._check(asked, info, spent_us)
            if any(isinstance(step, Trimmed) for step in asked.steps):  # all before it is done once more for each
                spent_us += estimate_us(asked, self._settings)
            return trimmed(shared.picture(asked), asked, context)

        steps = resolved(task.recipe, task.candidates, info, self._limits, answer, self._settings, layers.infos)
        self._check(steps, info, spent_us)
        return steps

    def _made(self, shared: Decoded, steps: Steps, context: Context, aim: Aim) -> bytes:
        """One rendition: on rows of pixels as far as that goes, the rest with libvips."""
        extras = kept(shared, steps, self._limits)
        rows = shared.rows(steps) if steps.encode.bits == EIGHT_BITS else None
        if rows is None:
            return self._written(shared.image(steps), steps, extras, context, aim)
        rows, left = on_rows(rows, steps, context)
        if not shared.has_profile and _is_finished(rows, left) and not _has_to_say_colours(steps):
            steps = aim.at(steps, rows)
            body = within(steps, self._settings, partial(self._from_rows, rows, extras))
            if body is not None:
                return body
        return self._written(shared.wrapped(rows), replace(steps, steps=left), extras, context, aim)

    def _from_rows(self, rows: Any, extras: Extras, steps: Steps) -> bytes | None:
        return encoders.from_rows(rows, steps, self._settings, extras)

    def _written(self, image: Image, steps: Steps, extras: Extras, context: Context, aim: Aim) -> bytes:
        """*image* brought through *steps*, and encoded."""
        image = brought(image, steps, context)
        extras = replace(extras, icc=profile_for(image, steps))
        if steps.encode.max_bytes or is_aimed(steps):
            image = image.copy_memory()
        if is_aimed(steps):
            first = image.crop(0, 0, image.width, steps.size.height)
            pixels = np.frombuffer(first.write_to_memory(), np.uint8)
            steps = aim.at(steps, pixels.reshape(first.height, first.width, first.bands))
        body = within(steps, self._settings, lambda steps: encoders.from_image(image, steps, self._settings, extras))
        assert body is not None
        return body

    def _told(self, known: Description, shared: Decoded, task: Task, steps: Steps, context: Context) -> bytes:
        """What is *known* from the header, and what else is asked for, as JSON."""
        describe = steps.describe
        assert describe
        if changes_pixels(task.recipe):
            known = replace(known, rendition=Sides(steps.size.width, steps.size.height))
        if describe.metadata:
            known = replace(known, metadata=description.metadata(shared.notes))
        if describe.needs_pixels:
            known = description.looked_at(known, describe, self._sample(shared, steps, context))
        return description.written(known)

    def _sample(self, shared: Decoded, steps: Steps, context: Context) -> Any:
        """The pixels of one picture after its steps, as rows."""
        rows, left = shared.rows(steps), steps.steps
        if rows is not None:
            rows, left = on_rows(rows, steps, context)
            if not shared.has_profile and _is_finished(rows, left):
                return rows
        image = shared.image(steps) if rows is None else shared.wrapped(rows)
        image = brought(image, replace(steps, steps=left), context)
        pixels = np.frombuffer(image.write_to_memory(), np.uint8)
        return pixels.reshape(image.height, image.width, image.bands)

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

    def _resolve(self, task: Task, info: MediaInfo, layers: Layers) -> Steps:
        steps = resolve(task.recipe, task.candidates, info, self._limits, engine=self._settings, layers=layers.infos)
        self._check(steps, info, layers.opened_us)
        return steps

    def _check(self, steps: Steps, info: MediaInfo, spent_us: int = 0) -> None:
        check_source(info, self._limits, frames=steps.frames)
        if steps.border is None:
            check_output(steps, self._limits)
        check_cost(steps, self._settings, self._limits, spent_us)
        if steps.format is Format.JXL:
            jxl.require()

    def _context(self, layers: Layers) -> Context:
        return Context(layer=layers.picture, lettering=self._lettering)


def _is_finished(rows: Any, left: tuple[Step, ...]) -> bool:
    """Whether what is *left* to do changes nothing: a colour below a picture that nothing shines through."""
    return not left or (rows.shape[2] in _OPAQUE_BANDS and all(isinstance(step, Underlay) for step in left))


def _has_to_say_colours(steps: Steps) -> bool:
    """Whether pixels without a profile are to be written with one."""
    return steps.encode.profile or steps.encode.space is Space.P3


def _asks_for_metadata(task: Task) -> bool:
    match task.recipe[-1]:
        case Encode(metadata=wanted):
            return wanted is not Metadata.STRIP
        case Describe(metadata=wanted):
            return wanted
    return False


def _orientation(image: Image) -> int:
    value = image.get("orientation") if image.get_typeof("orientation") else 1
    return value if 1 <= value <= 8 else 1  # noqa: PLR2004 - EXIF 2.32, tag 0x0112
