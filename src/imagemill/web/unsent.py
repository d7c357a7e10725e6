"""Answers that clients have not taken yet: bounded in bytes, over all connections of a port.

Bounded  a body that many are slow to read is one body in memory, and counts once. Past the bound, who has let an answer
         wait for longest is cut off: whoever reads at all has long gone by then.
Units    bytes of whole bodies, from `LEAST_BYTES` up: a transport holds a body until its last byte has left.
"""

from collections import Counter
from collections.abc import Callable
from typing import Protocol

BODY = "imagemill.body"
"""The key of a scope under which an application shows the body it sends."""
LEAST_BYTES = 64 * 1024


class Reader(Protocol):
    """A connection that an answer was written to."""

    def has_taken_all(self) -> bool:
        """Whether nothing waits for it any more."""
        ...

    def cut_off(self) -> None:
        """End the connection, and let what waits for it go."""
        ...


class Unsent:
    """Who has an answer waiting, the one that waits longest first."""

    def __init__(self, most_bytes: int, cut: Callable[[], None] = lambda: None) -> None:
        self._most_bytes = most_bytes
        self._cut = cut
        self._bodies: dict[Reader, bytes] = {}
        self._holders: Counter[int] = Counter()  # by the identity of a body, which `_bodies` keeps alive
        self.bytes = 0

    def add(self, reader: Reader, body: bytes) -> None:
        """Count *body*, written to *reader* now, and make room for it."""
        if self._bodies:
            self.drop(reader)
        if len(body) < LEAST_BYTES:
            return
        self._bodies[reader] = body
        self._holders[id(body)] += 1
        self.bytes += len(body) * (self._holders[id(body)] == 1)
        if self.bytes > self._most_bytes:
            self._make_room(reader)

    def drop(self, reader: Reader) -> None:
        """Forget *reader*, known or not."""
        body = self._bodies.pop(reader, b"")
        if body:
            self._holders[id(body)] -= 1
            if not self._holders[id(body)]:
                del self._holders[id(body)]
                self.bytes -= len(body)

    def _make_room(self, newest: Reader) -> None:
        for reader in [r for r in self._bodies if r.has_taken_all()]:
            self.drop(reader)
        for reader in list(self._bodies):
            if self.bytes <= self._most_bytes or reader is newest:
                return
            self.drop(reader)
            self._cut()
            reader.cut_off()
