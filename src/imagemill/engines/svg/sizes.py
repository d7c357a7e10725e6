"""How large a vector picture is by itself, and which part of its plane it shows.

Units    CSS pixels, 96 to the inch; ``em`` is 16 of them, ``ex`` half as much.
Default  a side that is missing, a share, zero, negative or no number comes of the view box: from its proportions where
         the other side is said, else as many pixels as it has units. Where there is none either: 512 pixels.
Source   SVG 2, 8.2 and 8.9; CSS Values and Units 3, 6.2.
"""

import math
import re

from msgspec import Struct

from imagemill.plan.geometry import Size

DEFAULT_PX = 512.0
_LENGTH = re.compile(
    r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(px|pt|pc|mm|cm|in|em|ex|rem|q|)\s*\Z", re.IGNORECASE
)
_PX = {
    "": 1.0, "px": 1.0, "pt": 96 / 72, "pc": 16.0, "mm": 96 / 25.4, "cm": 96 / 2.54, "in": 96.0, "q": 96 / 101.6,
    "em": 16.0, "rem": 16.0, "ex": 8.0,
}  # fmt: skip
_LARGEST = 1e9
_LEAST = 1e-6
"""Less is nothing: it is divided by."""
_SAME_SHAPE = 1e-3


class View(Struct, frozen=True):
    """A rectangle of the picture's plane, in its own units."""

    x: float
    y: float
    width: float
    height: float


class Extent(Struct, frozen=True):
    """A picture's own size, and what of its plane fills it."""

    width: float
    height: float
    view: View
    aspect: str
    """``preserveAspectRatio``: how `view` lies in the size, where their shapes differ."""

    @property
    def size(self) -> Size:
        """In whole pixels."""
        return Size(_whole(self.width), _whole(self.height))

    @property
    def fits(self) -> bool:
        """Whether `view` fills the size with no more ado."""
        if self.aspect.startswith("none"):
            return True
        return abs(self.width * self.view.height / (self.height * self.view.width) - 1) < _SAME_SHAPE


def extent(attributes: dict[str, str]) -> Extent:
    """What the root element's *attributes* say."""
    view = _view(attributes.get("viewBox", ""))
    width, height = _length(attributes.get("width", "")), _length(attributes.get("height", ""))
    if view and not (width or height):
        width, height = view.width, view.height
    elif view:
        width = width or height * view.width / view.height
        height = height or width * view.height / view.width
    width, height = width or DEFAULT_PX, height or DEFAULT_PX
    aspect = attributes.get("preserveAspectRatio", "").strip()
    return Extent(width, height, view or View(0.0, 0.0, width, height), aspect)


def _length(text: str) -> float:
    """A length above zero; 0 for whatever is none."""
    found = _LENGTH.match(text)
    length = float(found[1]) * _PX[found[2].lower()] if found else 0.0
    return length if length > _LEAST and math.isfinite(length) else 0.0


def _view(text: str) -> View | None:
    try:
        found = [float(number) for number in re.split(r"[\s,]+", text.strip())]
    except ValueError:
        return None
    if len(found) != 4 or not all(map(math.isfinite, found)) or min(found[2:]) <= _LEAST:  # noqa: PLR2004
        return None
    return View(*found)


def _whole(length: float) -> int:
    return max(1, math.floor(min(length, _LARGEST) + 0.5))
