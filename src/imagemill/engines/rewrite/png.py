"""PNG: header, palette, transparency and pixels. What of an animation is more than that: `rewrite.apng`.

Takes    up to eight bits a sample. The pixels are inflated to see that they are as many as there must be; colours of a
         palette that no pixel has are blackened.
Source   PNG (third edition) 5.2, 7.2, 10, 11.
"""

import struct
import zlib
from collections.abc import Iterator
from io import BytesIO
from struct import unpack_from

from PIL import Image

from imagemill.engines.png_parts import SIGNATURE, chunk

CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_TRANSPARENT_BYTES = {0: 2, 2: 6}
INDEXED = 3
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
COLOURS = frozenset({b"iCCP", b"cICP"})
"""Chunks that say of colours what a rendition does not."""
_PIECE = 1 << 20
_MOST_CHUNKS = 20_000


def rewritten(source: bytes) -> bytes | None:
    """*source* with nothing in it but its picture; None where it holds what is not known here."""
    try:
        return _rewritten(source)
    except (struct.error, IndexError, zlib.error):
        return None


def _rewritten(source: bytes) -> bytes | None:
    found: dict[bytes, bytes] = {}
    data: list[bytes] = []
    for kind, body in chunks(source):
        if kind in COLOURS or (kind[0] & 0x20 == 0 and kind not in {b"IHDR", b"PLTE", b"IDAT", b"IEND"}):
            return None
        if kind == b"IDAT":
            data.append(body)
        elif kind in {b"IHDR", b"PLTE", b"tRNS", b"IEND"} and found.setdefault(kind, body) is not body:
            return None
    header = header_of(found)
    pixels = cut(b"".join(data), inflated_bytes(header)) if header else None
    said = colours(header, found) if header else None
    if pixels is None or said is None:
        return None
    if header[9] == INDEXED:
        said = blackened(*said, used(written(header, *said, pixels)))
    return written(header, *said, pixels)


def header_of(found: dict[bytes, bytes]) -> bytes:
    """The header among the chunks *found*; empty where it is none that is known here, or the file has no end."""
    header = found[b"IHDR"] if b"IHDR" in found and b"IEND" in found else b""
    known = len(header) == 13 and header[8] <= 8 and header[9] in CHANNELS and header[10:12] == b"\0\0"  # noqa: PLR2004
    return header if known else b""


def chunks(source: bytes) -> Iterator[tuple[bytes, bytes]]:
    """All up to the end, each of which its checksum says that it is whole."""
    at = len(SIGNATURE)
    for _ in range(_MOST_CHUNKS):
        (length,) = unpack_from(">I", source, at)
        kind, body = source[at + 4 : at + 8], source[at + 8 : at + 8 + length]
        (check,) = unpack_from(">I", source, at + 8 + length)
        if zlib.crc32(kind + body) != check:
            raise zlib.error(kind)
        yield kind, body
        if kind == b"IEND":
            return
        at += length + 12


def inflated_bytes(header: bytes) -> int:
    """How many bytes the rows of a picture are, each with its filter."""
    width, height = unpack_from(">II", header)
    bits = header[8] * CHANNELS[header[9]]
    passes = _ADAM7 if header[12] else ((0, 0, 1, 1),)
    total = 0
    for left, top, across, down in passes:
        columns, rows = -(-(width - left) // across), -(-(height - top) // down)
        total += rows * (1 + (columns * bits + 7) // 8) if columns > 0 and rows > 0 else 0
    return total


def cut(data: bytes, wanted_bytes: int) -> bytes | None:
    """The compressed *data* up to its own end; None where it is not that many bytes."""
    stream, found, rest = zlib.decompressobj(), 0, data
    while not stream.eof:
        piece = stream.decompress(rest, _PIECE)
        found, rest = found + len(piece), stream.unconsumed_tail
        if found > wanted_bytes or (not piece and not rest and not stream.eof):
            return None
    return data[: len(data) - len(stream.unused_data)] if found == wanted_bytes else None


def colours(header: bytes, found: dict[bytes, bytes]) -> tuple[bytes, bytes] | None:
    """Palette and transparency as far as they mean anything; None where they are not as they must be."""
    kind, palette, clear = header[9], found.get(b"PLTE", b""), found.get(b"tRNS", b"")
    if kind == INDEXED:
        whole = 0 < len(palette) <= 3 << header[8] and len(palette) % 3 == 0 and len(clear) <= len(palette) // 3
        return (palette, clear) if whole else None
    if clear and len(clear) != _TRANSPARENT_BYTES.get(kind):
        return None
    return b"", clear


def used(made: bytes) -> list[bool]:
    """Which colours of its palette the picture *made* has."""
    with Image.open(BytesIO(made), formats=["PNG"]) as picture:
        return [bool(count) for count in picture.histogram()]


def blackened(palette: bytes, clear: bytes, wanted: list[bool]) -> tuple[bytes, bytes]:
    """Palette and transparency without the colours that are not *wanted*."""
    kept = b"".join(palette[3 * n : 3 * n + 3] if wanted[n] else b"\0\0\0" for n in range(len(palette) // 3))
    return kept, bytes(c if wanted[n] else 0xFF for n, c in enumerate(clear))


def written(header: bytes, palette: bytes, clear: bytes, pixels: bytes) -> bytes:
    """A still."""
    parts = [(b"IHDR", header), (b"PLTE", palette), (b"tRNS", clear), (b"IDAT", pixels), (b"IEND", b"")]
    return SIGNATURE + b"".join(chunk(kind, body) for kind, body in parts if body or kind == b"IEND")
