"""What a job costs through Temporal, beside what its server does by itself: ``python bench/jobs_temporal.py [JOBS]``.

A development server on a file of its own, a worker in a process of its own, jobs with work that does nothing. The
yardstick is a bare workflow with one activity on the same server, which is what any durable step costs there.
Figures: workflows and jobs done a second, 50 waiting at a time; latency from submission to the end at low load; CPU of
worker and submitter for one; CPU of an idle worker and of an idle server in % of a core.
"""

import asyncio
import os
import platform
import resource
import statistics
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import Worker

from imagemill.jobs.base import Work
from imagemill.jobs.temporal.engine import TemporalEngine
from imagemill.jobs.temporal.worker import TemporalRunner
from imagemill.model.job import TERMINAL
from support.jobs import NoteTaking, Unobserved, job
from support.temporal import serving
from support.temporal_jobs import settings

QUEUE, BARE = "bench", "bare"
AT_A_TIME, AT_LOW_LOAD, IDLE_S = 50, 40, 20.0


@activity.defn
async def nothing() -> None:
    """Do nothing."""


@workflow.defn(sandboxed=False)
class OneStep:
    """The least that is durable."""

    @workflow.run
    async def run(self) -> None:
        await workflow.execute_activity(nothing, start_to_close_timeout=timedelta(seconds=30))


async def made(_job, _report):
    return Work(())


async def work(address, kind):
    """The worker's process: works until its standard input is closed."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_reader(0, stop.set)
    if kind == BARE:
        async with Worker(await Client.connect(address), task_queue=BARE, workflows=[OneStep], activities=[nothing]):
            await stop.wait()
    else:
        await TemporalRunner(settings(address, queue=QUEUE, concurrency=8), NoteTaking(made), Unobserved()).run(stop)


def cpu_s(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def own_cpu_s():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def row(name, value):
    print(f"{name:<52} {value:>14}", flush=True)


async def each(count, at_a_time, one):
    """Call *one* so often; how long each took."""
    took, left = [], iter(range(count))

    async def caller():
        for n in left:
            began = time.perf_counter()
            await one(n)
            took.append(time.perf_counter() - began)
            if at_a_time == 1:
                await asyncio.sleep(0.05)

    await asyncio.gather(*(caller() for _ in range(at_a_time)))
    return took


async def measured(name, server, kind, count, one):
    child = await asyncio.create_subprocess_exec(
        sys.executable, __file__, "work", server.address, kind, stdin=asyncio.subprocess.PIPE
    )
    try:
        await one(-1)
        before, own, began = cpu_s(child.pid), own_cpu_s(), time.perf_counter()
        await each(count, AT_A_TIME, one)
        row(f"{name}: done a second", f"{count / (time.perf_counter() - began):.1f}")
        row("  CPU of worker / of submitter for one, ms",
            f"{(cpu_s(child.pid) - before) / count * 1e3:.1f} / {(own_cpu_s() - own) / count * 1e3:.1f}")  # fmt: skip
        quantiles = statistics.quantiles(await each(AT_LOW_LOAD, 1, one), n=20)
        row("  at low load, start to end, p50 / p95 ms", f"{quantiles[9] * 1e3:.0f} / {quantiles[18] * 1e3:.0f}")
        before, of_server = cpu_s(child.pid), cpu_s(server.process.pid)
        await asyncio.sleep(IDLE_S)
        row("  idle worker / server, % of a core",
            f"{(cpu_s(child.pid) - before) / IDLE_S * 100:.1f} / {(cpu_s(server.process.pid) - of_server) / IDLE_S * 100:.1f}")  # fmt: skip
    finally:
        child.stdin.close()
        await child.wait()


async def measure(count):
    print(f"{platform.platform()}, Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}; {count} each")
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder) / "server") as server:
        client = await Client.connect(server.address)
        await measured("bare workflow, one activity", server, BARE, count, lambda n: client.execute_workflow(
            OneStep.run, id=f"bare-{n}-{time.time_ns()}", task_queue=BARE
        ))  # fmt: skip
        engine = TemporalEngine(settings(server.address, queue=QUEUE))
        await engine.start()

        async def one_job(_):
            accepted = found = await engine.submit(job())
            while found.state not in TERMINAL:
                found = await engine.wait(accepted.id, found.version, 30.0)

        await measured("job, no work", server, QUEUE, count, one_job)
        await engine.close()


if __name__ == "__main__":
    if sys.argv[1:2] == ["work"]:
        asyncio.run(work(*sys.argv[2:]))
    else:
        asyncio.run(measure(int(sys.argv[1]) if len(sys.argv) > 1 else 200))
