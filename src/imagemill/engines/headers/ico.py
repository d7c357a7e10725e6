"""The header of an icon or a cursor: pictures of several sizes, each a bitmap with a mask, or a PNG.

Sizes    are those of the pictures themselves; what the icon's own list says of them is not believed.
Source   ICONDIR and ICONDIRENTRY (Microsoft); PNGs in icons since Windows Vista.
"""

from struct import unpack_from

from msgspec import Struct
from msgspec.structs import replace

from imagemill.engines.headers import bmp, png
from imagemill.engines.headers.base import Buffer
from imagemill.model.errors import ImageCorrupt
from imagemill.model.media import Format, MediaInfo

_MAGICS = (b"\0\0\1\0", b"\0\0\2\0")
_MAX_ENTRIES = 256
_PNG = b"\x89PNG"


class Entry(Struct, frozen=True):
    """One picture of an icon."""

    at: int
    length: int
    width_px: int
    height_px: int
    bits: int
    info: MediaInfo

    @property
    def is_png(self) -> bool:
        """Whether it is a PNG of its own."""
        return self.info.format in {Format.PNG, Format.APNG}


def is_icon(head: bytes) -> bool:
    """Whether a file begins as an icon or a cursor of at least one picture does; a TGA may have the same four bytes."""
    return head.startswith(_MAGICS) and head[4:6] != b"\0\0" and head[9:10] == b"\0"


def entries(source: Buffer) -> list[Entry]:
    """All of them, in the order of the file."""
    (count,) = unpack_from("<H", source, 4)
    if not 0 < count <= _MAX_ENTRIES:
        raise ImageCorrupt(f"ico: {count} pictures")
    return [_entry(source, 6 + 16 * n) for n in range(count)]


def read(source: Buffer, page: int = -1) -> MediaInfo:
    """What is said of *page*, of the largest where it is -1; one that is not there is left to be refused."""
    all_of_them = entries(source)
    largest = max(range(len(all_of_them)), key=lambda n: _weight(all_of_them[n]))
    shown = largest if page < 0 else min(page, len(all_of_them) - 1)
    entry = all_of_them[shown]
    alpha = entry.info.has_alpha or not entry.is_png
    return replace(
        entry.info, format=Format.ICO, width_px=entry.width_px, height_px=entry.height_px, frames=1,
        channels=4 if alpha else entry.info.channels, has_alpha=alpha, pages=len(all_of_them), page=shown,
    )  # fmt: skip


def _weight(entry: Entry) -> tuple[int, int]:
    return entry.width_px * entry.height_px, entry.bits


def _entry(source: Buffer, at: int) -> Entry:
    length, start = unpack_from("<II", source, at + 8)
    if start + 8 > len(source) or not length:
        raise ImageCorrupt("ico: a picture beyond the end of the file")
    length = min(length, len(source) - start)
    if bytes(source[start : start + 4]) == _PNG:
        info = png.read(source[start : start + length])
        return Entry(start, length, info.width_px, info.height_px, info.bits * info.channels, info)
    info = bmp.bitmap(source, start)
    core = unpack_from("<I", source, start)[0] == 12
    (bits,) = unpack_from("<H", source, start + (10 if core else 14))
    return Entry(start, length, info.width_px, info.height_px // 2, bits, info)
