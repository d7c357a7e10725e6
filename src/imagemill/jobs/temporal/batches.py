"""Batches in Temporal, as the service sees them: one workflow holds the whole of it and makes the jobs."""

from collections.abc import Sequence

from msgspec.structs import replace

from imagemill.jobs.base import Claim, Query
from imagemill.jobs.temporal import names, payloads, visibility
from imagemill.jobs.temporal.attributes import of_other, rank
from imagemill.jobs.temporal.link import Link
from imagemill.jobs.temporal.orders import MEMO_NOW, BatchOrder, Terms
from imagemill.jobs.temporal.quota import Quota
from imagemill.jobs.temporal.records import batch_in, hold_to, memo
from imagemill.model.errors import IdempotencyMismatch, JobFinished, NotFound
from imagemill.model.job import OVER, Batch, JobSpec, State


class Batches:
    """Accept, read and cancel them."""

    def __init__(self, link: Link, terms: Terms, quota: Quota) -> None:
        self._link = link
        self._terms = terms
        self._quota = quota

    async def submit(self, batch: Batch, specs: Sequence[JobSpec], claim: Claim | None) -> Batch:
        """Start its workflow, or give back what was started under the same claim."""
        if claim is not None:
            batch = replace(batch, id=names.claimed_id(batch.tenant, claim.key))
            if (earlier := await self._claimed(batch.id, claim)) is not None:
                return earlier
        await self._quota.admit(batch.tenant, len(specs))
        order = BatchOrder(batch, tuple(specs), self._terms)
        await payloads.check_size(order, "batch_bytes")
        started = await self._link.start(
            "JobBatch", order, self._workflow(batch.id), memo=memo(MEMO_NOW, batch, claim),
            search_attributes=of_other(batch.tenant, str(batch.state)), priority=rank(batch.tenant, 0),
        )  # fmt: skip
        if started:
            return batch
        earlier = None if claim is None else await self._claimed(batch.id, claim)
        if earlier is None:
            raise IdempotencyMismatch("the Idempotency-Key was used with another body")
        return earlier

    async def _claimed(self, batch_id: str, claim: Claim) -> Batch | None:
        found = await self._link.described("JobBatch", self._workflow(batch_id))
        if found is None:
            return None
        await hold_to(claim, found)
        return await batch_in(found)

    async def read(self, batch_id: str) -> Batch | None:
        """The batch now; outcomes are counted exactly, what is not over yet by the visibility store."""
        found = await self._link.described("JobBatch", self._workflow(batch_id))
        if found is None:
            return None
        batch = await batch_in(found)
        if batch.state in OVER:
            return batch
        return replace(batch, counts={**await self._unfinished(batch_id), **batch.counts})

    async def cancel(self, batch_id: str) -> Batch:
        """Ask its workflow to make no more, and to stop what it made."""
        batch = await self.read(batch_id)
        if batch is None:
            raise NotFound("batch")
        if batch.state is State.CANCELLED:
            return batch
        if batch.state in OVER:
            raise JobFinished(f"the batch is {batch.state}")
        await self._link.cancel(self._workflow(batch_id))
        return await self.read(batch_id) or batch

    async def _unfinished(self, batch_id: str) -> dict[str, int]:
        found: dict[str, int] = {}
        for state in State:
            query = Query(None, frozenset({state}), batch=batch_id)
            if state not in OVER and (number := await self._link.count(visibility.of(query, self._link.queue))):
                found[str(state)] = number
        return found

    def _workflow(self, batch_id: str) -> str:
        return names.workflow_id(self._link.queue, batch_id)
