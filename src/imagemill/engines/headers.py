"""Read what a file's header claims, without a decoder: the first wall, and a second opinion on the decoder's.

Units    bytes and pixels; orientation is left to the decoder's EXIF reader.
Errors   `UnsupportedSourceType` by magic bytes; `ImageCorrupt` where the structure breaks off.
Source   JPEG: ITU T.81 B.1; PNG 3rd edition; GIF89a; WebP container (RFC 9649); HEIF: ISO/IEC 14496-12 and 23008-12.
Every walk is over bytes that are there: no length field is believed beyond the end of the file.
"""

import re
import struct
from collections.abc import Iterator
from itertools import islice
from struct import unpack_from

from imagemill.engines.svg.header import svg
from imagemill.engines.svg.text import begins_svg
from imagemill.model.errors import ImageCorrupt, UnsupportedSourceType
from imagemill.model.media import Format, MediaInfo

_PNG = b"\x89PNG\r\n\x1a\n"
_MAX_CHUNKS = 20_000
_MAX_GIF_BLOCKS = 250_000
Buffer = bytes | memoryview


def sniff(head: Buffer) -> Format:
    """The format that the first bytes of a file announce."""
    head = bytes(head[:256])
    if head.startswith(b"\xff\xd8\xff"):
        return Format.JPEG
    if head.startswith(_PNG):
        return Format.PNG
    if head[:6] in {b"GIF87a", b"GIF89a"}:
        return Format.GIF
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return Format.WEBP
    if head[4:8] == b"ftyp" and _is_avif(head):
        return Format.AVIF
    if begins_svg(head):
        return Format.SVG
    raise UnsupportedSourceType("the source is no JPEG, PNG, WebP, AVIF, GIF or SVG")


def probe(source: Buffer) -> MediaInfo:
    """What the header of *source* claims, read in time proportional to its number of blocks."""
    readers = {
        Format.JPEG: _jpeg,
        Format.PNG: _png,
        Format.GIF: _gif,
        Format.WEBP: _webp,
        Format.AVIF: _avif,
        Format.SVG: svg,
    }
    format_ = sniff(source)
    try:
        info = readers[format_](source)
    except (struct.error, IndexError) as e:
        raise ImageCorrupt(f"{format_}: the header breaks off") from e
    if info.width_px < 1 or info.height_px < 1 or info.frames < 1:
        raise ImageCorrupt(f"{format_}: {info.width_px} × {info.height_px} px, {info.frames} frames")
    return info


def _is_avif(head: bytes) -> bool:
    length = min(int.from_bytes(head[:4], "big"), len(head))
    brands = {head[8:12]} | {head[i : i + 4] for i in range(16, length - 3, 4)}
    return bool(brands & {b"avif", b"avis"}) and not brands & {b"heic", b"heix", b"hevc", b"hevx"}


def _jpeg(source: Buffer) -> MediaInfo:
    at, meta, icc, frame, bare = 2, 0, 0, None, True
    for _ in range(_MAX_CHUNKS):
        marker, length, at = _jpeg_segment(source, at)
        if marker in _SOF:
            if frame is not None:
                raise ImageCorrupt("jpeg: two frame headers")
            frame = (marker, *unpack_from(">BHHB", source, at))
        elif marker == 0xDA:
            break
        elif 0xE0 <= marker <= 0xEF or marker == 0xFE:
            is_icc = marker == 0xE2 and bytes(source[at : at + 11]) == b"ICC_PROFILE"
            icc, meta = (icc + length, meta) if is_icc else (icc, meta + length)
            bare = bare and not is_icc and marker != _APP1
        at += length
    else:
        raise ImageCorrupt(f"jpeg: more than {_MAX_CHUNKS} segments before the first scan")
    if frame is None:
        raise ImageCorrupt("jpeg: no frame header")
    kind, bits, height, width, channels = frame
    whole = source[at] == channels and kind not in _SOF_PROGRESSIVE  # the first scan is the only one
    scans = 1 if whole else 1 + len(_SOS.findall(source, at))
    return MediaInfo(
        Format.JPEG, width, height, channels=channels, bits=bits, metadata_bytes=meta, icc_bytes=icc, scans=scans,
        interlaced=kind in _SOF_PROGRESSIVE, huffman_dct=kind in _SOF_HUFFMAN_DCT, bare=bare,
    )  # fmt: skip


_APP1 = 0xE1
_SOS = re.compile(b"\xff\xda")  # three times as quick as `bytes.count`, and over the file as it lies in memory
_SOF_HUFFMAN_DCT = frozenset({0xC0, 0xC1, 0xC2})
_SOF = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_SOF_PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})


def _jpeg_segment(source: Buffer, at: int) -> tuple[int, int, int]:
    """Marker, payload length and payload offset of the segment at or after *at*."""
    fill = 0
    while source[at] != 0xFF or source[at + 1] in {0x00, 0xFF}:
        at += 1
        fill += 1
        if fill > 4096:
            raise ImageCorrupt("jpeg: no marker where one is due")
    marker = source[at + 1]
    if marker == 0xD9:
        raise ImageCorrupt("jpeg: ends before its first scan")
    if 0xD0 <= marker <= 0xD8 or marker == 0x01:
        return marker, 0, at + 2
    (length,) = unpack_from(">H", source, at + 2)
    if length < 2:
        raise ImageCorrupt("jpeg: segment length below 2")
    return marker, length - 2, at + 4


def _png(source: Buffer) -> MediaInfo:
    width, height, bits, colour, _, _, interlace = unpack_from(">IIBBBBB", source, 16)
    if bytes(source[8:16]) != b"\0\0\0\rIHDR" or colour not in _PNG_CHANNELS:
        raise ImageCorrupt("png: no valid IHDR")
    meta = icc = 0
    alpha = colour in {4, 6}
    for n, (kind, length) in enumerate(_png_chunks(source)):
        if n == _MAX_CHUNKS:
            raise ImageCorrupt(f"png: more than {_MAX_CHUNKS} chunks before the picture")
        if kind == b"IHDR":
            raise ImageCorrupt("png: two IHDR")
        if kind == b"IDAT":
            break
        alpha = alpha or kind == b"tRNS"
        icc += length if kind == b"iCCP" else 0
        meta += length + 12 if kind in {b"tEXt", b"zTXt", b"iTXt", b"eXIf"} else 0
    channels = _PNG_CHANNELS[colour] + (1 if alpha and colour in {0, 2} else 0)
    if colour == 3:
        channels, bits = 3 + alpha, 8
    return MediaInfo(
        Format.PNG, width, height, channels=channels, bits=bits, has_alpha=alpha, metadata_bytes=meta, icc_bytes=icc,
        interlaced=bool(interlace),
    )  # fmt: skip


_PNG_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}


def _png_chunks(source: Buffer) -> Iterator[tuple[bytes, int]]:
    """Chunks after IHDR."""
    at = 33
    while at + 8 <= len(source):
        (length,) = unpack_from(">I", source, at)
        yield bytes(source[at + 4 : at + 8]), length
        at += length + 12


def _gif(source: Buffer) -> MediaInfo:
    width, height, flags = unpack_from("<HHB", source, 6)
    at = 13 + _table(flags)
    frames, meta, left_over, alpha = 0, 0, _MAX_GIF_BLOCKS, False
    while at < len(source) and source[at] != 0x3B:
        if source[at] == 0x2C:
            left, top, w, h, local = unpack_from("<HHHHB", source, at + 1)
            width, height = max(width, left + w), max(height, top + h)
            at, _, left_over = _gif_blocks(source, at + 11 + _table(local), left_over)
            frames += 1
        elif source[at] == 0x21:
            label = source[at + 1]
            alpha = alpha or (label == 0xF9 and bool(source[at + 3] & 1))
            at, size, left_over = _gif_blocks(source, at + 2, left_over)
            meta += size if label in {0xFE, 0xFF} else 0
        else:
            break
    return MediaInfo(Format.GIF, width, height, frames=max(frames, 1), channels=4, has_alpha=alpha, metadata_bytes=meta)


def _table(flags: int) -> int:
    """Bytes of the colour table that a GIF flag byte announces."""
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _gif_blocks(source: Buffer, at: int, left_over: int) -> tuple[int, int, int]:
    """Offset after a chain of sub-blocks, the bytes in them, and how many more blocks the file may have.

    A chain may break off at the end of the file.
    """
    start = at
    end = len(source)
    left_over -= 1
    while at < end and left_over >= 0 and (size := source[at]):
        at += size + 1
        left_over -= 1
    if left_over < 0:
        raise ImageCorrupt(f"gif: more than {_MAX_GIF_BLOCKS} blocks")
    return at + 1, at - start, left_over


def _webp(source: Buffer) -> MediaInfo:
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
    for name, length, at in islice(_webp_chunks(source), _MAX_CHUNKS):
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


_CONTAINERS = {b"meta": 4, b"iprp": 0, b"ipco": 0, b"moov": 0, b"trak": 0, b"mdia": 0, b"minf": 0, b"stbl": 0}
_MAX_BOXES = 4_096
_MAX_DEPTH = 8


def _avif(source: Buffer) -> MediaInfo:
    """The largest ``ispe`` anywhere: tiles are never larger than the picture they make up."""
    width = height = meta = icc = references = 0
    alpha, depth_bits = False, 8
    for n, (name, at, end) in enumerate(_boxes(source, 0, len(source), 0)):
        if n == _MAX_BOXES:
            raise ImageCorrupt(f"avif: more than {_MAX_BOXES} boxes")
        if name == b"ispe":
            w, h = unpack_from(">II", source, at + 4)
            width, height = max(width, w), max(height, h)
        elif name == b"auxC":
            alpha = alpha or b"alpha" in bytes(source[at : min(end, at + 64)])
        elif name == b"colr":
            icc += end - at if bytes(source[at : at + 4]) in {b"prof", b"rICC"} else 0
        elif name == b"av1C":
            depth_bits = 16 if source[at + 2] & 0x40 else 8
        elif name == b"iref":
            references += end - at
        meta += end - at if name in {b"uuid", b"Exif"} else 0
    if references > 65_536:
        raise ImageCorrupt("avif: too many item references")
    return MediaInfo(
        Format.AVIF, width, height, channels=4 if alpha else 3, bits=depth_bits, has_alpha=alpha, metadata_bytes=meta,
        icc_bytes=icc,
    )  # fmt: skip


def _boxes(source: Buffer, at: int, end: int, depth: int) -> Iterator[tuple[bytes, int, int]]:
    while at + 8 <= end:
        (size,) = unpack_from(">I", source, at)
        name, body = bytes(source[at + 4 : at + 8]), at + 8
        if size == 1:
            (size,) = unpack_from(">Q", source, at + 8)
            body = at + 16
        stop = end if size == 0 else min(at + size, end)
        if stop < body:
            raise ImageCorrupt("avif: a box shorter than its own header")
        yield name, body, stop
        if name in _CONTAINERS and depth < _MAX_DEPTH:
            yield from _boxes(source, body + _CONTAINERS[name], stop, depth + 1)
        at = stop
