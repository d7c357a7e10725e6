"""WebP: a picture or an animation, lossy or lossless, with its transparency.

What a decoder does not need of a stream of pixels cannot be seen from outside. So `streams` gives each picture of a
file as a file of its own, and versions of it that each lack the end of one stream: one that still decodes to the same
pixels had something else there. What is cut into more streams than those, as few encoders do, is not known here.

Source   WebP container (RFC 9649) 2; VP8 (RFC 6386) 9.1.
"""

import struct
from collections.abc import Iterable, Iterator
from struct import unpack_from

from msgspec import Struct

from imagemill.engines.rewrite import vp8

_KNOWN = frozenset({b"VP8X", b"ANIM", b"ANMF", b"ALPH", b"VP8 ", b"VP8L", b"EXIF", b"XMP "})
_PIXELS = (b"ALPH", b"VP8 ", b"VP8L")
_ALPHA_FLAG, _MOVING_FLAG = 0x10, 0x02
_TRIMMED_BYTES = 12
_HEAD_BYTES = 10
"""Of a VP8 frame, before its first partition."""
_EXTENDED_BYTES, _ANIM_BYTES, _FRAME_BYTES = 10, 6, 16
_FRAME_FLAGS = 0x03
"""Blending and disposal; the others mean nothing."""
_MOST_CHUNKS = 4_096

Chunk = tuple[bytes, bytes]


class _Frame(Struct, frozen=True):
    """One picture of an animation."""

    head: bytes
    """Place, size, time and what becomes of it."""
    kept: dict[bytes, bytes]


class _Found(Struct, frozen=True):
    """All there is to a file."""

    extended: bytes
    loops: bytes
    """How often it is played; empty where it is a still."""
    frames: list[_Frame]


def rewritten(source: bytes) -> bytes | None:
    """*source* with nothing in it but its pictures; None where it holds what is not known here."""
    try:
        found = _read(source)
    except (struct.error, IndexError):
        return None
    return _written(found) if found else None


def streams(made: bytes) -> Iterator[tuple[bytes, list[bytes]]]:
    """Each picture of what `rewritten` gave: as a still, and without the end of each of its streams in turn."""
    found = _read(made)
    assert found
    for frame in found.frames:
        size = frame.head[6:12] if frame.head else found.extended[4:10]
        yield _still(frame.kept, size), [_still(kept, size) for kept in _shortened(frame.kept)]


def _shortened(kept: dict[bytes, bytes]) -> Iterator[dict[bytes, bytes]]:
    for kind, body in kept.items():
        yield kept | {kind: body[:-_TRIMMED_BYTES]}
    if (frame := kept.get(b"VP8 ")) is not None:
        (tag,) = unpack_from("<I", frame[:3] + b"\0")
        first = tag >> 5
        if first > _TRIMMED_BYTES:
            less = struct.pack("<I", (tag & 31) | first - _TRIMMED_BYTES << 5)[:3]
            end = _HEAD_BYTES + first
            yield kept | {b"VP8 ": less + frame[3 : end - _TRIMMED_BYTES] + frame[end:]}


def _read(source: bytes) -> _Found | None:
    (size,) = unpack_from("<I", source, 4)
    if size + 8 > len(source):
        return None
    chunks = _chunks(source, 12, size + 8)
    if chunks is None:
        return None
    named = dict(chunks)
    extended = named.get(b"VP8X", b"")
    moving = bool(extended) and bool(extended[0] & _MOVING_FLAG)
    if any(kind not in _KNOWN for kind, _ in chunks) or (extended and len(extended) != _EXTENDED_BYTES):
        return None
    if moving:
        return _moving(chunks, extended)
    alone = [kind for kind, _ in chunks if kind in _PIXELS]
    kept = {kind: named[kind] for kind in named if kind in _PIXELS}
    if len(alone) != len(kept) or not _is_picture(kept, extended=bool(extended)) or b"ANMF" in named:
        return None
    return _Found(extended, b"", [_Frame(b"", kept)])


def _moving(chunks: list[Chunk], extended: bytes) -> _Found | None:
    played = [body for kind, body in chunks if kind == b"ANIM"]
    if len(played) != 1 or len(played[0]) != _ANIM_BYTES or any(kind in _PIXELS for kind, _ in chunks):
        return None
    frames = []
    for kind, body in chunks:
        if kind == b"ANMF":
            inner = _chunks(body, _FRAME_BYTES, len(body))
            if inner is None or any(name not in _PIXELS for name, _ in inner) or len(dict(inner)) != len(inner):
                return None
            head = body[: _FRAME_BYTES - 1] + bytes([body[_FRAME_BYTES - 1] & _FRAME_FLAGS])
            if not _is_picture(dict(inner), extended=True):
                return None
            frames.append(_Frame(head, dict(inner)))
    return _Found(extended, played[0][4:], frames) if frames else None


def _chunks(source: bytes, at: int, end: int) -> list[Chunk] | None:
    """Those from *at* to *end*; None where one breaks off, or there are too many."""
    found: list[Chunk] = []
    while at + 8 <= end:
        kind = source[at : at + 4]
        (length,) = unpack_from("<I", source, at + 4)
        if at + 8 + length > end or len(found) == _MOST_CHUNKS:
            return None
        found.append((kind, source[at + 8 : at + 8 + length]))
        at += 8 + length + (length & 1)
    return found


def _is_picture(kept: dict[bytes, bytes], *, extended: bool) -> bool:
    lossy, lossless = b"VP8 " in kept, b"VP8L" in kept
    if lossy and not vp8.has_one_part(kept[b"VP8 "]):
        return False
    return lossy != lossless and not (b"ALPH" in kept and not (lossy and extended))


def _still(kept: dict[bytes, bytes], size: bytes) -> bytes:
    """A file of one picture; its extended header says no more than that there is transparency."""
    head = [(b"VP8X", bytes([_ALPHA_FLAG, 0, 0, 0]) + size)] if b"ALPH" in kept else []
    return _file([*head, *kept.items()])


def _written(found: _Found) -> bytes:
    if not found.loops:
        return _still(found.frames[0].kept, found.extended[4:10])
    flags = _MOVING_FLAG | found.extended[0] & _ALPHA_FLAG
    return _file(
        [
            (b"VP8X", bytes([flags, 0, 0, 0]) + found.extended[4:10]),
            (b"ANIM", bytes(4) + found.loops),
            *((b"ANMF", frame.head + _joined(frame.kept.items())) for frame in found.frames),
        ]
    )


def _file(chunks: list[Chunk]) -> bytes:
    whole = b"WEBP" + _joined(chunks)
    return b"RIFF" + struct.pack("<I", len(whole)) + whole


def _joined(chunks: Iterable[Chunk]) -> bytes:
    return b"".join(kind + struct.pack("<I", len(body)) + body + b"\0" * (len(body) & 1) for kind, body in chunks)
