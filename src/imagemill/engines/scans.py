"""Leave out of a progressive JPEG the scans that a much smaller picture of it does not show.

A progressive file tells each coefficient several times over, more and more finely, and its last scan, the last bit of
the brightness, is often as long as all others. Decoded at a quarter, a picture shows little of that bit; decoded at an
eighth, nothing of a block but its mean. What is left is a whole JPEG: each of its scans refines one that is there.

Units    `shrink` as in `plan.resolve`.
Errors   none: what is not understood is given back as it came, and decoded in full.
Source   ITU T.81 B.2 and G.1; libjpeg-turbo 3.1 jdmaster.c and jdcoefct.c. At an eighth the first AC scan is kept:
         where there is none at all, libjpeg-turbo smooths the means, too.
"""

import re
import struct
from struct import unpack_from

from msgspec import Struct

Buffer = bytes | memoryview

_FROM_SHRINK, _MEANS_ONLY_SHRINK = 4, 8
_FINE = 6
"""Largest step of the two lowest AC coefficients of which the last bit is not missed: that of libjpeg's quality 75."""
_MARKER = re.compile(b"\xff[\x01-\xcf\xd8-\xfe]")
"""No such pair stands in coded data: there, 0xff is followed by 0 or is a restart."""
_MOST_SEGMENTS = 1_000
"""A file of a hundred scans has less; one of millions would take seconds to be read here."""
_SOF2, _EOI, _SOS, _DQT = 0xC2, 0xD9, 0xDA, 0xDB


class _Component(Struct, frozen=True):
    identifier: int
    sampling: int
    table: int


class _Scan(Struct, frozen=True):
    begin: int
    end: int
    component: int
    """-1 where there are several."""
    first: int
    """Lowest coefficient; 0 for the mean."""
    before: int
    """Bits left open by the scan that this one refines; 0 for the first of its kind."""
    left: int
    """Bits that this one leaves open."""


class _File(Struct):
    components: list[_Component] = []
    steps: dict[int, bytes] = {}
    """Table to its first steps, coefficient by coefficient; missing where they have 16 bits."""
    scans: list[_Scan] = []


def shortened(source: Buffer, shrink: int) -> Buffer:
    """*source*, a progressive JPEG that is to be decoded at ``1/shrink``, without what that does not show."""
    if shrink < _FROM_SHRINK:
        return source
    try:
        file = _read(source)
    except (struct.error, IndexError):
        return source
    unseen = [scan for scan in file.scans if _is_unseen(scan, file, shrink)] if file else []
    if not unseen:
        return source
    kept, at = [], 0
    for scan in unseen:
        kept.append(source[at : scan.begin])
        at = scan.end
    return b"".join([*kept, source[at:]])


def _is_unseen(scan: _Scan, file: _File, shrink: int) -> bool:
    """Whether *scan* may go: nothing refines it that stays, and it shows nothing, or next to nothing."""
    if not scan.first or scan.component < 0:
        return False
    component = next((c for c in file.components if c.identifier == scan.component), None)
    if component is None:
        return False
    if shrink >= _MEANS_ONLY_SHRINK and component.sampling == _largest(file):
        return scan.first > 1 or scan.before > 0
    last_bit = scan.before == 1 and not scan.left
    return last_bit and component is file.components[0] and _is_fine(file.steps.get(component.table, b""))


def _largest(file: _File) -> int:
    """Sampling factors of a component that is stored at full size, in both directions; -1 where there is none."""
    across = max(c.sampling >> 4 for c in file.components)
    down = max(c.sampling & 15 for c in file.components)
    return across << 4 | down


def _is_fine(steps: bytes) -> bool:
    return 0 < max(steps[1:3], default=0) <= _FINE


def _read(source: Buffer) -> _File | None:
    """What the markers of a file say, up to its end; None where it has none, or is of another kind."""
    file, at = _File(), 2
    for _ in range(_MOST_SEGMENTS):
        found = _MARKER.search(source, at)
        if found is None:
            return None
        begin, marker = found.start(), source[found.start() + 1]
        if marker == _EOI:
            return file if file.components else None
        (length,) = unpack_from(">H", source, begin + 2)
        body, at = begin + 4, begin + 2 + length
        if marker == _DQT:
            file.steps |= _tables(bytes(source[body:at]))
        elif marker == _SOF2:
            if file.components:
                return None  # no decoder takes another, and hundreds of large ones would take seconds
            file.components = [_Component(*unpack_from("BBB", source, n)) for n in range(body + 6, at, 3)]
        elif marker == _SOS:
            end = _MARKER.search(source, at)
            if end is None or not file.components:
                return None
            file.scans.append(_scan(source, begin, end.start()))
            at = end.start()
    return None


def _scan(source: Buffer, begin: int, end: int) -> _Scan:
    count = source[begin + 4]
    first, _, bits = unpack_from("BBB", source, begin + 5 + 2 * count)
    return _Scan(begin, end, source[begin + 5] if count == 1 else -1, first, bits >> 4, bits & 15)


def _tables(body: bytes) -> dict[int, bytes]:
    """The tables of eight bits in one segment."""
    found, at = {}, 0
    while at < len(body):
        wide, number = body[at] >> 4, body[at] & 15
        size = 128 if wide else 64
        if not wide:
            found[number] = body[at + 1 : at + 1 + size]
        at += 1 + size
    return found
