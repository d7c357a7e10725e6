"""Orders for tests, work that only takes notes, and engines that are held to one contract."""

import asyncio
import secrets
import time
from contextlib import asynccontextmanager, suppress

from msgspec.structs import replace

from imagemill.jobs.base import Delivered, Work
from imagemill.jobs.embedded.engine import EmbeddedEngine
from imagemill.jobs.embedded.runner import Runner
from imagemill.model.job import Batch, Callback, Event, Job, JobSpec, Result, ResultState, State, Timings, Wanted
from imagemill.model.media import Format
from imagemill.model.recipe import Encode
from imagemill.model.request import SourceRef
from imagemill.settings import Jobs

ALL_EVENTS = (Event.ACCEPTED, Event.FAILED, Event.PROGRESS, Event.RENDITION, Event.SUCCEEDED)


def callback(host="receiver.example", events=(Event.FAILED, Event.SUCCEEDED)):
    return Callback(f"https://{host}/hook", "main", tuple(events))


def spec(name="small", **fields):
    fields.setdefault("store", "out")
    wanted = Wanted(name, (Encode(Format.WEBP),), f"{{job}}/{name}.webp")
    return JobSpec(SourceRef("local", "in/cat.jpg"), fields.pop("renditions", (wanted,)), **fields)


def job(tenant="default", *, retry_of="", created_s=None, **fields):
    return Job(
        secrets.token_hex(16),
        tenant,
        spec(**fields),
        State.QUEUED,
        Timings(created_s or time.time()),
        retry_of=retry_of,
    )


def batch(total, tenant="default", **fields):
    return Batch(secrets.token_hex(16), tenant, secrets.token_hex(32), total, time.time(), **fields)


def stored(job, name="small"):
    return Result(name, ResultState.STORED, "out", f"{job.id}/{name}.webp", "ab" * 32, 1234, "image/webp", 4, 3, 1)


class NoteTaking:
    """Steps that do nothing but say so; `work` and `answer` may be put in their place."""

    def __init__(self, work=None, answer=None):
        self.made = []
        self.told = []
        self.making = 0
        self.most_making = 0
        self._work = work
        self._answer = answer

    async def make(self, job, report):
        self.made.append(job)
        self.making += 1
        self.most_making = max(self.most_making, self.making)
        try:
            if self._work is not None:
                return await self._work(job, report)
            return await store(job, report)
        finally:
            self.making -= 1

    async def deliver(self, delivery, about):
        self.told.append((delivery, about))
        return self._answer(delivery) if self._answer else Delivered(204)

    def ids_told(self, event):
        return [delivery.id for delivery, _ in self.told if delivery.event is event]


async def store(job, report):
    results = []
    for wanted in job.spec.renditions:
        result = stored(job, wanted.name)
        await report(replace(result, state=ResultState.STORING))
        await report(result)
        results.append(result)
    return Work(tuple(results), 1.0, 2.0)


class Unobserved:
    """Nobody counts."""

    def stage(self, stage, seconds):
        pass

    def job(self, state, priority):
        pass

    def callback(self, outcome):
        pass


class Embedded:
    """The embedded engine in a directory of its own, as the contract wants it."""

    exact_order = True
    counts_quota_at_once = True
    prunes = True

    def __init__(self, directory, clock=time.time, **settings):
        self.directory = directory
        self.clock = clock
        self.settings = Jobs(**({"grace_s": 0.5} | settings))
        self.engine = EmbeddedEngine(self.settings, directory, clock=clock)

    @asynccontextmanager
    async def run(self, steps):
        """Work with *steps* as long as this is open."""
        stop = asyncio.Event()
        self.runner = Runner(self.settings, self.directory, steps, Unobserved(), clock=self.clock)
        running = asyncio.create_task(self.runner.run(stop))
        try:
            yield
        finally:
            stop.set()
            await running


async def until(engine, job_id, *states, timeout_s=20.0):
    """The job, as soon as it is in one of *states*."""
    deadline_s = time.monotonic() + timeout_s
    found = await engine.read(job_id)
    while found is None or found.state not in states:
        assert time.monotonic() < deadline_s, found
        found = await engine.wait(job_id, found.version if found else 0, 0.5)
    return found


async def eventually(question, timeout_s=20.0):
    """Ask until the answer is true."""
    deadline_s = time.monotonic() + timeout_s
    while not (answer := await question()):
        assert time.monotonic() < deadline_s, answer
        await asyncio.sleep(0.02)
    return answer


@asynccontextmanager
async def opened(engine):
    await engine.start()
    try:
        yield engine
    finally:
        with suppress(Exception):
            await engine.close()
