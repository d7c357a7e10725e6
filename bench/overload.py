"""A node under more than it can do: ``python bench/overload.py [--seconds 60] [--workers 1] [--steps 1,3,10,1,0.33]``.

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
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from support.node import fetch, serving

SETTLED_S = 2.0
"""Until when a flood might have been a burst, which waits; what comes later has a column of its own."""
_serial = itertools.count(1)


class Step:
    """What clients sent and were answered with."""

    def __init__(self, name):
        self.name = name
        self.targets = {}
        """And when they were asked for."""
        self.statuses = Counter()
        self.unadvised = 0
        self.begun, self.seconds = time.time(), 0.0

    async def ask(self, port):
        target = f"/image?source=local:sample/dandelion.jpg&width=500&format=webp&background={next(_serial):06x}"
        self.targets[target] = time.time()
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
        settled = sorted(
            line["ms"] for line in own if line["code"] == "ok" and self.targets[line["target"]] > self.begun + SETTLED_S
        )
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
            "later": f"{at(settled, 0.99) / alone_ms:.2f}" if alone_ms else "",
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


def recovered_s(step, lines):
    """The first second of *step* in whose next five 90 % of what was asked for was done."""
    done = [line["target"] for line in lines if line.get("code") == "ok"]
    done = {target for target in done if target in step.targets}
    sent = sorted((moment - step.begun, target in done) for target, moment in step.targets.items())
    for second in range(int(step.seconds)):
        window = [well for moment, well in sent if second <= moment < second + 5]
        if sum(window) >= 0.9 * len(window):
            return second
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="of each step")
    parser.add_argument("--workers", type=int, default=1, help="the rest of the cores is for the front and the clients")
    parser.add_argument("--steps", default="1,3,10,1,0.33", help="times the peak")
    parser.add_argument("--clients", type=int, default=0, help="to find the peak with; default: twice the workers")
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(Path(folder), engine={"workers": given.workers}, cache={"l1_bytes": 4 << 20}) as node,
    ):
        clients, short_s = given.clients or 2 * given.workers, max(5.0, given.seconds / 4)
        asyncio.run(closed(node.port, "warm up", clients, 3))
        alone_ms, peak = measured(node, clients, short_s, head=True)
        steps = [float(times) for times in given.steps.split(",")]
        for n, times in enumerate(steps):
            flooded = n and steps[n - 1] > 1
            if n and not flooded:  # else it is to be seen how soon the flood is over
                alone_ms, peak = measured(node, clients, short_s)
            step = asyncio.run(opened(node.port, f"{times:g}×", peak * times, given.seconds, seed=n))
            show(step.judge(lines_of(node), peak, alone_ms)[0])
            if flooded and times <= 1:
                seconds = recovered_s(step, lines_of(node))
                print(f"  after the flood: as before {'not in time' if seconds is None else f'within {seconds} s'}")


def measured(node, clients, seconds, *, head=False):
    """The p99 of a render when nobody else asks, and how many a second can be had."""
    alone = asyncio.run(closed(node.port, "alone", 1, seconds))
    most = asyncio.run(closed(node.port, "peak", clients, seconds))
    lines = lines_of(node)
    row, _, alone_ms = alone.judge(lines)
    show(row, head=head)
    row, peak, _ = most.judge(lines)
    show(row)
    return alone_ms, peak


def show(row, head=False):
    if head:
        print("  ".join(name.rjust(8) for name in row))
    print("  ".join(value.rjust(max(8, len(name))) for name, value in row.items()), flush=True)


if __name__ == "__main__":
    main()
