"""The header of what lies in ISO boxes: AVIF, still or moving, and HEIC.

Sizes    upright, as the picture's own properties turn and cut it: ``clap``, ``irot``, ``imir`` (ISO/IEC 23008-12,
         6.5). They are all there is to orientation here: what EXIF says beside them is no more than a note.
Moving   where the major brand is that of sequences; else the primary picture is what the file shows.
Source   ISO/IEC 14496-12 and 23008-12; AV1 Image File Format 1.2.
"""

from collections.abc import Iterator
from struct import unpack_from

from msgspec import Struct

from imagemill.engines.headers import turns
from imagemill.engines.headers.base import Buffer
from imagemill.model.errors import ImageCorrupt
from imagemill.model.media import Format, MediaInfo

_AVIF = frozenset({b"avif", b"avis"})
_HEIC = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"})
_CONTAINERS = {
    b"meta": 4, b"iprp": 0, b"ipco": 0, b"iref": 4, b"moov": 0, b"trak": 0, b"edts": 0, b"mdia": 0, b"minf": 0,
    b"stbl": 0,
}  # fmt: skip
_MAX_BOXES = 4_096
_MAX_DEPTH = 8
_MAX_LINKS = 32_768
_LONGEST_MS = 2**31 - 1
_LARGE_PART_PX = 4_096
"""A part may be larger than what it is part of, as the last tile of a row is; not beyond this, too."""


class Box(Struct, frozen=True):
    """One box: where what is in it lies, and what it is in."""

    parent: bytes
    name: bytes
    at: int
    end: int


class Track(Struct):
    """One track of a sequence."""

    kind: bytes = b""
    width_px: int = 0
    height_px: int = 0
    frames: int = 0
    length: int = 0
    """Of the whole, in the film's own time; all ones = without end."""
    once: int = 0
    """Of one showing, where it is repeated."""
    edits: bool = False
    alpha: bool = False
    ticks_per_s: int = 0
    runs: tuple[int, ...] = ()
    """How many frames, and how many ticks each of them is shown, again and again."""


class Shown(Struct, frozen=True):
    """One item, as stored and as shown."""

    whole_px: tuple[int, int]
    width_px: int
    height_px: int
    turned: int


class Found(Struct):
    """What the boxes of one file say."""

    primary: int = -1
    properties: list[Box] = []
    of_item: dict[int, list[int]] = {}
    parts: dict[int, set[int]] = {}
    """Tiles and masks of each item."""
    tracks: list[Track] = []
    alpha: bool = False
    icc_bytes: int = 0
    metadata_bytes: int = 0
    deep: bool = False
    layered: bool = False


def family(head: bytes) -> Format | None:
    """Which of the two it is by its brands, if it is one of them, and not both."""
    length = min(int.from_bytes(head[:4], "big"), len(head))
    brands = {head[8:12]} | {head[i : i + 4] for i in range(16, length - 3, 4)}
    match bool(brands & _AVIF), bool(brands & _HEIC):
        case True, False:
            return Format.AVIF
        case False, True:
            return Format.HEIC
    return None


def read(source: Buffer, format_: Format) -> MediaInfo:
    """What the boxes of *source* say of its primary picture, or of its sequence."""
    found = _found(source, format_)
    if format_ is Format.AVIF and bytes(source[8:12]) == b"avis" and (track := _pictures(found)):
        width, height, frames = track.width_px, track.height_px, track.frames
        alpha = found.alpha or any(t.kind == b"auxv" and t.alpha for t in found.tracks)
        sequence, turned = True, 1
    else:
        shown = _upright(source, found, format_)
        width, height, turned = shown.width_px, shown.height_px, shown.turned
        frames, alpha, sequence = 1, found.alpha, False
    return MediaInfo(
        format_, width, height, frames=frames, channels=4 if alpha else 3, bits=16 if found.deep else 8,
        has_alpha=alpha, turned=turned, metadata_bytes=found.metadata_bytes, icc_bytes=found.icc_bytes,
        unusual=sequence or found.layered or _is_grey(source, found),
    )  # fmt: skip


def loops(source: Buffer) -> int:
    """How often a sequence is played; 0 = for ever, which also is what a file without a word of it means."""
    track = _pictures(_found(source, Format.AVIF))
    if track is None or not track.edits:
        return 0
    endless = track.length in {0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF}
    return (0 if endless else max(1, round(track.length / track.once))) if track.once else 1


def delays_ms(source: Buffer) -> tuple[int, ...]:
    """How long each frame of a sequence is shown; nothing where the file does not say it of all."""
    track = _pictures(_found(source, Format.AVIF))
    if track is None or not track.ticks_per_s or sum(track.runs[::2]) != track.frames:
        return ()
    each = (
        (many, min(round(ticks * 1000 / track.ticks_per_s), _LONGEST_MS))
        for many, ticks in zip(track.runs[::2], track.runs[1::2], strict=True)
    )
    return tuple(delay for many, delay in each for _ in range(many))


def _pictures(found: Found) -> Track | None:
    return next((track for track in found.tracks if track.kind == b"pict" and track.frames), None)


def _found(source: Buffer, format_: Format) -> Found:
    found = Found()
    for n, box in enumerate(_boxes(source, 0, len(source), b"", 0)):
        if n == _MAX_BOXES:
            raise ImageCorrupt(f"{format_}: more than {_MAX_BOXES} boxes")
        _take(source, box, found)
    return found


def _take(source: Buffer, box: Box, found: Found) -> None:
    if box.parent == b"ipco":
        _take_property(source, box, found)
        return
    match box.name:
        case b"pitm":
            (found.primary,) = unpack_from(">I" if source[box.at] else ">H", source, box.at + 4)
        case b"ipma":
            _associations(source, box, found)
        case b"dimg" | b"auxl" if box.parent == b"iref":
            _references(source, box, found)
        case b"uuid" | b"Exif":
            found.metadata_bytes += box.end - box.at
        case _:
            _take_track(source, box, found)


def _take_property(source: Buffer, box: Box, found: Found) -> None:
    found.properties.append(box)
    at, end = box.at, box.end
    match box.name:
        case b"auxC":
            kind = bytes(source[at : min(end, at + 64)])
            found.alpha = found.alpha or b"alpha" in kind or b"auxid:1\0" in kind
        case b"colr" if bytes(source[at : at + 4]) in {b"prof", b"rICC"}:
            found.icc_bytes += end - at
        case b"av1C":
            found.deep = found.deep or bool(source[at + 2] & 0x40)
        case b"hvcC":
            found.deep = found.deep or bool(source[at + 17] & 7)
        case b"a1op" | b"lsel":
            found.layered = True


def _take_track(source: Buffer, box: Box, found: Found) -> None:
    at, end = box.at, box.end
    if box.name == b"trak":
        found.tracks.append(Track())
    if not found.tracks:
        return
    track = found.tracks[-1]
    match box.name:
        case b"hdlr" if box.parent == b"mdia":
            track.kind = bytes(source[at + 8 : at + 12])
        case b"stsd" if end - at >= 44:
            track.width_px, track.height_px = unpack_from(">HH", source, at + 40)
            track.alpha = b"auxiliary:alpha" in bytes(source[at : min(end, at + 4_096)])
        case b"stsz":
            (track.frames,) = unpack_from(">I", source, at + 8)
        case b"mdhd" | b"stts":
            _take_times(source, box, track)
        case b"tkhd":
            (track.length,) = unpack_from(">Q", source, at + 28) if source[at] else unpack_from(">I", source, at + 20)
        case b"elst":
            track.edits = True
            if source[at + 3] & 1:
                (track.once,) = unpack_from(">Q" if source[at] else ">I", source, at + 8)


def _take_times(source: Buffer, box: Box, track: Track) -> None:
    at = box.at
    if box.name == b"mdhd":
        (track.ticks_per_s,) = unpack_from(">I", source, at + (20 if source[at] else 12))
        return
    (runs,) = unpack_from(">I", source, at + 4)
    track.runs = unpack_from(f">{2 * min(runs, _MAX_LINKS, max(0, box.end - at - 8) // 8)}I", source, at + 8)


def _associations(source: Buffer, box: Box, found: Found) -> None:
    """Which properties each item has: a number each, from 1."""
    version, wide = source[box.at], source[box.at + 3] & 1
    (count,) = unpack_from(">I", source, box.at + 4)
    at, links = box.at + 8, 0
    for _ in range(min(count, _MAX_LINKS)):
        if at >= box.end:
            break
        (item,) = unpack_from(">I" if version else ">H", source, at)
        at += 4 if version else 2
        many = source[at]
        links += many
        form = f">{many}{'H' if wide else 'B'}"
        numbers = unpack_from(form, source, at + 1)
        at += 1 + many * (2 if wide else 1)
        found.of_item[item] = [number & (0x7FFF if wide else 0x7F) for number in numbers]
        if links > _MAX_LINKS:
            raise ImageCorrupt("heif: too many properties")


def _references(source: Buffer, box: Box, found: Found) -> None:
    """Tiles that an item is made of; masks that say what they are masks of."""
    long = _is_long(source, box)
    size, form = (4, "I") if long else (2, "H")
    (item,) = unpack_from(f">{form}", source, box.at)
    (count,) = unpack_from(">H", source, box.at + size)
    if count > _MAX_LINKS or count * size > box.end - box.at:
        raise ImageCorrupt("heif: too many item references")
    others = unpack_from(f">{count}{form}", source, box.at + size + 2)
    if box.name == b"dimg":
        found.parts.setdefault(item, set()).update(others)
    else:
        for other in others:
            found.parts.setdefault(other, set()).add(item)


def _is_long(source: Buffer, box: Box) -> bool:
    """Whether references are of four bytes each: where two each do not fill the box."""
    count = int.from_bytes(source[box.at + 2 : box.at + 4], "big")
    return 4 + 2 * count != box.end - box.at


def _upright(source: Buffer, found: Found, format_: Format) -> Shown:
    """The primary picture as it is shown."""
    shown = _shown(source, found, found.primary)
    for part in found.parts.get(found.primary, ()):
        width, height = _shown(source, found, part).whole_px
        if max(width, height) > max(_LARGE_PART_PX, *shown.whole_px):
            raise ImageCorrupt(
                f"{format_}: a part of {width} × {height} px in a picture of {shown.whole_px[0]} × {shown.whole_px[1]}"
            )
    return shown


def _is_grey(source: Buffer, found: Found) -> bool:
    """Whether the primary picture is an AV1 without colours: libheif 1.21 leaves its levels as they are coded."""
    boxes = (found.properties[n - 1] for n in found.of_item.get(found.primary, ()) if 0 < n <= len(found.properties))
    return any(box.name == b"av1C" and source[box.at + 2] & 0x10 for box in boxes)


def _shown(source: Buffer, found: Found, item: int) -> Shown:
    """One item, after all that its properties do to it, in their order."""
    width = height = 0
    whole, turned = (0, 0), 1
    for number in found.of_item.get(item, ()):
        box = found.properties[number - 1] if 0 < number <= len(found.properties) else Box(b"", b"", 0, 0)
        if box.name == b"ispe":
            width, height = whole = unpack_from(">II", source, box.at + 4)
        elif box.name == b"clap":
            wide, of_wide, high, of_high = unpack_from(">IIII", source, box.at)
            if not (of_wide and of_high):
                raise ImageCorrupt("heif: a clean aperture of nothing")
            width, height = min(width, wide // of_wide), min(height, high // of_high)
        elif box.name == b"irot":
            quarters = source[box.at] & 3
            width, height = (height, width) if quarters & 1 else (width, height)
            turned = turns.rotated(turned, -quarters)
        elif box.name == b"imir":
            turned = turns.mirrored(turned, left_right=bool(source[box.at] & 1))
    return Shown(whole, width, height, turned)


def _boxes(source: Buffer, at: int, end: int, parent: bytes, depth: int) -> Iterator[Box]:
    while at + 8 <= end:
        (size,) = unpack_from(">I", source, at)
        name, body = bytes(source[at + 4 : at + 8]), at + 8
        if size == 1:
            (size,) = unpack_from(">Q", source, at + 8)
            body = at + 16
        stop = end if size == 0 else min(at + size, end)
        if stop < body:
            raise ImageCorrupt("heif: a box shorter than its own header")
        yield Box(parent, name, body, stop)
        if name in _CONTAINERS and depth < _MAX_DEPTH:
            yield from _boxes(source, body + _CONTAINERS[name], stop, name, depth + 1)
        at = stop
