"""What the second level saves: a Zipf load on two nodes, whose L1 holds a tenth of the keys, with Redis and without.

    python bench/nodes.py [seconds] [clients] [rounds]

Quote the hit ratios and the CPU a request, of both nodes and their workers together (and of Redis, apart): they hold on
a busy machine. Keys are widths and qualities of one picture on loopback; which node a request goes to is drawn as well.
`redis-server` is needed. Each run begins with empty caches; the first quarter of it warms them and is not counted.
"""

import asyncio
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from peers import cpu_s

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.node import PHOTO, Node, SourceServer, fetch
from support.nodes import image, together
from support.redis import Server, standalone

KEYS = 1_000
EXPONENT = 0.9
L1_SHARE = 0.1
TIERS = ("L1", "L2", "COALESCED", "MISS")


def targets(source: SourceServer) -> list[str]:
    source.bodies["/zipf.jpg"] = PHOTO
    return [
        image(source, "/zipf.jpg", f"&width={200 + n % 50}&quality={60 + n // 50}&format=jpeg") for n in range(KEYS)
    ]


def weights() -> list[float]:
    return [1 / (n + 1) ** EXPONENT for n in range(KEYS)]


async def load(nodes: list[Node], wanted: list[str], seconds: float, clients: int) -> Counter:
    told, draw, until = Counter(), random.Random(7), time.monotonic() + seconds

    async def client() -> None:
        while time.monotonic() < until:
            (target,) = draw.choices(wanted, WEIGHTS)
            answer = await fetch(draw.choice(nodes).port, target)
            told[answer.headers["x-cache"] if answer.status == 200 else str(answer.status)] += 1

    await asyncio.gather(*(client() for _ in range(clients)))
    return told


def run(url: str, seconds: float, clients: int, redis: Server | None) -> dict[str, float]:
    source = SourceServer()
    wanted = targets(source)
    with tempfile.TemporaryDirectory() as folder:
        l1_bytes = int(L1_SHARE * KEYS * BODY_BYTES)
        tables = {"cache": {"l1_bytes": l1_bytes}, "server": {"drain_s": 0}}
        if not url:
            tables["l2"] = {"url": ""}
        with together(Path(folder), url, source, count=2, **tables) as nodes:
            asyncio.run(load(nodes, wanted, seconds / 4, clients))
            before, of_redis = sum(cpu_s(node.process.pid) for node in nodes), _redis_cpu_s(redis)
            told = asyncio.run(load(nodes, wanted, seconds * 3 / 4, clients))
            used = sum(cpu_s(node.process.pid) for node in nodes) - before
    source.close()
    n = told.total()
    return {tier: told[tier] / n for tier in TIERS} | {
        "n": n, "other": 1 - sum(told[tier] for tier in TIERS) / n, "cpu_ms": 1e3 * used / n,
        "redis_ms": 1e3 * (_redis_cpu_s(redis) - of_redis) / n, "fetches": len(source.requests),
    }  # fmt: skip


def _redis_cpu_s(redis: Server | None) -> float:
    return cpu_s(redis.process.pid) if redis and redis.process else 0.0


def main() -> None:
    seconds, clients, rounds = (float(a) for a in [*sys.argv[1:], *("12", "8", "2")[len(sys.argv) - 1 :]])
    print(
        f"{KEYS} keys, L1 holds {L1_SHARE:.0%} of them, Zipf {EXPONENT}, 2 nodes, {clients:.0f} clients, {seconds:.0f} s\n"
    )
    head = (*TIERS, "other", "requests", "CPU a request, ms", "of Redis, ms", "fetches")
    print(f"| L2 | {' | '.join(head)} |\n|{'---|' * (len(head) + 1)}")
    for _ in range(int(rounds)):
        for name in ("without", "with"):
            with tempfile.TemporaryDirectory() as folder, standalone(Path(folder)) as redis:
                got = run(redis.url if name == "with" else "", seconds, int(clients), redis if name == "with" else None)
            shares = " | ".join(f"{got[tier]:.1%}" for tier in (*TIERS, "other"))
            print(
                f"| {name} | {shares} | {got['n']} | {got['cpu_ms']:.2f} | {got['redis_ms']:.3f} | {got['fetches']} |",
                flush=True,
            )


BODY_BYTES = 5_760
"""On the average, of these."""
WEIGHTS = weights()

if __name__ == "__main__":
    main()
