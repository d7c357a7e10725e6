"""Read EXIF, and write it anew: what leaves here was laid out by this module, whatever the source's was like.

Left out the orientation, the thumbnail, notes of the camera's maker (their offsets are their own), and what says
         how pixels were stored: a rendition stores others.
Units    bytes; an EXIF block begins with its byte order (``II`` or ``MM``), without ``Exif`` before it.
Errors   none: what cannot be read is left out.
Source   EXIF 3.0 (CIPA DC-008), TIFF 6.0 sections 2 and 8.
"""

from struct import calcsize, error, pack, unpack_from

from msgspec import Struct

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}
"""Bytes of one value, by its type."""
ASCII, SHORT, LONG = 2, 3, 4
ARTIST, COPYRIGHT = 0x013B, 0x8298
_EXIF, _GPS, _INTEROP = 0x8769, 0x8825, 0xA005
_BELOW = {0: (_EXIF, _GPS), _EXIF: (_INTEROP,)}
"""Directories that a directory may point to."""
_STORED = frozenset({
    0x00FE, 0x00FF, *range(0x0100, 0x0104), 0x0106, 0x0107, 0x010A, 0x0111, 0x0112, 0x0115, 0x0116, 0x0117, 0x0118,
    0x0119, 0x011C, 0x0120, 0x0121, 0x0122, 0x0123, 0x0124, 0x0125, 0x012D, 0x013D, 0x013E, 0x013F, 0x0140, 0x0141,
    *range(0x0142, 0x0146), 0x014A, 0x014C, 0x0150, 0x0151, 0x0152, 0x0153, 0x0154, 0x0155, 0x0156, 0x015B,
    *range(0x0200, 0x020A), *range(0x0211, 0x0215), 0x02BC, 0x83BB, 0x8649, 0x8773,
})  # fmt: skip
_OF_OTHERS = frozenset({0x927C, 0xA001, 0xA002, 0xA003, 0xA40B, 0xC4A5, 0xC634, 0xEA1C, 0xEA1D})
"""Makers' notes, padding, and sizes and colours that held for the source."""
_MOST_ENTRIES = 512
_INLINE = 4
_START = 8
"""Where the first directory lies: behind the header."""


class Entry(Struct, frozen=True):
    """One value, or several of one type."""

    kind: int
    count: int
    raw: bytes
    """In the block's byte order."""


class Directory(Struct, frozen=True):
    """Values by tag, and directories below by the tag that points to them."""

    entries: dict[int, Entry]
    below: dict[int, "Directory"] = {}


class Block(Struct, frozen=True):
    """A whole EXIF block."""

    order: str
    """``<`` or ``>``, as `struct` has it."""
    top: Directory


EMPTY = Block("<", Directory({}))


def read(block: bytes) -> Block:
    """What of *block* may go into a rendition."""
    block = block.removeprefix(b"Exif\0\0")
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(block[:4])
    if order is None:
        return EMPTY
    try:
        return Block(order, _directory(block, order, unpack_from(f"{order}I", block, 4)[0], 0, _Room(len(block))))
    except error:
        return EMPTY


def copyright_of(block: Block) -> Block:
    """Who made the picture and whose it is, and nothing else."""
    kept = {tag: block.top.entries[tag] for tag in (ARTIST, COPYRIGHT) if tag in block.top.entries}
    return Block(block.order, Directory({tag: entry for tag, entry in kept.items() if entry.kind == ASCII}))


def of_tiff(file: bytes) -> Block:
    """What a TIFF says of its first page in fields of its own, as EXIF does: texts, and the directories below.

    Its other fields are of its pixels, or its editor's own, which may be large. A BigTIFF says nothing here.
    """
    block = read(file)
    texts = {tag: entry for tag, entry in block.top.entries.items() if entry.kind == ASCII}
    return Block(block.order, Directory(texts, block.top.below))


def written(block: Block) -> bytes:
    """*block* as bytes; none where it holds nothing."""
    if not block.top.entries and not block.top.below:
        return b""
    return header(block.order, _START) + laid_out(block.top, block.order, _START)


def header(order: str, at: int) -> bytes:
    """The first eight bytes of a TIFF structure whose first directory lies at *at*."""
    return (b"II" if order == "<" else b"MM") + pack(f"{order}HI", 42, at)


def laid_out(directory: Directory, order: str, start: int) -> bytes:
    """*directory* and all below it as bytes that will lie at *start*, an even number."""
    tags = sorted({*directory.entries, *directory.below})
    lines, tail = b"", b""
    behind = start + calcsize("=H") + 12 * len(tags) + calcsize("=I")
    for tag in tags:
        at = behind + len(tail)
        if tag in directory.below:
            entry = Entry(LONG, 1, pack(f"{order}I", at))
            tail += laid_out(directory.below[tag], order, at)
        else:
            entry = directory.entries[tag]
        field = entry.raw.ljust(_INLINE, b"\0")
        if len(entry.raw) > _INLINE:
            field = pack(f"{order}I", at)
            tail += entry.raw + b"\0" * (len(entry.raw) % 2)
        lines += pack(f"{order}HHI", tag, entry.kind, entry.count) + field
    return pack(f"{order}H", len(tags)) + lines + pack(f"{order}I", 0) + tail


class _Room:
    """Bytes that values may still have in all: in a sound block they do not overlap, and are no more than it."""

    def __init__(self, left_bytes: int) -> None:
        self._left_bytes = left_bytes

    def take(self, wanted_bytes: int) -> bool:
        """Whether there are so many."""
        if wanted_bytes > self._left_bytes:
            return False
        self._left_bytes -= wanted_bytes
        return True


def _directory(block: bytes, order: str, at: int, tag: int, room: _Room) -> Directory:
    entries: dict[int, Entry] = {}
    below: dict[int, Directory] = {}
    (count,) = unpack_from(f"{order}H", block, at)
    for n in range(min(count, _MOST_ENTRIES)):
        try:
            name, kind, many = unpack_from(f"{order}HHI", block, at + 2 + 12 * n)
            (offset,) = unpack_from(f"{order}I", block, at + 10 + 12 * n)
            if name in _BELOW.get(tag, ()):
                if name not in below:  # each once: a pointer that is there a thousand times is followed once
                    below[name] = _directory(block, order, offset, name, room)
            elif name not in entries and (entry := _entry(block, at + 10 + 12 * n, offset, kind, many, room)):
                entries[name] = entry
        except error:  # a line or a directory beyond the end: the others are as good as they were
            continue
    left = {name: entry for name, entry in entries.items() if name not in _left_out(tag)}
    return Directory(left, {name: found for name, found in below.items() if found.entries or found.below})


def _left_out(tag: int) -> frozenset[int]:
    """Tags that do not go on, of the directory that *tag* points to."""
    pointers = frozenset({_EXIF, _GPS, _INTEROP})
    return _OF_OTHERS | pointers | (_STORED if tag == 0 else frozenset())


def _entry(block: bytes, inline_at: int, offset: int, kind: int, count: int, room: _Room) -> Entry | None:
    size = _SIZES.get(kind, 0) * count
    at = inline_at if size <= _INLINE else offset
    if not size or at + size > len(block) or not room.take(size):
        return None
    raw = block[at : at + size]
    if kind == ASCII and not raw.endswith(b"\0"):
        raw, count = raw + b"\0", count + 1
    return Entry(kind, count, raw)
