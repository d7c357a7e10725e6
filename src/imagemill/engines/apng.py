"""Write APNG: a PNG of several frames, of which each but the first holds only what changed.

Takes    frames of eight bits: grey or RGB, with alpha or without.
Units    level 0 to 9 as zlib counts it; delays in milliseconds.
Source   PNG 3rd edition, sections 11.3.6 (acTL, fcTL, fdAT) and 12.12 (filters).
"""

import zlib
from itertools import chain, repeat
from struct import pack
from typing import Any

import numpy as np

from imagemill.engines.png_parts import SIGNATURE, chunk
from imagemill.engines.timing import Timing

_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}
_UP = 2
_KEEP, _REPLACE = 0, 0
_MOST_DELAY = 0xFFFF


def animation(frames: Any, level: int, timing: Timing) -> bytes:
    """Pictures of one size: frames, rows, columns, bands."""
    count, height, width, bands = frames.shape
    made = SIGNATURE + chunk(b"IHDR", pack(">IIBBBBB", width, height, 8, _COLOUR_TYPES[bands], 0, 0, 0))
    made += chunk(b"acTL", pack(">II", count, timing.loops))
    sequence, parts = 0, []
    for n, delay_ms in zip(range(count), chain(timing.delays_ms, repeat(0)), strict=False):
        top, bottom, left, right = _changed(frames[n - 1], frames[n]) if n else (0, height, 0, width)
        box = (right - left, bottom - top, left, top)
        parts.append(
            chunk(b"fcTL", pack(">IIIIIHHBB", sequence, *box, *_fraction(delay_ms), _KEEP, _REPLACE))
        )  # fmt: skip
        pixels = zlib.compress(_filtered(frames[n, top:bottom, left:right]), level)
        sequence += 1 if n == 0 else 2
        parts.append(chunk(b"fdAT", pack(">I", sequence - 1) + pixels) if n else chunk(b"IDAT", pixels))
    return made + b"".join(parts) + chunk(b"IEND", b"")


def _changed(before: Any, after: Any) -> tuple[int, int, int, int]:
    """Top, bottom, left and right of what differs; one pixel where nothing does."""
    differs = (before != after).any(axis=2)
    rows, columns = np.flatnonzero(differs.any(axis=1)), np.flatnonzero(differs.any(axis=0))
    if not len(rows):
        return 0, 1, 0, 1
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1


def _filtered(rows: Any) -> bytes:
    """Each row less the one above, behind the number of that filter."""
    height, width, bands = rows.shape
    flat = np.ascontiguousarray(rows).reshape(height, width * bands)
    made = np.empty((height, width * bands + 1), np.uint8)
    made[:, 0] = _UP
    made[0, 1:] = flat[0]
    made[1:, 1:] = flat[1:] - flat[:-1]
    raw: bytes = made.tobytes()
    return raw


def _fraction(delay_ms: int) -> tuple[int, int]:
    """A delay as two numbers of 16 bits: exact up to 65 s, and beyond where it is of whole hundredths."""
    for parts in (1000, 100, 10, 1):
        if delay_ms * parts % 1000 == 0 and delay_ms * parts // 1000 <= _MOST_DELAY:
            return delay_ms * parts // 1000, parts
    return min(round(delay_ms / 100), _MOST_DELAY), 10
