"""Policy and prices of `model.operations.layers.Text`; it is its own step, and changes no size."""

import math
from collections.abc import Mapping

from imagemill.model.errors import LimitExceeded
from imagemill.model.media import MediaInfo
from imagemill.model.recipe import Text
from imagemill.plan.geometry import Size
from imagemill.plan.operations.base import Check, Group, Price, Resolve
from imagemill.plan.placing import turned_size
from imagemill.settings import Limits

_ONCE_NS, _CHARACTER_NS, _DRAWN_NS, _READY_NS = 4e6, 25_000.0, 12.0, 10.0
_TURN_NS, _SHADOW_NS, _SHADOW_SIGMA_NS = 60.0, 120.0, 2.0
_COPY_NS, _OPAQUE_NS, _ALPHA_NS = 6.0, 15.0, 130.0
_LINE, _ADVANCE = 1.2, 0.65
"""Of an em: how far apart lines lie, and how wide a character is, in most scripts."""


def _check(op: Text, limits: Limits) -> None:
    if op.width_px > limits.output_side_px:
        raise LimitExceeded("output_side", f"text width: {op.width_px} > {limits.output_side_px} px")


def _price(step: Text, area: int, info: MediaInfo) -> tuple[float, int]:
    """What it takes to lay it on one frame; what comes before is done once for all of them, see `drawn_ns`."""
    return _seen(step, area) * (_ALPHA_NS if info.has_alpha else _OPAQUE_NS) + area * _COPY_NS, area


def drawn_ns(step: Text, area: int) -> float:
    """What it takes to draw a text, to turn and to shadow it, before it is laid on frames of that *area*."""
    block, each = _block(step, area), _READY_NS
    if step.place.centidegrees % 9_000:
        each += _TURN_NS
    if step.shadow:
        each += _SHADOW_NS + _SHADOW_SIGMA_NS * step.shadow.sigma_centi / 100
    letters = len(step.text) * _CHARACTER_NS + block.width * block.height * _DRAWN_NS
    return _ONCE_NS + letters + _seen(step, area) * each


def _seen(step: Text, area: int) -> float:
    """About how many pixels of a picture of that *area* are met."""
    box = turned_size(_block(step, area), step.place.centidegrees)
    seen = min(box.width * box.height, area)
    rim = 6 * step.shadow.sigma_centi / 100 if step.shadow else 0.0
    return seen + rim * (rim + 2 * math.sqrt(seen))


def _block(step: Text, area: int) -> Size:
    """About how large the block is; without a width of its own, lines are broken to that of a square picture."""
    room = step.width_px or max(math.isqrt(area), 1)
    lines = [len(line) * _ADVANCE * step.size_px for line in step.text.split("\n")]
    width = max(step.width_px, math.ceil(min(max(lines), room)), step.size_px)
    rows = sum(max(1, math.ceil(line / width)) for line in lines)
    return Size(width, math.ceil(rows * _LINE * step.size_px))


_CHECK: Mapping[type, Check] = {Text: _check}
_RESOLVE: Mapping[type, Resolve] = {}
_PRICE: Mapping[type, Price] = {Text: _price}
GROUP = Group(_CHECK, _RESOLVE, _PRICE)
