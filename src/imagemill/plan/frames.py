"""Which frames of an animation, or pages of a file, a rendition is made of, and how it is played.

Pages    of a TIFF or an icon are no moments: one is taken, until `Frames.most` says more; they then have to be of one
         size.
Errors   `PageMissing`; `BadOption` for what would do nothing.
"""

from msgspec import Struct

from imagemill.model.errors import BadOption, PageMissing
from imagemill.model.media import ANIMATED, PAGED, Format, MediaInfo
from imagemill.model.recipe import Frames, Recipe


class Selection(Struct, frozen=True):
    """What of a file is read."""

    first: int
    count: int
    """If the format plays; else the first alone."""


class Asked(Struct, frozen=True):
    """What a recipe says of frames; by default nothing. As `Frames`."""

    first: int = -1
    most: int = 0
    loops: int = -1
    delay_ms: int = 0


def asked(recipe: Recipe) -> Asked:
    """What *recipe* says of frames."""
    op = next((op for op in recipe if isinstance(op, Frames)), None)
    return Asked(op.first, op.most, op.loops, op.delay_ms) if op else Asked()


def selected(op: Asked, info: MediaInfo) -> Selection:
    """The frames or pages of *info*'s file that *op* names."""
    paged = info.format in PAGED
    there = info.pages if paged else info.frames
    if op.first >= there:
        raise PageMissing(f"page: {op.first} of {there}; the first is 0")
    first = op.first if op.first >= 0 else info.page if paged else 0
    if not paged:
        return Selection(first, min(op.most or there, there - first))
    count = min(op.most or 1, there - first)
    if count > info.alike:
        raise BadOption(f"frames: of {count} pages {info.alike} are of one size")
    return Selection(first, count)


def played(op: Asked, selection: Selection, format_: Format) -> int:
    """How many frames are written in *format_*; refuses what *op* would ask for in vain."""
    plays = format_ in ANIMATED
    if op.most and selection.count > 1 and not plays:
        raise BadOption(f"frames: {format_} holds one; the first is chosen by page")
    count = selection.count if plays else 1
    if count == 1 and (op.loops >= 0 or op.delay_ms):
        raise BadOption(f"{'loop' if op.loops >= 0 else 'delay'}: one frame is not played")
    return count
