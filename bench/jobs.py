"""What the embedded job engine costs and how fast it is, with work that does nothing: ``python bench/jobs.py [JOBS]``.

Submitter and runner are two processes that share the file, as in production; the directory is below ``$TMPDIR``.
Figures: jobs accepted a second (64 callers at once, and one at a time), jobs done a second (threshold 50), CPU of both
processes for each job, latency from submission to the end at low load, CPU of an idle runner in % of a core (threshold
3), most memory. Stated with the sync that they were made with: times are nothing without the disk.
"""

import asyncio
import os
import platform
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from imagemill.jobs.base import Work
from imagemill.jobs.embedded.engine import EmbeddedEngine
from imagemill.jobs.embedded.runner import Runner
from imagemill.model.job import State
from imagemill.settings import Jobs
from support.jobs import NoteTaking, Unobserved, job

SETTINGS = Jobs(concurrency=8, grace_s=1.0)
IDLE_S = 20.0
AT_LOW_LOAD = 100


async def nothing(_job, _report):
    return Work(())


async def work(directory):
    """The runner's process: works until its standard input is closed."""
    steps = NoteTaking(nothing)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(0, stop.set)
    await Runner(SETTINGS, Path(directory), steps, Unobserved()).run(stop)


def cpu_s(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def most_mib(pid):
    line = next(x for x in Path(f"/proc/{pid}/status").read_text().splitlines() if x.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


async def begin(directory):
    child = await asyncio.create_subprocess_exec(
        sys.executable, __file__, "work", str(directory), stdin=asyncio.subprocess.PIPE
    )
    await asyncio.sleep(1.5)
    return child


async def end(child):
    child.stdin.close()
    await child.wait()


async def submitted(engine, count, callers):
    """Submit *count* jobs; their ids, how long it took, and each call's time."""
    took_s, ids = [], []
    left = iter(range(count))

    async def call():
        for _ in left:
            began_s = time.perf_counter()
            ids.append((await engine.submit(job())).id)
            took_s.append(time.perf_counter() - began_s)

    began_s = time.perf_counter()
    await asyncio.gather(*(call() for _ in range(callers)))
    return ids, time.perf_counter() - began_s, sorted(took_s)


async def drained(engine):
    while any(state in {"queued", "running"} for state, _ in await engine.counts()):  # noqa: ASYNC110 - two processes
        await asyncio.sleep(0.05)


def row(name, value, note=""):
    print(f"{name:<44} {value:>12} {note}", flush=True)


async def measure(count):
    print(f"{platform.platform()}, Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}; {count} jobs")
    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(temporary) / "data"
        engine = EmbeddedEngine(SETTINGS, directory)
        await engine.start()

        for callers in (1, 64):
            before_s = resource.getrusage(resource.RUSAGE_SELF)
            _, took_s, each_s = await submitted(engine, count // 2, callers)
            after_s = resource.getrusage(resource.RUSAGE_SELF)
            cpu_ms = (after_s.ru_utime + after_s.ru_stime - before_s.ru_utime - before_s.ru_stime) * 1e3
            row(f"accepted a second, {callers} at once", f"{count // 2 / took_s:.0f}")
            row(
                "  one call, p50 / p99 ms",
                f"{each_s[len(each_s) // 2] * 1e3:.2f} / {each_s[len(each_s) * 99 // 100] * 1e3:.2f}",
            )
            row("  CPU of one, ms", f"{cpu_ms / (count // 2):.2f}")

        began_s = time.perf_counter()
        child = await begin(directory)
        await drained(engine)
        row("done a second, from the start of the runner", f"{count / (time.perf_counter() - began_s):.0f}", ">= 50")
        row("  CPU of the runner for one, ms", f"{cpu_s(child.pid) * 1e3 / count:.2f}")
        row("  most memory of the runner, MiB", f"{most_mib(child.pid):.0f}")

        latencies_s = []
        before_s = cpu_s(child.pid)
        for _ in range(AT_LOW_LOAD):
            began_s = time.perf_counter()
            accepted = await engine.submit(job())
            found = accepted
            while found.state is not State.SUCCEEDED:
                found = await engine.wait(accepted.id, found.version, 5.0)
            latencies_s.append(time.perf_counter() - began_s)
            await asyncio.sleep(0.02)
        quantiles = statistics.quantiles(latencies_s, n=100)
        row("submitted to seen as done, p50 / p99 ms", f"{quantiles[49] * 1e3:.0f} / {quantiles[98] * 1e3:.0f}")
        row("  CPU of the runner for one, ms", f"{(cpu_s(child.pid) - before_s) * 1e3 / AT_LOW_LOAD:.2f}")

        await asyncio.sleep(1.0)
        before_s, began_s = cpu_s(child.pid), time.perf_counter()
        await asyncio.sleep(IDLE_S)
        row(
            "idle runner, % of a core",
            f"{(cpu_s(child.pid) - before_s) / (time.perf_counter() - began_s) * 100:.2f}",
            "< 3",
        )
        await end(child)
        await engine.close()


if __name__ == "__main__":
    if sys.argv[1:2] == ["work"]:
        asyncio.run(work(sys.argv[2]))
    else:
        asyncio.run(measure(int(sys.argv[1]) if len(sys.argv) > 1 else 2000))
