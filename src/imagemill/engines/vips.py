"""Make renditions with libvips: one decode, the steps of each, one encode each.

Units    as in `plan.resolve`.
Errors   `ImageCorrupt` for whatever libvips says of a source; `LimitExceeded` where the decoder's header is beyond
         what ours promised.
Source   libvips 8.18 reference: jpegload, pngload, webpload, gifload, heifload and the savers.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, assert_never

import numpy as np
from msgspec.structs import replace

from imagemill.engines import encoders, scaler
from imagemill.engines.base import Task
from imagemill.engines.decoded import PROFILE, Decoded, Image, needs_libvips, open_source, pyvips
from imagemill.model.errors import ImageCorrupt, LimitExceeded
from imagemill.model.keys import etag
from imagemill.model.media import ANIMATED, Format, MediaInfo, Rendition
from imagemill.plan.cost import check_cost
from imagemill.plan.geometry import Size, shrunk
from imagemill.plan.policy import check_source
from imagemill.plan.resolve import (
    Canvas,
    Crisp,
    Cut,
    Mirror,
    Scale,
    Smooth,
    Step,
    Steps,
    Turn,
    Underlay,
    Upright,
    check_output,
    resolve,
)
from imagemill.settings import Engine, Limits

_OF_ANIMATIONS = ("delay", "loop", "background")
_RGB_SPACES = frozenset({"srgb", "rgb", "b-w", "multiband"})
_RGB, _RGBA, _GREY_ALPHA = 3, 4, 2
_OPAQUE_BANDS = frozenset({1, 3})
_OPAQUE = 0xFF


class Vips:
    """The engine, inside a worker process."""

    def __init__(self, limits: Limits, settings: Engine) -> None:
        self._limits = limits
        self._settings = settings
        pyvips.cache_set_max(0)  # no result may be shared between strangers' pictures

    def run(self, source: memoryview, info: MediaInfo, tasks: Sequence[Task]) -> Iterator[Rendition]:
        """Make each task of *source*, of which *info* is what our own reader found."""
        image = None
        if needs_libvips(info):
            with _as_ours(info.format):
                image = open_source(source, info.format)
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
            return _finish(_frame(image, steps), steps)
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
    strip = _srgb(image).copy_memory()
    return [_finish(_frame(strip.crop(0, n * height, strip.width, height), steps), steps) for n in range(steps.frames)]


def _each_scaled(image: Image, steps: Steps) -> Image | None:
    """As `_one_by_one`, where all there is to do is to scale: on rows, without a pipeline for each frame."""
    match steps.steps:
        case [Scale(size=size)]:
            pass
        case _:
            return None
    strip = _srgb(image)
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


def _frame(image: Image, steps: Steps) -> Image:
    """Bring one picture through its steps; alpha is premultiplied while neighbouring pixels are mixed."""
    image, premultiplied = _ready(image), False
    for step in steps.steps:
        mixes = isinstance(step, Scale | Smooth)
        if image.hasalpha() and mixes != premultiplied and not isinstance(step, Cut | Turn | Mirror | Upright):
            image, premultiplied = (_premultiplied(image), True) if mixes else (_straight(image), False)
        if isinstance(step, Canvas) or (isinstance(step, Underlay) and image.hasalpha()):
            image = _srgb(image)  # the colour is of sRGB: what it meets has to be, too
        image = _step(image, step)
    return _straight(image) if premultiplied and image.hasalpha() else image


def _ready(image: Image) -> Image:
    """Eight bits a sample in a space that scales well: RGB or grey; others are converted before."""
    if image.interpretation not in _RGB_SPACES or image.format != "uchar":
        return _srgb(image)
    return image


def _finish(image: Image, steps: Steps) -> Image:
    image = _srgb(image)
    if steps.format in {Format.WEBP, Format.AVIF, Format.GIF} and image.bands < _RGB:
        image = image.colourspace("srgb")
    return image


def _srgb(image: Image) -> Image:
    """To sRGB (or grey) of eight bits, through the picture's own profile where it has a valid one."""
    if image.get_typeof(PROFILE):
        image = _through_profile(image)
    space = "b-w" if image.interpretation in {"b-w", "grey16"} else "srgb"
    if image.interpretation != space:
        image = image.colourspace(space)
    return image if image.format == "uchar" else image.cast("uchar")


def _through_profile(image: Image) -> Image:
    try:
        made = image.icc_transform("srgb", embedded=True, intent="perceptual", black_point_compensation=True)
    except pyvips.Error:  # a profile that does not fit its picture is as good as none
        made = image
    made = made.copy()
    made.remove(PROFILE)
    return made


def _premultiplied(image: Image) -> Image:
    return image.premultiply().rint().cast("uchar")


def _straight(image: Image) -> Image:
    return image.unpremultiply().rint().cast("uchar")


def _step(image: Image, step: Step) -> Image:
    match step:
        case Upright():
            return _upright(image, step.orientation)
        case Cut():
            box = shrunk(step.box, step.of, Size(image.width, image.height))
            return image.crop(box.left, box.top, box.width, box.height)
        case Turn():
            return image.copy_memory().rot(f"d{step.quarters * 90}")
        case Mirror():
            return image.copy_memory().flip("vertical" if step.vertical else "horizontal")
        case Scale():
            return image.resize(step.size.width / image.width, vscale=step.size.height / image.height)
        case Canvas():
            return _canvas(image, step)
        case Smooth():
            return image.gaussblur(step.sigma, precision="integer")
        case Crisp():
            return _sharpened(image, step.sigma)
        case Underlay():
            return _underlay(image, step.rgba)
        case _:
            assert_never(step)


_TURNS = {3: "d180", 4: "d180", 5: "d90", 6: "d90", 7: "d270", 8: "d270"}
_MIRRORED = frozenset({2, 4, 5, 7})


def _upright(image: Image, orientation: int) -> Image:
    """Turn clockwise, then mirror left to right: EXIF 2 to 8."""
    image = image.copy_memory()
    if orientation in _TURNS:
        image = image.rot(_TURNS[orientation])
    return image.flip("horizontal") if orientation in _MIRRORED else image


def _sharpened(image: Image, sigma: float) -> Image:
    space = image.interpretation
    sharp = image.sharpen(sigma=min(sigma, 10.0))
    return sharp.colourspace(space).cast("uchar")


def _canvas(image: Image, step: Canvas) -> Image:
    red, green, blue, alpha = step.rgba.to_bytes(4, "big")
    image = _bands(image, _RGB if alpha == _OPAQUE and not image.hasalpha() else _RGBA)
    return image.embed(
        step.left, step.top, step.size.width, step.size.height, extend="background",
        background=[red, green, blue, alpha][: image.bands],
    )  # fmt: skip


def _underlay(image: Image, rgba: int) -> Image:
    """*image* over a colour; nothing changes where it is opaque."""
    if not image.hasalpha():
        return image
    image = _bands(image, _RGBA)
    colour = [rgba >> 24 & 0xFF, rgba >> 16 & 0xFF, rgba >> 8 & 0xFF]
    if rgba & 0xFF == _OPAQUE:
        return image.flatten(background=colour)
    under = image.new_from_image([*colour, rgba & 0xFF]).copy(interpretation="srgb")
    return under.composite2(image, "over").cast("uchar")


def _bands(image: Image, bands: int) -> Image:
    """Grey to RGB and opaque to alpha, as far as *bands* asks."""
    if image.bands < _RGB and bands >= _RGB:
        image = image.colourspace("srgb")
    return image.addalpha().cast("uchar") if bands in {_GREY_ALPHA, _RGBA} and not image.hasalpha() else image


@contextmanager
def _as_ours(format_: Format) -> Iterator[None]:
    try:
        yield
    except pyvips.Error as e:
        raise ImageCorrupt(f"{format_}: the decoder refused it") from e
