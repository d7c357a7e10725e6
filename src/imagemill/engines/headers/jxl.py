"""The header of a JPEG XL: a bare codestream, or one in boxes.

Sizes    upright: the decoder turns the picture as the codestream says, and nothing else is asked.
Refused  animations, which the decoder at hand gives the first frame of without a word.
Source   ISO/IEC 18181-1 (size header, image metadata) and 18181-2 (boxes).
"""

from collections.abc import Iterator
from struct import unpack_from

from imagemill.engines.headers.base import Buffer
from imagemill.model.errors import ImageCorrupt, UnsupportedSourceType
from imagemill.model.media import Format, MediaInfo

BARE = b"\xff\x0a"
BOXED = b"\0\0\0\x0cJXL \r\n\x87\n"
_MAX_BOXES = 1_000
_RATIOS = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}
_ENOUGH = 4_096
"""Bytes of the codestream that hold its header."""
_ALPHA, _SPOT, _FILTER = 0, 2, 5
_GREY = 1
_MOST_CHANNELS = 16
_TURNED = 5
"""EXIF's orientations from here on swap the sides."""


class _Bits:
    """Bits of a codestream, lowest first."""

    def __init__(self, body: bytes) -> None:
        self._all = int.from_bytes(body, "little")
        self._left = len(body) * 8

    def u(self, count: int) -> int:
        if count > self._left:
            raise ImageCorrupt("jxl: the header breaks off")
        value = self._all & ((1 << count) - 1)
        self._all >>= count
        self._left -= count
        return value

    def u32(self, *choices: tuple[int, int]) -> int:
        """One of four forms, each an offset and a number of bits."""
        offset, count = choices[self.u(2)]
        return offset + self.u(count)

    def enum(self) -> int:
        return self.u32((0, 0), (1, 0), (2, 4), (18, 6))


def read(source: Buffer) -> MediaInfo:
    """What the first bytes of the codestream in *source* say."""
    boxes = () if bytes(source[:2]) == BARE else tuple(_boxes(source))
    bits = _Bits(_parts(source, boxes, _ENOUGH) if boxes else bytes(source[:_ENOUGH]))
    if bits.u(16) != int.from_bytes(BARE, "little"):
        raise ImageCorrupt("jxl: no codestream")
    height, width = _size(bits)
    orientation, depth, alpha, grey, channels = 1, 8, False, False, 0
    if not bits.u(1):
        orientation = _extra_fields(bits) if bits.u(1) else 1
        depth = _bit_depth(bits)
        bits.u(1)
        channels, alpha = _extra_channels(bits)
        bits.u(1)
        grey = _is_grey(bits)
    if orientation >= _TURNED:
        width, height = height, width
    meta = sum(end - at for name, at, end in boxes if name in {b"Exif", b"xml ", b"jumb", b"brob"})
    return MediaInfo(
        Format.JXL, width, height, channels=(1 if grey else 3) + channels, bits=depth, has_alpha=alpha,
        turned=orientation, metadata_bytes=meta,
    )  # fmt: skip


def _boxes(source: Buffer) -> Iterator[tuple[bytes, int, int]]:
    at = 0
    for _ in range(_MAX_BOXES):
        if at + 8 > len(source):
            return
        (size,) = unpack_from(">I", source, at)
        body = at + 8
        if size == 1:
            (size,) = unpack_from(">Q", source, body)
            body += 8
        end = len(source) if size == 0 else min(at + size, len(source))
        if end < body:
            raise ImageCorrupt("jxl: a box shorter than its own header")
        yield bytes(source[at + 4 : at + 8]), body, end
        at = end
    raise ImageCorrupt(f"jxl: more than {_MAX_BOXES} boxes")


def codestream(source: Buffer) -> bytes:
    """All of the codestream in *source*, and nothing else."""
    return bytes(source) if bytes(source[:2]) == BARE else _parts(source, tuple(_boxes(source)), len(source))


def _parts(source: Buffer, boxes: tuple[tuple[bytes, int, int], ...], most_bytes: int) -> bytes:
    parts, left = [], most_bytes
    for name, at, end in boxes:
        start = at + 4 if name == b"jxlp" else at
        if name in {b"jxlc", b"jxlp"} and left > 0:
            parts.append(bytes(source[start : min(end, start + left)]))
            left -= len(parts[-1])
    return b"".join(parts)


def _size(bits: _Bits) -> tuple[int, int]:
    """Height and width."""
    small = bits.u(1)
    height = _side(bits, small=small)
    across, down = _RATIOS.get(bits.u(3), (0, 0))
    return height, height * across // down if across else _side(bits, small=small)


def _side(bits: _Bits, *, small: int) -> int:
    return 8 * (1 + bits.u(5)) if small else bits.u32((1, 9), (1, 13), (1, 18), (1, 30))


def _extra_fields(bits: _Bits) -> int:
    orientation = 1 + bits.u(3)
    if bits.u(1):
        _size(bits)
    if bits.u(1):
        _preview(bits)
    if bits.u(1):
        raise UnsupportedSourceType("the source is a JPEG XL of several frames")
    return orientation


def _preview(bits: _Bits) -> None:
    eighths = bits.u(1)
    forms = ((16, 0), (32, 0), (1, 5), (33, 9)) if eighths else ((1, 6), (65, 8), (321, 10), (1345, 12))
    bits.u32(*forms)
    if not bits.u(3):
        bits.u32(*forms)


def _bit_depth(bits: _Bits) -> int:
    if bits.u(1):
        depth = bits.u32((32, 0), (16, 0), (24, 0), (1, 6))
        bits.u(4)
        return depth
    return bits.u32((8, 0), (10, 0), (12, 0), (1, 6))


def _extra_channels(bits: _Bits) -> tuple[int, bool]:
    """How many there are, and whether one is transparency."""
    count = bits.u32((0, 0), (1, 0), (2, 4), (1, 12))
    if count > _MOST_CHANNELS:
        raise ImageCorrupt(f"jxl: {count} channels beside the colours")
    return count, _ALPHA in {_extra_channel(bits) for _ in range(count)}


def _extra_channel(bits: _Bits) -> int:
    if bits.u(1):
        return _ALPHA
    kind = bits.enum()
    _bit_depth(bits)
    bits.u32((0, 0), (3, 0), (4, 0), (1, 3))
    bits.u(8 * bits.u32((0, 0), (0, 4), (16, 5), (48, 10)))
    if kind == _ALPHA:
        bits.u(1)
    elif kind == _SPOT:
        bits.u(64)
    elif kind == _FILTER:
        bits.u32((1, 0), (0, 2), (3, 4), (19, 8))
    return kind


def _is_grey(bits: _Bits) -> bool:
    if bits.u(1):
        return False
    bits.u(1)
    return bits.enum() == _GREY
