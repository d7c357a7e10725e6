"""Policy, steps and prices of `model.operations.look`."""

from collections.abc import Mapping

from imagemill.model.errors import LimitExceeded
from imagemill.model.media import MediaInfo
from imagemill.model.recipe import Blur, Sharpen
from imagemill.plan.geometry import Size
from imagemill.plan.operations.base import Check, Group, Price, Resolve, Scene
from imagemill.plan.operations.geometry import PREMULTIPLY_NS
from imagemill.plan.steps import Crisp, Smooth, Step
from imagemill.settings import Limits

_BLUR_NS, _BLUR_SIGMA_NS = 5.0, 0.9
_SHARPEN_NS, _SHARPEN_SIGMA_NS = 80.0, 6.0


def check_sigma(name: str, centi: int, most: int) -> None:
    """Refuse a sigma above *most*."""
    if centi > most * 100:
        raise LimitExceeded(name, f"{name}: sigma {centi / 100:g} > {most}")


def _check_blur(op: Blur, limits: Limits) -> None:
    check_sigma("blur", op.sigma_centi, limits.blur_sigma)


def _check_sharpen(op: Sharpen, limits: Limits) -> None:
    check_sigma("sharpen", op.sigma_centi, limits.sharpen_sigma)


def _blur(op: Blur, scene: Scene) -> tuple[list[Step], Size]:
    return [Smooth(op.sigma_centi / 100)], scene.size


def _sharpen(op: Sharpen, scene: Scene) -> tuple[list[Step], Size]:
    return [Crisp(op.sigma_centi / 100)], scene.size


def _price_blur(step: Smooth, area: int, info: MediaInfo) -> tuple[float, int]:
    each = _BLUR_NS + _BLUR_SIGMA_NS * step.sigma
    return area * (2 * each + 2 * PREMULTIPLY_NS if info.has_alpha else each), area


def _price_sharpen(step: Crisp, area: int, info: MediaInfo) -> tuple[float, int]:
    return area * (_SHARPEN_NS + _SHARPEN_SIGMA_NS * step.sigma) * (2 if info.has_alpha else 1), area


_CHECK: Mapping[type, Check] = {Blur: _check_blur, Sharpen: _check_sharpen}
_RESOLVE: Mapping[type, Resolve] = {Blur: _blur, Sharpen: _sharpen}
_PRICE: Mapping[type, Price] = {Smooth: _price_blur, Crisp: _price_sharpen}
GROUP = Group(_CHECK, _RESOLVE, _PRICE)
