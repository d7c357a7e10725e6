"""Tell operators what lies in Redis, and clear away what should not: by SCAN, on every primary, in small steps.

Keys     values only: ``<prefix>:{…}``.
Units    bytes as ``MEMORY USAGE`` says, of every `SAMPLE`-th key and extrapolated; seconds.
Errors   `DependencyDown`, with the reason.
Source   https://redis.io/docs/latest/commands/scan/: what is there throughout is returned at least once; what comes
         twice is counted twice.

How long an entry has not been read follows from the idle window that the last read put it back to: idle window minus
PTTL. That cannot be told of an entry whose life, with the stale window, ends before its idle window does.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any

from msgspec import Struct

from imagemill.cache.frame import HEAD_BYTES, OVERHEAD_BYTES, BadFrame, Glance, glance, unpack
from imagemill.cache.redis_client import Client, pieces
from imagemill.cache.redis_link import Away, Link
from imagemill.cache.redis_scripts import DISCARD, run
from imagemill.model.errors import DependencyDown
from imagemill.settings import Level2

SAMPLE = 16
_FRONT_BYTES = 2048
_STEP = 256
_STEP_WHOLE = 32
_STEP_S = 10.0
_SLACK_S = 2.0
_IDLE = ((60, "<1m"), (600, "<10m"), (3600, "<1h"), (21_600, "<6h"), (float("inf"), "≥6h"))


class Found(Struct, frozen=True):
    """One value of the survey."""

    name: str
    front: bytes | None
    """As much as was asked for; None = it is no string."""
    left_ms: int
    memory_bytes: int | None


class Survey:
    """One walk over all values at a time."""

    def __init__(self, link: Link, settings: Level2, stale_s: float, clock: Callable[[], float]) -> None:
        self._link = link
        self._settings = settings
        self._stale_s = stale_s
        self._clock = clock

    async def stats(self) -> dict[str, object]:
        """Entries, failures, what is neither, bytes, the oldest entry's age, and how long entries were not read."""
        counts: Counter[str] = Counter()
        idle: Counter[str] = Counter()
        memory: list[int] = []
        oldest_s = 0.0
        async for found in self._walk(_FRONT_BYTES, _STEP):
            seen = glance(found.front) if found.front is not None else None
            kind = "others" if seen is None else "failures" if seen.failure else "entries"
            counts[kind] += 1
            if found.memory_bytes is not None:
                memory.append(found.memory_bytes)
            if seen is not None and not seen.failure:
                oldest_s = max(oldest_s, self._clock() - seen.born_s)
                idle[self._bucket(self._unread_s(seen, found.left_ms))] += 1
        total = sum(counts.values())
        return {
            "entries": counts["entries"],
            "failures": counts["failures"],
            "others": counts["others"],
            "bytes": round(sum(memory) / len(memory) * total) if memory else 0,
            "oldest_s": round(oldest_s),
            "unread": dict(idle),
        }

    async def sweep(self, idle_s: int) -> tuple[int, int]:
        """Delete what is no entry, of another version, over, or unread for *idle_s*; how many, and their bytes.

        What only fails its checksum stays: whoever sweeps may have another secret than the nodes.
        """
        count = size = 0
        async for found in self._walk(OVERHEAD_BYTES + self._settings.max_bytes + 1, _STEP_WHOLE):
            if self._goes(found, idle_s) and await self._delete(found):
                count += 1
                size += len(found.front or b"")
        return count, size

    def _goes(self, found: Found, idle_s: int) -> bool:
        if found.front is None:
            return True
        key = found.name.rpartition("{")[2].rstrip("}")
        try:
            unpack(found.front, key, self._settings.secret.encode(), self._clock())
        except BadFrame as e:
            return e.reason != "checksum"  # damage, or made with another secret than ours: nodes judge by theirs
        seen = glance(found.front)
        if seen is None or seen.failure:
            return found.left_ms < 0
        unread_s = self._unread_s(seen, found.left_ms)
        return seen.expires_s + self._stale_s <= self._clock() or (unread_s is not None and unread_s >= idle_s)

    def _unread_s(self, seen: Glance, left_ms: int) -> float | None:
        """For how long nobody has read it; None = that cannot be told."""
        left_s = left_ms / 1000
        if left_ms < 0 or left_s > seen.expires_s + self._stale_s - self._clock() - _SLACK_S:
            return None
        return max(0.0, self._settings.idle_s - left_s)

    @staticmethod
    def _bucket(unread_s: float | None) -> str:
        return "unknown" if unread_s is None else next(name for most, name in _IDLE if unread_s < most)

    async def _delete(self, found: Found) -> bool:
        head = (found.front or b"")[:HEAD_BYTES]
        return bool(await self._ask(lambda client: run(client, DISCARD, (found.name,), head)))

    async def _walk(self, most_bytes: int, step: int) -> AsyncIterator[Found]:
        for client, options in await self._pieces():
            cursor, done = 0, False
            while not done:
                cursor, names = await self._scan(client, cursor, options)
                done = cursor == 0
                for at in range(0, len(names), step):
                    for found in await self._look(names[at : at + step], most_bytes):
                        yield found

    async def _pieces(self) -> list[tuple[Client, dict[str, Any]]]:
        await self._ask(lambda client: client.initialize())
        return pieces(self._link.client)

    async def _scan(self, client: Client, cursor: int, options: dict[str, Any]) -> tuple[int, list[str]]:
        escaped = "".join(f"\\{c}" if c in "*?[]^\\" else c for c in self._settings.prefix)
        pattern = f"{escaped}:{{*}}"
        after, names = await self._ask(
            lambda _: client.execute_command("SCAN", cursor, "MATCH", pattern, "COUNT", _STEP, **options)
        )
        if isinstance(after, dict):  # in a Cluster: by server
            (after,) = after.values()
        return int(after), [bytes(name).decode("utf-8", "replace") for name in names]

    async def _look(self, names: list[str], most_bytes: int) -> list[Found]:
        async def ask(client: Client) -> list[Any]:
            pipe = client.pipeline(transaction=False)
            for at, name in enumerate(names):
                pipe.execute_command("GETRANGE", name, 0, most_bytes)
                pipe.execute_command("PTTL", name)
                if at % SAMPLE == 0:
                    pipe.execute_command("MEMORY USAGE", name)
            return list(await pipe.execute(raise_on_error=False))

        answers = iter(await self._ask(ask))
        found = []
        for at, name in enumerate(names):
            front, left_ms = next(answers), next(answers)
            memory = next(answers) if at % SAMPLE == 0 else None
            if front != b"":  # else it is gone by now
                found.append(
                    Found(
                        name, front if isinstance(front, bytes) else None,
                        left_ms if isinstance(left_ms, int) else -1, memory if isinstance(memory, int) else None,
                    )
                )  # fmt: skip
        return found

    async def _ask(self, question: Callable[[Client], Any]) -> Any:
        try:
            async with asyncio.timeout(_STEP_S):
                return await question(self._link.client)
        except Exception as e:
            raise DependencyDown(f"Redis: {e if isinstance(e, Away) else self._link.words(e)}") from e
