"""Remember which quality reached a score with a source: the next rendition of it need not look for one.

Key      the digest of the source's bytes, and the score: a source that changes is another one.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from hashlib import sha256

from msgspec.structs import replace

from imagemill.cache.base import Cache
from imagemill.engines.base import NO_LAYERS, Engine, Known, Layers, Made, Task
from imagemill.model.recipe import Encode

_TTL_S = 86_400.0
_HASHED_AT_ONCE_BYTES = 256 * 1024


class Remembering:
    """An engine that is told what was found out before, and listened to."""

    def __init__(self, engine: Engine, cache: Cache[tuple[Known, ...]]) -> None:
        self._engine = engine
        self._cache = cache

    async def run(self, source: bytes, tasks: Sequence[Task], layers: Layers = NO_LAYERS) -> AsyncGenerator[Made, None]:
        """See `engines.base.Engine`."""
        targets = [_target(task) for task in tasks]
        key = await _named(source) if any(targets) else ""
        known = {(one.format, one.target_centi): one for one in self._known(key)}
        told = [replace(task, known=tuple(known.values())) for task in tasks] if key else tasks
        left = targets
        async with aclosing(self._engine.run(source, told, layers)) as results:
            async for made in results:
                target, rendition = left.pop(0), made.rendition
                if target and rendition.quality:
                    known[rendition.format, target] = Known(rendition.format, target, rendition.quality)
                    self._cache.put(key, tuple(known.values()), time.monotonic(), ttl_s=_TTL_S)
                yield made

    def _known(self, key: str) -> tuple[Known, ...]:
        return (self._cache.get(key, time.monotonic()) if key else None) or ()


def _target(task: Task) -> int:
    last = task.recipe[-1]
    return last.target_centi if isinstance(last, Encode) else 0


async def _named(source: bytes) -> str:
    """Off the loop where hashing would hold it."""
    hashed = sha256(source) if len(source) <= _HASHED_AT_ONCE_BYTES else await asyncio.to_thread(sha256, source)
    return hashed.hexdigest()
