"""What an ICC profile calls itself.

Errors   none: a profile that says no name, or is none, has an empty one.
Source   ICC.1:2022, sections 7.3 (tag table) and 10.15 (multiLocalizedUnicodeType); ICC.1:2001-04, section 6.5.17
         (textDescriptionType).
"""

import struct
from struct import unpack_from

from imagemill.engines.description.words import Room, decoded

ENCODING = "utf-16-be"
"""Of a ``multiLocalizedUnicodeType``."""
_MOST_TAGS = 100
_MOST_BYTES = 512


def name(raw: bytes) -> str:
    """The profile's description: the first language of several."""
    try:
        (count,) = unpack_from(">I", raw, 128)
        for n in range(min(count, _MOST_TAGS)):
            tag, at, size = unpack_from(">4sII", raw, 132 + 12 * n)
            if tag == b"desc":
                return Room().text(_description(raw[at : at + size])) or ""
    except struct.error:
        pass
    return ""


def _description(raw: bytes) -> str:
    kind = raw[:4]
    if kind == b"desc":
        (length,) = unpack_from(">I", raw, 8)
        return decoded(raw[12 : 12 + min(length, _MOST_BYTES)])
    if kind == b"mluc":
        length, at = unpack_from(">II", raw, 20)
        return raw[at : at + min(length, _MOST_BYTES)].decode(ENCODING, "replace").strip("\0 ")
    return ""
