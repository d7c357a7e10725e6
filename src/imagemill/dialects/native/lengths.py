"""Lengths in pixels of the result, which ``dpr`` multiplies so that a picture looks alike on every screen.

Units    ratios in hundredths.
"""

from imagemill.dialects.native.reading import Given, decimal
from imagemill.model.errors import BadOption, LimitExceeded
from imagemill.settings import Limits

_ALWAYS = (
    "width", "height", "min_width", "min_height", "pad", "blur", "sharpen", "unsharp", "pixelate", "radius",
    "wm_x", "wm_y", "wm_shadow", "text",
)  # fmt: skip
"""Parameters that are lengths, or have some; a text has a size even where none is named."""


def dpr(given: Given, limits: Limits) -> int:
    """What lengths are multiplied by, in hundredths."""
    ratio = decimal(given, "dpr", 2) if "dpr" in given else 100
    if ratio > limits.dpr * 100:
        raise LimitExceeded("dpr", f"dpr: {ratio / 100:g} > {limits.dpr}")
    return ratio


def lengthened(length: int, ratio: int) -> int:
    """*length* times *ratio* hundredths; nothing stays nothing, and something something, on its own side of nothing."""
    if length < 0:
        return -lengthened(-length, ratio)
    return max(1, (length * ratio + 50) // 100) if length else 0


def refuse_idle(given: Given) -> None:
    """Refuse a ratio where there is nothing to multiply."""
    if "dpr" in given and not (any(name in given for name in _ALWAYS) or "," in given.get("extend", "")):
        raise BadOption(f"dpr: needs extend=w,h or one of {', '.join(_ALWAYS)}")
