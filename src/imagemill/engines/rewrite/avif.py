"""AVIF: one picture of one item, and its transparency as a second one; the boxes are all written anew.

What a decoder does not need of a stream of pixels cannot be seen from outside; see `rewrite.webp`.

Source   ISO/IEC 14496-12 8.11 (meta, iloc, iinf, iref), 23008-12 6.5 and 9.3 (properties); AV1 Image File Format 1.2.
"""

import struct
from collections.abc import Iterator
from contextlib import suppress
from struct import unpack_from

from msgspec import Struct
from msgspec.structs import replace

from imagemill.engines.rewrite import av1

_PICTURE = frozenset({b"ispe", b"pixi", b"av1C", b"colr"})
_ALPHA = frozenset({b"ispe", b"pixi", b"av1C", b"auxC"})
_ALPHA_NAME = b"\0\0\0\0urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0"
_FULL_RANGE = 0x80
_MOST_BOXES, _MOST_ITEMS = 256, 64
_NCLX_BYTES, _ISPE_BYTES = 11, 12


class _Item(Struct, frozen=True):
    properties: list[tuple[bytes, bytes]]
    still: av1.Still


class _Boxes(Struct):
    """What is needed of a file to take an item out of it."""

    primary: int = 0
    kinds: dict[int, bytes] = {}
    places: dict[int, tuple[int, list[tuple[int, int]]]] = {}
    """Where an item's parts lie: in the file (0) or in ``idat`` (1), begin and length of each."""
    properties: list[tuple[bytes, bytes]] = []
    of_item: dict[int, list[int]] = {}
    links: list[tuple[bytes, int, list[int]]] = []
    idat: bytes = b""


def rewritten(source: bytes) -> bytes | None:
    """*source* with nothing in it but its picture; None where it holds what is not known here."""
    try:
        items = _items(source)
    except (struct.error, IndexError):
        return None
    return _written(items) if items else None


def streams(made: bytes) -> Iterator[tuple[bytes, list[bytes]]]:
    """*made*, as `rewritten` gave it, and without the end of each of its streams in turn."""
    items = _items(made)
    assert items
    short = [
        [replace(item, still=item.still.shortened) if n == m else item for m, item in enumerate(items)]
        for n in range(len(items))
    ]
    yield made, [_written(some) for some in short]


def _items(source: bytes) -> list[_Item] | None:
    """The picture, and what it is seen through where there is that."""
    boxes = _Boxes()
    top = _outermost(source)
    metas = [(at, end) for kind, at, end in top if kind == b"meta"]
    if len(metas) != 1 or any(kind == b"moov" for kind, _, _ in top):
        return None
    for kind, at, end in _children(source, metas[0][0] + 4, metas[0][1]):
        _take(source, kind, at, end, boxes)
    masks = [who for kind, who, whose in boxes.links if kind == b"auxl" and boxes.primary in whose]
    if len(masks) > 1 or any(kind in {b"prem", b"dimg"} and who == boxes.primary for kind, who, _ in boxes.links):
        return None
    picture = _item(source, boxes, boxes.primary, _PICTURE)
    if picture is None or not masks:
        return [picture] if picture else None
    mask = _item(source, boxes, masks[0], _ALPHA)
    return [picture, mask] if mask else None


def _outermost(source: bytes) -> list[tuple[bytes, int, int]]:
    """The boxes of a file, up to what is none."""
    found: list[tuple[bytes, int, int]] = []
    with suppress(IndexError, struct.error):
        for box in _children(source, 0, len(source)):
            found.append(box)  # noqa: PERF402 - what came before the end counts
    return found


def _children(source: bytes, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    for _ in range(_MOST_BOXES):
        if at == end:
            return
        (size,) = unpack_from(">I", source, at)
        stop = end if size == 0 else at + size
        if size == 1 or not at + 8 <= stop <= end:
            raise IndexError
        yield source[at + 4 : at + 8], at + 8, stop
        at = stop
    raise IndexError


def _take(source: bytes, kind: bytes, at: int, end: int, boxes: _Boxes) -> None:
    match kind:
        case b"pitm":
            (boxes.primary,) = unpack_from(">I" if source[at] else ">H", source, at + 4)
        case b"iinf":
            _take_kinds(source, at, end, boxes)
        case b"iloc":
            _take_places(source, at, boxes)
        case b"iref" if source[at] == 0:
            for name, inner, _ in _children(source, at + 4, end):
                who, count = unpack_from(">HH", source, inner)
                boxes.links.append((name, who, list(unpack_from(f">{count}H", source, inner + 4))))
        case b"iprp":
            _take_properties(source, at, end, boxes)
        case b"idat":
            boxes.idat = source[at:end]


def _take_kinds(source: bytes, at: int, end: int, boxes: _Boxes) -> None:
    for name, inner, stop in _children(source, at + (8 if source[at] else 6), end):
        if name == b"infe" and source[inner] == 2:  # noqa: PLR2004
            (number,) = unpack_from(">H", source, inner + 4)
            boxes.kinds[number] = source[inner + 8 : min(stop, inner + 12)]


def _take_properties(source: bytes, at: int, end: int, boxes: _Boxes) -> None:
    for name, inner, stop in _children(source, at, end):
        if name == b"ipco":
            boxes.properties = [(kind, source[begin:until]) for kind, begin, until in _children(source, inner, stop)]
        elif name == b"ipma":
            _take_associations(source, inner, boxes)


def _take_places(source: bytes, at: int, boxes: _Boxes) -> None:
    version, sizes, more = source[at], source[at + 4], source[at + 5]
    widths = sizes >> 4, sizes & 15, more >> 4, more & 15 if version else 0
    if version > 1 or not set(widths) <= {0, 4, 8}:
        raise IndexError
    of_offset, of_length, of_base, of_index = widths
    (count,) = unpack_from(">H", source, at + 6)
    at += 8
    for _ in range(min(count, _MOST_ITEMS)):
        (number,) = unpack_from(">H", source, at)
        where = source[at + 3] & 15 if version else 0
        at += 4 if version else 2
        base = int.from_bytes(source[at + 2 : at + 2 + of_base], "big")
        (parts,) = unpack_from(">H", source, at + 2 + of_base)
        at += 4 + of_base
        found = []
        for _ in range(min(parts, _MOST_ITEMS)):
            at += of_index
            begin = base + int.from_bytes(source[at : at + of_offset], "big")
            length = int.from_bytes(source[at + of_offset : at + of_offset + of_length], "big")
            found.append((begin, length))
            at += of_offset + of_length
        boxes.places[number] = where, found


def _take_associations(source: bytes, at: int, boxes: _Boxes) -> None:
    if source[at]:
        raise IndexError
    wide = source[at + 3] & 1
    (count,) = unpack_from(">I", source, at + 4)
    at += 8
    for _ in range(min(count, _MOST_ITEMS)):
        number, some = unpack_from(">HB", source, at)
        at += 3
        numbers = [unpack_from(">H" if wide else ">B", source, at + n * (1 + wide))[0] for n in range(some)]
        at += some * (1 + wide)
        boxes.of_item[number] = [one & (0x7FFF if wide else 0x7F) for one in numbers]


def _item(source: bytes, boxes: _Boxes, number: int, known: frozenset[bytes]) -> _Item | None:
    where, parts = boxes.places.get(number, (0, []))
    if boxes.kinds.get(number) != b"av01" or where > 1 or not parts:
        return None
    whole = boxes.idat if where else source
    if any(begin + length > len(whole) or not length for begin, length in parts):
        return None
    properties = [boxes.properties[n - 1] for n in boxes.of_item.get(number, []) if n]
    cleaned = [(kind, _cleaned(kind, body)) for kind, body in properties]
    if len({kind for kind, _ in cleaned}) != len(cleaned) or not {b"ispe", b"av1C"} <= {kind for kind, _ in cleaned}:
        return None
    if any(kind not in known or body is None for kind, body in cleaned):
        return None
    still = av1.read(b"".join(whole[begin : begin + length] for begin, length in parts))
    return _Item([(kind, body) for kind, body in cleaned if body is not None], still) if still else None


def _cleaned(kind: bytes, body: bytes) -> bytes | None:
    """A property as we write it; None where it says what is not known here."""
    match kind:
        case b"ispe" if len(body) == _ISPE_BYTES:
            return bytes(4) + body[4:]
        case b"pixi" if len(body) == 5 + body[4] and set(body[5:]) == {8}:
            return bytes(4) + body[4:]
        case b"av1C" if body[0] == 0x81:  # noqa: PLR2004 - a mark, and version 1
            return body[:3] + b"\0"
        case b"colr" if body[:4] == b"nclx" and len(body) == _NCLX_BYTES:
            return body[:10] + bytes([body[10] & _FULL_RANGE])
        case b"auxC" if body == _ALPHA_NAME:
            return body
    return None


def _written(items: list[_Item]) -> bytes:
    streams_ = [item.still.data for item in items]
    head = _box(b"ftyp", b"avif\0\0\0\0avifmif1miaf")
    begin = len(head) + len(_meta(items, streams_, 0)) + 8
    return head + _meta(items, streams_, begin) + _box(b"mdat", b"".join(streams_))


def _meta(items: list[_Item], streams_: list[bytes], begin: int) -> bytes:
    """All that is said of the items, of which the first one's stream begins at *begin*."""
    numbers = range(1, len(items) + 1)
    places = b""
    for number, stream in zip(numbers, streams_, strict=True):
        places += struct.pack(">HHHII", number, 0, 1, begin, len(stream))
        begin += len(stream)
    named = b"".join(_box(b"infe", b"\2\0\0\0" + struct.pack(">HH", number, 0) + b"av01\0") for number in numbers)
    parts = [
        _box(b"hdlr", bytes(8) + b"pict" + bytes(13)),
        _box(b"pitm", bytes(4) + struct.pack(">H", 1)),
        _box(b"iloc", bytes(4) + b"\x44\0" + struct.pack(">H", len(items)) + places),
        _box(b"iinf", bytes(4) + struct.pack(">H", len(items)) + named),
        _box(b"iref", bytes(4) + _box(b"auxl", struct.pack(">HHH", 2, 1, 1))) if len(items) > 1 else b"",
        _box(b"iprp", _properties(items)),
    ]
    return _box(b"meta", bytes(4) + b"".join(parts))


def _properties(items: list[_Item]) -> bytes:
    held = list(dict.fromkeys(one for item in items for one in item.properties))
    said = b""
    for number, item in enumerate(items, 1):
        marks = bytes(held.index(one) + 1 | (0x80 if one[0] == b"av1C" else 0) for one in item.properties)
        said += struct.pack(">HB", number, len(marks)) + marks
    return _box(b"ipco", b"".join(_box(kind, body) for kind, body in held)) + _box(
        b"ipma", bytes(4) + struct.pack(">I", len(items)) + said
    )


def _box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body) + 8) + kind + body
