"""Policy, steps and prices of `model.operations.layers`, and of layers."""

from collections.abc import Mapping

from imagemill.model.media import MediaInfo
from imagemill.model.recipe import Background
from imagemill.plan.geometry import Size
from imagemill.plan.operations.base import Check, Group, Price, Resolve, Scene
from imagemill.plan.operations.geometry import MOVE_NS
from imagemill.plan.steps import Step, Underlay


def _background(op: Background, scene: Scene) -> tuple[list[Step], Size]:
    return [Underlay(op.rgba)], scene.size


def _price_underlay(_step: Underlay, area: int, _info: MediaInfo) -> tuple[float, int]:
    return area * MOVE_NS, area


_CHECK: Mapping[type, Check] = {}
_RESOLVE: Mapping[type, Resolve] = {Background: _background}
_PRICE: Mapping[type, Price] = {Underlay: _price_underlay}
GROUP = Group(_CHECK, _RESOLVE, _PRICE)
