"""Operations that say which pictures of a file are read, and how they are played; they come before all others."""

from msgspec import Struct

from imagemill.model.errors import BadOption
from imagemill.model.operations.values import check_range


class Frames(Struct, frozen=True, tag="frames"):
    """Which frames (of an animation) or pages (of a TIFF, an icon) are read, and how they are played."""

    first: int = -1
    """From 0; one that is not there is an error. -1 = the one that is shown by itself: the largest of an icon."""
    most: int = 0
    """How many at most; 0 = all frames of an animation, one page of what has pages."""
    loops: int = -1
    """How often it is played; 0 = for ever, -1 = as the source says."""
    delay_ms: int = 0
    """How long each frame is shown; 0 = as the source says."""

    def __post_init__(self) -> None:
        """Keep numbers in range, and something said."""
        check_range("page", self.first, -1, 65_535)
        check_range("frames", self.most, 0, 65_535)
        check_range("loops", self.loops, -1, 65_535)
        check_range("delay", self.delay_ms, 0, 655_350)
        if (self.first, self.most, self.loops, self.delay_ms) == (-1, 0, -1, 0):
            raise BadOption("frames: nothing is said of them")


class Density(Struct, frozen=True, tag="density"):
    """Dots per inch at which a vector picture's own size is counted; 96 = one pixel a CSS pixel. Refused for others."""

    dpi: int

    def __post_init__(self) -> None:
        """Keep in range."""
        check_range("density", self.dpi, 1, 2400)
