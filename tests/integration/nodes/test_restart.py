"""A restart of all nodes is no avalanche: what lies in Redis is not made again."""

import asyncio
import itertools
from collections import Counter
from pathlib import Path

from support.node import Node, SourceServer, restart
from support.nodes import balanced, entered, eventually, image, l2_events, picture, renders, together
from support.redis import Server

KEYS = 40


async def test_all_restart_under_load(tmp_path: Path, redis: Server, source: SourceServer) -> None:
    """All four restart at once while clients ask on: each is answered, nothing is rendered or fetched again."""
    source.bodies["/warm.jpg"] = picture()
    targets = [image(source, "/warm.jpg", f"&width={n}&format=webp") for n in range(1, KEYS + 1)]
    async with entered(together(tmp_path, redis.url, source)) as nodes:
        for n, target in enumerate(targets):
            assert (await balanced(nodes, target, n)).status == 200
        await eventually(lambda: sum(l2_events(node, "stored") for node in nodes) >= KEYS)
        asked, told, stop = source.asked("/warm.jpg"), Counter(), asyncio.Event()
        load = [asyncio.create_task(_client(nodes, targets[n::8], told, stop)) for n in range(8)]
        await asyncio.sleep(0.5)
        before = told.total()

        await asyncio.gather(*(asyncio.to_thread(restart, node) for node in nodes))
        during = told.total()
        await eventually(lambda: told.total() > during + 5 * KEYS)
        stop.set()
        await asyncio.gather(*load)

        assert set(told) <= {(200, "L1"), (200, "L2"), (200, "COALESCED")}, told
        assert before
        assert told[200, "L2"] >= KEYS
        assert renders(nodes) == 0, "since they were started"
        assert source.asked("/warm.jpg") == asked


async def _client(nodes: list[Node], targets: list[str], told: Counter, stop: asyncio.Event) -> None:
    for n, target in enumerate(itertools.cycle(targets)):
        if stop.is_set():
            return
        answer = await balanced(nodes, target, n)
        told[answer.status, answer.headers.get("x-cache") or answer.body[:300]] += 1
        await asyncio.sleep(0.01)
