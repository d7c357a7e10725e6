"""A node under more than it can do: ``python bench/overload.py [--seconds 60] [--workers 1]``.

Open loop: requests leave when their time has come, whatever became of the ones before. First what one render takes when
nobody else asks, then how many a second can be had (closed loop), then 1, 3 and 10 times that, then 1 again, then a third.
Each request is a render of its own. Times are the server's, from its access log; what the client sees is the client's load, too.
Wanted (threat L01): goodput at least 90 % of the peak, the p99 of what is admitted at most twice that of a node without
load, refusals (503 with Retry-After) within 50 ms, and after the flood all as before within 10 s.
"""

import argparse
import asyncio
import itertools
import json
import random
import sys
import tempfile
import time
from collections import Counter
from datetime import datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from support.node import fetch, serving

STEPS = (1, 3, 10, 1, 0.33)
_serial = itertools.count(1)


class Step:
    """What clients sent and were answered with."""

    def __init__(self, name):
        self.name = name
        self.targets = set()
        self.statuses = Counter()
        self.unadvised = 0
        self.begun, self.seconds = time.time(), 0.0

    async def ask(self, port):
        target = f"/image?source=local:sample/dandelion.jpg&width=500&format=webp&background={next(_serial):06x}"
        self.targets.add(target)
        try:
            answer = await fetch(port, target)
        except (OSError, IndexError):
            self.statuses["lost"] += 1
            return
        self.statuses[answer.status] += 1
        self.unadvised += answer.status in {429, 503} and "retry-after" not in answer.headers

    def judge(self, lines, peak=0.0, alone_ms=0.0):
        """A row of the table."""
        own = [line for line in lines if line.get("target") in self.targets]
        done = sorted(line["ms"] for line in own if line["code"] == "ok")
        refused = sorted(line["ms"] for line in own if line["code"] == "overloaded")
        goodput = len(done) / self.seconds
        others = sum(n for status, n in self.statuses.items() if status not in {200, 503})
        return {
            "step": self.name,
            "offered/s": f"{len(self.targets) / self.seconds:.1f}",
            "done/s": f"{goodput:.1f}",
            "of peak": f"{goodput / peak:.0%}" if peak else "",
            "p50 ms": f"{at(done, 0.5):.0f}",
            "p99 ms": f"{at(done, 0.99):.0f}",
            "× alone": f"{at(done, 0.99) / alone_ms:.2f}" if alone_ms else "",
            "refused": str(len(refused)),
            "p99 of those": f"{at(refused, 0.99):.1f}",
            "no Retry-After": str(self.unadvised),
            "else": str(others),
        }, goodput, at(done, 0.99)  # fmt: skip


def at(times, share):
    return times[min(len(times) - 1, int(len(times) * share))] if times else 0.0


async def closed(port, name, clients, seconds):
    """So many clients, each asking again once it is answered."""
    step, until = Step(name), time.monotonic() + seconds

    async def client():
        while time.monotonic() < until:
            await step.ask(port)

    await asyncio.gather(*(client() for _ in range(clients)))
    step.seconds = time.time() - step.begun
    return step


async def opened(port, name, rate, seconds, seed):
    """*rate* requests a second at random moments, for *seconds*; then all of them are waited for."""
    step, draw, asked = Step(name), random.Random(seed), set()
    begun, due = time.monotonic(), 0.0
    while (due := due + draw.expovariate(rate)) < seconds:
        if (left := begun + due - time.monotonic()) > 0:
            await asyncio.sleep(left)
        task = asyncio.create_task(step.ask(port))
        asked.add(task)
        task.add_done_callback(asked.discard)
    step.seconds = time.monotonic() - begun
    await asyncio.gather(*asked)
    return step


def lines_of(node):
    time.sleep(1.0)  # the log is written behind
    return [json.loads(line) for line in node.log.read_text().splitlines()]


def recovered_s(step, lines, offered):
    """After how many seconds of *step* no later five seconds had less than 90 % of what was offered done."""
    moments = sorted(
        _moment(line) - step.begun for line in lines if line.get("target") in step.targets and line["code"] == "ok"
    )
    bad = [s for s in range(int(step.seconds) - 4) if sum(s <= m < s + 5 for m in moments) < 0.9 * 5 * offered]
    return max(bad) + 1 if bad else 0


def _moment(line):
    return datetime.fromisoformat(line["time"]).timestamp()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="of each step")
    parser.add_argument("--workers", type=int, default=1, help="the rest of the cores is for the front and the clients")
    parser.add_argument("--clients", type=int, default=0, help="to find the peak with; default: twice the workers")
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(Path(folder), engine={"workers": given.workers}, cache={"l1_bytes": 4 << 20}) as node,
    ):
        asyncio.run(closed(node.port, "warm up", 2, 3))
        alone = asyncio.run(closed(node.port, "alone", 1, max(5.0, given.seconds / 4)))
        most = asyncio.run(closed(node.port, "peak", given.clients or 2 * given.workers, max(5.0, given.seconds / 4)))
        lines = lines_of(node)
        row, _, alone_ms = alone.judge(lines)
        show(row, head=True)
        row, peak, _ = most.judge(lines)
        show(row)
        for n, times in enumerate(STEPS):
            step = asyncio.run(opened(node.port, f"{times:g}×", peak * times, given.seconds, seed=n))
            row, _, _ = step.judge(lines_of(node), peak, alone_ms)
            show(row)
            if n == 3:
                print(f"  within {recovered_s(step, lines_of(node), 0.9 * peak)} s as before")


def show(row, head=False):
    if head:
        print("  ".join(name.rjust(8) for name in row))
    print("  ".join(value.rjust(max(8, len(name))) for name, value in row.items()), flush=True)


if __name__ == "__main__":
    main()
