"""Write TIFF: one picture, compressed by zlib behind a horizontal predictor, which every reader knows.

Takes    rows of 8 or 16 bits a sample: grey or RGB, with straight alpha or without.
Units    level 0 to 9 as zlib counts it.
Source   TIFF 6.0; Adobe's TIFF technical note 3 of 2002 (compression 8); metadata in tags 700, 33723 and 34675.
"""

import zlib
from itertools import accumulate
from struct import pack
from typing import Any

from imagemill.engines import exif
from imagemill.engines.exif import LONG, SHORT, Directory, Entry
from imagemill.engines.extras import Extras

_BYTE, _UNDEFINED = 1, 7
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _OFFSETS = 0x0100, 0x0101, 0x0102, 0x0103, 0x0106, 0x0111
_SAMPLES, _ROWS, _COUNTS, _PREDICTOR, _EXTRA = 0x0115, 0x0116, 0x0117, 0x013D, 0x0152
_XMP, _IPTC, _ICC = 0x02BC, 0x83BB, 0x8773
_DEFLATE, _HORIZONTAL, _STRAIGHT_ALPHA = 8, 2, 2
_GREY, _RGB = 1, 2
_GREY_BANDS = 2
_STRIP_BYTES = 256 * 1024
_START = 8


def still(rows: Any, level: int, extras: Extras) -> bytes:
    """One picture: rows, columns, bands."""
    block = exif.read(extras.exif)
    order = block.order
    height, _, bands = rows.shape
    each = max(1, _STRIP_BYTES // rows[0].nbytes)
    strips = [zlib.compress(_predicted(rows[n : n + each], order), level) for n in range(0, height, each)]
    pixels = b"".join(strips)
    pixels += b"\0" * (len(pixels) % 2)
    offsets = list(accumulate(map(len, strips[:-1]), initial=_START))

    def numbers(kind: int, *values: int) -> Entry:
        letter = "H" if kind == SHORT else "I"
        return Entry(kind, len(values), pack(f"{order}{len(values)}{letter}", *values))

    entries = block.top.entries | {
        _WIDTH: numbers(LONG, rows.shape[1]), _HEIGHT: numbers(LONG, height),
        _BITS: numbers(SHORT, *[rows.itemsize * 8] * bands), _COMPRESSION: numbers(SHORT, _DEFLATE),
        _PHOTOMETRIC: numbers(SHORT, _RGB if bands > _GREY_BANDS else _GREY), _OFFSETS: numbers(LONG, *offsets),
        _SAMPLES: numbers(SHORT, bands), _ROWS: numbers(LONG, each), _COUNTS: numbers(LONG, *map(len, strips)),
        _PREDICTOR: numbers(SHORT, _HORIZONTAL),
    }  # fmt: skip
    if bands % 2 == 0:
        entries[_EXTRA] = numbers(SHORT, _STRAIGHT_ALPHA)
    blobs = ((_XMP, _BYTE, extras.xmp), (_IPTC, _UNDEFINED, extras.iptc), (_ICC, _UNDEFINED, extras.icc))
    entries |= {tag: Entry(kind, len(raw), raw) for tag, kind, raw in blobs if raw}
    at = _START + len(pixels)
    return exif.header(order, at) + pixels + exif.laid_out(Directory(entries, block.top.below), order, at)


def _predicted(rows: Any, order: str) -> bytes:
    """Each sample less its neighbour to the left."""
    made = rows.copy()
    made[:, 1:] -= rows[:, :-1]
    raw: bytes = made.astype(made.dtype.newbyteorder(order)).tobytes()
    return raw
