"""Which of a job's sources is at fault where a worker ends under it: named off the loop, kept by `engines.poison`.

Errors   of a layer they name it.
"""

import asyncio
from collections.abc import Sequence

from imagemill.engines.base import Layers, Task
from imagemill.engines.poison import Name, Poison, name_of
from imagemill.model.errors import ImageCorrupt
from imagemill.model.source import SourceRef, at_fault

_HASHED_AT_ONCE = 256 * 1024


class Blame:
    """What has ended workers before."""

    def __init__(self, ttl_s: float) -> None:
        self._poison = Poison(ttl_s)

    async def refuse(self, source: bytes, tasks: Sequence[Task], layers: Layers) -> None:
        """Raise what a source, a layer or all of it together has ended in twice; else do nothing."""
        for layer, body in layers.items():
            if self._poison.suspects(body):
                with at_fault(layer):
                    self._poison.refuse_source(await _named(body))
        if self._poison.suspects(source):
            self._poison.refuse(await _named(source), tasks, await _all_named(layers))

    async def crashed(self, source: bytes, layers: Layers, number: int) -> None:
        """Count a crash while layer *number* was read, 0 = the picture itself; raise where it was one too many."""
        layer, body = _read_last(source, layers, number)
        if not self._poison.blame_source(await _named(body)):
            return
        error = ImageCorrupt("the decoder crashed on this source")
        if layer is None:
            raise error
        with at_fault(layer):
            raise error

    async def overdue(self, source: bytes, tasks: Sequence[Task], layers: Layers) -> None:
        """Count a deadline that was spent computing."""
        self._poison.blame_work(await _named(source), tasks, await _all_named(layers))


def _read_last(source: bytes, layers: Layers, number: int) -> tuple[SourceRef | None, bytes]:
    if 1 <= number <= len(layers):
        return list(layers.items())[number - 1]
    return None, source


async def _named(source: bytes) -> Name:
    """A source's name; off the loop where hashing would hold it (threat L19)."""
    return await asyncio.to_thread(name_of, source) if len(source) > _HASHED_AT_ONCE else name_of(source)


async def _all_named(layers: Layers) -> tuple[Name, ...]:
    return tuple([await _named(body) for body in layers.values()])
