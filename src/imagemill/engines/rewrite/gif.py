"""GIF: screen, colours, frames, how long they are shown and how often; each frame is cut where its pixels end.

Codes are followed as far as their lengths, so that what lies behind the last one is seen; colours that no pixel has are
blackened.

Units    `MOST_BYTES` of a source: more codes than that would take a second to be followed here.
Source   GIF89a 18 to 27 and appendix F; the Netscape 2.0 application extension.
"""

import struct
from struct import unpack_from

from msgspec import Struct

MOST_BYTES = 1 << 20
_MOST_CODE_BITS = 12
_MOST_BLOCKS = 100_000
_TRAILER, _EXTENSION, _IMAGE = 0x3B, 0x21, 0x2C


class _Frame(Struct):
    place: bytes
    """Left, top, width, height."""
    flags: int
    colours: bytes
    bits: int
    data: bytes
    used: set[int]
    control: bytes


def rewritten(source: bytes) -> bytes | None:
    """*source* with nothing in it but its pictures; None where it holds what is not known here."""
    if len(source) > MOST_BYTES:
        return None
    try:
        return _rewritten(source)
    except (struct.error, IndexError):
        return None


def _rewritten(source: bytes) -> bytes | None:
    width, height, flags, ground = unpack_from("<HHBB", source, 6)
    at = 13 + _table_bytes(flags)
    colours, frames, loops, control = source[13:at], list[_Frame](), b"", b""
    for _ in range(_MOST_BLOCKS):
        if source[at] == _TRAILER:
            return _written((width, height, flags, ground), colours, frames, loops) if frames else None
        if source[at] == _EXTENSION:
            label = source[at + 1]
            body, at = _blocks(source, at + 2)
            if label == 0xF9 and len(body) == 4:  # noqa: PLR2004
                control = bytes([body[0] & 0x1F]) + body[1:]
            elif label == 0xFF and body.startswith(b"NETSCAPE2.0\x01") and len(body) >= 14:  # noqa: PLR2004
                loops = body[12:14]
        elif source[at] == _IMAGE:
            frame, at = _frame(source, at, control)
            if frame is None:
                return None
            frames.append(frame)
            control = b""
        else:
            return None
    return None


def _frame(source: bytes, at: int, control: bytes) -> tuple[_Frame | None, int]:
    width, height, flags = unpack_from("<HHB", source, at + 5)
    begin = at + 10 + _table_bytes(flags)
    bits = source[begin]
    data, end = _blocks(source, begin + 1)
    if not 1 <= bits <= 8:  # noqa: PLR2004
        return None, end
    cut = _followed(data, bits, width * height)
    if cut is None:
        return None, end
    length, used = cut
    frame = _Frame(source[at + 1 : at + 9], flags & 0xC7, source[at + 10 : begin], bits, data[:length], used, control)
    return frame, end


def _table_bytes(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _blocks(source: bytes, at: int) -> tuple[bytes, int]:
    """What the sub-blocks at *at* hold together, and where they end."""
    parts = []
    while source[at]:
        parts.append(source[at + 1 : at + 1 + source[at]])
        at += 1 + source[at]
    return b"".join(parts), at + 1


def _followed(data: bytes, bits: int, wanted: int) -> tuple[int, set[int]] | None:
    """How many bytes of *data* the *wanted* pixels take, and which colours they have; None where it is not whole."""
    clear, size = 1 << bits, bits + 1
    lengths = [1] * clear + [0, 0]
    used: set[int] = set()
    held = have = at = found = before = 0
    while found <= wanted:
        while have < size and at < len(data):
            held |= data[at] << have
            at, have = at + 1, have + 8
        code, held, have = held & (1 << size) - 1, held >> size, have - size
        if code == clear + 1:
            return (at, used) if found == wanted and have >= 0 else None
        if code == clear:
            del lengths[clear + 2 :]
            size, before = bits + 1, 0
            continue
        if have < 0 or code > len(lengths) - (not before):
            return None
        length = lengths[code] if code < len(lengths) else before + 1
        if code < clear:
            used.add(code)
        if before and len(lengths) < 1 << _MOST_CODE_BITS:
            lengths.append(before + 1)
            size += len(lengths) == 1 << size and size < _MOST_CODE_BITS
        found, before = found + length, length
    return None


def _written(screen: tuple[int, int, int, int], colours: bytes, frames: list[_Frame], loops: bytes) -> bytes:
    used = set().union(*(frame.used for frame in frames if not frame.colours))
    parts = [b"GIF89a", struct.pack("<HHBBB", *screen, 0), _blackened(colours, used)]
    if loops:
        parts.append(b"\x21\xff\x0bNETSCAPE2.0\x03\x01" + loops + b"\0")
    for frame in frames:
        if frame.control:
            parts.append(b"\x21\xf9\x04" + frame.control + b"\0")
        parts += [b"\x2c", frame.place, bytes([frame.flags]), _blackened(frame.colours, frame.used)]
        pieces = [frame.data[n : n + 255] for n in range(0, len(frame.data), 255)]
        parts += [bytes([frame.bits]), *(bytes([len(piece)]) + piece for piece in pieces), b"\0"]
    return b"".join([*parts, b"\x3b"])


def _blackened(colours: bytes, used: set[int]) -> bytes:
    return b"".join(colours[3 * n : 3 * n + 3] if n in used else b"\0\0\0" for n in range(len(colours) // 3))
