"""Remember what ended workers, so that the same bomb is not decoded again and again (threat L17).

Keys     a source that crashed workers, whatever was asked of it; a source with its tasks where they ran out of time:
         a dear recipe must not take an innocent source away from everyone else.
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
_Name = tuple[int, bytes]


class Poison:
    """A bounded memory of sources: by length first, so that an innocent source is hashed only on a match."""

    def __init__(self, ttl_s: float) -> None:
        self._ttl_s = ttl_s
        self._kills: dict[_Name, tuple[int, float]] = {}
        self._lengths: set[int] = set()

    def suspects(self, source: bytes) -> bool:
        """Whether it takes a hash to know that *source* is innocent."""
        return len(source) in self._lengths

    def refuse(self, source: bytes, tasks: Sequence[Task]) -> None:
        """Raise what *source*, or *tasks* of it, ended in twice; else do nothing."""
        if not self.suspects(source):
            return
        if self._holds(_source_name(source)):
            raise ImageCorrupt("this source ended workers before; it is not decoded for a while")
        if self._holds(_work_name(source, tasks)):
            raise ProcessingTimeout("this took too long before; it is not tried for a while")

    def blame_source(self, source: bytes) -> bool:
        """Count a crash; whether it was one too many."""
        return self._blame(_source_name(source))

    def blame_work(self, source: bytes, tasks: Sequence[Task]) -> None:
        """Count a deadline that was spent computing."""
        self._blame(_work_name(source, tasks))

    def _holds(self, name: _Name) -> bool:
        kills, until = self._kills.get(name, (0, 0.0))
        return kills >= _STRIKES and time.monotonic() < until

    def _blame(self, name: _Name) -> bool:
        now = time.monotonic()
        kills, until = self._kills.pop(name, (0, 0.0))
        kills = kills + 1 if now < until else 1
        self._kills[name] = (kills, now + self._ttl_s)
        while len(self._kills) > _MOST:
            self._kills.pop(next(iter(self._kills)))
        self._lengths = {length for length, _ in self._kills}
        return kills >= _STRIKES


def _source_name(source: bytes) -> _Name:
    return len(source), sha256(source).digest()


def _work_name(source: bytes, tasks: Sequence[Task]) -> _Name:
    return len(source), sha256(sha256(source).digest() + wire.write(wire.Job(0, tuple(tasks)))).digest()
