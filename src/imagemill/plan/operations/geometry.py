"""Policy, steps and prices of `model.operations.geometry`."""

from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from imagemill.model.errors import LimitExceeded
from imagemill.model.media import VECTORS, MediaInfo
from imagemill.model.recipe import (
    AspectCrop,
    AutoOrient,
    Background,
    Crop,
    Detect,
    Extend,
    Fill,
    Fit,
    Flip,
    Flop,
    Pad,
    Recipe,
    Resize,
    Rotate,
    Tilt,
    Trim,
)
from imagemill.plan.geometry import Size, crop_box, crop_size, extended, padded, place, tilted, within
from imagemill.plan.operations.base import Check, Group, Price, Resolve, Scene
from imagemill.plan.steps import (
    Backdrop,
    Border,
    Canvas,
    Chosen,
    Cut,
    Mirror,
    Scale,
    Slant,
    Step,
    Trimmed,
    Turn,
    Upright,
)
from imagemill.settings import Limits

_EXACT = frozenset({Fit.CONTAIN, Fit.FILL})
OPAQUE = 0xFF
SHRINK_NS, GROW_NS, PREMULTIPLY_NS, MOVE_NS = 6.0, 30.0, 8.0, 6.0
_SEARCH_NS, _COLOURS_NS, _SLANT_NS, _BACKDROP_NS = 12.0, 45.0, 60.0, 40.0
_LOOK_NS = {Detect.ATTENTION: 4e6, Detect.ENTROPY: 12e6, Detect.FACE: 90e6}
"""For a look at a picture of few pixels, whatever the size was."""
_SIGMA_OF_SIDE = 40


def background(recipe: Recipe) -> int | None:
    """The colour a recipe lays its picture on, if any."""
    return next((op.rgba for op in recipe if isinstance(op, Background)), None)


def fill(scene: Scene) -> int:
    """What the operation of *scene* fills a box with.

    A colour that lets something through is laid by its own `Background` where that still comes: twice
    would be twice as dense.
    """
    rgba = background(scene.recipe) or 0
    to_come = any(isinstance(op, Background) for op in scene.recipe[scene.at :])
    return rgba if rgba & 0xFF == OPAQUE or not to_come else 0


def _check_resize(op: Resize, limits: Limits) -> None:
    side = max(op.width_px, op.height_px)
    if side > limits.output_side_px:
        raise LimitExceeded("output_side", f"output: {side} > {limits.output_side_px} px a side")
    least = max(op.min_width_px, op.min_height_px)
    if least > limits.output_side_px:
        raise LimitExceeded("output_side", f"output: {least} > {limits.output_side_px} px a side")
    certain = op.fit in _EXACT and (op.enlarge or op.fit is Fit.CONTAIN)
    if certain and op.width_px * op.height_px > limits.output_pixels:
        raise LimitExceeded("output_pixels", f"output: {op.width_px * op.height_px} > {limits.output_pixels} px")


def _check_extend(op: Extend, limits: Limits) -> None:
    side = max(op.width, op.height)
    if not op.is_ratio and side > limits.output_side_px:
        raise LimitExceeded("output_side", f"extend: {side} > {limits.output_side_px} px a side")


def _check_pad(op: Pad, limits: Limits) -> None:
    most = max(op.left_px + op.right_px, op.top_px + op.bottom_px)
    if most > limits.output_side_px:
        raise LimitExceeded("output_side", f"pad: {most} > {limits.output_side_px} px a side")


def _orient(_op: AutoOrient, scene: Scene) -> tuple[list[Step], Size]:
    size, orientation = scene.size, scene.info.orientation
    if orientation == 1:
        return [], size
    return [Upright(orientation)], Size(size.height, size.width) if orientation > 4 else size  # noqa: PLR2004 - EXIF 5 to 8


def _trim(op: Trim, scene: Scene) -> tuple[list[Step], Size]:
    """What was found, where that is known; else the question."""
    number = sum(isinstance(other, Trim) for other in scene.recipe[: scene.at])
    if number >= len(scene.trimmed):
        return [Border(op, scene.size)], scene.size
    box = scene.trimmed[number]
    return [Trimmed(box, scene.size)], Size(box.width, box.height)


def _crop(op: Crop | AspectCrop, scene: Scene) -> tuple[list[Step], Size]:
    if isinstance(op, Crop) and op.left_px >= 0:
        box = crop_box(scene.size, op)
        return [Cut(box, scene.size)], Size(box.width, box.height)
    size = crop_size(scene.size, op)
    if op.position.detect is Detect.NONE:
        return [Cut(within(scene.size, size, op.position), scene.size)], size
    return [] if size == scene.size else [Chosen(size, scene.size, op.position.detect, scene.at)], size


def _rotate(op: Rotate, scene: Scene) -> tuple[list[Step], Size]:
    size = scene.size
    return [Turn(op.quarter_turns)], size if op.quarter_turns == 2 else Size(size.height, size.width)  # noqa: PLR2004


def _mirror(op: Flip | Flop, scene: Scene) -> tuple[list[Step], Size]:
    return [Mirror(isinstance(op, Flip))], scene.size


def _resize(op: Resize, scene: Scene) -> tuple[list[Step], Size]:
    if scene.info.format in VECTORS:
        op = replace(op, enlarge=True)  # it has no pixels that would be seen
    placed = place(scene.size, op)
    steps: list[Step] = [] if placed.scaled == scene.size else [Scale(placed.scaled)]
    if placed.cut:
        steps.append(Cut(placed.cut, placed.scaled))
    if placed.chosen:
        steps.append(Chosen(placed.chosen, placed.scaled, op.position.detect, scene.at))
    if placed.canvas:
        steps.append(_laid(op, placed.canvas, placed.at, scene))
    return steps, placed.size


def _extend(op: Extend, scene: Scene) -> tuple[list[Step], Size]:
    box = extended(scene.size, op)
    size = Size(box.width, box.height)
    return [] if size == scene.size else [_laid(op, size, (box.left, box.top), scene)], size


def _pad(op: Pad, scene: Scene) -> tuple[list[Step], Size]:
    size = padded(scene.size, op)
    return [_laid(op, size, (op.left_px, op.top_px), scene)], size


def _laid(op: Resize | Extend | Pad, size: Size, at: tuple[int, int], scene: Scene) -> Step:
    if op.fill is Fill.BLUR:
        return Backdrop(size, *at, max(size.width, size.height) / _SIGMA_OF_SIDE)
    return Canvas(size, *at, op.rgba or fill(scene))


def _tilt(op: Tilt, scene: Scene) -> tuple[list[Step], Size]:
    size = tilted(scene.size, op)
    return [Slant(op.centidegrees, size, op.rgba or fill(scene))], size


def _price_scale(step: Scale, area: int, info: MediaInfo) -> tuple[float, int]:
    after = step.size.width * step.size.height
    mixed = area * SHRINK_NS + after * (GROW_NS if after > area else SHRINK_NS)
    return mixed + (area + after) * (PREMULTIPLY_NS if info.has_alpha else 0), after


def _price_cut(step: Cut, area: int, _info: MediaInfo) -> tuple[float, int]:
    kept = step.box.width * step.box.height
    return kept * 1.0, min(area, kept)


def _price_trimmed(step: Trimmed, area: int, info: MediaInfo) -> tuple[float, int]:
    search_ns, _ = _price_border(step, area, info)
    cut_ns, after = _price_cut(step, area, info)
    return search_ns + cut_ns, after


def _price_border(_step: Border | Trimmed, area: int, info: MediaInfo) -> tuple[float, int]:
    """Its colours are those that are seen: so a profile, or inks, are worked out for it, and again for what is made."""
    inks = info.channels > 3 and not info.has_alpha  # noqa: PLR2004 - more than red, green and blue
    colours = _COLOURS_NS if info.icc_bytes or inks else 0.0
    return area * (_SEARCH_NS + colours + (2 * PREMULTIPLY_NS if info.has_alpha else 0)), area


def _price_chosen(step: Chosen, area: int, info: MediaInfo) -> tuple[float, int]:
    """Of an animation, one frame is looked at for all."""
    kept = step.size.width * step.size.height
    mixed = area * (SHRINK_NS + (PREMULTIPLY_NS if info.has_alpha else 0))
    return mixed + _LOOK_NS[step.detect] / info.frames + kept * 1.0, min(area, kept)


def _price_backdrop(step: Backdrop, area: int, info: MediaInfo) -> tuple[float, int]:
    after = step.size.width * step.size.height
    return area * SHRINK_NS + after * (_BACKDROP_NS * (2 if info.has_alpha else 1)), after


def _price_slant(step: Slant, _area: int, _info: MediaInfo) -> tuple[float, int]:
    after = step.size.width * step.size.height
    return after * (_SLANT_NS + 2 * PREMULTIPLY_NS), after


def _price_canvas(step: Canvas, _area: int, _info: MediaInfo) -> tuple[float, int]:
    after = step.size.width * step.size.height
    return after * MOVE_NS, after


def _price_move(_step: Struct, area: int, _info: MediaInfo) -> tuple[float, int]:
    return area * MOVE_NS, area


_CHECK: Mapping[type, Check] = {Resize: _check_resize, Extend: _check_extend, Pad: _check_pad}
_RESOLVE: Mapping[type, Resolve] = {
    AutoOrient: _orient,
    Trim: _trim,
    Crop: _crop,
    AspectCrop: _crop,
    Rotate: _rotate,
    Flip: _mirror,
    Flop: _mirror,
    Tilt: _tilt,
    Resize: _resize,
    Extend: _extend,
    Pad: _pad,
}
_PRICE: Mapping[type, Price] = {
    Scale: _price_scale,
    Cut: _price_cut,
    Trimmed: _price_trimmed,
    Border: _price_border,
    Chosen: _price_chosen,
    Canvas: _price_canvas,
    Backdrop: _price_backdrop,
    Slant: _price_slant,
    Upright: _price_move,
    Turn: _price_move,
    Mirror: _price_move,
}
GROUP = Group(_CHECK, _RESOLVE, _PRICE)
