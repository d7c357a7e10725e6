"""Operations that change which pixels there are, or where they lie."""

from enum import StrEnum

from msgspec import Struct

from imagemill.model.errors import BadOption
from imagemill.model.operations.values import MILLION, Detect, Position, check_colour, check_range


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


class Fill(StrEnum):
    """What an added border is made of."""

    COLOUR = "colour"
    """One colour, or nothing where that is transparent."""
    BLUR = "blur"
    """The picture itself, scaled to cover the whole and blurred by a fortieth of its longer side (sigma)."""


class AutoOrient(Struct, frozen=True, tag="auto_orient"):
    """Turn and mirror the picture upright, as its EXIF orientation says."""


class Trim(Struct, frozen=True, tag="trim"):
    """Cut off borders of one colour; an animation is cut to what any of its frames needs.

    A picture that is nothing but border is left as it is. Colours are compared as dense as their alpha, which is a
    channel of its own: what cannot be seen is of one colour.
    """

    threshold: int = 10
    """How far a pixel may be from the colour, 0 to 255 on its worst channel, and still be border."""
    rgba: int = -1
    """The border's colour; -1 = that of the corner pixel, of each frame its own."""
    from_bottom_right: bool = False
    """Which corner that is: bottom right instead of top left."""
    equal_x: bool = False
    """Cut as much from the left as from the right: the less of the two."""
    equal_y: bool = False
    """Cut as much from the top as from the bottom: the less of the two."""

    def __post_init__(self) -> None:
        """Keep the threshold and the colour in range."""
        check_range("trim", self.threshold, 0, 255)
        if self.rgba != -1:
            check_colour("trim", self.rgba)
            if self.from_bottom_right:
                raise BadOption("trim: either a colour or a corner")


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


class AspectCrop(Struct, frozen=True, tag="aspect_crop"):
    """Cut the largest box of these proportions out, placed by ``position``."""

    width: int
    height: int
    position: Position = Position()

    def __post_init__(self) -> None:
        """Keep the proportions to what is a picture's."""
        for side in (self.width, self.height):
            check_range("aspect", side, 1, 10_000)


class Rotate(Struct, frozen=True, tag="rotate"):
    """Turn clockwise by quarter turns."""

    quarter_turns: int

    def __post_init__(self) -> None:
        """Keep to 1, 2 or 3; none is no operation."""
        if self.quarter_turns not in {1, 2, 3}:
            raise BadOption("rotate: 90, 180 or 270 degrees")


class Tilt(Struct, frozen=True, tag="tilt"):
    """Turn clockwise by any angle; the picture grows to hold all of it, the corners are of one colour.

    Its sides become ``|w cos| + |h sin|`` and ``|w sin| + |h cos|``, rounded up.
    """

    centidegrees: int
    """Hundredths of a degree, -35999 to 35999; quarter turns are `Rotate`'s."""
    rgba: int = 0
    """Of the corners; nothing = the recipe's `Background`, and without one, transparent (white where the format has no
    transparency)."""

    def __post_init__(self) -> None:
        """Keep to less than a whole turn, and away from quarters."""
        check_range("tilt", self.centidegrees, -35_999, 35_999)
        if self.centidegrees % 9_000 == 0:
            raise BadOption("tilt: quarter turns are rotate's, and none is no operation")
        check_colour("tilt", self.rgba)


class Flip(Struct, frozen=True, tag="flip"):
    """Mirror top to bottom."""


class Flop(Struct, frozen=True, tag="flop"):
    """Mirror left to right."""


class Resize(Struct, frozen=True, tag="resize"):
    """Scale to a box; 0 means "as the proportions give it". At least one side, share or minimum is given."""

    width_px: int = 0
    height_px: int = 0
    fit: Fit = Fit.INSIDE
    enlarge: bool = False
    """Whether a picture smaller than asked may be scaled up."""
    position: Position = Position()
    """For `Fit.COVER`, what is kept; for `Fit.CONTAIN`, where the picture lies."""
    width_ppm: int = 0
    """In place of `width_px`: a share of the picture's own width."""
    height_ppm: int = 0
    """In place of `height_px`: a share of the picture's own height."""
    min_width_px: int = 0
    """Least width of what is scaled; wins over the box, proportions held. What then sticks out of it is kept, but for
    `Fit.COVER`, and only where `enlarge` allows is anything scaled up."""
    min_height_px: int = 0
    """As `min_width_px`, for the height."""
    fill: Fill = Fill.COLOUR
    """For `Fit.CONTAIN`, what the rest of the box is made of."""
    rgba: int = 0
    """With `Fill.COLOUR`, which one; nothing = the recipe's `Background`, and without one, transparent."""

    def __post_init__(self) -> None:
        """Keep at least one side, each said in one way, and nothing that has no effect."""
        sides = (self.width_px, self.height_px, self.width_ppm, self.height_ppm, self.min_width_px, self.min_height_px)
        if min(sides) < 0 or not any(sides):
            raise BadOption("resize: width or height is at least 1")
        if (self.width_px and self.width_ppm) or (self.height_px and self.height_ppm):
            raise BadOption("resize: a side in pixels or as a share, not both")
        if max(self.width_ppm, self.height_ppm) > 100 * MILLION:
            raise BadOption("resize: a share is at most 10000 %")
        if self.fit is Fit.CONTAIN and self.position.detect is not Detect.NONE:
            raise BadOption("resize: contain cuts nothing, so nothing is to be found")
        if self.fit is not Fit.CONTAIN and (self.fill, self.rgba) != (Fill.COLOUR, 0):
            raise BadOption("resize: only contain is filled")
        _check_fill("resize", self.fill, self.rgba)


class Extend(Struct, frozen=True, tag="extend"):
    """Lay the picture on a larger canvas, placed by ``position``; a side that is larger already stays as it is."""

    width: int
    """Pixels; or, with `is_ratio`, one side of proportions."""
    height: int
    is_ratio: bool = False
    """Whether the canvas is the smallest of these proportions that holds the picture."""
    position: Position = Position()
    fill: Fill = Fill.COLOUR
    rgba: int = 0

    def __post_init__(self) -> None:
        """Keep the canvas one."""
        if min(self.width, self.height) < 1 or (self.is_ratio and max(self.width, self.height) > 10_000):
            raise BadOption("extend: width and height are at least 1, and of proportions at most 10000")
        if self.position.focal or self.position.detect is not Detect.NONE:
            raise BadOption("extend: placed by a gravity")
        _check_fill("extend", self.fill, self.rgba)


class Pad(Struct, frozen=True, tag="pad"):
    """Add a border."""

    top_px: int = 0
    right_px: int = 0
    bottom_px: int = 0
    left_px: int = 0
    fill: Fill = Fill.COLOUR
    rgba: int = 0

    def __post_init__(self) -> None:
        """Keep the border one."""
        sides = (self.top_px, self.right_px, self.bottom_px, self.left_px)
        if min(sides) < 0 or not any(sides):
            raise BadOption("pad: at least one side, of at least 1 pixel")
        _check_fill("pad", self.fill, self.rgba)


def _check_fill(name: str, fill: Fill, rgba: int) -> None:
    check_colour(name, rgba)
    if fill is Fill.BLUR and rgba:
        raise BadOption(f"{name}: either a colour or a blurred copy")
