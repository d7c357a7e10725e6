"""Work behind answers that were given: bounded, once a key, and over when the service is."""

import asyncio
from collections.abc import Callable, Coroutine

from msgspec import Struct

from imagemill.model.entry import Entry

_MOST_ANEW = 64
"""Entries made anew at a time."""

Work = Coroutine[None, None, object]


class _Renewal(Struct, frozen=True):
    entry: Entry
    task: asyncio.Task[object]


class Behind:
    """Entries that are made anew while they are answered with, and errands."""

    def __init__(self) -> None:
        self._anew: dict[str, _Renewal] = {}
        self._errands: set[asyncio.Task[object]] = set()
        self._closed = False

    def __len__(self) -> int:
        """How much is under way."""
        return len(self._anew) + len(self._errands)

    def peek(self, key: str) -> Entry | None:
        """The entry that is being made anew under *key*."""
        renewal = self._anew.get(key)
        return renewal.entry if renewal else None

    def renew(self, key: str, entry: Entry, work: Callable[[], Work]) -> None:
        """Make *entry* anew by *work*, unless that is under way, or too much is."""
        if self._closed or key in self._anew or len(self._anew) >= _MOST_ANEW:
            return
        task: asyncio.Task[object] = asyncio.get_running_loop().create_task(work())
        self._anew[key] = _Renewal(entry, task)
        task.add_done_callback(lambda _: self._anew.pop(key, None))

    def run(self, work: Work) -> None:
        """Do *work*, which ends by itself soon."""
        if self._closed:
            work.close()
            return
        task: asyncio.Task[object] = asyncio.get_running_loop().create_task(work)
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)

    async def close(self) -> None:
        """Give up what is under way, and begin nothing any more."""
        self._closed = True
        tasks = [*(renewal.task for renewal in self._anew.values()), *self._errands]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
