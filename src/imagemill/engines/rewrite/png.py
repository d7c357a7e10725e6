"""PNG: header, palette, transparency and pixels; the first picture of an animation is its own.

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

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_TRANSPARENT_BYTES = {0: 2, 2: 6}
_INDEXED = 3
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_COLOURS = frozenset({b"iCCP", b"cICP"})
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
    chunks: dict[bytes, bytes] = {}
    data: list[bytes] = []
    for kind, body in _chunks(source):
        if kind in _COLOURS or (kind[0] & 0x20 == 0 and kind not in {b"IHDR", b"PLTE", b"IDAT", b"IEND"}):
            return None
        if kind == b"IDAT":
            data.append(body)
        elif kind in {b"IHDR", b"PLTE", b"tRNS", b"IEND"} and chunks.setdefault(kind, body) is not body:
            return None
    header = chunks[b"IHDR"] if b"IHDR" in chunks and b"IEND" in chunks else b""
    if len(header) != 13 or header[8] > 8 or header[9] not in _CHANNELS or header[10:12] != b"\0\0":  # noqa: PLR2004
        return None
    pixels = _cut(b"".join(data), _inflated_bytes(header))
    colours = _colours(header, chunks)
    if pixels is None or colours is None:
        return None
    made = _written(header, *colours, pixels)
    return _blackened(made, header, *colours, pixels) if header[9] == _INDEXED else made


def _chunks(source: bytes) -> Iterator[tuple[bytes, bytes]]:
    """All up to the end, each of which its checksum says that it is whole."""
    at = len(_SIGNATURE)
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


def _inflated_bytes(header: bytes) -> int:
    """How many bytes the rows of a picture are, each with its filter."""
    width, height = unpack_from(">II", header)
    bits = header[8] * _CHANNELS[header[9]]
    passes = _ADAM7 if header[12] else ((0, 0, 1, 1),)
    total = 0
    for left, top, across, down in passes:
        columns, rows = -(-(width - left) // across), -(-(height - top) // down)
        total += rows * (1 + (columns * bits + 7) // 8) if columns > 0 and rows > 0 else 0
    return total


def _cut(data: bytes, wanted_bytes: int) -> bytes | None:
    """The compressed *data* up to its own end; None where it is not that many bytes."""
    stream, found, rest = zlib.decompressobj(), 0, data
    while not stream.eof:
        piece = stream.decompress(rest, _PIECE)
        found, rest = found + len(piece), stream.unconsumed_tail
        if found > wanted_bytes or (not piece and not rest and not stream.eof):
            return None
    return data[: len(data) - len(stream.unused_data)] if found == wanted_bytes else None


def _colours(header: bytes, chunks: dict[bytes, bytes]) -> tuple[bytes, bytes] | None:
    """Palette and transparency as far as they mean anything; None where they are not as they must be."""
    kind, palette, clear = header[9], chunks.get(b"PLTE", b""), chunks.get(b"tRNS", b"")
    if kind == _INDEXED:
        whole = 0 < len(palette) <= 3 << header[8] and len(palette) % 3 == 0 and len(clear) <= len(palette) // 3
        return (palette, clear) if whole else None
    if clear and len(clear) != _TRANSPARENT_BYTES.get(kind):
        return None
    return b"", clear


def _blackened(made: bytes, header: bytes, palette: bytes, clear: bytes, pixels: bytes) -> bytes:
    with Image.open(BytesIO(made), formats=["PNG"]) as picture:
        used = [bool(count) for count in picture.histogram()]
    kept = b"".join(palette[3 * n : 3 * n + 3] if used[n] else b"\0\0\0" for n in range(len(palette) // 3))
    return _written(header, kept, bytes(c if used[n] else 0xFF for n, c in enumerate(clear)), pixels)


def _written(header: bytes, palette: bytes, clear: bytes, pixels: bytes) -> bytes:
    parts = [(b"IHDR", header), (b"PLTE", palette), (b"tRNS", clear), (b"IDAT", pixels), (b"IEND", b"")]
    return _SIGNATURE + b"".join(_chunk(kind, body) for kind, body in parts if body or kind == b"IEND")


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
