"""The header of a TIFF, classic or big: every page is found, one is described.

Refused  complex samples, tiles far larger than their picture, pages without end or in a circle.
Source   TIFF 6.0; BigTIFF; Adobe Photoshop TIFF technical notes 1 to 3 (ICC, XMP, float predictor).
"""

from struct import unpack_from

from msgspec import Struct

from imagemill.engines.headers.base import Buffer
from imagemill.model.errors import ImageCorrupt, UnsupportedSourceType
from imagemill.model.media import Format, MediaInfo

MAGICS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_MAX_PAGES = 4_096
_MAX_ENTRIES = 512
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 6: 1, 7: 1, 8: 2, 9: 4, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8, 5: 8, 10: 8}
_FORMS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _COLOURS, _SAMPLES, _PLANAR = 256, 257, 258, 259, 262, 277, 284
_TILE_WIDTH, _TILE_HEIGHT, _EXTRA, _SAMPLE_FORMAT, _ICC = 322, 323, 338, 339, 34_675
_METADATA = (700, 33_723, 34_377, 37_724)
_NEEDED = frozenset({
    _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _COLOURS, _SAMPLES, _PLANAR, _TILE_WIDTH, _TILE_HEIGHT, _EXTRA,
    _SAMPLE_FORMAT, _ICC, *_METADATA,
})  # fmt: skip
_OLD_JPEG, _APART = 6, 2
_LAB = 8
_UNSIGNED, _SIGNED, _COMPLEX = 1, 2, frozenset({5, 6})
_SPARE_TILE_PX = 1 << 20


class _File(Struct, frozen=True):
    """How numbers are read of one file."""

    source: Buffer
    order: str
    big: bool

    def number(self, form: str, at: int) -> int:
        (value,) = unpack_from(self.order + form, self.source, at)
        return int(value)


Entry = tuple[int, int, int]
"""A field's type, how many values it has, and where they lie."""


def read(source: Buffer, page: int = -1) -> MediaInfo:
    """What the header says of *page*, of the first where it is -1; a page that is not there is left to be refused."""
    file = _opened(source)
    pages = _pages(file)
    shown = max(0, min(page, len(pages) - 1))
    info = _described(file, _entries(file, pages[shown]))
    alike = 1
    while shown + alike < len(pages) and _shape(file, pages[shown + alike]) == (info.width_px, info.height_px):
        alike += 1
    return MediaInfo(
        Format.TIFF, info.width_px, info.height_px, channels=info.channels, bits=info.bits, has_alpha=info.has_alpha,
        metadata_bytes=info.metadata_bytes, icc_bytes=info.icc_bytes, unusual=info.unusual, pages=len(pages),
        page=shown, alike=alike,
    )  # fmt: skip


def _opened(source: Buffer) -> _File:
    order = "<" if source[0] == 0x49 else ">"
    big = bytes(source[2:4]) in {b"+\0", b"\0+"}
    return _File(source, order, big)


def _pages(file: _File) -> list[int]:
    """Where each page's directory lies."""
    at = file.number("Q", 8) if file.big else file.number("I", 4)
    found: dict[int, None] = {}
    while at:
        if at in found or len(found) == _MAX_PAGES:
            raise ImageCorrupt(f"tiff: more than {_MAX_PAGES} pages, or a circle of them")
        found[at] = None
        count = file.number("Q" if file.big else "H", at)
        behind = at + (8 + 20 * count if file.big else 2 + 12 * count)
        if behind > len(file.source):
            raise ImageCorrupt("tiff: a directory beyond the end of the file")
        size = 8 if file.big else 4
        at = file.number("Q" if file.big else "I", behind) if behind + size <= len(file.source) else 0
    if not found:
        raise ImageCorrupt("tiff: no page")
    return list(found)


def _entries(file: _File, at: int) -> dict[int, Entry]:
    count = file.number("Q" if file.big else "H", at)
    if count > _MAX_ENTRIES:
        raise ImageCorrupt(f"tiff: {count} fields in one directory")
    step, first = (20, at + 8) if file.big else (12, at + 2)
    found: dict[int, Entry] = {}
    for n in range(first, first + step * count, step):
        tag = file.number("H", n)
        if tag in _NEEDED and tag not in found:
            found[tag] = _entry(file, n)
    return found


def _entry(file: _File, at: int) -> Entry:
    kind = file.number("H", at + 2)
    count, spot, room = (file.number("Q", at + 4), at + 12, 8) if file.big else (file.number("I", at + 4), at + 8, 4)
    if _SIZES.get(kind, 1) * count > room:
        spot = file.number("Q" if file.big else "I", spot)
    return kind, count, spot


def _values(file: _File, entry: Entry | None, default: int, most: int = 1) -> list[int]:
    if entry is None:
        return [default]
    kind, count, at = entry
    if kind not in _FORMS or not count:
        raise ImageCorrupt("tiff: a field of the wrong type")
    return [file.number(_FORMS[kind], at + n * _SIZES[kind]) for n in range(min(count, most))]


def _shape(file: _File, at: int) -> tuple[int, int]:
    entries = _entries(file, at)
    (width,) = _values(file, entries.get(_WIDTH), 0)
    (height,) = _values(file, entries.get(_HEIGHT), 0)
    return width, height


def _described(file: _File, entries: dict[int, Entry]) -> MediaInfo:
    def one(tag: int, default: int) -> int:
        return _values(file, entries.get(tag), default)[0]

    width, height, samples, bits = one(_WIDTH, 0), one(_HEIGHT, 0), one(_SAMPLES, 1), one(_BITS, 1)
    kind = one(_SAMPLE_FORMAT, _UNSIGNED)
    if kind in _COMPLEX:
        raise UnsupportedSourceType("the source is a TIFF of complex numbers")
    _judge_tiles(one(_TILE_WIDTH, 0), one(_TILE_HEIGHT, 0), width * height)
    extra = _values(file, entries.get(_EXTRA), 0, most=8)
    planar = samples > 1 and one(_PLANAR, 1) == _APART
    return MediaInfo(
        Format.TIFF, width, height, channels=samples, bits=bits, has_alpha=bool({1, 2} & set(extra)),
        metadata_bytes=sum(_SIZES.get(e[0], 1) * e[1] for t, e in entries.items() if t in _METADATA),
        icc_bytes=entries[_ICC][1] if _ICC in entries else 0,
        unusual=one(_COMPRESSION, 1) == _OLD_JPEG or planar or (kind == _SIGNED and one(_COLOURS, 0) != _LAB),
    )  # fmt: skip


def _judge_tiles(width: int, height: int, area: int) -> None:
    if width * height > 4 * area + _SPARE_TILE_PX:
        raise ImageCorrupt(f"tiff: tiles of {width} × {height} px for {area} px")
