"""Policy and prices of `model.operations.layers.Text`; it is its own step, and changes no size."""

from collections.abc import Mapping

from imagemill.model.errors import LimitExceeded
from imagemill.model.media import MediaInfo
from imagemill.model.recipe import Text
from imagemill.plan.operations.base import Check, Group, Price, Resolve
from imagemill.settings import Limits

_ONCE_NS, _CHARACTER_NS, _PIXEL_NS = 3e6, 20_000.0, 40.0
_TURN_NS, _SHADOW_NS, _SHADOW_SIGMA_NS = 60.0, 80.0, 3.0
_COPY_NS, _OPAQUE_NS, _ALPHA_NS = 2.0, 4.0, 12.0
_LINE, _ADVANCE = 1.2, 0.65
"""Of an em: how far apart lines lie, and how wide a character is, in most scripts."""


def _check(op: Text, limits: Limits) -> None:
    if op.width_px > limits.output_side_px:
        raise LimitExceeded("output_side", f"text width: {op.width_px} > {limits.output_side_px} px")


def _price(step: Text, area: int, info: MediaInfo) -> tuple[float, int]:
    block = _block_px(step)
    each = _PIXEL_NS
    if step.place.centidegrees % 9_000:
        each += _TURN_NS
        block *= 1.5
    if step.shadow:
        sigma = step.shadow.sigma_centi / 100
        block += 6 * sigma * (step.size_px + 6 * sigma) + 6 * sigma * block**0.5
        each += _SHADOW_NS + _SHADOW_SIGMA_NS * sigma
    whole = area * (_COPY_NS + (_ALPHA_NS if info.has_alpha else _OPAQUE_NS))
    return _ONCE_NS + len(step.text) * _CHARACTER_NS + block * each + whole, area


def _block_px(step: Text) -> float:
    """About how many pixels the block has, however its lines are broken."""
    lines = [len(line) * _ADVANCE * step.size_px for line in step.text.split("\n")]
    widest = min(max(lines), step.width_px) if step.width_px else max(lines)
    rows = sum(max(1.0, line / max(widest, 1.0)) for line in lines)
    return max(widest, step.width_px, step.size_px) * rows * _LINE * step.size_px


_CHECK: Mapping[type, Check] = {Text: _check}
_RESOLVE: Mapping[type, Resolve] = {}
_PRICE: Mapping[type, Price] = {Text: _price}
GROUP = Group(_CHECK, _RESOLVE, _PRICE)
