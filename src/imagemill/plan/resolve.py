"""From a plan and the facts of its source to steps for an engine: known only after the source is probed.

Order    steps come in the recipe's order; shrink-on-load is the one liberty, and it changes no size.
Errors   `LimitExceeded`, `BadOption` (a crop that misses the picture).
"""

from collections.abc import Callable, Mapping

from msgspec.structs import replace

from imagemill.model.errors import LimitExceeded
from imagemill.model.media import ALPHA, VECTORS, Format, MediaInfo, kept
from imagemill.model.operations.values import WHITE
from imagemill.model.recipe import AutoOrient, Describe, Encode, Operation, Recipe, SourceRef
from imagemill.plan.cost import encode_us
from imagemill.plan.frames import asked, played, selected
from imagemill.plan.geometry import Box, Size
from imagemill.plan.operations import RESOLVE, colours, look
from imagemill.plan.operations.base import AS_LAYER, Scene
from imagemill.plan.operations.encoding import is_able, settle
from imagemill.plan.operations.geometry import OPAQUE, background
from imagemill.plan.steps import (
    Border,
    Canvas,
    Chosen,
    Crisp,
    Cut,
    Mirror,
    Scale,
    Smooth,
    Step,
    Steps,
    Trimmed,
    Turn,
    Underlay,
    Upright,
)
from imagemill.plan.vectors import drawn
from imagemill.settings import Engine, Limits

ENGINE = Engine()
SAMPLE_SIDE_PX = 100
"""The longer side of what colours and hashes are told of: ThumbHash takes no more, and the others need less."""
NO_LAYERS: Mapping[SourceRef, MediaInfo] = {}
AVIF_AUTO_MIN_PX = 4_096
"""Below it ``format=auto`` prefers WebP: at the same SSIMULACRA2, AVIF needs as many bytes at 48 pixels of width (280
of them for its boxes), 10 % fewer at 64 and 18 to 25 % fewer from 96 on (``bench/formats.py``)."""
_ALPHA_BLIND = frozenset({Canvas, Crisp, Cut, Mirror, Scale, Smooth, Turn, Underlay})
"""Steps to which white is as good as nothing where all of it is laid on white in the end."""


def resolve(
    recipe: Recipe,
    candidates: tuple[Format, ...],
    info: MediaInfo,
    limits: Limits,
    trimmed: tuple[Box, ...] = (),
    engine: Engine = ENGINE,
    layers: Mapping[SourceRef, MediaInfo] = NO_LAYERS,
) -> Steps:
    """Work out every size before any pixel, and refuse what is beyond *limits*; *layers* has all that are named.

    Where the recipe trims, sizes are certain up to there: the steps end with a `Border`, and what that finds is one
    more of *trimmed*. See `resolved`.
    """

    def layer(source: SourceRef, own: Recipe) -> Steps:
        made = resolved((*own, AS_LAYER), (), layers[source], limits, _untrimmed, layers=layers)
        check_output(made, limits)
        return made

    steps, size = _worked_out(recipe, info, limits, trimmed, layer)
    last = recipe[-1]
    wanted = asked(recipe)
    selection = selected(wanted, info)
    if isinstance(last, Describe):
        played(wanted, selection, Format.JSON)  # nothing of what is played can be asked for
        return _drawn(replace(_told(last, steps, size, info, selection.count), first=selection.first))
    assert isinstance(last, Encode)
    seen = replace(info, has_alpha=info.has_alpha or look.clears(recipe))
    format_ = _format(last, candidates, seen, size, engine, moving=selection.count > 1)
    if format_ not in ALPHA and background(recipe) is None:
        steps = _whitened(steps)
    frames = played(wanted, selection, format_)
    if frames * size.width * size.height > limits.total_pixels:
        raise LimitExceeded("total_pixels", f"output: {frames} frames > {limits.total_pixels} px in all")
    if format_ not in ALPHA:
        steps.append(Underlay(WHITE))
    settle(last, format_, frames, steps)
    return _drawn(
        Steps(
            info, tuple(steps), format_, last.quality, size, frames, selection.first, wanted.loops, wanted.delay_ms,
            _shrink(steps, info), last,
        )
    )  # fmt: skip


def _worked_out(
    recipe: Recipe,
    info: MediaInfo,
    limits: Limits,
    trimmed: tuple[Box, ...],
    layer: Callable[[SourceRef, Recipe], Steps],
) -> tuple[list[Step], Size]:
    """The steps of all operations, as far as they are certain, and the size after them."""
    size = Size(info.width_px, info.height_px)
    steps: list[Step] = []
    for at, op in enumerate(recipe[:-1]):
        new, size = _steps(op, Scene(size, info, recipe, at, trimmed, layer))
        steps += new
        for step in new:
            _check(step.size if isinstance(step, Scale) else size, limits)
        if new and isinstance(new[-1], Border):
            break
    return colours.joined(steps), size


def _drawn(steps: Steps) -> Steps:
    """*steps*, those of a vector picture done to its drawing as far as that goes."""
    if steps.source.format not in VECTORS:
        return steps
    drawing, left = drawn(steps.source, list(steps.steps))
    return replace(steps, steps=tuple(left), drawing=drawing)


def _told(describe: Describe, steps: list[Step], size: Size, info: MediaInfo, frames: int) -> Steps:
    """What is told of pixels is told of a sample of the first frame; without such questions nothing is done at all.

    A border is looked for in all frames, as it is where they are written.
    """
    if steps and isinstance(steps[-1], Border):
        return Steps(info, tuple(steps), Format.JSON, 0, size, frames, shrink=_shrink(steps, info), describe=describe)
    if not describe.needs_pixels:
        return Steps(info, (), Format.JSON, 0, size, 1, describe=describe)
    ratio = SAMPLE_SIDE_PX / max(size.width, size.height)
    if ratio < 1:
        steps = [*steps, Scale(Size(max(1, round(size.width * ratio)), max(1, round(size.height * ratio))))]
    return Steps(info, tuple(steps), Format.JSON, 0, size, 1, shrink=_shrink(steps, info), describe=describe)


def changes_pixels(recipe: Recipe) -> bool:
    """Whether anything but the one fixed turn is asked for."""
    return any(not isinstance(op, AutoOrient) for op in recipe[:-1])


def resolved(
    recipe: Recipe,
    candidates: tuple[Format, ...],
    info: MediaInfo,
    limits: Limits,
    find: Callable[[Steps], Box],
    engine: Engine = ENGINE,
    layers: Mapping[SourceRef, MediaInfo] = NO_LAYERS,
) -> Steps:
    """As `resolve`, until every size is certain: *find* says what the `Border` that steps end with comes to."""
    trimmed: tuple[Box, ...] = ()
    while (steps := resolve(recipe, candidates, info, limits, trimmed, engine, layers)).border is not None:
        trimmed = (*trimmed, find(steps))
    return steps


def _untrimmed(steps: Steps) -> Box:
    return Box(0, 0, steps.size.width, steps.size.height)


def _whitened(steps: list[Step]) -> list[Step]:
    """White in place of nothing, where nobody can tell: no transparency comes out, and no step asks for it."""
    safe = next((n for n in range(len(steps), 0, -1) if type(steps[n - 1]) not in _ALPHA_BLIND), 0)
    return [
        replace(step, rgba=WHITE) if n >= safe and isinstance(step, Canvas) and not step.rgba & OPAQUE else step
        for n, step in enumerate(steps)
    ]


def _steps(op: Operation, scene: Scene) -> tuple[list[Step], Size]:
    made = RESOLVE.get(type(op))
    return made(op, scene) if made else ([op], scene.size)


def _check(size: Size, limits: Limits) -> None:
    """Bound every size on the way, save those that are the source's own."""
    if size.width * size.height > max(limits.output_pixels, limits.pixels):
        raise LimitExceeded("output_pixels", f"output: {size.width} × {size.height} px")


def check_output(steps: Steps, limits: Limits) -> None:
    """Bound what is to be encoded; what is only told of may have any size that a source may have."""
    if steps.describe:
        return
    side = max(steps.size.width, steps.size.height)
    if side > limits.output_side_px:
        raise LimitExceeded("output_side", f"output: {side} > {limits.output_side_px} px a side")
    if steps.size.width * steps.size.height > limits.output_pixels:
        raise LimitExceeded(
            "output_pixels", f"output: {steps.size.width * steps.size.height} > {limits.output_pixels} px"
        )


def _format(
    last: Encode, candidates: tuple[Format, ...], info: MediaInfo, size: Size, engine: Engine, *, moving: bool
) -> Format:
    if last.format is Format.KEEP:
        return kept(info.format, has_alpha=info.has_alpha)
    if last.format is not Format.AUTO:
        return last.format
    fitting = (c for c in candidates if _is_worth(c, last, info, size, engine, moving=moving))
    return next((c for c in fitting if is_able(last, c)), _for_all(last, info, moving=moving))


def _for_all(last: Encode, info: MediaInfo, *, moving: bool) -> Format:
    """What every client shows."""
    if moving:
        return Format.APNG if last.lossless else Format.GIF
    return Format.PNG if info.has_alpha or last.lossless else Format.JPEG


def _is_worth(format_: Format, last: Encode, info: MediaInfo, size: Size, engine: Engine, *, moving: bool) -> bool:
    if moving:
        return format_ is Format.WEBP
    return format_ is not Format.AVIF or _is_worth_avif(last, info, size, engine)


def _is_worth_avif(last: Encode, info: MediaInfo, size: Size, engine: Engine) -> bool:
    """Without loss it takes 1.3 to 1.5 of WebP's bytes, and PNG 1.3 to 1.45: ``python bench/formats.py --lossless``."""
    if last.lossless:
        return False
    steps = Steps(info, (), Format.AVIF, last.quality, size, 1, encode=last)
    return size.width * size.height >= AVIF_AUTO_MIN_PX and encode_us(steps, engine) <= engine.avif_budget_s * 1e6


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
            case Trimmed():  # found in the whole picture, to the pixel
                return 1
            case Cut():
                width, height, spare = step.box.width, step.box.height, 2
            case Chosen():
                width, height, spare = step.size.width, step.size.height, 2
            case Upright() | Turn() | Mirror():
                width, height = (height, width) if _lies_down(step) else (width, height)
            case Scale():
                ratio = min(width / step.size.width, height / step.size.height)
                return next((n for n in (8, 4, 2) if ratio > n * spare and ratio >= 2 * _dropped(info, n)), 1)
            case _:
                return 1
    return 1


def _lies_down(step: Upright | Turn | Mirror) -> bool:
    """Whether what was the width is the height after *step*."""
    match step:
        case Upright():
            return step.orientation > 4  # noqa: PLR2004 - EXIF 5 to 8
        case Turn():
            return step.quarters != 2  # noqa: PLR2004
    return False


def _dropped(info: MediaInfo, shrink: int) -> int:
    """Source pixels that a picture decoded at ``1/shrink`` does not show, on its worse side."""
    return max(info.width_px % shrink, info.height_px % shrink)
