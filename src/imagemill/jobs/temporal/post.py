"""Deliveries in Temporal, as the service sees them: one workflow each, named by its ``webhook-id``."""

import asyncio
import time
from collections.abc import Iterable

from imagemill.jobs.temporal import names
from imagemill.jobs.temporal.attributes import of_other
from imagemill.jobs.temporal.link import Link
from imagemill.jobs.temporal.orders import MEMO_NOW, Letter, Terms, anew
from imagemill.jobs.temporal.records import delivery_in, memo
from imagemill.model.job import Batch, Delivery, DeliveryState, Job

_AT_ONCE = 16


class Post:
    """Read them, and begin one anew."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._places = asyncio.Semaphore(_AT_ONCE)

    async def read(self, id_: str) -> Delivery | None:
        """The delivery of that ``webhook-id``, if it is or was owed."""
        async with self._places:
            found = await self._link.described("Delivering", names.delivery_workflow(self._link.queue, id_))
        return None if found is None else await delivery_in(found)

    async def all(self, ids: Iterable[str]) -> tuple[Delivery, ...]:
        """Those of *ids* that there are, in the same order."""
        known = await asyncio.gather(*(self.read(id_) for id_ in ids))
        return tuple(delivery for delivery in known if delivery is not None)

    async def again(self, old: Delivery, terms: Terms, *, job: Job | None, batch: Batch | None) -> bool:
        """Begin *old*, of a job or batch, anew; whether it was over until now.

        A dead one waits for that for a while, one that has arrived is over: then it is the same workflow once more.
        """
        workflow_id = names.delivery_workflow(self._link.queue, old.id)
        if old.state is DeliveryState.DEAD and await self._link.signal(workflow_id, "again"):
            return True
        fresh = anew(old, time.time())
        letter = Letter(fresh, job=job, batch=batch, keep_s=terms.keep_s, heartbeat_s=terms.heartbeat_s)
        return await self._link.start(
            "Delivering", letter, workflow_id, again=True, memo=memo(MEMO_NOW, fresh),
            search_attributes=of_other(fresh.tenant, str(fresh.state)),
        )  # fmt: skip
