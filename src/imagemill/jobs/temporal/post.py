"""Deliveries in Temporal, as the service sees them: one workflow each, named by its ``webhook-id``."""

import asyncio
import time
from collections.abc import Iterable

from imagemill.jobs.temporal import names
from imagemill.jobs.temporal.attributes import of_other
from imagemill.jobs.temporal.link import Link
from imagemill.jobs.temporal.orders import MEMO_NOW, Letter, Terms, anew
from imagemill.jobs.temporal.records import delivery_in, memo
from imagemill.model.job import Batch, Delivery, DeliveryState, Event, Job, delivery_id

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

    async def again(self, event: Event, terms: Terms, *, job: Job | None = None, batch: Batch | None = None) -> int:
        """Begin the final delivery of a job or batch anew, unless it is under way; how many that were.

        A dead one waits for that for a while, one that has arrived is over: then it is the same workflow once more.
        """
        about = job or batch
        assert about is not None
        old = await self.read(delivery_id(about.id, event))
        if old is None or old.state is DeliveryState.PENDING:
            return 0
        workflow_id = names.delivery_workflow(self._link.queue, old.id)
        if old.state is DeliveryState.DEAD and await self._link.signal(workflow_id, "again"):
            return 1
        fresh = anew(old, time.time())
        letter = Letter(fresh, job=job, batch=batch, keep_s=terms.keep_s, heartbeat_s=terms.heartbeat_s)
        started = await self._link.start(
            "Delivering", letter, workflow_id, again=True, memo=memo(MEMO_NOW, fresh),
            search_attributes=of_other(fresh.tenant, str(fresh.state)), task_timeout=terms.silence,
        )  # fmt: skip
        return int(started)
