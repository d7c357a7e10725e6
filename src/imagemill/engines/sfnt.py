"""What a font file says of itself: its names, its weight, and the characters it has.

Takes    TrueType and OpenType files and collections of them, with outlines that scale.
Errors   `ValueError` for whatever is no such file.
Source   OpenType 1.9.1: otff, name, OS/2, head, cmap (formats 4 and 12; other formats are of no use to us).
"""

import struct
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager

from msgspec import Struct

Data = memoryview
_OUTLINES = frozenset({b"glyf", b"CFF ", b"CFF2"})
_FAMILY, _STYLE, _TYPOGRAPHIC_FAMILY, _TYPOGRAPHIC_STYLE = 1, 2, 16, 17
_WINDOWS, _UNICODE, _ENGLISH = 3, 0, 0x409
_FULL, _BASIC = frozenset({(3, 10), (0, 4), (0, 6)}), frozenset({(3, 1), (0, 3), (0, 0), (0, 1), (0, 2)})
_MOST_FACES = 64
_NORMAL_WEIGHT, _NORMAL_WIDTH = 400, 5


class Description(Struct, frozen=True):
    """One face of a file."""

    index: int
    family: str
    style: str
    weight: int
    """1 to 1000; 400 is regular, 700 bold."""
    width: int
    """1 to 9: from ultra-condensed by normal, 5, to ultra-expanded."""
    slant: str
    """``normal``, ``italic`` or ``oblique``."""


class Coverage:
    """The characters a face has."""

    def __init__(self, ranges: list[tuple[int, int]]) -> None:
        ranges.sort()
        self._starts = [first for first, _ in ranges]
        self._ends = [last for _, last in ranges]

    def __contains__(self, character: str) -> bool:
        code = ord(character)
        n = bisect_right(self._starts, code) - 1
        return n >= 0 and code <= self._ends[n]


def described(data: Data) -> tuple[Description, ...]:
    """The faces of a font file, but those that have no outlines or no name."""
    with _checked():
        found = [_description(n, tables) for n, tables in enumerate(_faces(data))]
    return tuple(face for face in found if face)


def coverage(data: Data, index: int) -> Coverage:
    """The characters that face *index* of a font file has."""
    with _checked():
        tables = list(_faces(data))[index]
        kind, table = _best_map(tables[b"cmap"])
        return Coverage(list(_ranges_12(table) if kind == 12 else _ranges_4(table)))  # noqa: PLR2004


@contextmanager
def _checked() -> Iterator[None]:
    """Whatever goes wrong in reading a file of others is one kind of error."""
    try:
        yield
    except (struct.error, LookupError, UnicodeError) as e:
        raise ValueError("not a font file of a kind that is known here") from e


def _faces(data: Data) -> Iterator[dict[bytes, Data]]:
    """The tables of each face."""
    offsets: tuple[int, ...] = (0,)
    if bytes(data[:4]) == b"ttcf":
        (count,) = struct.unpack_from(">I", data, 8)
        offsets = struct.unpack_from(f">{min(count, _MOST_FACES)}I", data, 12)
    for offset in offsets:
        if bytes(data[offset : offset + 4]) not in {b"\0\1\0\0", b"OTTO", b"true"}:
            raise ValueError("neither TrueType nor OpenType")
        (count,) = struct.unpack_from(">H", data, offset + 4)
        records = (struct.unpack_from(">4sIII", data, offset + 12 + 16 * n) for n in range(count))
        yield {tag: data[start : start + length] for tag, _, start, length in records}


def _description(index: int, tables: dict[bytes, Data]) -> Description | None:
    names = _names(tables[b"name"])
    family = names.get(_TYPOGRAPHIC_FAMILY) or names.get(_FAMILY, "")
    style = names.get(_TYPOGRAPHIC_STYLE) or names.get(_STYLE, "")
    if not family or not _OUTLINES & tables.keys() or b"cmap" not in tables:
        return None
    weight, width, slant = _NORMAL_WEIGHT, _NORMAL_WIDTH, "normal"
    if b"OS/2" in tables:
        weight, width = struct.unpack_from(">HH", tables[b"OS/2"], 4)
        (selection,) = struct.unpack_from(">H", tables[b"OS/2"], 62)
        slant = "oblique" if selection & 0x200 or "oblique" in style.lower() else "italic" if selection & 1 else slant
    return Description(index, family, style, min(max(weight, 1), 1000), min(max(width, 1), 9), slant)


def _names(table: Data) -> dict[int, str]:
    """Names by their number: English ones where there are any."""
    _, count, strings = struct.unpack_from(">HHH", table)
    found: dict[int, str] = {}
    for n in range(count):
        platform, _, language, name, length, start = struct.unpack_from(">6H", table, 6 + 12 * n)
        if platform in {_WINDOWS, _UNICODE} and (name not in found or language == _ENGLISH):
            found[name] = bytes(table[strings + start : strings + start + length]).decode("utf-16-be")
    return found


def _best_map(table: Data) -> tuple[int, Data]:
    """The largest map of characters that there is, and its format."""
    (count,) = struct.unpack_from(">H", table, 2)
    records = [struct.unpack_from(">HHI", table, 4 + 8 * n) for n in range(count)]
    for wanted, format_ in ((_FULL, 12), (_BASIC, 4), (_FULL, 4)):
        for platform, encoding, offset in records:
            if (platform, encoding) in wanted and struct.unpack_from(">H", table, offset) == (format_,):
                return format_, table[offset:]
    raise ValueError("no map of Unicode characters")


def _ranges_12(table: Data) -> Iterator[tuple[int, int]]:
    (count,) = struct.unpack_from(">I", table, 12)
    for n in range(min(count, (len(table) - 16) // 12)):
        first, last, glyph = struct.unpack_from(">3I", table, 16 + 12 * n)
        yield first + (glyph == 0), last  # glyph 0 is the one for what is missing


def _ranges_4(table: Data) -> Iterator[tuple[int, int]]:
    (twice,) = struct.unpack_from(">H", table, 6)
    for n in range(0, twice, 2):
        last, first, delta, offset = (
            struct.unpack_from(">H", table, at + n)[0]
            for at in (14, 16 + twice, 16 + 2 * twice, 16 + 3 * twice)
        )  # fmt: skip
        for code in range(first, min(last, 0xFFFE) + 1):
            glyph = code
            if offset:
                (glyph,) = struct.unpack_from(">H", table, 16 + 3 * twice + n + offset + 2 * (code - first))
            if glyph and (glyph + delta) & 0xFFFF:
                yield code, code
