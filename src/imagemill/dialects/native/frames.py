"""Native parameters of `model.operations.frames`."""

from imagemill.dialects.native.reading import Given, Parameter, Reader, Terms, choice, integer
from imagemill.model.errors import BadOption
from imagemill.model.media import ANIMATED, Format
from imagemill.model.recipe import Density, Frames

_MOST_PAGES, _MOST_LOOPS, _MOST_DELAY_MS = 65_535, 65_535, 655_350
_OPEN = frozenset({Format.KEEP, Format.AUTO})
_PLAYING = ("frames", "loop", "delay")

PARAMETERS: tuple[Parameter, ...] = (
    Parameter(
        "page", "pg", "0-65535",
        "Which page (of a TIFF, an icon) or frame (of an animation) is taken, or comes first; the first is 0."
        " Default: 0, of an icon the largest.",
    ),
    Parameter(
        "frames", "", "1-65535",
        "How many frames at most, from page on; of a TIFF, how many pages become an animation."
        " Default: all frames, one page.",
    ),
    Parameter("loop", "", "0-65535", "How often an animation is played; 0 = for ever. Default: as the source says."),
    Parameter("delay", "", "1-655350", "Milliseconds that each frame is shown. Default: as the source says."),
    Parameter(
        "density", "", "1-2400",
        "Dots per inch at which an SVG's own size is counted; 96 = one pixel a CSS pixel. Refused for pixel formats.",
    ),
)  # fmt: skip


def _frames(given: Given, _terms: Terms) -> Frames | None:
    if not given.keys() & {"page", *_PLAYING}:
        return None
    format_ = choice(given, "format", Format, Format.KEEP)
    if format_ not in ANIMATED | _OPEN and (idle := [name for name in _PLAYING if name in given]):
        raise BadOption(f"{idle[0]}: {format_} holds one frame")
    return Frames(
        first=integer(given, "page", 0, _MOST_PAGES) if "page" in given else -1,
        most=integer(given, "frames", 1, _MOST_PAGES) if "frames" in given else 0,
        loops=integer(given, "loop", 0, _MOST_LOOPS) if "loop" in given else -1,
        delay_ms=integer(given, "delay", 1, _MOST_DELAY_MS) if "delay" in given else 0,
    )


def _density(given: Given, _terms: Terms) -> Density | None:
    return Density(integer(given, "density", 1, 2400)) if "density" in given else None


FRAMES = Reader("frames", ("page", *_PLAYING), _frames)
DENSITY = Reader("density", ("density",), _density)
