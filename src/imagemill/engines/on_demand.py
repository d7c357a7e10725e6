"""An engine whose workers live only while there is work: an idle service has none of them in memory.

Units    ``idle_s`` seconds of the loop's clock.
Errors   as `engines.base.Engine`; `DependencyDown` where no worker comes up: no fault of the source.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing

from imagemill.engines.base import NO_LAYERS, Layers, Made, Task
from imagemill.engines.pool import Pool
from imagemill.model.errors import DependencyDown, SettingsError

IDLE_S = 60.0


class OnDemand:
    """A pool that is brought up by the first run, and ended once nobody has run anything for a while."""

    def __init__(self, make: Callable[[], Pool], idle_s: float = IDLE_S) -> None:
        self._make = make
        self._idle_s = idle_s
        self._pool: Pool | None = None
        self._changing = asyncio.Lock()
        self._runs = 0
        self._resting: asyncio.TimerHandle | None = None
        self._ending: asyncio.Task[None] | None = None
        self._closed = False
        self.versions: dict[str, str] = {}
        """Of the pool that was up last."""

    @property
    def states(self) -> dict[str, int]:
        """How many workers are idle, busy and starting."""
        return self._pool.states if self._pool else {"idle": 0, "busy": 0, "starting": 0}

    async def run(self, source: bytes, tasks: Sequence[Task], layers: Layers = NO_LAYERS) -> AsyncGenerator[Made, None]:
        """See `engines.base.Engine`."""
        self._runs += 1
        self._wake()
        try:
            pool = await self._up()
            async with aclosing(pool.run(source, tasks, layers)) as results:
                async for made in results:
                    yield made
        finally:
            self._runs -= 1
            if not self._runs and not self._closed:
                self._resting = asyncio.get_running_loop().call_later(self._idle_s, self._rest)

    async def close(self) -> None:
        """End the workers, as `Pool.close`; nothing runs afterwards."""
        self._closed = True
        self._wake()
        await self._down()

    async def _up(self) -> Pool:
        async with self._changing:
            if self._closed:
                raise DependencyDown("the engine is stopping")
            if self._pool is None:
                pool = self._make()
                try:
                    await pool.start()
                except SettingsError as e:
                    raise DependencyDown(str(e)) from e
                self._pool, self.versions = pool, pool.versions
            return self._pool

    async def _down(self) -> None:
        async with self._changing:
            if self._pool and (self._closed or not self._runs):
                pool, self._pool = self._pool, None
                await pool.close()

    def _wake(self) -> None:
        if self._resting:
            self._resting.cancel()
            self._resting = None

    def _rest(self) -> None:
        self._resting = None
        self._ending = asyncio.get_running_loop().create_task(self._down())
