"""The stream of one still AV1 picture: its sequence header and its frame, of one tile, and nothing beside them.

Takes    the reduced header of stills, which encoders write by themselves; a frame in one unit and in one tile, for the
         ends of tiles before the last cannot be seen from outside.
Source   AV1 Bitstream & Decoding Process Specification, 5.3 to 5.5 and 5.9.
"""

from collections.abc import Iterator

from msgspec import Struct

_SEQUENCE, _DELIMITER, _METADATA, _FRAME, _PADDING = 1, 2, 5, 6, 15
_DROPPED = frozenset({_DELIMITER, _METADATA, _PADDING})
_HAS_SIZE = 0x02
_EXTENSION_OR_RESERVED = 0x85
_MAX_TILE_WIDTH, _MAX_TILE_AREA, _MAX_TILES = 4096, 4096 * 2304, 64
_BT709, _SRGB, _IDENTITY = 1, 13, 0
_TRIMMED_BYTES = 12


class Still(Struct, frozen=True):
    """What is needed of a stream."""

    sequence: bytes
    frame: bytes

    @property
    def data(self) -> bytes:
        """The stream again."""
        return _unit(_SEQUENCE, self.sequence) + _unit(_FRAME, self.frame)

    @property
    def shortened(self) -> "Still":
        """Without its end, which a decoder must miss."""
        return Still(self.sequence, self.frame[:-_TRIMMED_BYTES])


class _Sequence(Struct, frozen=True):
    width: int
    height: int
    large_blocks: bool
    superres: bool


def read(data: bytes) -> Still | None:
    """*data* as a still, or None where it is of a kind that is not known here; `IndexError` where it breaks off."""
    units = [unit for unit in _units(data) if unit[0] not in _DROPPED]
    match units:
        case [(1, sequence), (6, frame)]:
            said = _sequence(sequence)
            return Still(sequence, frame) if said and _has_one_tile(frame, said) else None
    return None


def _units(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(data):
        head = data[at]
        kind = head >> 3 & 15
        if head & _EXTENSION_OR_RESERVED or not head & _HAS_SIZE:
            raise IndexError
        size, at = _leb128(data, at + 1)
        if at + size > len(data):
            raise IndexError
        yield kind, data[at : at + size]
        at += size


def _leb128(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for n in range(5):
        value |= (data[at + n] & 0x7F) << 7 * n
        if not data[at + n] & 0x80:
            return value, at + n + 1
    raise IndexError


def _unit(kind: int, body: bytes) -> bytes:
    size, left = bytearray(), len(body)
    while left > 0x7F:  # noqa: PLR2004 - seven bits a byte
        size.append(left & 0x7F | 0x80)
        left >>= 7
    return bytes([kind << 3 | _HAS_SIZE, *size, left]) + body


class _Bits:
    """Bits from the highest on."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, count: int = 1) -> int:
        """The next *count* as a number, or `IndexError`."""
        value = 0
        for _ in range(count):
            value = value << 1 | self._data[self._at >> 3] >> 7 - (self._at & 7) & 1
            self._at += 1
        return value

    def end_here(self) -> bool:
        """Whether nothing but the mark of an end is left."""
        rest = int.from_bytes(self._data, "big") & (1 << 8 * len(self._data) - self._at) - 1
        left = 8 * len(self._data) - self._at
        return 1 <= left <= 8 and rest == 1 << left - 1  # noqa: PLR2004


def _sequence(body: bytes) -> _Sequence | None:
    """What a sequence header says, where it is a still's and holds no more than that."""
    bits = _Bits(body)
    profile, still, reduced = bits.take(3), bits.take(), bits.take()
    if not (still and reduced and profile <= 2):  # noqa: PLR2004
        return None
    bits.take(5)
    across, down = bits.take(4) + 1, bits.take(4) + 1
    width, height = bits.take(across) + 1, bits.take(down) + 1
    large_blocks = bool(bits.take())
    bits.take(2)
    superres = bool(bits.take())
    bits.take(2)
    _skip_colours(bits, profile)
    grain = bits.take()
    return _Sequence(width, height, large_blocks, superres) if bits.end_here() and not grain else None


def _skip_colours(bits: _Bits, profile: int) -> None:
    deep = bits.take()
    twelve = profile == 2 and deep and bits.take()  # noqa: PLR2004
    grey = profile != 1 and bits.take()
    said = (bits.take(8), bits.take(8), bits.take(8)) if bits.take() else (2, 2, 2)
    if grey:
        bits.take()
        return
    if said == (_BT709, _SRGB, _IDENTITY):
        halved = False
    else:
        bits.take()
        halved = profile == 0
        if profile == 2 and twelve and bits.take():  # noqa: PLR2004
            halved = bool(bits.take())
    if halved:
        bits.take(2)
    bits.take()


def _has_one_tile(frame: bytes, said: _Sequence) -> bool:
    """Whether the header of *frame* says so; scaled frames are not known here."""
    bits = _Bits(frame)
    bits.take()  # whether probabilities are not updated
    screen = bits.take()
    if screen:
        bits.take()
    if said.superres and bits.take():
        return False
    if bits.take():  # shown at another size
        return False
    if screen:
        bits.take()
    if not bits.take():  # tiles of sizes of their own
        return False
    shift = 5 if said.large_blocks else 4
    columns, rows = ((2 * (side + 7 >> 3) + (1 << shift) - 1) >> shift for side in (said.width, said.height))
    least = _log2(_MAX_TILE_WIDTH >> shift + 2, columns)
    needed = max(least, _log2(_MAX_TILE_AREA >> 2 * (shift + 2), rows * columns))
    if least or needed:
        return False
    more_columns = _log2(1, min(columns, _MAX_TILES)) > 0 and bits.take()
    more_rows = not more_columns and _log2(1, min(rows, _MAX_TILES)) > 0 and bits.take()
    return not (more_columns or more_rows)


def _log2(block: int, target: int) -> int:
    found = 0
    while block << found < target:
        found += 1
    return found
