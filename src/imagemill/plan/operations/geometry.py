"""Policy, steps and prices of `model.operations.geometry`."""

from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from imagemill.model.errors import LimitExceeded
from imagemill.model.media import VECTORS, MediaInfo
from imagemill.model.recipe import AutoOrient, Background, Crop, Fit, Flip, Flop, Recipe, Resize, Rotate
from imagemill.plan.geometry import Size, crop_box, place
from imagemill.plan.operations.base import Check, Group, Price, Resolve, Scene
from imagemill.plan.steps import Canvas, Cut, Mirror, Scale, Step, Turn, Upright
from imagemill.settings import Limits

_EXACT = frozenset({Fit.CONTAIN, Fit.FILL})
_OPAQUE = 0xFF
SHRINK_NS, GROW_NS, PREMULTIPLY_NS, MOVE_NS = 6.0, 30.0, 8.0, 6.0


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
    return rgba if rgba & 0xFF == _OPAQUE or not to_come else 0


def _check_resize(op: Resize, limits: Limits) -> None:
    side = max(op.width_px, op.height_px)
    if side > limits.output_side_px:
        raise LimitExceeded("output_side", f"output: {side} > {limits.output_side_px} px a side")
    certain = op.fit in _EXACT and (op.enlarge or op.fit is Fit.CONTAIN)
    if certain and op.width_px * op.height_px > limits.output_pixels:
        raise LimitExceeded("output_pixels", f"output: {op.width_px * op.height_px} > {limits.output_pixels} px")


def _orient(_op: AutoOrient, scene: Scene) -> tuple[list[Step], Size]:
    size, orientation = scene.size, scene.info.orientation
    if orientation == 1:
        return [], size
    return [Upright(orientation)], Size(size.height, size.width) if orientation > 4 else size  # noqa: PLR2004 - EXIF 5 to 8


def _crop(op: Crop, scene: Scene) -> tuple[list[Step], Size]:
    box = crop_box(scene.size, op)
    return [Cut(box, scene.size)], Size(box.width, box.height)


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
    if placed.canvas:
        steps.append(Canvas(placed.canvas, *placed.at, fill(scene)))
    return steps, placed.size


def _price_scale(step: Scale, area: int, info: MediaInfo) -> tuple[float, int]:
    after = step.size.width * step.size.height
    mixed = area * SHRINK_NS + after * (GROW_NS if after > area else SHRINK_NS)
    return mixed + (area + after) * (PREMULTIPLY_NS if info.has_alpha else 0), after


def _price_cut(step: Cut, area: int, _info: MediaInfo) -> tuple[float, int]:
    kept = step.box.width * step.box.height
    return kept * 1.0, min(area, kept)


def _price_canvas(step: Canvas, _area: int, _info: MediaInfo) -> tuple[float, int]:
    after = step.size.width * step.size.height
    return after * MOVE_NS, after


def _price_move(_step: Struct, area: int, _info: MediaInfo) -> tuple[float, int]:
    return area * MOVE_NS, area


_CHECK: Mapping[type, Check] = {Resize: _check_resize}
_RESOLVE: Mapping[type, Resolve] = {
    AutoOrient: _orient,
    Crop: _crop,
    Rotate: _rotate,
    Flip: _mirror,
    Flop: _mirror,
    Resize: _resize,
}
_PRICE: Mapping[type, Price] = {
    Scale: _price_scale,
    Cut: _price_cut,
    Canvas: _price_canvas,
    Upright: _price_move,
    Turn: _price_move,
    Mirror: _price_move,
}
GROUP = Group(_CHECK, _RESOLVE, _PRICE)
