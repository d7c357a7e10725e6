"""The header of a WebP.

Source   RFC 9649.
"""

from collections.abc import Iterator
from itertools import islice
from struct import unpack_from

from imagemill.engines.headers.base import MAX_CHUNKS, Buffer
from imagemill.model.errors import ImageCorrupt
from imagemill.model.media import Format, MediaInfo


def read(source: Buffer) -> MediaInfo:
    """What the chunks say."""
    kind = bytes(source[12:16])
    if kind == b"VP8 ":
        return _webp_lossy(source, 20)
    if kind == b"VP8L":
        return _webp_lossless(source, 20)
    if kind != b"VP8X":
        raise ImageCorrupt("webp: no VP8, VP8L or VP8X chunk")
    flags = source[20]
    width, height = 1 + _u24(source, 24), 1 + _u24(source, 27)
    frames = icc = meta = 0
    for name, length, at in islice(_webp_chunks(source), MAX_CHUNKS):
        if name == b"ANMF":
            frames += 1
            right, bottom = (
                2 * _u24(source, at) + 1 + _u24(source, at + 6),
                2 * _u24(source, at + 3) + 1 + _u24(source, at + 9),
            )
            if right > width or bottom > height:
                raise ImageCorrupt("webp: a frame outside its canvas")
        elif name in {b"VP8 ", b"VP8L"} and not flags & 2:
            inner = _webp_lossy(source, at) if name == b"VP8 " else _webp_lossless(source, at)
            if (inner.width_px, inner.height_px) != (width, height):
                raise ImageCorrupt(f"webp: canvas {width} × {height}, picture {inner.width_px} × {inner.height_px}")
            frames += 1
        icc += length if name == b"ICCP" else 0
        meta += length if name in {b"EXIF", b"XMP "} else 0
    alpha = bool(flags & 0x10)
    return MediaInfo(
        Format.WEBP, width, height, frames=frames, channels=4 if alpha else 3, has_alpha=alpha, metadata_bytes=meta,
        icc_bytes=icc,
    )  # fmt: skip


def _webp_lossy(source: Buffer, at: int) -> MediaInfo:
    if bytes(source[at + 3 : at + 6]) != b"\x9d\x01\x2a":
        raise ImageCorrupt("webp: no VP8 key frame")
    width, height = unpack_from("<HH", source, at + 6)
    return MediaInfo(Format.WEBP, width & 0x3FFF, height & 0x3FFF)


def _webp_lossless(source: Buffer, at: int) -> MediaInfo:
    if source[at] != 0x2F:
        raise ImageCorrupt("webp: no VP8L signature")
    (word,) = unpack_from("<I", source, at + 1)
    alpha = bool(word >> 28 & 1)
    return MediaInfo(
        Format.WEBP, (word & 0x3FFF) + 1, (word >> 14 & 0x3FFF) + 1, channels=4 if alpha else 3, has_alpha=alpha
    )


def _webp_chunks(source: Buffer) -> Iterator[tuple[bytes, int, int]]:
    at = 12
    while at + 8 <= len(source):
        (length,) = unpack_from("<I", source, at + 4)
        yield bytes(source[at : at + 4]), length, at + 8
        at += 8 + length + (length & 1)


def _u24(source: Buffer, at: int) -> int:
    return source[at] | source[at + 1] << 8 | source[at + 2] << 16
