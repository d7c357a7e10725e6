"""A job engine in this process that only remembers: what `service.jobs` asks of one, without any work being done."""

from msgspec.structs import replace

from imagemill.jobs.base import Page
from imagemill.model.errors import IdempotencyMismatch, JobFinished
from imagemill.model.job import OVER, State


class MemoryEngine:
    name = "memory"

    def __init__(self) -> None:
        self.jobs, self.batches, self.specs, self.claims, self.planned = {}, {}, {}, {}, {}
        self.queries, self.redelivered, self.pruned = [], [], []

    def _claimed(self, tenant, claim, made):
        if claim is None:
            return None
        before, digest = self.claims.setdefault((tenant, claim.key), (made, claim.digest))
        if digest != claim.digest:
            raise IdempotencyMismatch("the key was used with another body")
        return None if before is made else before

    async def submit(self, job, claim=None):
        if before := self._claimed(job.tenant, claim, job):
            return before
        self.jobs[job.id] = job
        return job

    async def claimed(self, tenant, claim):
        if (tenant, claim.key) not in self.claims:
            return None
        return self._claimed(tenant, claim, None)

    async def read(self, job_id):
        return self.jobs.get(job_id)

    async def wait(self, job_id, _version, _timeout_s):
        return self.jobs.get(job_id)

    async def list(self, query):
        self.queries.append(query)
        return Page(tuple(j for j in self.jobs.values() if query.tenant in {None, j.tenant}))

    async def cancel(self, job_id):
        if self.jobs[job_id].state in OVER:
            raise JobFinished("over")
        self.jobs[job_id] = replace(self.jobs[job_id], state=State.CANCELLED)
        return self.jobs[job_id]

    async def deliveries(self, _job_id):
        return ()

    async def redeliver(self, job_id):
        self.redelivered.append(job_id)
        return 1

    async def submit_batch(self, batch, specs, claim=None):
        if before := self._claimed(batch.tenant, claim, batch):
            return before
        self.batches[batch.id], self.specs[batch.id] = batch, list(specs)
        return batch

    async def read_batch(self, batch_id):
        return self.batches.get(batch_id)

    async def cancel_batch(self, batch_id):
        self.batches[batch_id] = replace(self.batches[batch_id], state=State.CANCELLED)
        return self.batches[batch_id]

    async def put_schedule(self, schedule):
        self.planned[schedule.tenant, schedule.name] = schedule
        return schedule

    async def schedules(self, tenant):
        return tuple(s for (owner, _), s in sorted(self.planned.items()) if tenant in {None, owner})

    async def drop_schedule(self, tenant, name):
        return self.planned.pop((tenant, name), None) is not None

    async def prune(self, before_s):
        self.pruned.append(before_s)
        return 3
