"""What may be done with jobs, batches and schedules, by whom: everything is judged here before an engine hears of it.

Units    Unix seconds.
Errors   `NotFound` for what is not there, is another tenant's, or could not be; those of `jobs.base`, `service.orders`
         and `service.admission`.
"""

import re
import secrets
import time
from collections.abc import Callable, Mapping

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from imagemill.dialects.base import Dialect
from imagemill.jobs.base import Claim, JobEngine, Page, Query
from imagemill.model.errors import (
    BadOption,
    BadRequest,
    JobUnfinished,
    NotFound,
    ScopeMissing,
)
from imagemill.model.job import OVER, Batch, Delivery, Job, JobSpec, Result, Schedule, State, Timings, is_id
from imagemill.service.admission import Admission
from imagemill.service.batches import bounded, read_all
from imagemill.service.bodies import Digest, fields, items, read
from imagemill.service.orders import FIELDS, Reader, metadata_of, summary_of, tags_of
from imagemill.service.results import Addresses, addresses
from imagemill.service.rights import Rights
from imagemill.service.schedules import check_name, next_s
from imagemill.settings import Settings
from imagemill.storage.base import Put

BATCH_FIELDS = ("job", "items", "callback", "tags", "metadata")
SCHEDULE_FIELDS = ("cron", "timezone", "paused", "job", "jobs")
_IDEMPOTENCY_KEY = re.compile(r"[ -~]{1,255}")
_SEED_BYTES = 32


class Who(Struct, frozen=True):
    """On whose behalf something is done."""

    tenant: str
    admin: bool = False
    """Sees everybody's."""


class Jobs:
    """The use cases."""

    def __init__(
        self,
        engine: JobEngine,
        dialect: Dialect,
        admission: Admission,
        stores: Mapping[str, Put],
        settings: Settings,
        *,
        clock: Callable[[], float] = time.time,
        make_id: Callable[[], str] = lambda: secrets.token_hex(16),
    ) -> None:
        self._engine = engine
        self._dialect = dialect
        self._admission = admission
        self._stores = stores
        self._settings = settings
        self._clock = clock
        self._make_id = make_id

    # one job

    async def submit(self, who: Who, body: bytes, idempotency_key: str | None = None) -> Job:
        """Accept the job that the JSON *body* describes, or give back the one that it was accepted as before."""
        given = fields(body, "", FIELDS)
        claim = _claim(idempotency_key, body)
        if claim is not None and (earlier := await self._engine.claimed(who.tenant, claim)) is not None:
            return earlier  # whatever has become of its source or its deadline since
        now_s = self._clock()
        spec = Reader(self._dialect, self._settings, now_s).spec(given)
        return await self._accept(who.tenant, await self._admission.of(who.tenant).admit(spec), now_s, claim)

    async def read(self, who: Who, job_id: str) -> Job:
        """The job now."""
        return _own(who, await self._engine.read(_id(job_id)))

    async def wait(self, who: Who, job_id: str, version: int, timeout_s: float) -> Job:
        """The job as soon as its version is above *version*, or as it is after *timeout_s*."""
        await self.read(who, job_id)
        return _own(who, await self._engine.wait(job_id, version, timeout_s))

    async def list(self, who: Who, query: Query) -> Page:
        """Jobs, newest first; of this tenant, whatever *query* says, unless this is an admin."""
        return await self._engine.list(query if who.admin else replace(query, tenant=who.tenant))

    async def cancel(self, who: Who, job_id: str) -> Job:
        """Cancel what is not over."""
        await self.read(who, job_id)
        return await self._engine.cancel(job_id)

    async def retry(self, who: Who, job_id: str) -> Job:
        """A new job that orders the same, at once and without a deadline; judged as things are now.

        Raises:
            JobUnfinished: there is nothing to repeat yet.
        """
        job = await self.read(who, job_id)
        if job.state not in OVER:
            raise JobUnfinished(f"the job is {job.state}; cancel it first")
        spec = replace(job.spec, not_before_s=0.0, deadline_s=None)
        spec = await self._admission.of(job.tenant).admit(spec)
        return await self._accept(job.tenant, spec, self._clock(), None, retry_of=job.id)

    async def redeliver(self, who: Who, job_id: str) -> int:
        """Begin anew with what was given up, and with the last callback of a job or batch; how many there are."""
        await self._either(who, job_id)
        return await self._engine.redeliver(job_id)

    async def deliveries(self, who: Who, job_id: str) -> tuple[Delivery, ...]:
        """What was and is owed to the receiver of a job or batch, oldest first."""
        await self._either(who, job_id)
        return await self._engine.deliveries(job_id)

    async def addresses(self, job: Job) -> Addresses:
        """Where its results lie; presigned addresses, of what its tenant may use, are good for `jobs.address_s`."""
        stores = Rights(self._settings.jobs.tenants).of(job.tenant, self._stores)
        return await addresses(job, stores, self._settings.jobs.address_s)

    async def prune(self, who: Who, before_s: float) -> int:
        """Forget every tenant's jobs that ended before *before_s*; how many. For admins."""
        if not who.admin:
            raise ScopeMissing("admin is needed")
        return await self._engine.prune(before_s)

    async def _accept(
        self, tenant: str, spec: JobSpec, now_s: float, claim: Claim | None, *, retry_of: str = ""
    ) -> Job:
        due_s = max(now_s, spec.not_before_s)
        job = Job(
            id=self._make_id(),
            tenant=tenant,
            spec=spec,
            state=State.SCHEDULED if due_s > now_s else State.QUEUED,
            times=Timings(now_s, due_s),
            results=tuple(Result(wanted.name) for wanted in spec.renditions),
            retry_of=retry_of,
        )
        return await self._engine.submit(job, claim)

    async def _either(self, who: Who, some_id: str) -> None:
        job = await self._engine.read(_id(some_id))
        if job is None:
            await self.read_batch(who, some_id)
        else:
            _own(who, job)

    # batches

    async def submit_batch(self, who: Who, body: bytes, idempotency_key: str | None = None) -> Batch:
        """Accept all jobs of the JSON *body* as one record, or none: an error names the first item that is wrong."""
        given = fields(body, "", BATCH_FIELDS)
        if "items" not in given:
            raise BadOption("items: missing")
        defaults = fields(given["job"], "job", FIELDS) if "job" in given else {}
        now_s, admitting = self._clock(), self._admission.of(who.tenant)
        callback = await admitting.receiver(summary_of(given))
        tags, metadata = tags_of(given), metadata_of(given, self._settings.jobs.metadata_bytes)
        found = bounded(items(given["items"], "items"), "items", self._settings.jobs.max_batch)
        digest = Digest()
        for name in sorted(given.keys() - {"items"}):
            digest.add(msgspec.json.encode(name))
            digest.add(given[name])
        reader = Reader(self._dialect, self._settings, now_s)
        specs = await read_all(found, "items[{}]", reader, admitting, defaults=defaults, digest=digest)
        batch = Batch(
            id=self._make_id(),
            tenant=who.tenant,
            seed=secrets.token_hex(_SEED_BYTES),
            total=len(specs),
            created_s=now_s,
            callback=callback,
            tags=tags,
            metadata=metadata,
        )
        claim = None if idempotency_key is None else Claim(_checked(idempotency_key), digest.text())
        return await self._engine.submit_batch(batch, specs, claim)

    async def read_batch(self, who: Who, batch_id: str) -> Batch:
        """The batch now, with counts."""
        batch = await self._engine.read_batch(_id(batch_id))
        if batch is None or not _sees(who, batch.tenant):
            raise NotFound
        return batch

    async def cancel_batch(self, who: Who, batch_id: str) -> Batch:
        """Make no more jobs of it, and cancel those that are not over."""
        await self.read_batch(who, batch_id)
        return await self._engine.cancel_batch(batch_id)

    # schedules

    async def put_schedule(self, who: Who, name: str, body: bytes) -> Schedule:
        """Make the jobs of the JSON *body* again and again from now on, in place of what *name* did before."""
        check_name(name)
        given = fields(body, "", SCHEDULE_FIELDS)
        if ("job" in given) == ("jobs" in given):
            raise BadOption("job: either one job, or a list of jobs, is wanted")
        if "cron" not in given:
            raise BadOption("cron: missing")
        now_s = self._clock()
        cron = read(given["cron"], "cron", str)
        timezone = read(given["timezone"], "timezone", str) if "timezone" in given else "UTC"
        paused = read(given["paused"], "paused", bool) if "paused" in given else False
        due_s = next_s(cron, timezone, now_s)
        reader, admitting = Reader(self._dialect, self._settings, now_s, timed=False), self._admission.of(who.tenant)
        if "job" in given:
            specs = await read_all([given["job"]], "job", reader, admitting)
        else:
            found = bounded(items(given["jobs"], "jobs"), "jobs", self._settings.jobs.max_batch)
            specs = await read_all(found, "jobs[{}]", reader, admitting)
        return await self._engine.put_schedule(
            Schedule(name, who.tenant, cron, tuple(specs), timezone, paused, now_s, None if paused else due_s)
        )

    async def read_schedule(self, who: Who, name: str) -> Schedule:
        """This tenant's schedule of that name."""
        for schedule in await self._engine.schedules(who.tenant):
            if schedule.name == name:
                return schedule
        raise NotFound("schedule")

    async def schedules(self, who: Who) -> tuple[Schedule, ...]:
        """This tenant's, or everyone's for an admin, by name."""
        return await self._engine.schedules(None if who.admin else who.tenant)

    async def pause_schedule(self, who: Who, name: str, *, paused: bool) -> Schedule:
        """Let it rest, or go on from its next time; what was missed meanwhile is not made up for."""
        schedule = await self.read_schedule(who, name)
        due_s = None if paused else next_s(schedule.cron, schedule.timezone, self._clock())
        return await self._engine.put_schedule(replace(schedule, paused=paused, next_s=due_s))

    async def drop_schedule(self, who: Who, name: str) -> None:
        """Forget it; jobs that it has made go on."""
        if not await self._engine.drop_schedule(who.tenant, name):
            raise NotFound("schedule")


def _id(text: str) -> str:
    if not is_id(text):
        raise NotFound
    return text


def _sees(who: Who, tenant: str) -> bool:
    return who.admin or who.tenant == tenant


def _own(who: Who, job: Job | None) -> Job:
    if job is None or not _sees(who, job.tenant):
        raise NotFound
    return job


def _checked(idempotency_key: str) -> str:
    if not _IDEMPOTENCY_KEY.fullmatch(idempotency_key):
        raise BadRequest("Idempotency-Key: 1 to 255 printable ASCII characters are wanted")
    return idempotency_key


def _claim(idempotency_key: str | None, body: bytes) -> Claim | None:
    if idempotency_key is None:
        return None
    digest = Digest()
    digest.add(body, "body")
    return Claim(_checked(idempotency_key), digest.text())
