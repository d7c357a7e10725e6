"""Policy, steps and prices of `model.operations.layers`, and of layers."""

from collections.abc import Mapping

from imagemill.model.media import MediaInfo
from imagemill.model.recipe import MILLION, Background, Layer, Resize
from imagemill.plan.geometry import Size
from imagemill.plan.operations.base import Check, Group, Price, Resolve, Scene
from imagemill.plan.operations.geometry import MOVE_NS
from imagemill.plan.steps import Overlay, Step, Underlay

_BLEND_NS, _TURN_NS = 40.0, 40.0
_SHADOW_NS, _SHADOW_SIGMA_NS = 60.0, 2.0


def _background(op: Background, scene: Scene) -> tuple[list[Step], Size]:
    return [Underlay(op.rgba)], scene.size


def _layer(op: Layer, scene: Scene) -> tuple[list[Step], Size]:
    assert scene.layer, "whoever resolves knows the layers"
    own = op.recipe
    if op.width_ppm:
        width = (2 * scene.size.width * op.width_ppm + MILLION) // (2 * MILLION)
        own = (*own, Resize(max(1, width), enlarge=True))
    return [Overlay(op.source, scene.layer(op.source, own), op.place, op.blend, op.tile, op.shadow)], scene.size


def _price_overlay(step: Overlay, area: int, _info: MediaInfo) -> tuple[float, int]:
    """What it takes to lay it on one frame; to make it, which is done once for all of them: `plan.cost`."""
    own = step.made.size.width * step.made.size.height
    met = area if step.tile else min(area, 2 * own if step.place.centidegrees else own)
    shadow = own * (_SHADOW_NS + _SHADOW_SIGMA_NS * step.shadow.sigma_centi / 100) if step.shadow else 0.0
    turn = own * _TURN_NS if step.place.centidegrees else 0.0
    return area * MOVE_NS + met * _BLEND_NS + shadow + turn, area


def _price_underlay(_step: Underlay, area: int, _info: MediaInfo) -> tuple[float, int]:
    return area * MOVE_NS, area


_CHECK: Mapping[type, Check] = {}
_RESOLVE: Mapping[type, Resolve] = {Background: _background, Layer: _layer}
_PRICE: Mapping[type, Price] = {Underlay: _price_underlay, Overlay: _price_overlay}
GROUP = Group(_CHECK, _RESOLVE, _PRICE)
