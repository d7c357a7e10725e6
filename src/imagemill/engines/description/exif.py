"""EXIF as values: IFD 0, and the Exif, GPS and interoperability tables that it points to.

Keys     tag names as `PIL.ExifTags` has them, else ``0x`` and four hex digits.
Values   numbers, rationals as decimals, texts; of other bytes only how many there are. What is no number is left out,
         and null among others.
Errors   none: what is broken ends its table, and what is whole before it is told.
Source   EXIF 3.0 (CIPA DC-008-2023), section 4.6; TIFF 6.0, section 2.
"""

import struct
from collections.abc import Mapping
from struct import unpack_from
from typing import Any

from PIL.ExifTags import GPSTAGS, TAGS

from imagemill.engines.description.words import MOST_TEXT, Room, decoded

_PREFIX = b"Exif\0\0"
_BELOW = {0x8769: "exif", 0x8825: "gps", 0xA005: "interoperability"}
_NAMES: Mapping[str, Mapping[int, str]] = {"gps": GPSTAGS, "interoperability": {1: "InteropIndex", 2: "InteropVersion"}}
_MOST_ENTRIES = 256
"""Of one table."""
_MOST_VALUES = 64
"""Of one tag; more are tables for programs, and only counted."""
_BYTE, _ASCII, _UNDEFINED = 1, 2, 7
_RATIONALS = frozenset({5, 10})
_UTF8 = 129
_KINDS = {1: "B", 2: "s", 3: "H", 4: "I", 5: "II", 6: "b", 7: "s", 8: "h", 9: "i", 10: "ii", 11: "f", 12: "d", 129: "s"}
_ENTRY_BYTES = 12
_INLINE_BYTES = 4


def told(raw: bytes, room: Room) -> dict[str, Any]:
    """The tables of *raw*, a TIFF structure with or without the prefix that JPEG puts before it, by name."""
    raw = raw.removeprefix(_PREFIX)
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(raw[:4])
    found: dict[str, Any] = {}
    if order is None:
        return found
    try:
        waiting = [("image", unpack_from(f"{order}I", raw, 4)[0])]
    except struct.error:
        return found
    while waiting:
        name, at = waiting.pop(0)
        if name in found:  # each once, so that no ring of tables is walked for ever
            continue
        table: dict[str, Any] = {}
        found[name] = table
        waiting += _read(raw, order, at, table, name, room)
    return {name: table for name, table in found.items() if table}


def _read(raw: bytes, order: str, at: int, table: dict[str, Any], name: str, room: Room) -> list[tuple[str, int]]:
    """Fill *table* with the entries at *at*, and say which tables lie below it."""
    below = []
    names = _NAMES.get(name, TAGS)
    try:
        (count,) = unpack_from(f"{order}H", raw, at)
        for n in range(min(count, _MOST_ENTRIES)):
            entry = at + 2 + n * _ENTRY_BYTES
            tag, kind, many = unpack_from(f"{order}HHI", raw, entry)
            if tag in _BELOW:
                below.append((_BELOW[tag], unpack_from(f"{order}I", raw, entry + 8)[0]))
            elif (value := _value(raw, order, entry, kind, many, room)) is not None:
                table[str(names.get(tag, f"0x{tag:04X}"))] = value
    except struct.error:
        room.was_short = True
    return below


def _value(raw: bytes, order: str, entry: int, kind: int, many: int, room: Room) -> Any:
    """What one entry holds; None where it holds nothing that could be told."""
    code = _KINDS.get(kind)
    if code is None or not many:
        return None
    size = struct.calcsize(f"{order}{code}") * many
    at = entry + 8 if size <= _INLINE_BYTES else unpack_from(f"{order}I", raw, entry + 8)[0]
    if at + size > len(raw):
        room.was_short = True
        return None
    if code == "s":
        return _text(raw[at : at + min(size, 4 * MOST_TEXT)], size, kind, room)
    if many > _MOST_VALUES or (kind == _BYTE and many > _INLINE_BYTES):
        return _counted(size, room)
    numbers: list[Any] = list(unpack_from(f"{order}{code * many}", raw, at))
    if kind in _RATIONALS:
        numbers = [_ratio(*pair) for pair in zip(numbers[::2], numbers[1::2], strict=True)]
    else:
        numbers = [number if number == number and abs(number) != float("inf") else None for number in numbers]  # noqa: PLR0124 - of NaN
    return (numbers[0] if many == 1 else numbers) if room.take(12 * many) else None


def _text(value: bytes, size: int, kind: int, room: Room) -> Any:
    text = value.split(b"\0", 1)[0] if kind in {_ASCII, _UTF8} else value.rstrip(b"\0")
    if kind == _UNDEFINED:
        text = text.removeprefix(b"ASCII\0\0\0")
        if not text or not all(0x20 <= c < 0x7F for c in text):  # noqa: PLR2004 - what ASCII shows
            return _counted(size, room)
    return room.text(decoded(text)) or None


def _counted(size: int, room: Room) -> dict[str, int] | None:
    return {"bytes": size} if room.take(16) else None


def _ratio(above: int, below: int) -> float | None:
    return round(above / below, 9) if below else None
