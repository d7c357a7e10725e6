"""Operations that lay something over or under the picture. Layers, which have recipes of their own: `model.recipe`."""

import unicodedata
from enum import StrEnum
from itertools import groupby

from msgspec import Struct

from imagemill.model.errors import BadOption
from imagemill.model.operations.values import WHITE, Detect, Position, Shadow, check_colour, check_range

MOST_TEXT = 512
MOST_MARKS = 30
"""On one letter, as in the Stream-Safe Text Format of UAX #15: no language has so many."""
_NO_TEXT = frozenset({"Cc", "Cs", "Zl", "Zp"})
_DIRECTIONS = frozenset(map(chr, (*range(0x202A, 0x202F), *range(0x2066, 0x206A))))
_MOST_OFFSET = 16_383


class Background(Struct, frozen=True, tag="background"):
    """Lay the picture on a colour; also what `Fit.CONTAIN` fills with."""

    rgba: int

    def __post_init__(self) -> None:
        """Keep to 32 bits."""
        check_colour("background", self.rgba)


class Blend(StrEnum):
    """How the colours of a layer meet those below (W3C Compositing and Blending Level 1)."""

    NORMAL = "normal"
    MULTIPLY = "multiply"
    SCREEN = "screen"
    OVERLAY = "overlay"
    DARKEN = "darken"
    LIGHTEN = "lighten"
    COLOR_DODGE = "color-dodge"
    COLOR_BURN = "color-burn"
    HARD_LIGHT = "hard-light"
    SOFT_LIGHT = "soft-light"
    DIFFERENCE = "difference"
    EXCLUSION = "exclusion"


class Place(Struct, frozen=True):
    """Where something is laid on the picture, and how dense."""

    position: Position = Position()
    x_px: int = 0
    """Away from the edge that the position touches; to the right where it touches none."""
    y_px: int = 0
    """As `x_px`; downwards where it touches none."""
    centidegrees: int = 0
    """Turned clockwise before it is placed."""
    opacity_percent: int = 100

    def __post_init__(self) -> None:
        """Keep it near, and seen."""
        if self.position.detect is not Detect.NONE:
            raise BadOption("position: what is laid over a picture is placed by a point")
        if max(abs(self.x_px), abs(self.y_px)) > _MOST_OFFSET:
            raise BadOption(f"offset: at most {_MOST_OFFSET} pixels")
        check_range("angle", self.centidegrees, -35_999, 35_999)
        check_range("opacity", self.opacity_percent, 1, 100)


class Align(StrEnum):
    """How lines of text lie in their block."""

    LEFT = "left"
    CENTER = "center"
    RIGHT = "right"


class Text(Struct, frozen=True, tag="text"):
    """Write on the picture. The text is plain: no markup, no control characters but line ends, no forced directions."""

    text: str
    font: str = ""
    """Family and style as a configured font calls itself; empty = the one that ships with imagemill."""
    size_px: int = 32
    """Of an em."""
    rgba: int = WHITE
    width_px: int = 0
    """Lines are broken to it; 0 = as wide as the picture."""
    align: Align = Align.LEFT
    place: Place = Place()
    shadow: Shadow | None = None

    def __post_init__(self) -> None:
        """Keep the text short and plain, its size within bounds."""
        if not self.text.strip() or len(self.text) > MOST_TEXT:
            raise BadOption(f"text: 1 to {MOST_TEXT} characters, and not spaces alone")
        if any(unicodedata.category(c) in _NO_TEXT and c != "\n" for c in self.text) or _DIRECTIONS & set(self.text):
            raise BadOption(
                "text: control characters are refused, but for line ends; so are directions: letters say them"
            )
        if _most_marks(self.text) > MOST_MARKS:
            raise BadOption(f"text: more than {MOST_MARKS} marks on one letter")
        if len(self.font) > 64 or not all(c.isalnum() or c in " -" for c in self.font):
            raise BadOption("text font: a name of at most 64 letters, digits, spaces and hyphens")
        check_range("text size", self.size_px, 4, 1000)
        check_range("text width", self.width_px, 0, 16_383)
        check_colour("text colour", self.rgba)


def _most_marks(text: str) -> int:
    """How many marks stand on one letter, at most."""
    runs = groupby(text, lambda character: unicodedata.category(character).startswith("M"))
    return max((len(list(run)) for is_mark, run in runs if is_mark), default=0)
