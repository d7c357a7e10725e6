"""What a job costs in Temporal: its development server, one worker, jobs that do nothing.

    python bench/temporal.py [JOBS] [CONCURRENCY]

The server keeps its SQLite file in a folder of its own. CPU is that of processes; the client and the worker share one.
It is a yardstick for the embedded engine, not for a Temporal cluster.
"""

import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from imagemill.jobs.temporal.engine import TemporalEngine
from imagemill.jobs.temporal.worker import TemporalRunner
from support.temporal import serving
from support.temporal_jobs import Seen, Steps, job, settings

TICKS = os.sysconf("SC_CLK_TCK")
AT_ONCE = 25


class Clock:
    """Wall time, and CPU of the server and of us, since it was made."""

    def __init__(self, pid):
        self._pid = pid
        self._from = self._now()

    def _now(self):
        fields = Path(f"/proc/{self._pid}/stat").read_text().rsplit(")", 1)[1].split()
        return time.monotonic(), (int(fields[11]) + int(fields[12])) / TICKS, time.process_time()

    def read(self):
        return tuple(now - then for now, then in zip(self._now(), self._from, strict=True))


async def bench(server, folder, count, concurrency):
    given = settings(server.address, concurrency=concurrency)
    engine, seen, stop = TemporalEngine(given), Seen(), asyncio.Event()
    await engine.start()
    clock = Clock(server.process.pid)
    for _ in range(count // AT_ONCE):
        await asyncio.gather(*(engine.submit(job("noop")) for _ in range(AT_ONCE)))
    _print("submit", count, clock)
    clock = Clock(server.process.pid)
    run = asyncio.create_task(TemporalRunner(given, Steps(folder / "log"), seen).run(stop))
    while len(seen.jobs) < count:  # noqa: ASYNC110 - seen tells nobody
        await asyncio.sleep(0.02)
    _print(f"run, {concurrency} places", count, clock)
    took = [await _latency(engine, seen) for _ in range(20)]
    print(f"latency of one job    p50 {sorted(took)[10] * 1e3:.0f} ms, worst {max(took) * 1e3:.0f} ms")
    clock = Clock(server.process.pid)
    await asyncio.sleep(5)
    wall_s, theirs_s, ours_s = clock.read()
    print(f"idle                  worker {ours_s / wall_s:.1%}, server {theirs_s / wall_s:.1%} of a core")
    stop.set()
    await run


async def _latency(engine, seen):
    done, begun_s = len(seen.jobs), time.monotonic()
    await engine.submit(job("noop"))
    while len(seen.jobs) == done:  # noqa: ASYNC110 - as above
        await asyncio.sleep(0.002)
    return time.monotonic() - begun_s


def _print(what, count, clock):
    wall_s, theirs_s, ours_s = clock.read()
    each = f"CPU a job: server {theirs_s / count * 1e3:.1f} ms, ours {ours_s / count * 1e3:.1f} ms"
    print(f"{what:<21} {count / wall_s:.1f} jobs/s; {each}")


def main():
    count, concurrency = (int(word) for word in (sys.argv[1:] + ["200", "8"][len(sys.argv) - 1 :]))
    with tempfile.TemporaryDirectory() as temporary, serving(Path(temporary) / "server") as server:
        asyncio.run(bench(server, Path(temporary), count, concurrency))


if __name__ == "__main__":
    main()
