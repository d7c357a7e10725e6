"""IPTC-IIM as values: the application record, as press agencies fill it in.

Keys     names of IIM 4.2, in ``snake_case``; a data set without one is left out.
Values   texts; a list where the standard allows several.
Errors   none: what is broken ends the record.
Source   IPTC-NAA Information Interchange Model 4.2, sections 1.5 and 6; Adobe Photoshop File Formats, "Image Resource
         Blocks" (resource 0x0404).
"""

from collections.abc import Iterator
from typing import Any

from imagemill.engines.description.words import Room, decoded

_PHOTOSHOP = b"Photoshop 3.0\0"
_IPTC_RESOURCE = 0x0404
_MARK, _APPLICATION = 0x1C, 2
_EXTENDED = 0x8000
_MOST_SETS = 512
_NAMES = {
    5: "object_name", 7: "edit_status", 10: "urgency", 12: "subject_reference", 15: "category",
    20: "supplemental_category", 25: "keywords", 26: "content_location_code", 27: "content_location_name",
    30: "release_date", 35: "release_time", 37: "expiration_date", 38: "expiration_time", 40: "special_instructions",
    55: "date_created", 60: "time_created", 62: "digital_creation_date", 63: "digital_creation_time",
    65: "originating_program", 70: "program_version", 80: "byline", 85: "byline_title", 90: "city", 92: "sublocation",
    95: "province_state", 100: "country_code", 101: "country_name", 103: "original_transmission_reference",
    105: "headline", 110: "credit", 115: "source", 116: "copyright_notice", 118: "contact", 120: "caption",
    122: "writer_editor", 135: "language",
}  # fmt: skip
_SEVERAL = frozenset({12, 20, 25, 26, 27, 80, 85, 118, 122})


def told(raw: bytes, room: Room) -> dict[str, Any]:
    """The data sets of *raw*: IIM itself, or the resources of Photoshop that it lies in."""
    found: dict[str, Any] = {}
    for number, value in _sets(record(raw)):
        name = _NAMES.get(number)
        text = room.text(decoded(value)) if name else None
        if name is None or not text:
            continue
        if number in _SEVERAL:
            found.setdefault(name, []).append(text)
        else:
            found.setdefault(name, text)
    return found


def record(raw: bytes) -> bytes:
    """IIM, taken out of the image resources that it may lie in (JPEG); those of other kinds are not looked into."""
    if not raw.startswith(_PHOTOSHOP):
        return raw
    at = len(_PHOTOSHOP)
    while raw[at : at + 4] == b"8BIM" and at + 12 <= len(raw):
        resource, name = int.from_bytes(raw[at + 4 : at + 6], "big"), raw[at + 6]
        at += 6 + (name + 2 & ~1)
        size = int.from_bytes(raw[at : at + 4], "big")
        if resource == _IPTC_RESOURCE:
            return raw[at + 4 : at + 4 + size]
        at += 4 + (size + 1 & ~1)
    return b""


def _sets(raw: bytes) -> Iterator[tuple[int, bytes]]:
    """Number and value of each data set of the application record."""
    at = 0
    for _ in range(_MOST_SETS):
        if at + 5 > len(raw) or raw[at] != _MARK:
            return
        size = int.from_bytes(raw[at + 3 : at + 5], "big")
        if size & _EXTENDED or at + 5 + size > len(raw):  # longer than any text of this record may be
            return
        if raw[at + 1] == _APPLICATION:
            yield raw[at + 2], raw[at + 5 : at + 5 + size]
        at += 5 + size
