"""Which part of a finished body a client wants: one range of bytes, or all of it.

Units    bytes, counted from 0.
Errors   `RangeNotSatisfiable` for a range that is well-formed and begins behind the end.
Source   RFC 9110 sections 14.1.2 (byte ranges), 14.2 (a Range may be ignored), 13.1.5 (If-Range), 15.5.17 (416).
"""

import re

from msgspec import Struct

from imagemill.model.errors import RangeNotSatisfiable

_MOST_FIELD_BYTES = 64  # "bytes=", two numbers of 64 bits, and room to spare
_ONE = re.compile(rb"bytes=([0-9]*)-([0-9]*)", re.IGNORECASE)


class Part(Struct, frozen=True):
    """A range of a body, both ends included."""

    first: int
    last: int
    size_bytes: int
    """Of the whole body."""

    @property
    def content_range(self) -> bytes:
        """As a ``Content-Range`` value."""
        return b"bytes %d-%d/%d" % (self.first, self.last, self.size_bytes)

    def of(self, body: bytes) -> bytes:
        """The part itself."""
        return body[self.first : self.last + 1]


def part(field: bytes, size_bytes: int) -> Part | None:
    """The one range that a ``Range`` value asks for; None where the whole is to be answered with.

    That is for several ranges (they would multiply the work and the bytes), other units, and what is ill-formed.

    Raises:
        RangeNotSatisfiable: nothing of the body lies in it.
    """
    found = _ONE.fullmatch(field) if len(field) <= _MOST_FIELD_BYTES else None
    if not found or field.endswith(b"=-"):
        return None
    first, last = found.groups()
    if not first:
        return _suffix(int(last), size_bytes)
    if last and int(last) < int(first):
        return None
    if int(first) >= size_bytes:
        raise RangeNotSatisfiable(size_bytes)
    return Part(int(first), min(int(last), size_bytes - 1) if last else size_bytes - 1, size_bytes)


def _suffix(length: int, size_bytes: int) -> Part:
    if not length or not size_bytes:
        raise RangeNotSatisfiable(size_bytes)
    return Part(max(0, size_bytes - length), size_bytes - 1, size_bytes)
