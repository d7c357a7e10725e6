"""Values that several operations share: places, colours, shadows."""

from enum import StrEnum

from msgspec import Struct

from imagemill.model.errors import BadOption

MILLION = 1_000_000
_MOST_COLOUR = 0xFFFFFFFF
WHITE = 0xFFFFFFFF


class Gravity(StrEnum):
    """Where a smaller box lies in a larger one."""

    CENTER = "center"
    NORTH = "north"
    NORTHEAST = "northeast"
    EAST = "east"
    SOUTHEAST = "southeast"
    SOUTH = "south"
    SOUTHWEST = "southwest"
    WEST = "west"
    NORTHWEST = "northwest"


_AT = {
    Gravity.CENTER: (500_000, 500_000),
    Gravity.NORTH: (500_000, 0),
    Gravity.NORTHEAST: (MILLION, 0),
    Gravity.EAST: (MILLION, 500_000),
    Gravity.SOUTHEAST: (MILLION, MILLION),
    Gravity.SOUTH: (500_000, MILLION),
    Gravity.SOUTHWEST: (0, MILLION),
    Gravity.WEST: (0, 500_000),
    Gravity.NORTHWEST: (0, 0),
}


class Detect(StrEnum):
    """What decides where a box lies, once the pixels are known."""

    NONE = "none"
    """Nothing: the point does."""
    ATTENTION = "attention"
    """What draws the eye: edges, saturated colours, skin."""
    ENTROPY = "entropy"
    """Where most happens."""
    FACE = "face"
    """Faces, as far as there are any; else as `ATTENTION`. Needs the extra ``faces``."""


class Position(Struct, frozen=True):
    """A point by which a box is placed, in parts per million of the picture's sides.

    With ``focal`` the box is centred on the point as far as the edges allow; without, the point
    divides the slack (0 = left or top edge, a million = right or bottom edge).
    """

    x_ppm: int = 500_000
    y_ppm: int = 500_000
    focal: bool = False
    detect: Detect = Detect.NONE
    """Whether the picture itself decides; then the point is left as it is."""

    def __post_init__(self) -> None:
        """Keep the point inside the picture, and the box placed in one way only."""
        if not (0 <= self.x_ppm <= MILLION and 0 <= self.y_ppm <= MILLION):
            raise BadOption(f"position outside the picture: {self.x_ppm}, {self.y_ppm} ppm")
        if self.detect is not Detect.NONE and (self.x_ppm, self.y_ppm, self.focal) != (500_000, 500_000, False):
            raise BadOption("position: either a point or what is to be found")

    @classmethod
    def of(cls, gravity: Gravity) -> "Position":
        """The position that a compass name stands for."""
        return cls(*_AT[gravity])


class Shadow(Struct, frozen=True):
    """What lies below a layer or a text: its shape in one colour, moved and blurred."""

    x_px: int = 4
    y_px: int = 4
    sigma_centi: int = 300
    """0 = a sharp one."""
    rgba: int = 0x00000080

    def __post_init__(self) -> None:
        """Keep it near, and its colour one."""
        if not (max(abs(self.x_px), abs(self.y_px)) <= 1000 and 0 <= self.sigma_centi <= 10_000):
            raise BadOption("shadow: at most 1000 pixels away, sigma at most 100")
        check_colour("shadow", self.rgba)


def check_colour(name: str, rgba: int) -> None:
    """Keep a colour to 32 bits."""
    if not 0 <= rgba <= _MOST_COLOUR:
        raise BadOption(f"{name}: eight hex digits at most")


def check_range(name: str, value: int, least: int, most: int) -> None:
    """Keep *value* within *least* to *most*."""
    if not least <= value <= most:
        raise BadOption(f"{name}: {value} is not within {least} to {most}")
