"""What a job costs beyond the bare render: ``python bench/overhead.py [JOBS] [embedded | temporal]``.

One node and its job process, with `temporal` a development server and a worker beside it (whose own CPU is told apart); the same renditions once by GET (each one a miss), once
as jobs that store into a folder and call back, one at a time with a pause between them, in interleaved rounds.
Figures: CPU of the whole process tree a rendition, in ms; time from submission to its outcome, and of a GET, in ms;
thresholds: 35 ms of CPU and 150 ms of latency more than the GET. Idle: CPU of the job process, and of the whole tree, in
% of a core (threshold 3). Then as many jobs as will go: real ones a second, beside GETs a second.
"""

import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from support import temporal
from support.drill import Receiver, call
from support.history import Log
from support.node import serving

ROUNDS, PAUSE_S, IDLE_S = 3, 0.15, 20.0
TICK_S = 1 / os.sysconf("SC_CLK_TCK")


PROCESSES = []
"""Beside the node: a worker of its own."""


def tree(pid):
    """*pid* and all below it."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(p for child in children for p in tree(int(child)))]


def everyone(node):
    """The node's processes, and those of a worker beside it."""
    return [p for top in (node.process.pid, *PROCESSES) for p in tree(top)]


def cpu_s(pids):
    total = 0.0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        total += (int(fields[11]) + int(fields[12])) * TICK_S
    return total


def order(width, callback):
    return {
        "source": "local:sample/dandelion.jpg",
        "renditions": [{"name": "r", "params": {"width": width, "format": "webp"}}],
        "destination": {"store": "results"},
        "callback": {"url": callback, "secret": "drill"},
    }


def get(node, width):
    begun = time.perf_counter()
    answer = node.get(f"/image?source=local:sample/dandelion.jpg&width={width}&format=webp")
    assert answer.status == 200, answer.body
    assert answer.headers["x-cache"] == "MISS", answer.headers
    return (time.perf_counter() - begun) * 1e3


def one_job(node, width, url):
    """Time from just before the submission to its outcome, by the job's own clock, which is this machine's."""
    begun = time.time()
    status, _, job = call(node.port, "POST", "/jobs", order(width, url))
    assert status == 202, job
    return job["id"], begun


def took_ms(node, job_id, begun):
    _, _, job = call(node.port, "GET", f"/jobs/{job_id}")
    assert job["state"] == "succeeded", job
    return (_unix_s(job["times"]["finished"]) - begun) * 1e3


def _unix_s(text):
    return datetime.fromisoformat(text).timestamp()


def paced(pids, what):
    before = cpu_s(pids)
    results = []
    for one in what:
        results.append(one())
        time.sleep(PAUSE_S)
    return results, (cpu_s(pids) - before) / len(results) * 1e3


def bench(node, receiver, count):
    widths = iter(range(200, 8000))
    for _ in range(5):  # the job process's workers are started by its first job
        one_job(node, next(widths), receiver.url)
    time.sleep(3)
    pids = everyone(node)
    gets, jobs, get_ms, job_ms = [], [], [], []
    for _ in range(ROUNDS):
        times, cpu = paced(pids, [lambda: get(node, next(widths))] * count)
        gets, get_ms = [*gets, cpu], [*get_ms, *times]
        begun, cpu = paced(pids, [lambda: one_job(node, next(widths), receiver.url)] * count)
        jobs.append(cpu)
        while call(node.port, "GET", "/jobs?state=queued,running,delivering&limit=1")[2]["jobs"]:
            time.sleep(0.2)
        job_ms += [took_ms(node, *one) for one in begun]
    print(
        f"CPU a rendition, ms: GET {_spread(gets)}, job {_spread(jobs)}, more {statistics.median(jobs) - statistics.median(gets):.1f} (at most 35)"
    )
    print(
        f"latency p50/p99, ms: GET {_times(get_ms)}, job {_times(job_ms)}, more {statistics.median(job_ms) - statistics.median(get_ms):.0f} (at most 150)"
    )


def idle(node):
    pids = everyone(node)
    process = PROCESSES or [
        p
        for p in node.workers()
        if b"worker" in Path(f"/proc/{p}/cmdline").read_bytes()
        and b"--supervised" in Path(f"/proc/{p}/cmdline").read_bytes()
    ]
    before, own = cpu_s(pids), cpu_s(process)
    time.sleep(IDLE_S)
    print(
        f"idle, % of a core: job process {(cpu_s(process) - own) / IDLE_S * 100:.2f}, whole tree {(cpu_s(pids) - before) / IDLE_S * 100:.2f} (at most 3)"
    )


def flood(node, receiver, count):
    begun = time.perf_counter()
    with ThreadPoolExecutor(16) as pool:
        ids = [job for job, _ in pool.map(lambda n: one_job(node, 200 + n, receiver.url), range(count))]
    accepted_s = time.perf_counter() - begun
    while call(node.port, "GET", "/jobs?state=queued,running,delivering&limit=1")[2]["jobs"]:
        time.sleep(0.05)
    print(
        f"{len(ids)} jobs: accepted {count / accepted_s:.0f} a second, done {count / (time.perf_counter() - begun):.0f} a second"
    )
    begun = time.perf_counter()
    with ThreadPoolExecutor(16) as pool:
        list(
            pool.map(
                lambda n: node.get(f"/image?source=local:sample/dandelion.jpg&width={200 + n}&format=webp&quality=77"),
                range(count),
            )
        )
    print(f"{count} GETs, all misses: {count / (time.perf_counter() - begun):.0f} a second")


@contextlib.contextmanager
def engine_of(kind, root):
    """The ``[jobs]`` tables of an engine that runs."""
    if kind == "embedded":
        yield {"jobs": {"data": str(root / "state")}}
        return
    with temporal.serving(root / "temporal") as server:
        yield {
            "jobs": {"engine": "temporal", "data": str(root / "state")},
            "temporal": {"address": server.address},
        }
        print(f"Temporal's server, CPU in all: {cpu_s([server.process.pid]):.1f} s")


@contextlib.contextmanager
def working(kind, node):
    """A worker beside *node*, where the engine wants one."""
    if kind == "embedded":
        yield
        return
    command = [sys.executable, "-m", "imagemill", "worker", "--config", str(node.config), "--admin-port", "0"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    PROCESSES.append(process.pid)
    try:
        yield
    finally:
        process.terminate()
        process.wait(60)


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    kind = sys.argv[2] if len(sys.argv) > 2 else "embedded"
    with tempfile.TemporaryDirectory() as folder, engine_of(kind, Path(folder)) as engine:
        root = Path(folder)
        (root / "results").mkdir()
        log = Log(root / "history")
        receiver = Receiver(log)
        tables = {
            "storage": {"results": {"kind": "file", "root": str(root / "results"), "write": True}},
            "callbacks": receiver.settings(),
            "cache": {"source_ttl_s": 0.001},
        }
        with serving(root, **tables, **engine) as node, working(kind, node):
            time.sleep(3)
            idle(node)
            bench(node, receiver, count)
            flood(node, receiver, 5 * count)
        receiver.close()


def _spread(values):
    return f"{min(values):.1f} to {max(values):.1f}"


def _times(values):
    ordered = sorted(values)
    return f"{statistics.median(ordered):.0f}/{ordered[int(len(ordered) * 0.99)]:.0f}"


if __name__ == "__main__":
    main()
