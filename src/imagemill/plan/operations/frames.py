"""Policy, steps and prices of `model.operations.frames`."""

from collections.abc import Mapping

from imagemill.model.errors import BadOption
from imagemill.model.media import VECTORS
from imagemill.model.recipe import Density
from imagemill.plan.geometry import Size
from imagemill.plan.operations.base import Check, Group, Price, Resolve, Scene
from imagemill.plan.steps import Scale, Step

_CSS_DPI = 96


def _density(op: Density, scene: Scene) -> tuple[list[Step], Size]:
    if scene.info.format not in VECTORS:
        raise BadOption(f"density: for vector pictures, and the source is {scene.info.format}")
    size = Size(_counted(scene.size.width, op.dpi), _counted(scene.size.height, op.dpi))
    return [Scale(size)], size


def _counted(side: int, dpi: int) -> int:
    return max(1, (2 * side * dpi + _CSS_DPI) // (2 * _CSS_DPI))


_CHECK: Mapping[type, Check] = {}
_RESOLVE: Mapping[type, Resolve] = {Density: _density}
_PRICE: Mapping[type, Price] = {}
GROUP = Group(_CHECK, _RESOLVE, _PRICE)
