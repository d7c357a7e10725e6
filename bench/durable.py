"""What a durable job costs in one SQLite file: DBOS beside a lease table of our own (docs/adr/0009).

    pip install dbos==3.4.0; python bench/durable.py [dbos|table] [idle|rate|latency|order|kill|upgrade|two|cancel]

WAL and synchronous=FULL for both. One process accepts (this one), another works (a child). A job is three durable
steps, make, store and notify, that only write a line. CPU is that of processes, from /proc; times are the machine's
and upper bounds where it is shared. Files lie below the working directory's file system unless TMPDIR says otherwise.
"""

import importlib.util
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

HERE = Path(__file__).parent
TICKS = os.sysconf("SC_CLK_TCK")
LIMIT_S = 60
POLLS_S = (0.2, 0.15, 0.1, 0.05, 0.02)


def engine(name):
    sys.path.insert(0, str(HERE))
    return importlib.import_module(f"durable_{name}")


class Log:
    """Lines that several processes append: step, job, monotonic seconds, process."""

    def __init__(self, path):
        self._file = os.open(path, os.O_APPEND | os.O_CREAT | os.O_WRONLY)
        self._path = path

    def __call__(self, step, job):
        os.write(self._file, f"{step} {job} {time.monotonic():.6f} {os.getpid()}\n".encode())

    def lines(self):
        for line in self._path.read_text().splitlines():
            step, job, at_s, pid = line.split()
            yield step, job, float(at_s), int(pid)

    def at(self, step):
        """Job to the time it first came to *step*."""
        times = {}
        for found, job, at_s, _ in self.lines():
            if found == step:
                times.setdefault(job, at_s)
        return times


class Bench:
    """A directory with a database, a log and the processes at work in it."""

    def __init__(self, name, directory):
        self.name, self.path = name, directory / "jobs.db"
        self.log = Log(directory / "log")
        self.workers = []

    def work(self, *, poll_s=0.05, concurrency=8, **environment):
        ready = sum(1 for step, *_ in self.log.lines() if step == "ready")
        command = [sys.executable, __file__, "--work", self.name, str(self.path), str(poll_s), str(concurrency)]
        worker = subprocess.Popen(command, env=os.environ | environment, stderr=subprocess.DEVNULL)
        self.workers.append(worker)
        self.until(lambda: sum(1 for step, *_ in self.log.lines() if step == "ready") > ready)
        return worker

    def client(self):
        return engine(self.name).Client(self.path)

    def until(self, true, limit_s=LIMIT_S):
        end_s = time.monotonic() + limit_s
        while not (met := true()) and time.monotonic() < end_s:
            time.sleep(0.05)
        return met

    def kill(self, worker):
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        self.workers.remove(worker)


@contextmanager
def bench(name):
    with tempfile.TemporaryDirectory(prefix="durable-") as directory:
        made = Bench(name, Path(directory))
        try:
            yield made
        finally:
            for worker in list(made.workers):
                made.kill(worker)


def cpu_s(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def size(pid):
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(status["VmRSS"].split()[0]) / 1024, int(status["Threads"])


def own_s():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def quantiles(values):
    values = sorted(values)
    return values[len(values) // 2], values[min(len(values) - 1, int(len(values) * 0.99))], values[-1]


def tell(name, case, text):
    print(f"{name:6} {case:8} {text}", flush=True)


def migrated(b):
    """A worker has been here once: the tables are made."""
    b.kill(b.work())


def idle(name):
    for poll_s in (1.0, *POLLS_S):
        with bench(name) as b:
            worker = b.work(poll_s=poll_s)
            time.sleep(3)
            before_s, begun_s = cpu_s(worker.pid), time.monotonic()
            time.sleep(8)
            share = (cpu_s(worker.pid) - before_s) / (time.monotonic() - begun_s)
            rss, threads = size(worker.pid)
            tell(name, "idle", f"poll {poll_s:4} s: {share:6.2%} of a core, {rss:.0f} MiB, {threads} threads")


def rate(name):
    count = 400
    kinds = (("", 0.02), ("sync", 0.02), ("sync", 0.2)) if name == "dbos" else (("", 0.02), ("", 0.2))
    for kind, poll_s in kinds:
        with bench(name) as b:
            migrated(b)
            client, before_s, begun_s = b.client(), own_s(), time.monotonic()
            for n in range(count):
                client.enqueue(f"j{n}")
            accept_ms = (own_s() - before_s) * 1000 / count
            accept_rate = count / (time.monotonic() - begun_s)
            worker = b.work(poll_s=poll_s, **({"BENCH_SYNC": "1"} if kind else {}))
            before_s = cpu_s(worker.pid)
            done = lambda b=b: len(b.log.at("notify")) == count  # noqa: E731
            if not b.until(done, 90):
                tell(name, "rate", f"{kind or 'async'}: not done in 90 s: {len(b.log.at('notify'))} of {count}")
                continue
            time.sleep(0.3)
            used_ms = (cpu_s(worker.pid) - before_s) * 1000 / count
            first, last = min(b.log.at("make").values()), max(b.log.at("notify").values())
            tell(
                name,
                "rate",
                f"{kind or 'async':5} poll {poll_s:4} s: {count / (last - first):4.0f} jobs/s; CPU a job: {used_ms:.1f} ms working + "
                f"{accept_ms:.1f} ms accepting ({accept_rate:.0f}/s one by one)",
            )


def latency(name):
    for poll_s in POLLS_S:
        with bench(name) as b:
            b.work(poll_s=poll_s)
            client, accepted = b.client(), {}
            client.enqueue("warm")
            b.until(lambda b=b: "warm" in b.log.at("notify"))
            for n in range(60):
                accepted[f"j{n}"] = time.monotonic()
                client.enqueue(f"j{n}")
                time.sleep(0.1 * random.uniform(0.5, 1.5))
            b.until(lambda b=b: len(b.log.at("make")) == 61)
            started = b.log.at("make")
            p50, p99, most = quantiles([(started[job] - at_s) * 1000 for job, at_s in accepted.items()])
            tell(name, "latency", f"poll {poll_s:4} s: accept to start p50 {p50:.0f}, p99 {p99:.0f}, max {most:.0f} ms")


def order(name):
    with bench(name) as b:
        migrated(b)
        client, jobs = b.client(), {f"j{n}": random.randrange(9) for n in range(10_000)}
        begun_s, used_s = time.monotonic(), own_s()
        client.enqueue_all([(job, priority, 10) for job, priority in jobs.items()])
        tell(
            name,
            "batch",
            f"10,000 in one transaction: {time.monotonic() - begun_s:.2f} s, {own_s() - used_s:.2f} s CPU",
        )
        worker = b.work(concurrency=4, poll_s=0.02)
        time.sleep(4)
        accepted = {}
        for n in range(50):
            accepted[f"h{n}"] = time.monotonic()
            client.enqueue(f"h{n}", 9)
            time.sleep(0.2)
        b.until(lambda: len(accepted.keys() & b.log.at("make").keys()) == 50)
        started = b.log.at("make")
        urgent = [(started[job] - at_s) * 1000 for job, at_s in accepted.items() if job in started]
        p50, p99, most = quantiles(urgent)
        low = [jobs[job] for job in sorted(started.keys() & jobs.keys(), key=started.get)]
        turned = sum(1 for before, after in pairwise(low) if after > before)
        rss, _ = size(worker.pid)
        tell(
            name,
            "order",
            f"priority 9 amid 10,000: {len(urgent)} of 50 started, p50 {p50:.0f}, p99 {p99:.0f}, max {most:.0f} ms; "
            f"{len(low)} others started, {turned} after one of lower priority; {rss:.0f} MiB",
        )


def tally(b, client, count, done):
    finished = client.counts().get(done, 0)
    steps = Counter((step, job) for step, job, *_ in b.log.lines())
    twice = {step: sum(1 for (s, _), n in steps.items() if s == step and n > 1) for step in ("make", "store", "notify")}
    return f"{count - finished} of {count} lost; begun more than once: " + ", ".join(
        f"{s} {n}" for s, n in twice.items()
    )


def kill(name):
    count, done = 300, {"dbos": "SUCCESS", "table": "succeeded"}[name]
    with bench(name) as b:
        pinned = {"BENCH_VERSION": "1"}
        os.environ |= pinned
        worker, client = b.work(), b.client()
        for n in range(count):
            client.enqueue(f"j{n}", n % 10, 60, 3.0 if n % 10 == 0 else 0.0)
        for _ in range(6):
            before = len(b.log.at("notify"))
            b.until(lambda before=before: len(b.log.at("notify")) >= min(count - 1, before + 20), 20)
            time.sleep(random.uniform(0, 0.3))
            b.kill(worker)
            worker = b.work(BENCH_UPGRADED="1")
        b.until(lambda: client.counts().get(done, 0) == count)
        tell(name, "kill", f"6 x kill -9, pinned, source changed: {tally(b, client, count, done)}")
        del os.environ["BENCH_VERSION"]


def upgrade(name):
    """Killed at work; another version comes back, and nothing is pinned."""
    count, done = 100, {"dbos": "SUCCESS", "table": "succeeded"}[name]
    with bench(name) as b:
        worker, client = b.work(), b.client()
        for n in range(count):
            client.enqueue(f"j{n}", 0, 300)
        b.until(lambda: len(b.log.at("notify")) > 10)
        b.kill(worker)
        b.work(BENCH_UPGRADED="1")
        b.until(lambda: client.counts().get(done, 0) == count, 15)
        tell(name, "upgrade", f"kill -9, nothing pinned, source changed, 15 s: {client.counts()}")


def two(name):
    """A second process on the same file, while the first one works."""
    with bench(name) as b:
        b.work()
        client = b.client()
        for n in range(4):
            client.enqueue(f"j{n}", 0, 6000)
        b.until(lambda: len(b.log.at("make")) == 4)
        b.work()
        b.until(lambda: {"SUCCESS", "succeeded"} & client.counts().keys(), 20)
        time.sleep(4)
        begun = Counter(job for step, job, *_ in b.log.lines() if step == "make")
        told = Counter(job for step, job, *_ in b.log.lines() if step == "notify")
        tell(
            name,
            "two",
            f"4 long jobs, second process not refused: begun {sum(begun.values())}, told {sum(told.values())}",
        )


def cancel(name):
    with bench(name) as b:
        b.work()
        client, asked = b.client(), {}
        for n in range(12):
            job = f"j{n}"
            client.enqueue(job, 0, 20_000)
            b.until(lambda job=job: job in b.log.at("make"))
            time.sleep(random.uniform(0, 0.5))
            asked[job] = time.monotonic()
            client.cancel(job)
            b.until(lambda job=job: job in b.log.at("cancelled"), 5)
        stopped = b.log.at("cancelled")
        took = [(stopped[job] - at_s) * 1000 for job, at_s in asked.items() if job in stopped]
        p50, _, most = quantiles(took)
        tell(name, "cancel", f"{len(took)} of 12 stopped, p50 {p50:.0f}, max {most:.0f} ms")


CASES = {"idle": idle, "rate": rate, "latency": latency, "order": order, "kill": kill, "upgrade": upgrade, "two": two, "cancel": cancel}  # fmt: skip


def main():
    if sys.argv[1:2] == ["--work"]:
        name, path, poll_s, concurrency = sys.argv[2:]
        log = Log(Path(path).with_name("log"))
        engine(name).run(Path(path), log, poll_s=float(poll_s), concurrency=int(concurrency))
        return
    random.seed(5)
    names = [arg for arg in sys.argv[1:] if arg in ("dbos", "table")] or ["dbos", "table"]
    cases = [arg for arg in sys.argv[1:] if arg in CASES] or list(CASES)
    if "dbos" in names and not importlib.util.find_spec("dbos"):
        print("dbos: not installed here, left out (pip install dbos==3.4.0)")
        names.remove("dbos")
    for case in cases:
        for name in names:
            CASES[case](name)
    print(f"load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
