"""Mix two pictures of the same size as W3C Compositing and Blending Level 1 says, each value rounded once.

Takes    sRGB of eight bits with straight alpha; the one below may have none. Mixed as stored, as browsers do.
Source   https://www.w3.org/TR/compositing-1/, sections 5 and 10. libvips' `composite` cuts where this rounds, and
         leaves the alpha of the one above out of its blend modes.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from imagemill.engines.decoded import Image, pyvips
from imagemill.engines.pixels import RGB
from imagemill.model.operations.layers import Blend

_AT_ONCE = 1 << 16
"""Pixels that are mixed at a time: what is done to them stays in the processor's cache."""
_HALF, _QUARTER = 0.5, 0.25
_WHITE = 255.0


def blended(below: Image, above: Image, blend: Blend) -> Image:
    """*above*, which has alpha, on *below*, with the bands of *below*."""
    if blend is Blend.NORMAL and not below.hasalpha():  # as a stream, and for a third of the CPU
        return above.extract_band(RGB).ifthenelse(above.extract_band(0, n=RGB), below, blend=True)
    lower, upper = _rows(below), _rows(above)
    made = np.empty_like(lower)
    rows = max(1, _AT_ONCE // below.width)
    for top in range(0, below.height, rows):
        part = slice(top, top + rows)
        made[part] = _mixed(lower[part], upper[part], _COLOURS[blend])
    image = pyvips.Image.new_from_memory(made, below.width, below.height, below.bands, "uchar")
    return image.copy(interpretation="srgb")


def _rows(image: Image) -> Any:
    return np.frombuffer(image.write_to_memory(), np.uint8).reshape(image.height, image.width, image.bands)


def _mixed(lower: Any, upper: Any, colours: "Colours | None") -> Any:
    backdrop = np.float32(lower[..., :RGB]) / np.float32(_WHITE)
    source = np.float32(upper[..., :RGB]) / np.float32(_WHITE)
    dense = np.float32(upper[..., RGB:]) / np.float32(_WHITE)
    if lower.shape[2] == RGB:
        mixed = colours(backdrop, source) if colours else source
        return np.uint8((backdrop + dense * (mixed - backdrop)) * _WHITE + _HALF)
    under = np.float32(lower[..., RGB:]) / np.float32(_WHITE)
    if colours:
        source = source + under * (colours(backdrop, source) - source)
    alpha = dense + under * (1 - dense)
    shared = dense * source + (1 - dense) * under * backdrop
    colour = np.divide(shared, alpha, out=np.zeros_like(shared), where=alpha > 0)
    return np.uint8(np.concatenate((colour, alpha), axis=2) * _WHITE + _HALF)


def _hard_light(backdrop: Any, source: Any) -> Any:
    doubled = 2 * source
    return np.where(source <= _HALF, backdrop * doubled, _screen(backdrop, doubled - 1))


def _screen(backdrop: Any, source: Any) -> Any:
    return backdrop + source - backdrop * source


def _color_dodge(backdrop: Any, source: Any) -> Any:
    room = 1 - source
    lit = np.divide(backdrop, room, out=np.ones_like(backdrop), where=room > 0)
    return np.where(backdrop == 0, 0, np.minimum(lit, 1))


def _color_burn(backdrop: Any, source: Any) -> Any:
    burnt = np.divide(1 - backdrop, source, out=np.ones_like(backdrop), where=source > 0)
    return np.where(backdrop == 1, 1, 1 - np.minimum(burnt, 1))


def _soft_light(backdrop: Any, source: Any) -> Any:
    dark = ((16 * backdrop - 12) * backdrop + 4) * backdrop
    light = np.where(backdrop <= _QUARTER, dark, np.sqrt(backdrop)) - backdrop
    return backdrop + (2 * source - 1) * np.where(source <= _HALF, backdrop - backdrop * backdrop, light)


Colours = Callable[[Any, Any], Any]
"""The colour of two, below and above, each 0 to 1; None = that above."""
_COLOURS: Mapping[Blend, Colours | None] = {
    Blend.NORMAL: None,
    Blend.MULTIPLY: np.multiply,
    Blend.SCREEN: _screen,
    Blend.OVERLAY: lambda backdrop, source: _hard_light(source, backdrop),
    Blend.DARKEN: np.minimum,
    Blend.LIGHTEN: np.maximum,
    Blend.COLOR_DODGE: _color_dodge,
    Blend.COLOR_BURN: _color_burn,
    Blend.HARD_LIGHT: _hard_light,
    Blend.SOFT_LIGHT: _soft_light,
    Blend.DIFFERENCE: lambda backdrop, source: np.abs(backdrop - source),
    Blend.EXCLUSION: lambda backdrop, source: backdrop + source - 2 * backdrop * source,
}
