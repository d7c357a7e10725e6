"""APNG: as PNG, and for each frame where it lies, how long it is shown and what becomes of it.

Takes    animations of which the first picture is a frame; one that only those see who cannot play is not known here.
Source   PNG (third edition) 11.3.6.
"""

import struct
import zlib
from struct import unpack_from

from imagemill.engines.png_parts import SIGNATURE, chunk
from imagemill.engines.rewrite.png import (
    COLOURS,
    INDEXED,
    blackened,
    chunks,
    colours,
    cut,
    header_of,
    inflated_bytes,
    used,
    written,
)

_CONTROL_BYTES = 26
_KNOWN = frozenset({b"IHDR", b"PLTE", b"IDAT", b"IEND"})
_ONCE = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IEND", b"acTL"})
_MOST_DISPOSE, _MOST_BLEND = 2, 1

Frame = tuple[bytes, bytes]
"""A frame control without its number, and compressed pixels."""


def rewritten(source: bytes) -> bytes | None:
    """*source* with nothing in it but its pictures; None where it holds what is not known here."""
    try:
        return _rewritten(source)
    except (struct.error, IndexError, zlib.error):
        return None


def _rewritten(source: bytes) -> bytes | None:
    found: dict[bytes, bytes] = {}
    frames: list[tuple[bytes, list[bytes]]] = []
    for kind, body in chunks(source):
        if kind in COLOURS or (kind[0] & 0x20 == 0 and kind not in _KNOWN):
            return None
        if kind in _ONCE and found.setdefault(kind, body) is not body:
            return None
        if kind == b"fcTL":
            frames.append((body[4:], []))
        elif kind in {b"IDAT", b"fdAT"}:
            if not frames or (kind == b"IDAT") != (len(frames) == 1):
                return None
            frames[-1][1].append(body if kind == b"IDAT" else body[4:])
    header = header_of(found)
    said = colours(header, found) if header else None
    if said is None or len(found.get(b"acTL", b"")) != 8 or not frames:  # noqa: PLR2004
        return None
    pictures = [_picture(header, control, b"".join(data)) for control, data in frames]
    kept = [picture for picture in pictures if picture]
    if len(kept) < len(pictures):
        return None
    if header[9] == INDEXED:
        marks = [used(written(_sized(header, control), *said, pixels)) for control, pixels in kept]
        said = blackened(*said, [any(column) for column in zip(*marks, strict=True)])
    return _written(header, *said, found[b"acTL"][4:], kept)


def _picture(header: bytes, control: bytes, data: bytes) -> Frame | None:
    """A frame whose pixels are as many as they must be, or None."""
    if len(control) != _CONTROL_BYTES - 4 or control[20] > _MOST_DISPOSE or control[21] > _MOST_BLEND:
        return None
    width, height, left, top = unpack_from(">IIII", control)
    whole_width, whole_height = unpack_from(">II", header)
    if not (0 < width <= whole_width - left and 0 < height <= whole_height - top):
        return None
    pixels = cut(data, inflated_bytes(_sized(header, control)))
    return (control, pixels) if pixels is not None else None


def _sized(header: bytes, control: bytes) -> bytes:
    """The header of a frame as a still of its own."""
    return control[:8] + header[8:]


def _written(header: bytes, palette: bytes, clear: bytes, plays: bytes, frames: list[Frame]) -> bytes:
    parts = [SIGNATURE, chunk(b"IHDR", header), chunk(b"acTL", struct.pack(">I", len(frames)) + plays)]
    parts += [chunk(kind, body) for kind, body in ((b"PLTE", palette), (b"tRNS", clear)) if body]
    number = 0
    for n, (control, pixels) in enumerate(frames):
        parts.append(chunk(b"fcTL", struct.pack(">I", number) + control))
        number += 1
        if n:
            parts.append(chunk(b"fdAT", struct.pack(">I", number) + pixels))
            number += 1
        else:
            parts.append(chunk(b"IDAT", pixels))
    return b"".join([*parts, chunk(b"IEND", b"")])
