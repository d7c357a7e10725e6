"""What does isolation cost? CPU of handing one source to a worker and one answer back, with nothing decoded.

    python bench/handover.py [jobs]

Front: this process, from the call to the answer. Worker: user and system time of the worker process. The header reader
and the limits run in the worker as always; only libvips is left out.
"""

import asyncio
import statistics
import sys
import time
from contextlib import aclosing
from pathlib import Path

from imagemill.engines.base import Task
from imagemill.engines.pool import Pool
from imagemill.model.recipe import Encode
from imagemill.settings import Engine, Limits

SOURCE = (Path(__file__).parent / "pictures" / "12mp.jpg").read_bytes()
ROUNDS = 5


def worker_cpu_s(pid: int) -> float:
    """CPU of a process in seconds, to the nanosecond (schedstat counts time on a core)."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


async def measure(source: bytes, jobs: int) -> tuple[float, float]:
    pool = Pool(Engine(max_jobs=10**9), Limits(), workers=1, entry="null_engine:main")
    await pool.start()
    try:
        rounds = []
        for _ in range(ROUNDS + 1):
            (pid,) = pool.pids()
            front, worker = time.process_time(), worker_cpu_s(pid)
            for _ in range(jobs):
                async with aclosing(pool.run(source, [Task((Encode(),))])) as results:
                    async for _made in results:
                        pass
            rounds.append(((time.process_time() - front) * 1e3 / jobs, (worker_cpu_s(pid) - worker) * 1e3 / jobs))
        return tuple(statistics.median(r[n] for r in rounds[1:]) for n in (0, 1))
    finally:
        await pool.close()


def main() -> None:
    jobs = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    print(f"| source | front ms | worker ms | both |\n|---|---|---|---|   ({jobs} jobs, median of {ROUNDS} rounds)")
    for size in (64_000, 1_300_000, 8_000_000):
        source = (SOURCE + bytes(size))[:size]
        front, worker = asyncio.run(measure(source, jobs))
        print(f"| {size:,} B | {front:.2f} | {worker:.2f} | {front + worker:.2f} |")


if __name__ == "__main__":
    main()
