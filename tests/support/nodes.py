"""Several real nodes that share a Redis, and the clients in front of them."""

import asyncio
import io
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from PIL import Image

from support.node import Answer, Node, SourceServer, fetch, serving
from support.redis import until

T = TypeVar("T")
L2: dict[str, Any] = {"timeout_s": 5.0}
"""Room for a busy machine, in tests that are not about time."""
LEASE_S = 2.0


def picture(shade: int = 128, side: int = 64) -> bytes:
    """A JPEG that costs little to fetch and to make, another one for each *shade*."""
    out = io.BytesIO()
    Image.new("RGB", (side, side), (shade, 255 - shade, shade // 2)).save(out, "JPEG")
    return out.getvalue()


@contextmanager
def together(folder: Path, url: str, source: SourceServer, *, count: int = 4, **tables: dict[str, Any]) -> Iterator[list[Node]]:  # fmt: skip
    """*count* nodes that share the Redis at *url* and may reach *source*; they start and stop at the same time."""
    tables = tables | {"l2": {"url": url} | L2 | tables.get("l2", {})}
    defaults = {"engine": {"workers": 1}, "server": {"drain_s": 0}}
    for name, table in defaults.items():
        tables[name] = table | tables.get(name, {})
    with ThreadPoolExecutor(count) as pool, ExitStack() as stack:
        starts = [serving(folder, sources=source.allowed(), **tables) for _ in range(count)]
        nodes = list(pool.map(stack.enter_context, starts))
        stack.callback(lambda: list(pool.map(Node.stop, nodes)))
        yield nodes


@asynccontextmanager
async def entered(context: AbstractContextManager[T]) -> AsyncIterator[T]:
    """*context*, whose beginning and end take time, without holding the loop up."""
    value = await asyncio.to_thread(context.__enter__)
    try:
        yield value
    finally:
        await asyncio.to_thread(context.__exit__, None, None, None)


def renders(nodes: Sequence[Node], outcome: str = "ok") -> int:
    """Renders that *nodes* have finished with *outcome*, all together."""
    return int(sum(_labelled(node, "imagemill_renders_total", f'outcome="{outcome}"') for node in nodes))


def heard(nodes: Sequence[Node]) -> list[int]:
    """Purges that each of *nodes* has noted."""
    return [int(node.metric("imagemill_purges_total")) for node in nodes]


def until_heard(nodes: Sequence[Node], before: Sequence[int]) -> None:
    """Wait until each of *nodes* has noted one purge more than *before*."""
    until(lambda: all(n > was for n, was in zip(heard(nodes), before, strict=True)), "all have heard of it")


def l2_events(node: Node, event: str) -> int:
    return int(_labelled(node, "imagemill_l2_events_total", f'event="{event}"'))


def _labelled(node: Node, name: str, label: str) -> float:
    lines = node.admin("/metrics").body.decode().splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name) and label in line)


def image(source: SourceServer, path: str, more: str = "&width=40&format=webp") -> str:
    return f"/image?source={quote(source.url(path), safe='')}{more}"


def tier(answer: Answer) -> str:
    assert answer.status == 200, (answer.status, answer.body[:300])
    return answer.headers["x-cache"]


def lifetimes(answer: Answer) -> tuple[int, int, int]:
    """``max-age``, ``Age``, and what is left."""
    found = re.fullmatch(r"public, max-age=(\d+)", answer.headers["cache-control"])
    assert found, answer.headers
    most_s, age_s = int(found[1]), int(answer.headers["age"])
    return most_s, age_s, most_s - age_s


async def balanced(nodes: Sequence[Node], target: str, first: int, seconds: float = 30) -> Answer:
    """One request as a load balancer sends it: whole from a node that is there, and again where one is not."""
    end, turn = time.monotonic() + seconds, first
    while True:
        try:
            answer = await fetch(nodes[turn % len(nodes)].port, target)
            if int(answer.headers["content-length"]) == len(answer.body):
                return answer
        except (OSError, IndexError, KeyError):
            if time.monotonic() > end:
                raise
        turn += 1
        if (turn - first) % len(nodes) == 0:
            await asyncio.sleep(0.02)


async def eventually(holds: Callable[[], object], seconds: float = 30.0) -> float:
    """Wait until *holds*, which may block, is true; the time it took."""
    begun = time.monotonic()
    while not await asyncio.to_thread(holds):
        assert time.monotonic() - begun < seconds, "it did not come to hold"
        await asyncio.sleep(0.02)
    return time.monotonic() - begun
