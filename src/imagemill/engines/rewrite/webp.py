"""WebP: one picture, lossy or lossless, with its transparency. Animations are not taken.

What a decoder does not need of a stream of pixels cannot be seen from outside. So `shortened` gives versions of a file
that each lack the end of one stream: one that still decodes to the same pixels had something else there.

Source   WebP container (RFC 9649) 2; VP8 (RFC 6386) 9.1.
"""

import struct
from collections.abc import Iterator
from struct import unpack_from

_KNOWN = frozenset({b"VP8X", b"ALPH", b"VP8 ", b"VP8L", b"EXIF", b"XMP "})
_PIXELS = (b"ALPH", b"VP8 ", b"VP8L")
_ALPHA_FLAG = 0x10
_TRIMMED_BYTES = 12
_HEAD_BYTES = 10
"""Of a VP8 frame, before its first partition."""


def rewritten(source: bytes) -> bytes | None:
    """*source* with nothing in it but its picture; None where it holds what is not known here."""
    try:
        kept = _kept(source)
    except (struct.error, IndexError):
        return None
    return _written(kept) if kept else None


def shortened(made: bytes) -> Iterator[bytes]:
    """*made*, as `rewritten` gave it, without the end of each of its streams in turn."""
    kept = _kept(made) or {}
    for kind, body in kept.items():
        if kind in _PIXELS:
            yield _written(kept | {kind: body[:-_TRIMMED_BYTES]})
    if (frame := kept.get(b"VP8 ")) is not None:
        (tag,) = unpack_from("<I", frame[:3] + b"\0")
        first = tag >> 5
        if first > _TRIMMED_BYTES:
            less = struct.pack("<I", (tag & 31) | first - _TRIMMED_BYTES << 5)[:3]
            end = _HEAD_BYTES + first
            yield _written(kept | {b"VP8 ": less + frame[3 : end - _TRIMMED_BYTES] + frame[end:]})


def _kept(source: bytes) -> dict[bytes, bytes] | None:
    found: dict[bytes, bytes] = {}
    (size,) = unpack_from("<I", source, 4)
    at, end = 12, size + 8
    if end > len(source):
        return None
    while at + 8 <= end:
        kind = source[at : at + 4]
        (length,) = unpack_from("<I", source, at + 4)
        if kind not in _KNOWN or kind in found or at + 8 + length > end:
            return None
        if kind in _PIXELS or kind == b"VP8X":
            found[kind] = source[at + 8 : at + 8 + length]
        at += 8 + length + (length & 1)
    lossy, lossless = b"VP8 " in found, b"VP8L" in found
    if lossy == lossless or (b"ALPH" in found and not (lossy and b"VP8X" in found)):
        return None
    if b"VP8X" in found and len(found[b"VP8X"]) != 10:  # noqa: PLR2004
        return None
    return found


def _written(kept: dict[bytes, bytes]) -> bytes:
    """The file; its extended header says no more than that there is transparency."""
    parts = []
    for kind, body in kept.items():
        if kind == b"VP8X":
            if b"ALPH" not in kept:
                continue
            body = bytes([_ALPHA_FLAG, 0, 0, 0]) + body[4:]  # noqa: PLW2901
        parts.append(kind + struct.pack("<I", len(body)) + body + b"\0" * (len(body) & 1))
    whole = b"WEBP" + b"".join(parts)
    return b"RIFF" + struct.pack("<I", len(whole)) + whole
