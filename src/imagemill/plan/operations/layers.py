"""Policy, steps and prices of `model.operations.layers`, and of layers."""

from collections.abc import Mapping

from imagemill.model.media import MediaInfo
from imagemill.model.recipe import MILLION, Background, Blend, Layer, Resize, Shadow, Trim
from imagemill.plan.geometry import Size
from imagemill.plan.operations.base import AS_LAYER, Check, Group, Price, Resolve, Scene
from imagemill.plan.operations.geometry import MOVE_NS
from imagemill.plan.placing import turned_size
from imagemill.plan.steps import Overlay, Step, Underlay

_BLEND_NS, _MIX_NS = 20.0, 150.0
"""To mix what is normal with what is opaque, and all else."""
_READY_NS, _TURN_NS = 10.0, 60.0
_SHADOW_NS, _SHADOW_SIGMA_NS = 150.0, 1.0


def _background(op: Background, scene: Scene) -> tuple[list[Step], Size]:
    return [Underlay(op.rgba)], scene.size


def _layer(op: Layer, scene: Scene) -> tuple[list[Step], Size]:
    assert scene.layer, "whoever resolves knows the layers"
    own = op.recipe
    if op.width_ppm:
        width = (2 * scene.size.width * op.width_ppm + MILLION) // (2 * MILLION)
        own = (*own, Resize(max(1, width), enlarge=True))
    waits = (*own, AS_LAYER) if any(isinstance(each, Trim) for each in own) else ()
    made = scene.layer(op.source, own)
    return [Overlay(op.source, made, op.place, op.blend, op.tile, op.shadow, waits)], scene.size


def _price_overlay(step: Overlay, area: int, info: MediaInfo) -> tuple[float, int]:
    """What it takes to lay it on one frame; what comes before is done once for all of them, see `ready_ns`."""
    met = min(area, _laid_area(step, area))
    return area * MOVE_NS + met * (_BLEND_NS if step.blend is Blend.NORMAL and not info.has_alpha else _MIX_NS), area


def ready_ns(step: Overlay, area: int) -> float:
    """What it takes to turn, to repeat and to shadow the layer before it is laid on a picture of that *area*."""
    own, laid = step.made.size.width * step.made.size.height, _laid_area(step, area)
    shadow = _shadow_ns(step, step.shadow, laid, area) if step.shadow else 0.0
    turn = own * _TURN_NS if step.place.centidegrees else 0.0
    return laid * _READY_NS + shadow + turn


def _shadow_ns(step: Overlay, shadow: Shadow, laid: int, area: int) -> float:
    """What a shadow takes where it can be seen: it may be larger by far than what throws it."""
    box, rim = turned_size(step.made.size, step.place.centidegrees), 6 * shadow.sigma_centi // 100
    cast = (box.width + abs(shadow.x_px) + rim) * (box.height + abs(shadow.y_px) + rim)
    return max(laid, min(cast, area)) * (_SHADOW_NS + _SHADOW_SIGMA_NS * shadow.sigma_centi / 100)


def _laid_area(step: Overlay, area: int) -> int:
    """How much there is to be laid: of what is repeated as much as there is of the picture, and a rim."""
    box = turned_size(step.made.size, step.place.centidegrees)
    own = box.width * box.height
    return area + 2 * own if step.tile else own


def _price_underlay(_step: Underlay, area: int, _info: MediaInfo) -> tuple[float, int]:
    return area * MOVE_NS, area


_CHECK: Mapping[type, Check] = {}
_RESOLVE: Mapping[type, Resolve] = {Background: _background, Layer: _layer}
_PRICE: Mapping[type, Price] = {Underlay: _price_underlay, Overlay: _price_overlay}
GROUP = Group(_CHECK, _RESOLVE, _PRICE)
