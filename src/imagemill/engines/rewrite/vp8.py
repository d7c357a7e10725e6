"""The header of a VP8 key frame, as far as it says into how many parts its pixels are cut.

Source   RFC 6386: 7.3 (the decoder of bits), 9.2 to 9.6 and 19.2 (the header).
"""

from itertools import repeat

_HEAD_BYTES = 10
_DELTA_BITS = (7, 6)
"""Of a segment's quantiser, and of its filter; each has a sign beside."""


def has_one_part(frame: bytes) -> bool:
    """Whether all pixels of *frame* are in one stream, of which it can be seen where it ends.

    Raises:
        IndexError: It breaks off.
    """
    bits = _Bits(frame[_HEAD_BYTES:])
    bits.take(2)  # colours, and whether they are cut to their range
    if bits.take(1):
        _skip_segments(bits)
    bits.take(1 + 6 + 3)  # the filter
    if bits.take(1) and bits.take(1):
        _skip_each(bits, 8, 6 + 1)
    return bits.take(2) == 0


def _skip_segments(bits: "_Bits") -> None:
    has_map, has_values = bits.take(1), bits.take(1)
    if has_values:
        bits.take(1)
        for width in _DELTA_BITS:
            _skip_each(bits, 4, width + 1)
    if has_map:
        _skip_each(bits, 3, 8)


def _skip_each(bits: "_Bits", count: int, width: int) -> None:
    """So many values, each there or not."""
    for _ in repeat(None, count):
        if bits.take(1):
            bits.take(width)


class _Bits:
    """The boolean decoder, for bits that are as often 0 as 1."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._value = data[0] << 8 | data[1]
        self._at, self._range, self._shifted = 2, 255, 0

    def take(self, count: int) -> int:
        """The next *count* as a number."""
        value = 0
        for _ in repeat(None, count):
            value = value << 1 | self._bit()
        return value

    def _bit(self) -> int:
        split = 1 + (self._range - 1 >> 1)
        found = self._value >= split << 8
        self._value -= (split << 8) * found
        self._range = self._range - split if found else split
        while self._range < 128:  # noqa: PLR2004 - half of what it may be
            self._value, self._range = self._value << 1, self._range << 1
            self._shifted += 1
            if self._shifted == 8:  # noqa: PLR2004 - bits of a byte
                self._value |= self._data[self._at]
                self._at, self._shifted = self._at + 1, 0
        return int(found)
