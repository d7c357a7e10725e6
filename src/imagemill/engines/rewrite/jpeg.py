"""JPEG: tables, frame and scans; markers that say how colours are stored are written as the standards have them.

Takes    Huffman-coded DCT of eight bits. Whether the scans end where they should is for a strict decoder to say.
Source   ITU T.81 B.2, F.1.2; JFIF 1.02; T.872 6.5.3 (Adobe).
"""

import re
import struct
from collections.abc import Callable
from struct import unpack_from

_BEGIN = 0xFF
_SOF, _EOI, _SOS, _DQT, _DHT, _DRI, _APP0, _APP14 = {0xC0, 0xC1, 0xC2}, 0xD9, 0xDA, 0xDB, 0xC4, 0xDD, 0xE0, 0xEE
_DROPPED = {*range(0xE0, 0xF0), 0xFE}
_MARKER = re.compile(b"\xff[^\x00\xff\xd0-\xd7]")
_JFIF = b"\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
_ADOBE = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00"
_MOST_SEGMENTS = 2_000
_MOST_DC, _MOST_AC = 11, 10
"""Bits of a difference and of a coefficient, of samples of eight bits."""


def rewritten(source: bytes) -> bytes | None:
    """*source* with nothing in it but its picture; None where it holds what is not known here."""
    try:
        return _rewritten(source)
    except (struct.error, IndexError):
        return None


def _rewritten(source: bytes) -> bytes | None:
    out, at, file = [b"\xff\xd8"], 2, _File()
    for _ in range(_MOST_SEGMENTS):
        at = _past_fill(source, at)
        marker = source[at + 1]
        if source[at] != _BEGIN:
            return None
        if marker == _EOI:
            return b"".join([*out, b"\xff\xd9"]) if file.is_done() else None
        (length,) = unpack_from(">H", source, at + 2)
        body, at = source[at + 4 : at + 2 + length], at + 2 + length
        if len(body) != length - 2 or not file.takes(marker, body):
            return None
        out.append(_segment(marker, body))
        if marker == _SOS:
            end = _MARKER.search(source, at)
            if end is None:
                return None
            out.append(source[at : end.start()].rstrip(b"\xff"))
            at = end.start()
    return None


def _past_fill(source: bytes, at: int) -> int:
    while source[at] == source[at + 1] == _BEGIN:
        at += 1
    return at


class _File:
    """What was met so far: every table is of use to what follows it."""

    def __init__(self) -> None:
        self._quantisation: set[int] = set()
        self._used: set[int] | None = None
        self._pending: set[int] = set()
        self._scans = 0

    def takes(self, marker: int, body: bytes) -> bool:
        """Whether a segment holds what it must and not a byte more, and comes where it may."""
        if marker == _DQT:
            return self._adds(body, self._quantisation, lambda at: 129 if body[at] >> 4 else 65, 15)
        if marker == _DHT:
            return _is_all_codes(body) and self._adds(
                body, self._pending, lambda at: 17 + sum(body[at + 1 : at + 17]), 255
            )
        if marker in _SOF:
            if self._used is not None or body[0] != 8 or len(body) != 6 + 3 * body[5]:  # noqa: PLR2004
                return False
            self._used = {body[n] for n in range(8, len(body), 3)}
            return True
        if marker == _SOS:
            return self._scan(body)
        return len(body) == 2 if marker == _DRI else marker in _DROPPED  # noqa: PLR2004

    def is_done(self) -> bool:
        """Whether there was a picture, and no table that nothing needs."""
        return self._scans > 0 and self._quantisation == self._used and not self._pending

    def _scan(self, body: bytes) -> bool:
        if self._used is None or len(body) != 4 + 2 * body[0]:
            return False
        first, last = body[-3], body[-2]
        for n in range(2, len(body) - 3, 2):
            if first == 0:
                self._pending.discard(body[n] >> 4)
            if last > 0:
                self._pending.discard(16 | body[n] & 15)
        self._scans += 1
        return True

    @staticmethod
    def _adds(body: bytes, known: set[int], length: Callable[[int], int], mask: int) -> bool:
        at = 0
        while at < len(body):
            if body[at] & mask in known:
                return False
            known.add(body[at] & mask)
            at += length(at)
        return at == len(body)


def _is_all_codes(body: bytes) -> bool:
    """Whether Huffman tables hold nothing but symbols that may be met, each once: those without use could be a text."""
    at = 0
    while at < len(body):
        begin, end = at + 17, at + 17 + sum(body[at + 1 : at + 17])
        symbols, is_ac = body[begin:end], body[at] >> 4
        known = all(s & 15 <= _MOST_AC for s in symbols) if is_ac else all(s <= _MOST_DC for s in symbols)
        if not known or len(set(symbols)) < len(symbols):
            return False
        at = end
    return True


def _segment(marker: int, body: bytes) -> bytes:
    if marker == _APP0 and body.startswith(b"JFIF\0"):
        return _JFIF
    if marker == _APP14 and body.startswith(b"Adobe") and len(body) == 12:  # noqa: PLR2004 - fixed by T.872
        return _ADOBE + body[11:12]
    if marker in _DROPPED:
        return b""
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body
