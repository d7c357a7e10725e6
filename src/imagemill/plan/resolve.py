"""From a plan and the facts of its source to steps for an engine: known only after the source is probed.

Order    steps come in the recipe's order; shrink-on-load is the one liberty, and it changes no size.
Errors   `LimitExceeded`, `BadOption` (a crop that misses the picture).
"""

from msgspec.structs import replace

from imagemill.model.errors import LimitExceeded
from imagemill.model.media import ALPHA, Format, MediaInfo, kept
from imagemill.model.operations.values import WHITE
from imagemill.model.recipe import Encode, Operation, Recipe
from imagemill.plan.frames import asked, played, selected
from imagemill.plan.geometry import Box, Size
from imagemill.plan.operations import RESOLVE
from imagemill.plan.operations.base import Scene
from imagemill.plan.operations.geometry import background
from imagemill.plan.steps import Canvas, Cut, Scale, Step, Steps, Turn, Underlay, Upright
from imagemill.settings import Limits

AVIF_AUTO_MAX_PX = 3_000_000
"""Above this many output pixels ``format=auto`` prefers WebP: AVIF would take seconds."""


def resolve(
    recipe: Recipe,
    candidates: tuple[Format, ...],
    info: MediaInfo,
    limits: Limits,
    trimmed: tuple[Box, ...] = (),
) -> Steps:
    """Work out every size before any pixel, and refuse what is beyond *limits*."""
    size = Size(info.width_px, info.height_px)
    steps: list[Step] = []
    for at, op in enumerate(recipe[:-1]):
        new, size = _steps(op, Scene(size, info, recipe, at, trimmed))
        steps += new
        for step in new:
            _check(step.size if isinstance(step, Scale) else size, limits)
    last = recipe[-1]
    assert isinstance(last, Encode)
    wanted = asked(recipe)
    selection = selected(wanted, info)
    format_ = _format(last.format, candidates, info, size, moving=selection.count > 1)
    if format_ not in ALPHA and background(recipe) is None:
        steps = [replace(step, rgba=WHITE) if isinstance(step, Canvas) else step for step in steps]
    frames = played(wanted, selection, format_)
    if frames * size.width * size.height > limits.total_pixels:
        raise LimitExceeded("total_pixels", f"output: {frames} frames > {limits.total_pixels} px in all")
    if format_ not in ALPHA:
        steps.append(Underlay(WHITE))
    return Steps(
        info, tuple(steps), format_, last.quality, size, frames, selection.first, wanted.loops, wanted.delay_ms,
        _shrink(steps, info), last,
    )  # fmt: skip


def _steps(op: Operation, scene: Scene) -> tuple[list[Step], Size]:
    made = RESOLVE.get(type(op))
    return made(op, scene) if made else ([op], scene.size)


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


def _format(wanted: Format, candidates: tuple[Format, ...], info: MediaInfo, size: Size, *, moving: bool) -> Format:
    if wanted is Format.KEEP:
        return kept(info.format, has_alpha=info.has_alpha)
    if wanted is not Format.AUTO:
        return wanted
    if moving:
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
            case _:
                return 1
    return 1


def _dropped(info: MediaInfo, shrink: int) -> int:
    """Source pixels that a picture decoded at ``1/shrink`` does not show, on its worse side."""
    return max(info.width_px % shrink, info.height_px % shrink)
