"""A steady load of hits and misses on nodes, and what became of each request."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from support.node import Node, SourceServer, fetch
from support.nodes import image

HOT = 5
"""Keys that are asked for again and again."""
PACE_S = 0.02
_serial = itertools.count(10_000)


@dataclass
class Told:
    """One answer."""

    at_s: float
    took_s: float
    status: int
    tier: str
    hot: bool


@dataclass
class Load:
    """What was told, by the place of the node in the list."""

    told: dict[int, list[Told]] = field(default_factory=dict)

    def since(self, at_s: float, until_s: float = 1e18, *, hot: bool, nodes: Sequence[int]) -> list[float]:
        """Times in seconds, sorted, of the requests that began since *at_s*."""
        all_of = [t for n in nodes for t in self.told[n]]
        return sorted(t.took_s for t in all_of if at_s <= t.at_s < until_s and t.hot == hot)

    def wrong(self) -> list[Told]:
        return [t for told in self.told.values() for t in told if t.status != 200]


@asynccontextmanager
async def steady(nodes: Sequence[Node], source: SourceServer, path: str) -> AsyncIterator[Load]:
    """Ask every node for hot keys and for keys that nobody has, in turn, until the end of the block."""
    load, stop = Load({n: [] for n in range(len(nodes))}), asyncio.Event()
    clients = [
        asyncio.create_task(_client(node, source, path, load.told[n], stop, hot=hot))
        for n, node in enumerate(nodes)
        for hot in (True, False)
    ]
    try:
        yield load
    finally:
        stop.set()
        await asyncio.gather(*clients)


async def _client(
    node: Node, source: SourceServer, path: str, told: list[Told], stop: asyncio.Event, *, hot: bool
) -> None:
    while not stop.is_set():
        n = next(_serial)
        more = (
            f"&width={n % HOT + 1}" if hot else f"&width=20&blur={n % 2000 / 100 + 1:.2f}&quality={n // 2000 % 90 + 5}"
        )
        begun = time.monotonic()
        try:
            answer = await fetch(node.port, image(source, path, f"{more}&format=webp"))
            status, tier = answer.status, answer.headers.get("x-cache", "")
        except (OSError, IndexError):
            status, tier = 0, ""
        told.append(Told(begun, time.monotonic() - begun, status, tier, hot))
        await asyncio.sleep(PACE_S)


def median(times: Sequence[float]) -> float:
    return times[len(times) // 2]


def p95(times: Sequence[float]) -> float:
    return times[int(len(times) * 0.95)]
