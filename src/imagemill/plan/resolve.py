"""From a plan and the facts of its source to steps for an engine: known only after the source is probed.

Order    steps come in the recipe's order; shrink-on-load is the one liberty, and it changes no size.
Errors   `LimitExceeded`, `BadOption` (a crop that misses the picture).
"""

from msgspec import Struct
from msgspec.structs import replace

from imagemill.model.errors import LimitExceeded
from imagemill.model.media import ALPHA, ANIMATED, Format, MediaInfo
from imagemill.model.recipe import (
    AutoOrient,
    Background,
    Blur,
    Crop,
    Encode,
    Flip,
    Flop,
    Operation,
    Recipe,
    Resize,
    Rotate,
    Sharpen,
    Speed,
)
from imagemill.plan.geometry import Box, Size, crop_box, place
from imagemill.plan.prepare import background
from imagemill.settings import Limits

WHITE = 0xFFFFFFFF
AVIF_AUTO_MAX_PX = 3_000_000
"""Above this many output pixels ``format=auto`` prefers WebP: AVIF would take seconds."""


class Upright(Struct, frozen=True, tag=True):
    """Apply the EXIF orientation 2 to 8."""

    orientation: int


class Cut(Struct, frozen=True, tag=True):
    """Keep a box of a picture of size `of`."""

    box: Box
    of: Size


class Turn(Struct, frozen=True, tag=True):
    """Turn clockwise by quarter turns."""

    quarters: int


class Mirror(Struct, frozen=True, tag=True):
    """Mirror top to bottom, or left to right."""

    vertical: bool


class Scale(Struct, frozen=True, tag=True):
    """Scale to exactly this size."""

    size: Size


class Canvas(Struct, frozen=True, tag=True):
    """Lay the picture on a larger one of one colour, straight alpha; 0 leaves the rest transparent."""

    size: Size
    left: int
    top: int
    rgba: int


class Smooth(Struct, frozen=True, tag=True):
    """Gaussian blur."""

    sigma: float


class Crisp(Struct, frozen=True, tag=True):
    """Unsharp mask."""

    sigma: float


class Underlay(Struct, frozen=True, tag=True):
    """Lay the picture on a colour of the same size."""

    rgba: int


Step = Upright | Cut | Turn | Mirror | Scale | Canvas | Smooth | Crisp | Underlay


class Steps(Struct, frozen=True):
    """All an engine needs to make one rendition of a probed source."""

    source: MediaInfo
    steps: tuple[Step, ...]
    format: Format
    quality: int
    size: Size
    frames: int
    """Frames to read and write; 1 where source or format has no animation."""
    shrink: int = 1
    """1, 2, 4 or 8: how much smaller a JPEG may be decoded."""
    speed: Speed | None = None
    """What the encoder is to save; None = what the server says."""


def resolve(recipe: Recipe, candidates: tuple[Format, ...], info: MediaInfo, limits: Limits) -> Steps:
    """Work out every size before any pixel, and refuse what is beyond *limits*."""
    size = Size(info.width_px, info.height_px)
    steps: list[Step] = []
    for at, op in enumerate(recipe):
        new, size = _steps(op, size, info, _fill(recipe, at))
        steps += new
        for step in new:
            _check(step.size if isinstance(step, Scale) else size, limits)
    last = recipe[-1]
    assert isinstance(last, Encode)
    format_ = _format(last.format, candidates, info, size)
    if format_ not in ALPHA and background(recipe) is None:
        steps = [replace(step, rgba=WHITE) if isinstance(step, Canvas) else step for step in steps]
    frames = info.frames if format_ in ANIMATED else 1
    if frames * size.width * size.height > limits.total_pixels:
        raise LimitExceeded("total_pixels", f"output: {frames} frames > {limits.total_pixels} px in all")
    if format_ not in ALPHA:
        steps.append(Underlay(WHITE))
    return Steps(info, tuple(steps), format_, last.quality, size, frames, _shrink(steps, info), last.speed)


def _fill(recipe: Recipe, at: int) -> int:
    """What the resize that is operation *at* fills its box with.

    A colour that lets something through is laid by its own `Background` where that still comes: twice
    would be twice as dense.
    """
    rgba = background(recipe) or 0
    to_come = any(isinstance(op, Background) for op in recipe[at:])
    return rgba if rgba & 0xFF == 0xFF or not to_come else 0  # noqa: PLR2004 - opaque


def _steps(op: Operation, size: Size, info: MediaInfo, fill: int) -> tuple[list[Step], Size]:
    match op:
        case AutoOrient() if info.orientation > 1:
            turned = Size(size.height, size.width) if info.orientation > 4 else size  # noqa: PLR2004 - EXIF 5 to 8
            return [Upright(info.orientation)], turned
        case Crop():
            box = crop_box(size, op)
            return [Cut(box, size)], Size(box.width, box.height)
        case Rotate():
            return [Turn(op.quarter_turns)], size if op.quarter_turns == 2 else Size(size.height, size.width)  # noqa: PLR2004
        case Flip() | Flop():
            return [Mirror(isinstance(op, Flip))], size
        case Resize():
            return _resize(op, size, fill)
        case Blur():
            return [Smooth(op.sigma_centi / 100)], size
        case Sharpen():
            return [Crisp(op.sigma_centi / 100)], size
        case Background():
            return [Underlay(op.rgba)], size
        case AutoOrient() | Encode():
            return [], size


def _resize(op: Resize, size: Size, fill: int) -> tuple[list[Step], Size]:
    placed = place(size, op)
    steps: list[Step] = [] if placed.scaled == size else [Scale(placed.scaled)]
    if placed.cut:
        steps.append(Cut(placed.cut, placed.scaled))
    if placed.canvas:
        steps.append(Canvas(placed.canvas, *placed.at, fill))
    return steps, placed.size


def _check(size: Size, limits: Limits) -> None:
    """Bound every size on the way, save those that are the source's own."""
    if size.width * size.height > max(limits.output_pixels, limits.pixels):
        raise LimitExceeded("output_pixels", f"output: {size.width} × {size.height} px")


def check_output(steps: Steps, limits: Limits) -> None:
    """Bound what is to be encoded."""
    side = max(steps.size.width, steps.size.height)
    if side > limits.output_side_px:
        raise LimitExceeded("output_side", f"output: {side} > {limits.output_side_px} px a side")
    if steps.size.width * steps.size.height > limits.output_pixels:
        raise LimitExceeded(
            "output_pixels", f"output: {steps.size.width * steps.size.height} > {limits.output_pixels} px"
        )


def _format(wanted: Format, candidates: tuple[Format, ...], info: MediaInfo, size: Size) -> Format:
    if wanted is Format.KEEP:
        return info.format
    if wanted is not Format.AUTO:
        return wanted
    if info.frames > 1:
        return Format.WEBP if Format.WEBP in candidates else Format.GIF
    small = size.width * size.height <= AVIF_AUTO_MAX_PX
    fitting = [c for c in candidates if c is not Format.AVIF or small]
    return fitting[0] if fitting else (Format.PNG if info.has_alpha else Format.JPEG)


def _shrink(steps: list[Step], info: MediaInfo) -> int:
    """How far a JPEG may be shrunk while it is decoded: never below the size that is scaled to.

    Exact hits are halved again: a picture decoded at just the size asked has no filter of ours at all.
    So is what is cut before: its edges fall between pixels of the smaller picture, and half of one must
    not be seen. So is what would lose more than half an output pixel at the right or the bottom: libvips
    drops what does not fill a pixel there, and the rest is stretched over it.
    """
    if info.format is not Format.JPEG:
        return 1
    width, height, spare = info.width_px, info.height_px, 1
    for step in steps:
        match step:
            case Cut():
                width, height, spare = step.box.width, step.box.height, 2
            case Upright() if step.orientation > 4:  # noqa: PLR2004
                width, height = height, width
            case Turn() if step.quarters != 2:  # noqa: PLR2004
                width, height = height, width
            case Scale():
                ratio = min(width / step.size.width, height / step.size.height)
                return next((n for n in (8, 4, 2) if ratio > n * spare and ratio >= 2 * _dropped(info, n)), 1)
            case Canvas() | Smooth() | Crisp() | Underlay():
                return 1
    return 1


def _dropped(info: MediaInfo, shrink: int) -> int:
    """Source pixels that a picture decoded at ``1/shrink`` does not show, on its worse side."""
    return max(info.width_px % shrink, info.height_px % shrink)
