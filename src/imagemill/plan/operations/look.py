"""Policy, steps and prices of `model.operations.look`."""

from collections.abc import Callable, Mapping
from typing import Any

from imagemill.model.errors import LimitExceeded
from imagemill.model.media import MediaInfo
from imagemill.model.recipe import (
    Background,
    Blur,
    Brightness,
    Colorize,
    Contrast,
    Duotone,
    Gamma,
    Gradient,
    Grayscale,
    Hue,
    Mask,
    Negate,
    Pixelate,
    Recipe,
    Round,
    Saturation,
    Sepia,
    Sharpen,
    Tint,
    Unsharp,
)
from imagemill.plan.geometry import Size
from imagemill.plan.operations import colours
from imagemill.plan.operations.base import Check, Group, Price, Resolve, Scene
from imagemill.plan.operations.colours import Curve, Mix
from imagemill.plan.operations.geometry import OPAQUE, PREMULTIPLY_NS, background
from imagemill.plan.steps import Crisp, Smooth, Step
from imagemill.settings import Limits

_BLUR_NS, _BLUR_SIGMA_NS = 5.0, 1.3
_SHARPEN_NS, _SHARPEN_SIGMA_NS = 80.0, 6.0
_UNSHARP_NS, _UNSHARP_SIGMA_NS, _PIXELATE_NS = 16.0, 1.6, 8.0
_CURVE_NS, _MIX_NS, _GRADIENT_NS, _MASK_NS = 4.0, 14.0, 28.0, 20.0
_SET_UP_NS = 600_000.0
"""Before the first pixel, in each frame."""


def transparent(recipe: Recipe, info: MediaInfo) -> bool:
    """Whether what *recipe* makes of such a source may let something through: no solid ground closes its holes."""
    solid = any(isinstance(op, Background) and op.rgba & 0xFF == OPAQUE for op in recipe)
    return clears(recipe) or (info.has_alpha and not solid)


def clears(recipe: Recipe) -> bool:
    """Whether a picture has holes after *recipe* that it had not before."""
    cut = max((n for n, op in enumerate(recipe) if isinstance(op, Round | Mask)), default=len(recipe))
    return cut < len(recipe) and background(recipe[cut:]) is None


def check_sigma(name: str, centi: int, most: int) -> None:
    """Refuse a sigma above *most*."""
    if centi > most * 100:
        raise LimitExceeded(name, f"{name}: sigma {centi / 100:g} > {most}")


def _check_blur(op: Blur, limits: Limits) -> None:
    check_sigma("blur", op.sigma_centi, limits.blur_sigma)


def _check_sharpen(op: Sharpen, limits: Limits) -> None:
    check_sigma("sharpen", op.sigma_centi, limits.sharpen_sigma)


def _check_unsharp(op: Unsharp, limits: Limits) -> None:
    check_sigma("unsharp", op.sigma_centi, limits.blur_sigma)


def _blur(op: Blur, scene: Scene) -> tuple[list[Step], Size]:
    return [Smooth(op.sigma_centi / 100)], scene.size


def _sharpen(op: Sharpen, scene: Scene) -> tuple[list[Step], Size]:
    return [Crisp(op.sigma_centi / 100)], scene.size


def _of_colours(*make: Callable[[Any], Curve | Mix]) -> Resolve:
    """The steps that *make* gives, of an operation that looks at each pixel alone."""

    def resolve(op: Any, scene: Scene) -> tuple[list[Step], Size]:
        return [step(op) for step in make], scene.size

    return resolve


def _price_blur(step: Smooth, area: int, info: MediaInfo) -> tuple[float, int]:
    each = _BLUR_NS + _BLUR_SIGMA_NS * step.sigma
    return area * (2 * each + 2 * PREMULTIPLY_NS if info.has_alpha else each), area


def _price_sharpen(step: Crisp, area: int, info: MediaInfo) -> tuple[float, int]:
    return area * (_SHARPEN_NS + _SHARPEN_SIGMA_NS * step.sigma) * (2 if info.has_alpha else 1), area


def _price_unsharp(step: Unsharp, area: int, info: MediaInfo) -> tuple[float, int]:
    each = _UNSHARP_NS + _UNSHARP_SIGMA_NS * step.sigma_centi / 100
    return area * (2 * each + 2 * PREMULTIPLY_NS if info.has_alpha else each) + 2 * _SET_UP_NS, area


def _price_pixelate(_step: Pixelate, area: int, info: MediaInfo) -> tuple[float, int]:
    return area * (_PIXELATE_NS + (2 * PREMULTIPLY_NS if info.has_alpha else 0)) + _SET_UP_NS, area


def _price_each(each_ns: float, set_up_ns: float = 0.0) -> Price:
    """As much for every pixel, and a third more where there is transparency."""

    def price(_step: Step, area: int, info: MediaInfo) -> tuple[float, int]:
        return area * each_ns * (4 / 3 if info.has_alpha else 1) + set_up_ns, area

    return price


_CHECK: Mapping[type, Check] = {Blur: _check_blur, Sharpen: _check_sharpen, Unsharp: _check_unsharp}
_RESOLVE: Mapping[type, Resolve] = {
    Blur: _blur,
    Sharpen: _sharpen,
    Brightness: _of_colours(lambda op: colours.brightness(op.percent)),
    Contrast: _of_colours(lambda op: colours.contrast(op.percent)),
    Saturation: _of_colours(lambda op: colours.saturation(op.percent)),
    Hue: _of_colours(lambda op: colours.hue(op.degrees)),
    Gamma: _of_colours(lambda op: colours.gamma(op.centi)),
    Grayscale: _of_colours(lambda _: colours.grayscale()),
    Sepia: _of_colours(lambda op: colours.sepia(op.percent)),
    Negate: _of_colours(lambda _: colours.negate()),
    Tint: _of_colours(lambda op: colours.tint(op.rgba)),
    Duotone: _of_colours(lambda _: colours.grayscale(), lambda op: colours.duotone(op.dark_rgba, op.light_rgba)),
    Colorize: _of_colours(lambda op: colours.colorize(op.rgba)),
}
_PRICE: Mapping[type, Price] = {
    Smooth: _price_blur,
    Crisp: _price_sharpen,
    Unsharp: _price_unsharp,
    Pixelate: _price_pixelate,
    Curve: _price_each(_CURVE_NS),
    Mix: _price_each(_MIX_NS),
    Gradient: _price_each(_GRADIENT_NS, _SET_UP_NS),
    Round: _price_each(_MASK_NS, _SET_UP_NS),
    Mask: _price_each(_MASK_NS, _SET_UP_NS),
}
GROUP = Group(_CHECK, _RESOLVE, _PRICE)
