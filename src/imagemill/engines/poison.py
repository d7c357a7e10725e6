"""Remember what ended workers, so that the same bomb is not decoded again and again (threat L17).

Keys     a source that crashed workers, whatever was asked of it, and be it a layer; a source with its tasks and layers
         where they ran out of time: a dear recipe must not take an innocent source away from everyone else.
Units    seconds on the monotonic clock.
"""

import time
from collections.abc import Sequence
from hashlib import sha256

from imagemill.engines import wire
from imagemill.engines.base import Task
from imagemill.model.errors import ImageCorrupt, ProcessingTimeout

_MOST = 1_000
_STRIKES = 2
Name = tuple[int, bytes]


class Poison:
    """A bounded memory of sources: by length first, so that an innocent source is hashed only on a match."""

    def __init__(self, ttl_s: float) -> None:
        self._ttl_s = ttl_s
        self._kills: dict[Name, tuple[int, float]] = {}
        self._lengths: set[int] = set()

    def suspects(self, source: bytes) -> bool:
        """Whether *source* may be one of them: only then is its name worth working out."""
        return len(source) in self._lengths

    def refuse(self, source: Name, tasks: Sequence[Task], layers: Sequence[Name] = ()) -> None:
        """Raise what *source*, or *tasks* of it with *layers*, ended in twice; else do nothing."""
        self.refuse_source(source)
        if self._holds(_work_name(source, tasks, layers)):
            raise ProcessingTimeout("this took too long before; it is not tried for a while")

    def refuse_source(self, source: Name) -> None:
        """Raise where *source*, be it a layer's, ended workers twice; else do nothing."""
        if self._holds(source):
            raise ImageCorrupt("this source ended workers before; it is not decoded for a while")

    def blame_source(self, source: Name) -> bool:
        """Count a crash; whether it was one too many."""
        return self._blame(source)

    def blame_work(self, source: Name, tasks: Sequence[Task], layers: Sequence[Name] = ()) -> None:
        """Count a deadline that was spent computing."""
        self._blame(_work_name(source, tasks, layers))

    def _holds(self, name: Name) -> bool:
        kills, until = self._kills.get(name, (0, 0.0))
        return kills >= _STRIKES and time.monotonic() < until

    def _blame(self, name: Name) -> bool:
        now = time.monotonic()
        kills, until = self._kills.pop(name, (0, 0.0))
        kills = kills + 1 if now < until else 1
        self._kills[name] = (kills, now + self._ttl_s)
        while len(self._kills) > _MOST:
            self._kills.pop(next(iter(self._kills)))
        self._lengths = {length for length, _ in self._kills}
        return kills >= _STRIKES


def name_of(source: bytes) -> Name:
    """What a source is known by; takes 30 ms for 32 MiB, and lets other threads run meanwhile."""
    return len(source), sha256(source).digest()


def _work_name(source: Name, tasks: Sequence[Task], layers: Sequence[Name]) -> Name:
    size, digest = source
    digests = b"".join((digest, *(each for _, each in layers)))
    return size, sha256(digests + wire.write(wire.Job(0, tuple(tasks)))).digest()
