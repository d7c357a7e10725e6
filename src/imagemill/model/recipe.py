"""A recipe: a tuple of small operations, integers only, in the order they are done.

Units    ``_px`` are pixels, ``_ppm`` parts per million, ``_centi`` hundredths, colours are ``0xRRGGBBAA``.
Order    operations are done in the order they stand in; whoever writes a recipe (a dialect) decides it.
Errors   `BadOption` from ``__post_init__``, which also runs when a recipe is decoded from bytes.
         Size limits are policy (`plan.policy`) and not checked here.

To add an operation: one Struct here and in `Operation`, one step in `engines/vips.py`, one cost in
`plan/cost.py`, one line in `dialects/native.py`, one golden test (docs/explanation/add-an-operation.md).
"""

from enum import StrEnum

from msgspec import Struct

from imagemill.model.errors import BadOption
from imagemill.model.media import Format

MILLION = 1_000_000


class Fit(StrEnum):
    """How a picture meets the box of `width_px` by `height_px`."""

    CONTAIN = "contain"
    """Whole picture inside the box, the rest of the box filled with the background."""
    COVER = "cover"
    """Box filled, what sticks out cut away."""
    FILL = "fill"
    """Stretched to the box; proportions are lost."""
    INSIDE = "inside"
    """Largest size that fits in the box; nothing added or cut."""
    OUTSIDE = "outside"
    """Smallest size that covers the box; nothing added or cut."""


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


class Speed(StrEnum):
    """What an encoder is to save: CPU, both, or bytes. The look that a quality asks for is held."""

    FAST = "fast"
    """The least CPU: up to a tenth more bytes than `BALANCED`."""
    BALANCED = "balanced"
    """The knee of CPU, bytes and score, as measured."""
    SMALL = "small"
    """The fewest bytes that a request can wait for."""


class Position(Struct, frozen=True):
    """A point by which a box is placed, in parts per million of the picture's sides.

    With ``focal`` the box is centred on the point as far as the edges allow; without, the point
    divides the slack (0 = left or top edge, a million = right or bottom edge).
    """

    x_ppm: int = 500_000
    y_ppm: int = 500_000
    focal: bool = False

    def __post_init__(self) -> None:
        """Keep the point inside the picture."""
        if not (0 <= self.x_ppm <= MILLION and 0 <= self.y_ppm <= MILLION):
            raise BadOption(f"position outside the picture: {self.x_ppm}, {self.y_ppm} ppm")

    @classmethod
    def of(cls, gravity: Gravity) -> "Position":
        """The position that a compass name stands for."""
        return cls(*_AT[gravity])


class AutoOrient(Struct, frozen=True, tag="auto_orient"):
    """Turn and mirror the picture upright, as its EXIF orientation says."""


class Crop(Struct, frozen=True, tag="crop"):
    """Cut a box out: at ``left_px, top_px``, or placed by ``position`` when those are -1.

    The box is clipped to the picture; a box wholly outside it is an error.
    """

    width_px: int
    height_px: int
    left_px: int = -1
    top_px: int = -1
    position: Position = Position()

    def __post_init__(self) -> None:
        """Keep the box non-empty, and placed in one way only."""
        if self.width_px < 1 or self.height_px < 1:
            raise BadOption("crop: width and height are at least 1")
        if (self.left_px < 0) != (self.top_px < 0) or min(self.left_px, self.top_px) < -1:
            raise BadOption("crop: give both left and top, or neither")
        if self.left_px >= 0 and self.position != Position():
            raise BadOption("crop: a box at a point takes no gravity or focus")


class Rotate(Struct, frozen=True, tag="rotate"):
    """Turn clockwise by quarter turns."""

    quarter_turns: int

    def __post_init__(self) -> None:
        """Keep to 1, 2 or 3; none is no operation."""
        if self.quarter_turns not in {1, 2, 3}:
            raise BadOption("rotate: 90, 180 or 270 degrees")


class Flip(Struct, frozen=True, tag="flip"):
    """Mirror top to bottom."""


class Flop(Struct, frozen=True, tag="flop"):
    """Mirror left to right."""


class Resize(Struct, frozen=True, tag="resize"):
    """Scale to a box; 0 means "as the proportions give it". At least one side is given."""

    width_px: int = 0
    height_px: int = 0
    fit: Fit = Fit.INSIDE
    enlarge: bool = False
    """Whether a picture smaller than asked may be scaled up."""
    position: Position = Position()
    """For `Fit.COVER`, what is kept; for `Fit.CONTAIN`, where the picture lies."""

    def __post_init__(self) -> None:
        """Keep at least one side."""
        if min(self.width_px, self.height_px) < 0 or self.width_px + self.height_px == 0:
            raise BadOption("resize: width or height is at least 1")


class Blur(Struct, frozen=True, tag="blur"):
    """Gaussian blur."""

    sigma_centi: int

    def __post_init__(self) -> None:
        """Keep sigma positive."""
        if self.sigma_centi < 1:
            raise BadOption("blur: sigma is at least 0.01")


class Sharpen(Struct, frozen=True, tag="sharpen"):
    """Unsharp mask on lightness."""

    sigma_centi: int

    def __post_init__(self) -> None:
        """Keep sigma positive."""
        if self.sigma_centi < 1:
            raise BadOption("sharpen: sigma is at least 0.01")


class Background(Struct, frozen=True, tag="background"):
    """Lay the picture on a colour; also what `Fit.CONTAIN` fills with."""

    rgba: int

    def __post_init__(self) -> None:
        """Keep to 32 bits."""
        if not 0 <= self.rgba <= 0xFFFFFFFF:
            raise BadOption("background: eight hex digits at most")


class Encode(Struct, frozen=True, tag="encode"):
    """Write the picture; always the last operation."""

    format: Format = Format.KEEP
    quality: int = 0
    """1 to 100; 0 = the format's own default. Lossless formats are not changed by it."""
    speed: Speed | None = None
    """None = the server's."""

    def __post_init__(self) -> None:
        """Keep quality in range."""
        if not 0 <= self.quality <= 100:
            raise BadOption("quality: 1 to 100")


Operation = AutoOrient | Crop | Rotate | Flip | Flop | Resize | Blur | Sharpen | Background | Encode
Recipe = tuple[Operation, ...]
