"""Jobs, steps and a worker process for tests of the Temporal engine.

Steps do what a job's tags say: ``sleep:2`` works for so long after its first rendition, ``corrupt`` and ``slow`` fail,
``flaky`` fails once, ``noop`` does nothing; ``once:2`` works for so long in its first attempt,
``held`` until `Steps.go_on` is set. What they are asked to do is written down, line by line, so that a killed worker's part is kept.
"""

import asyncio
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from imagemill.jobs.base import Delivered, Outcome, Report, Work
from imagemill.jobs.temporal.engine import TemporalEngine
from imagemill.jobs.temporal.worker import TemporalRunner
from imagemill.model.errors import ImageCorrupt, SourceTimeout
from imagemill.model.job import (
    TERMINAL,
    Batch,
    Callback,
    Delivery,
    Event,
    Job,
    JobSpec,
    Result,
    ResultState,
    State,
    Timings,
    Wanted,
)
from imagemill.model.recipe import Resize
from imagemill.model.request import SourceRef
from imagemill.settings import Jobs, Settings, Signing, Temporal

ALL_EVENTS = tuple(event for event in Event if event is not Event.FINISHED)


def settings(address: str, *, heartbeat_s: float = 10.0, queue: str = "", **jobs: Any) -> Settings:
    """A queue of its own for each test: they share a server."""
    temporal = Temporal(address=address, task_queue=queue or f"t{secrets.token_hex(4)}", heartbeat_s=heartbeat_s)
    return Settings(signing=Signing(mode="unsigned"), temporal=temporal, jobs=Jobs(engine="temporal", **jobs))


def spec(
    *tags: str, url: str = "", events: tuple[Event, ...] = (Event.FAILED, Event.SUCCEEDED), **rest: Any
) -> JobSpec:
    wanted = tuple(Wanted(name, (Resize(100, 100),), f"{{job}}/{name}.jpg") for name in ("a", "b"))
    callback = Callback(url, "main", events) if url else None
    source = SourceRef("https", "https://example.org/a.jpg")
    return JobSpec(source, wanted, store="out", tags=tags, callback=callback, **rest)


def job(*tags: str, tenant: str = "default", **rest: Any) -> Job:
    return Job(secrets.token_hex(16), tenant, spec(*tags, **rest), State.QUEUED, Timings(created_s=time.time()))


def batch(total: int, tenant: str = "default", **rest: Any) -> Batch:
    return Batch(secrets.token_hex(16), tenant, secrets.token_hex(32), total, time.time(), **rest)


class Steps:
    """Pretends to make and to deliver, and writes down what it was asked to."""

    def __init__(self, log: Path) -> None:
        self._log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self.go_on = asyncio.Event()
        self.outcomes: list[Outcome] = []
        """Of the next deliveries, before all others arrive."""

    def note(self, op: str, **fields: Any) -> None:
        os.write(self._log, json.dumps({"op": op, "pid": os.getpid(), "t": time.time(), **fields}).encode() + b"\n")

    async def make(self, job: Job, report: Report) -> Work:
        have = {r.name: r for r in job.results if r.state is ResultState.STORED}
        self.note("make", job=job.id, have=sorted(have), priority=job.spec.priority, tenant=job.tenant)
        try:
            return await self._make(job, report, have)
        except asyncio.CancelledError:
            self.note("stopped", job=job.id)
            raise

    async def _make(self, job: Job, report: Report, have: dict[str, Result]) -> Work:
        tags = job.spec.tags
        if "noop" in tags:
            return Work(())
        if "corrupt" in tags:
            raise ImageCorrupt("not a picture")
        if "slow" in tags or ("flaky" in tags and job.attempts == 1):
            raise SourceTimeout("too slow")
        for number, wanted in enumerate(job.spec.renditions):
            if wanted.name not in have:
                result = Result(wanted.name, ResultState.STORING, "out", wanted.key, "0" * 64, 10)
                await report(result)
                have[wanted.name] = replace(result, state=ResultState.STORED)
                await report(have[wanted.name])
            if number == 0:
                self.note("first", job=job.id)
                kinds = ("sleep:", "once:") if job.attempts == 1 else ("sleep:",)
                await asyncio.sleep(sum(float(tag.partition(":")[2]) for tag in tags if tag.startswith(kinds)))
                if "held" in tags:
                    await self.go_on.wait()
        self.note("made", job=job.id)
        return Work(tuple(have[wanted.name] for wanted in job.spec.renditions), 1.0, 2.0)

    async def deliver(self, delivery: Delivery, about: Job | Batch) -> Outcome:
        outcome = self.outcomes.pop(0) if self.outcomes else Delivered(204)
        self.note("deliver", id=delivery.id, event=delivery.event, about=about.id, state=about.state)
        return outcome


class Seen:
    """What metrics were told."""

    def __init__(self) -> None:
        self.stages: list[str] = []
        self.jobs: list[tuple[State, int]] = []
        self.callbacks: list[str] = []

    def stage(self, stage: str, seconds: float) -> None:
        assert seconds >= 0
        self.stages.append(stage)

    def job(self, state: State, priority: int) -> None:
        self.jobs.append((state, priority))

    def callback(self, outcome: str) -> None:
        self.callbacks.append(outcome)


def lines(log: Path, op: str = "") -> list[dict[str, Any]]:
    """What steps wrote down, all or of one kind."""
    text = log.read_text() if log.exists() else ""
    records = [json.loads(line) for line in text.splitlines()]
    return [record for record in records if op in {"", record["op"]}]


async def ended(engine: TemporalEngine, job_id: str, seconds: float = 80.0) -> Job:
    """The job once it is in a terminal state."""
    until_s, version = time.monotonic() + seconds, -1
    while True:
        found = await engine.wait(job_id, version, 5.0)
        assert found is not None
        if found.state in TERMINAL:
            return found
        assert time.monotonic() < until_s, found
        version = found.version


async def until(true: Any, what: str, seconds: float = 80.0) -> None:
    """Wait until *true*, a plain or asynchronous function, says so."""
    until_s = time.monotonic() + seconds
    while True:
        said = true()
        if await said if asyncio.iscoroutine(said) else said:
            return
        assert time.monotonic() < until_s, what
        await asyncio.sleep(0.1)


@contextmanager
def worker(address: str, queue: str, log: Path, heartbeat_s: float = 1.0) -> Iterator[subprocess.Popen[bytes]]:
    """A worker in a process of its own."""
    code = "from support.temporal_jobs import main; main()"
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    arguments = [sys.executable, "-c", code, address, queue, str(log), str(heartbeat_s)]
    process = subprocess.Popen(arguments, env=environ, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def main() -> None:
    address, queue, log, heartbeat_s = sys.argv[1:]
    steps = Steps(Path(log))

    async def run() -> None:
        given = settings(address, heartbeat_s=float(heartbeat_s), queue=queue)
        await TemporalRunner(given, steps, Seen()).run(asyncio.Event())

    asyncio.run(run())
