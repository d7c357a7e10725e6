"""Jobs that are made up, and use cases that keep them in memory: what the web layer shows and asks."""

import asyncio
from typing import Any

import msgspec
from msgspec.structs import replace

from imagemill.jobs.base import Page
from imagemill.model.errors import JobFinished, NotFound
from imagemill.model.job import (
    OVER,
    Batch,
    Callback,
    Delivery,
    Event,
    Job,
    JobSpec,
    Result,
    ResultState,
    Schedule,
    State,
    Timings,
    Wanted,
)
from imagemill.model.recipe import Encode
from imagemill.model.request import SourceRef

ID = "0123456789abcdef0123456789abcdef"
SECRET = "CANARY"
CALLBACK = Callback(f"https://u:{SECRET}@hooks.example/in?key={SECRET}", "main")


def spec(**changes: Any) -> JobSpec:
    source = SourceRef("https", f"https://u:{SECRET}@img.example/cat.jpg?sig={SECRET}")
    wanted = (Wanted("small", (Encode(),), "{job}/{name}"), Wanted("large", (Encode(),), "{job}/{name}"))
    return JobSpec(source, wanted, **({"store": "out", "callback": CALLBACK} | changes))


def job(**changes: Any) -> Job:
    given = {"id": ID, "tenant": "acme", "spec": spec(), "state": State.QUEUED, "times": Timings(1_800_000_000.25)}
    return Job(**(given | changes))


def stored(name: str) -> Result:
    return Result(name, ResultState.STORED, "out", f"{ID}/{name}.webp", "ab" * 32, 1234, "image/webp", 512, 341, 1)


class MemoryJobs:
    """`service.jobs.Jobs` without an engine; remembers what it was asked."""

    def __init__(self, *jobs: Job) -> None:
        self.jobs = {one.id: one for one in jobs}
        self.asked: list[tuple[Any, ...]] = []
        self.batch = Batch(ID, "acme", "5e" * 32, 3, 1_800_000_000, CALLBACK, counts={"queued": 3}, made=3)
        self.schedule = Schedule("warm", "acme", "*/5 * * * *", (spec(),), created_s=1_800_000_000)
        self.slow_s = 0.0
        self._changed = asyncio.Condition()

    async def change(self, job_id: str, **changes: Any) -> None:
        async with self._changed:
            old = self.jobs[job_id]
            self.jobs[job_id] = replace(old, version=old.version + 1, **changes)
            self._changed.notify_all()

    async def submit(self, who: Any, body: bytes, idempotency_key: str | None) -> Job:
        await asyncio.sleep(self.slow_s)
        self.asked.append(("submit", who, body, idempotency_key))
        metadata = msgspec.json.decode(body, type=dict[str, msgspec.Raw]).get("metadata", msgspec.Raw(b"null"))
        made = job(tenant=who.tenant, spec=spec(metadata=msgspec.Raw(bytes(metadata))))
        return self.jobs.setdefault(made.id, made)

    async def submit_batch(self, who: Any, body: bytes, idempotency_key: str | None) -> Batch:
        self.asked.append(("submit_batch", who, len(body), idempotency_key))
        return self.batch

    async def read(self, who: Any, job_id: str) -> Job:
        found = self.jobs.get(job_id)
        if found is None or not (who.admin or found.tenant == who.tenant):
            raise NotFound
        return found

    async def wait(self, who: Any, job_id: str, version: int, timeout_s: float) -> Job:
        async with self._changed:
            try:
                async with asyncio.timeout(timeout_s):
                    await self._changed.wait_for(lambda: self.jobs[job_id].version > version)
            except TimeoutError:
                pass
        return await self.read(who, job_id)

    async def list(self, who: Any, query: Any) -> Page:
        self.asked.append(("list", who, query))
        return Page(tuple(self.jobs.values()), "next")

    async def cancel(self, who: Any, job_id: str) -> Job:
        found = await self.read(who, job_id)
        if found.state in OVER:
            raise JobFinished("it is over")
        await self.change(job_id, state=State.CANCELLED, outcome=State.CANCELLED)
        return self.jobs[job_id]

    async def retry(self, who: Any, job_id: str) -> Job:
        return replace(await self.read(who, job_id), id=ID[::-1], retry_of=job_id)

    async def redeliver(self, who: Any, job_id: str) -> int:
        self.asked.append(("redeliver", who, job_id))
        return 2

    async def deliveries(self, who: Any, job_id: str) -> tuple[Delivery, ...]:
        return (Delivery("msg_1", job_id, who.tenant, CALLBACK, Event.SUCCEEDED, 1_800_000_000, status=500),)

    async def read_batch(self, who: Any, batch_id: str) -> Batch:
        if batch_id != ID:
            raise NotFound
        return self.batch

    async def cancel_batch(self, who: Any, batch_id: str) -> Batch:
        return replace(await self.read_batch(who, batch_id), state=State.CANCELLED)

    async def put_schedule(self, who: Any, name: str, body: bytes) -> Schedule:
        self.asked.append(("put_schedule", who, name, body))
        return replace(self.schedule, name=name)

    async def read_schedule(self, who: Any, name: str) -> Schedule:
        if name != self.schedule.name:
            raise NotFound("schedule")
        return self.schedule

    async def schedules(self, who: Any) -> tuple[Schedule, ...]:
        return (self.schedule,)

    async def pause_schedule(self, who: Any, name: str, *, paused: bool) -> Schedule:
        return replace(await self.read_schedule(who, name), paused=paused)

    async def drop_schedule(self, who: Any, name: str) -> None:
        await self.read_schedule(who, name)

    async def prune(self, who: Any, before_s: float) -> int:
        self.asked.append(("prune", who, before_s))
        return 7

    async def addresses(self, one: Job) -> dict[str, tuple[str, str | None]]:
        kept = [r for r in one.results if r.state is ResultState.STORED]
        return {r.name: (f"local:out/{r.key}", f"https://cdn.example/{r.key}") for r in kept}
