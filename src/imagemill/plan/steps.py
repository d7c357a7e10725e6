"""What an engine does to pixels: sizes and boxes are certain, nothing is left to be worked out.

Operations that change no size and need no more than they say are their own steps.
"""

from msgspec import Struct

from imagemill.model.media import Format, MediaInfo
from imagemill.model.recipe import Blend, Describe, Detect, Encode, Place, Recipe, Shadow, SourceRef, Speed, Trim
from imagemill.plan.geometry import Box, Size


class Upright(Struct, frozen=True):
    """Apply the EXIF orientation 2 to 8."""

    orientation: int


class Cut(Struct, frozen=True):
    """Keep a box of a picture of size `of`."""

    box: Box
    of: Size


class Trimmed(Cut, frozen=True):
    """What a trim has come to; a step of its own, since the search was work too."""


class Border(Struct, frozen=True):
    """Look for what a trim leaves. All that comes after it waits for the answer: so it is the last step there is."""

    trim: Trim
    of: Size


class Chosen(Struct, frozen=True):
    """Keep a box of this size where the picture itself says so."""

    size: Size
    of: Size
    detect: Detect
    at: int
    """Which of the recipe's operations it is of: what was found is remembered by step."""


class Turn(Struct, frozen=True):
    """Turn clockwise by quarter turns."""

    quarters: int


class Mirror(Struct, frozen=True):
    """Mirror top to bottom, or left to right."""

    vertical: bool


class Scale(Struct, frozen=True):
    """Scale to exactly this size."""

    size: Size


class Canvas(Struct, frozen=True):
    """Lay the picture on a larger one of one colour, straight alpha; 0 leaves the rest transparent."""

    size: Size
    left: int
    top: int
    rgba: int


class Backdrop(Struct, frozen=True):
    """Lay the picture on a larger, blurred copy of itself."""

    size: Size
    left: int
    top: int
    sigma: float


class Slant(Struct, frozen=True):
    """Turn clockwise about the middle, onto a canvas of this size; straight alpha, 0 leaves the corners transparent."""

    centidegrees: int
    size: Size
    rgba: int


class Smooth(Struct, frozen=True):
    """Gaussian blur."""

    sigma: float


class Crisp(Struct, frozen=True):
    """Unsharp mask."""

    sigma: float


class Underlay(Struct, frozen=True):
    """Lay the picture on a colour of the same size."""

    rgba: int


class Drawing(Struct, frozen=True):
    """What is drawn of a vector picture, and at which size."""

    size: Size
    left: float = 0.0
    """This and the next three: which part of the picture, in shares of its sides."""
    top: float = 0.0
    width: float = 1.0
    height: float = 1.0

    @property
    def is_whole(self) -> bool:
        """Whether nothing of the picture is left out."""
        return (self.left, self.top, self.width, self.height) == (0.0, 0.0, 1.0, 1.0)

    def at(self, size: Size) -> "Drawing":
        """The same part of the picture, at another size."""
        return Drawing(size, self.left, self.top, self.width, self.height)


class Overlay(Struct, frozen=True):
    """Lay another picture on this one, which keeps its size."""

    source: SourceRef
    made: "Steps"
    """What is done to the other picture first."""
    place: Place
    blend: Blend
    tile: bool
    shadow: Shadow | None
    waits: Recipe = ()
    """All that is done to it, where that trims: then its sizes wait for its pixels, and `made` supposes no border."""


Step = Struct
"""One of these, or an operation that is its own step: what `engines.operations` has an entry for."""


class Steps(Struct, frozen=True):
    """All an engine needs to make one rendition of a probed source."""

    source: MediaInfo
    steps: tuple[Step, ...]
    format: Format
    quality: int
    size: Size
    frames: int
    """Frames to read and write; 1 where source or format has no animation."""
    shrink: int = 1
    """1, 2, 4 or 8: how much smaller a JPEG may be decoded."""
    encode: Encode = Encode()
    """How it is written; format and quality are settled above."""
    drawing: Drawing | None = None
    """How a vector picture is drawn before the steps; None for a picture of pixels."""
    describe: Describe | None = None
    """What is told of it, in place of writing it. Steps lead to a sample then, and `size` is that of the rendition."""

    @property
    def border(self) -> int | None:
        """Which of the steps has to be answered before there can be others; None = all of them are there."""
        return next((n for n, step in enumerate(self.steps) if isinstance(step, Border)), None)

    @property
    def speed(self) -> Speed | None:
        """What the encoder is to save; None = what the server says."""
        return self.encode.speed
