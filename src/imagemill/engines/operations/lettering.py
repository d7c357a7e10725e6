"""Write texts: which face each character is drawn with, and the block that Pango makes of it.

Order    the face that is asked for, then the others: nearest in weight and slant first, then as configured.
Safety   texts reach Pango escaped, in spans that name one face each and allow no other: what is drawn depends on
         nothing but the text and the configured files. Fontconfig is told of no directory (typefaces/fonts.conf) and
         knows the files that texts have needed; which other texts came before changes nothing.
Errors   `BadOption`: no such face, or no face for a character; `LimitExceeded`: a block beyond the limit.
Source   Pango 1.5x reference: markup, font descriptions; libvips 8.18 reference: text.
"""

import os
import stat
import unicodedata
from collections.abc import Iterator
from html import escape
from pathlib import Path

from msgspec import Struct

from imagemill.engines import typefaces
from imagemill.engines.decoded import Image, pyvips
from imagemill.engines.sfnt import Coverage
from imagemill.engines.typefaces import Fonts, Typeface
from imagemill.model.errors import BadOption, LimitExceeded, SettingsError
from imagemill.model.recipe import Align, Text

_CONFIGURATION = "fonts.conf"
_ALIGN = {Align.LEFT: "low", Align.CENTER: "centre", Align.RIGHT: "high"}
_SWAPPED = {Align.LEFT: "high", Align.CENTER: "centre", Align.RIGHT: "low"}
_RIGHT_TO_LEFT, _LEFT_TO_RIGHT = frozenset({"R", "AL"}), frozenset({"L"})
_WIDTHS = (
    "ultracondensed", "extracondensed", "condensed", "semicondensed", "normal", "semiexpanded", "expanded",
    "extraexpanded", "ultraexpanded",
)  # fmt: skip
_MARKS = frozenset({"Mn", "Mc", "Me"})
_UNSEEN = frozenset({"Cf", "Zs", "Zl", "Zp"})
_UNSEEN_MARKS = frozenset(map(chr, (0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, *range(0x180B, 0x1810), 0x3164, 0xFFA0)))
_SELECTORS = frozenset(map(chr, (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))))
_MOST_SIDE = 32_000
"""Cairo draws on 32,767 pixels at most."""
_SMALL_PX = 8
_NAMED = 5


class Block(Struct, frozen=True):
    """A written text, not yet on any picture."""

    mask: Image
    """How dense each pixel is."""
    margin_px: int
    """So much of it, all around, is not counted where it is placed: ink that hangs over the width asked for."""


class Lettering:
    """What a worker writes with. Nothing is opened before the first text."""

    def __init__(self, fonts: Fonts, most_pixels: int) -> None:
        self._fonts = fonts
        self._named = {face.name.casefold(): face for face in fonts.faces}
        self._most_pixels = most_pixels
        self._reach: dict[str, str] = {}
        self._covered: dict[Typeface, Coverage] = {}
        self._is_loaded = False
        os.environ["FONTCONFIG_FILE"] = str(typefaces.home() / _CONFIGURATION)

    def before_confinement(self) -> None:
        """Hold what is ours open, where it lies where a worker without rights does not come."""
        own = [path for path in dict.fromkeys(face.path for face in self._fonts.faces) if _is_own(path)]
        needed = [*map(Path, own), typefaces.home() / _CONFIGURATION]
        if os.geteuid() != 0 or all(map(_is_public, needed)):
            return
        self._reach = {path: f"/proc/self/fd/{os.open(path, os.O_RDONLY)}" for path in own}
        self.block(Text("."), 100)  # has fontconfig read its configuration while that can be done

    def check(self) -> None:
        """Refuse files that cannot be read: raised while a worker starts, confined."""
        for path in dict.fromkeys(face.path for face in self._fonts.faces):
            if not os.access(self._reach.get(path, path), os.R_OK):
                raise SettingsError(f"text.fonts: {path}: the user that workers run as cannot read it")

    def load(self) -> None:
        """Have fontconfig know every face, in their order, whatever was written before.

        It forgets none, and draws vector pictures' texts with all that it knows: their pixels must not tell what
        else a worker has done.
        """
        if not self._is_loaded:
            for face in self._fonts.faces:
                self._load(face)
            self._is_loaded = True

    def block(self, text: Text, width_px: int) -> Block:
        """*text* in lines of at most its own width, or of *width_px* where it has none.

        Raises:
            BadOption: see above; or nothing of it would be seen.
            LimitExceeded: it would have more pixels than a rendition may.
        """
        self.load()
        chosen = self._chosen(text.font)
        markup = "".join(_span(face, part) for face, part in self._runs(text.text, chosen))
        width_px = text.width_px or width_px
        self._check_size(text, chosen, markup, width_px)
        drawn = _drawn(text, chosen, markup, width_px, text.size_px)
        self._check_block(max(drawn.width, text.width_px), drawn.height)
        return _within(drawn, text.width_px) if text.width_px else Block(drawn, 0)

    def _chosen(self, name: str) -> Typeface:
        face = self._named.get((name or typefaces.DEFAULT).casefold())
        if face is None:
            raise BadOption(f"text font: {name!r} is none of {typefaces.shown(self._fonts.faces[:20])}")
        return face

    def _runs(self, text: str, chosen: Typeface) -> Iterator[tuple[Typeface, str]]:
        """*text* in parts, each with the face it is drawn with."""
        run, current, missing = "", chosen, []
        for character in text:
            face = self._face(character, chosen, current)
            if face is None:
                missing.append(character)
            elif face is not current and run:
                yield current, run
                run = ""
            current = face or current
            run += character
        if missing and not self._fonts.boxes:
            raise BadOption(f"text: no configured font has {_listed(missing)}")
        yield current, run

    def _face(self, character: str, chosen: Typeface, current: Typeface) -> Typeface | None:
        """The face for one character: a mark stays with its letter, and what is not seen with what is around it."""
        category = unicodedata.category(character)
        if character == "\n" or category in _UNSEEN or character in _UNSEEN_MARKS or character in _SELECTORS:
            return current
        if category in _MARKS and character in self._coverage(current):
            return current
        if character in self._coverage(chosen):
            return chosen
        return next((face for face in self._others(chosen) if character in self._coverage(face)), None)

    def _others(self, chosen: Typeface) -> list[Typeface]:
        like = chosen.description
        return sorted(
            self._fonts.faces,
            key=lambda face: (abs(face.description.weight - like.weight), face.description.slant != like.slant),
        )

    def _coverage(self, face: Typeface) -> Coverage:
        if face not in self._covered:
            path = self._reach.get(face.path, face.path)
            self._covered[face] = typefaces.covered(path, face.description.index)
        return self._covered[face]

    def _load(self, face: Typeface) -> None:
        """Have fontconfig know the file of *face*."""
        path = self._reach.get(face.path, face.path)
        pyvips.Image.text(".", font=_font(face, _SMALL_PX), fontfile=path, dpi=72)

    def _check_size(self, text: Text, chosen: Typeface, markup: str, width_px: int) -> None:
        """Refuse a block that is too large, judged by a small one of the same shape where it might be."""
        size = text.size_px
        lines = text.text.count("\n") + 1 + len(text.text) * size // width_px
        if self._fits(width_px + 2 * size, 2 * lines * size):
            return
        small = _drawn(text, chosen, markup, max(1, width_px * _SMALL_PX // size), _SMALL_PX)
        width, height = small.width * size // _SMALL_PX, small.height * size // _SMALL_PX
        self._check_block(width, height)

    def _check_block(self, width: int, height: int) -> None:
        """Once it is drawn, too: marks on marks are higher than any line, and a block wider than what is in it."""
        if not self._fits(width, height):
            raise LimitExceeded("text", f"text: a block of about {width} × {height} px is too large")

    def _fits(self, width: int, height: int) -> bool:
        return max(width, height) <= _MOST_SIDE and width * height <= self._most_pixels


def _drawn(text: Text, chosen: Typeface, markup: str, width_px: int, size_px: int) -> Image:
    align = (_SWAPPED if _is_right_to_left(text.text) else _ALIGN)[text.align]
    try:
        return pyvips.Image.text(
            markup, font=_font(chosen, size_px), dpi=72, width=width_px, align=align, wrap="word-char"
        )
    except pyvips.Error as e:
        raise BadOption("text: nothing of it would be seen") from e


def _within(drawn: Image, width_px: int) -> Block:
    """*drawn* in a block of *width_px*, where its lines lie as they are aligned."""
    left = drawn.xoffset
    margin = max(0, -left, left + drawn.width - width_px)
    mask = drawn.embed(left + margin, margin, width_px + 2 * margin, drawn.height + 2 * margin)
    return Block(mask, margin)


def _span(face: Typeface, text: str) -> str:
    """Markup of *text* in *face* and no other."""
    of = face.description
    return (
        f'<span font_family="{escape(of.family)}," font_weight="{of.weight}" font_style="{of.slant}" '
        f'font_stretch="{_WIDTHS[of.width - 1]}" fallback="false" lang="und">{escape(text)}</span>'
    )


def _font(face: Typeface, size_px: int) -> str:
    return f"{face.description.family}, {size_px}px"


def _is_right_to_left(text: str) -> bool:
    """Whether the first letter that has a direction runs right to left (UAX #9, P2 and P3)."""
    strong = (unicodedata.bidirectional(c) for c in text)
    return next((kind for kind in strong if kind in _RIGHT_TO_LEFT | _LEFT_TO_RIGHT), "L") in _RIGHT_TO_LEFT


def _listed(characters: list[str]) -> str:
    named = list(dict.fromkeys(characters))
    more = f" and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
    return ", ".join(f"U+{ord(c):04X} ({unicodedata.name(c, 'without a name')})" for c in named[:_NAMED]) + more


def _is_own(path: str) -> bool:
    return Path(path).parent == typefaces.home()


def _is_public(path: Path) -> bool:
    """Whether anybody may read *path*."""
    ways = all(parent.stat().st_mode & stat.S_IXOTH for parent in path.parents)
    return ways and bool(path.stat().st_mode & stat.S_IROTH)
