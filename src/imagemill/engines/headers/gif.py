"""The header of a GIF.

Source   GIF89a.
"""

from struct import unpack_from

from imagemill.engines.headers.base import Buffer
from imagemill.model.errors import ImageCorrupt
from imagemill.model.media import Format, MediaInfo

_MAX_GIF_BLOCKS = 250_000


def read(source: Buffer) -> MediaInfo:
    """What the blocks say; no pixel is unpacked."""
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
