"""What a second level does behind requests: writes, renewals, leases kept up, and a look at what became of it all.

Units    bytes; seconds.
Errors   none: what fails is let go.
"""

import asyncio
import random
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from imagemill.cache import ledger
from imagemill.cache.base import Lease
from imagemill.cache.redis_client import Client
from imagemill.cache.redis_link import Away, Link, Odd
from imagemill.cache.redis_scripts import RENEW

DRAIN_S = 1.0
TOGETHER_S = 0.25
TOGETHER = 64
"""Renewals go out together after so long, or when there are so many."""
LOOK_S = 5.0
LONGEST_S = 120.0
"""A lease is kept up for so long; whoever took it has been lost by then."""


class Errands:
    """Work that nobody waits for, bounded in the bytes it holds."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def fits(self, more_bytes: int) -> bool:
        """Whether so many bytes more may wait."""
        return self._bytes + more_bytes <= self._most_bytes

    def run(self, work: Coroutine[Any, Any, object], held_bytes: int = 0) -> None:
        """Do *work*, which holds so many bytes; that Redis is away ends it quietly."""
        self._bytes += held_bytes
        task = asyncio.create_task(_quietly(work))
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._done(done, held_bytes))

    async def drain(self) -> None:
        """Wait for what is under way, for a second; then let it go."""
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=DRAIN_S)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=DRAIN_S)

    def _done(self, task: asyncio.Task[None], held_bytes: int) -> None:
        self._bytes -= held_bytes
        self._tasks.discard(task)


async def _quietly(work: Coroutine[Any, Any, object]) -> None:
    try:
        await work
    except (Away, Odd):
        return


class Leases:
    """The leases that this node holds, each renewed thrice in its time until it ends, is lost, or is absurdly old."""

    def __init__(self, link: Link, lease_s: float, name: Callable[[str], str], ticks: Callable[[], float]) -> None:
        self._link = link
        self._lease_s = lease_s
        self._name = name
        self._ticks = ticks
        self._held: dict[Lease, float] = {}

    def __contains__(self, lease: Lease) -> bool:
        return lease in self._held

    def begin(self, lease: Lease) -> None:
        """Keep *lease* up from now on."""
        self._held[lease] = self._ticks() + LONGEST_S

    def end(self, lease: Lease | None) -> None:
        """Keep it up no longer."""
        if lease is not None:
            self._held.pop(lease, None)

    def take_all(self) -> list[Lease]:
        """Give up all that are held, for whoever tells Redis."""
        held, self._held = list(self._held), {}
        return held

    async def keep_up(self) -> None:
        """Renew for as long as this runs."""
        while True:
            await asyncio.sleep(self._lease_s / 3)
            await asyncio.gather(*(self._renew(lease) for lease in list(self._held)))

    async def _renew(self, lease: Lease) -> None:
        if self._ticks() > self._held.get(lease, 0.0):
            self.end(lease)
            return
        try:
            kept = await self._link.script(RENEW, (self._name(lease.key),), lease.token, int(self._lease_s * 1000))
        except (Away, Odd):
            return
        if not kept:
            self.end(lease)


class Renewals:
    """Put back the idle window of what was read, of many keys together."""

    def __init__(self, link: Link, errands: Errands, renewed: Callable[[], None], idle_s: float) -> None:
        self._link = link
        self._errands = errands
        self._renewed = renewed
        self._together_s = min(TOGETHER_S, idle_s / 10)
        self._waiting: dict[str, int] = {}
        self._timer: asyncio.TimerHandle | None = None

    def add(self, name: str, life_ms: int) -> None:
        """Let the key *name* live for so long at least, from about now on."""
        self._waiting[name] = life_ms
        if len(self._waiting) >= TOGETHER:
            self.flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._together_s, self.flush)

    def flush(self) -> None:
        """Send what waits."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waiting:
            waiting, self._waiting = self._waiting, {}
            self._errands.run(self._send(waiting))

    async def _send(self, waiting: dict[str, int]) -> None:
        async def renew(client: Client) -> Sequence[object]:
            pipe = client.pipeline(transaction=False)
            for name, life_ms in waiting.items():
                pipe.execute_command("PEXPIRE", name, life_ms, "GT")
            return await pipe.execute(raise_on_error=False)

        for answer in await self._link.behind(next(iter(waiting)), renew, write=False):
            if answer == 1:
                self._renewed()


class Fates:
    """Find out what became of the entries that this node stored, and tell of those that were swept."""

    def __init__(self, link: Link, clock: Callable[[], float], swept: Callable[[int], None], every_s: float) -> None:
        self._link = link
        self._clock = clock
        self._swept = swept
        self._every_s = min(every_s, LOOK_S)
        self._ledger = ledger.Ledger(random.random)

    def note(self, name: str, entry_bytes: int, due_s: float, ends_s: float) -> None:
        """Look for the key *name* at *due_s*."""
        self._ledger.note(name, entry_bytes, due_s, ends_s)

    async def look(self) -> None:
        """Look for what is due, for as long as this runs."""
        while True:
            await asyncio.sleep(self._every_s)
            while notes := self._ledger.due(self._clock() - 0.05):
                await self._look_for(notes)

    async def _look_for(self, notes: list[ledger.Note]) -> None:
        async def ask(client: Client) -> Sequence[object]:
            pipe = client.pipeline(transaction=False)
            for note in notes:
                pipe.execute_command("PTTL", note.key)
            return await pipe.execute(raise_on_error=False)

        try:
            answers = await self._link.behind(notes[0].key, ask, write=False)
        except (Away, Odd):
            return
        now_s = self._clock()
        for note, left_ms in zip(notes, answers, strict=False):
            if isinstance(left_ms, int) and left_ms > 0:
                self._ledger.seen(note, now_s + left_ms / 1000)
            elif isinstance(left_ms, int) and ledger.swept(note, now_s):
                for _ in range(note.weight):
                    self._swept(note.entry_bytes)
