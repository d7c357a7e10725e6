"""Deliver what is due: a few places for each receiver, so that one that is dead never takes them all.

Units    due times are wall time; how long a receiver is left alone is monotonic.
Errors   none: what cannot be written is tried again.
"""

import asyncio
import math
import random
import time
from collections import Counter
from collections.abc import Callable
from functools import partial

from imagemill.jobs.base import Again, Delivered, Gone, Later, Observed, Outcome, Steps
from imagemill.jobs.embedded import batches, orders, outbox
from imagemill.jobs.embedded.database import Database
from imagemill.jobs.embedded.persistence import insist
from imagemill.model.errors import DependencyDown, Superseded
from imagemill.model.job import FINAL, Batch, Delivery, DeliveryState, Event, Job
from imagemill.obs.logs import Log
from imagemill.settings import Callbacks

_SHORTEST_S = 0.05
_FILE_DOWN_S = 1.0
_BROKEN_S = 30.0
"""How long a receiver is left alone whose messages cannot be read or told of, for a reason that nobody foresaw."""
_log = Log("imagemill.jobs")


class Postman:
    """Takes messages out of the outbox of *db*, for the process of *epoch*."""

    def __init__(
        self,
        db: Database,
        epoch: int,
        steps: Steps,
        observed: Observed,
        settings: Callbacks,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """As many places as *settings* has: whoever attempts then says which receivers may use them."""
        self._db = db
        self._epoch = epoch
        self._steps = steps
        self._observed = observed
        self._settings = settings
        self._clock = clock
        self._out: dict[str, asyncio.Task[None]] = {}
        self._ended: set[str] = set()
        self._at: Counter[str] = Counter()
        self._alone_until_s: dict[str, float] = {}
        self.freed: Callable[[], None] = _nothing
        """Called when a place has become free."""

    async def turn(self) -> float:
        """Send what is due and has a place; in how many seconds anything else is."""
        most, most_each = self._settings.total, self._settings.per_endpoint
        receivers = await self._db.read(outbox.receivers)
        self._forget_others(receivers)
        now_s, soon_s = self._clock(), math.inf
        for receiver, due_s in sorted(receivers.items(), key=lambda r: (self._at[r[0]], r[1])):
            left_s = max(due_s - now_s, self._alone_until_s.get(receiver, 0.0) - time.monotonic())
            if left_s > 0:
                soon_s = min(soon_s, left_s)
            elif (places := min(most - len(self._out), most_each - self._at[receiver])) > 0:
                soon_s = min(soon_s, await self._send_unless_broken(receiver, places, now_s))
        return soon_s

    async def close(self, grace_s: float) -> None:
        """Let what is under way arrive for *grace_s*; what has not by then is sent again another time."""
        if not self._out:
            return
        _, late = await asyncio.wait(self._out.values(), timeout=grace_s)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    async def _send_unless_broken(self, receiver: str, places: int, now_s: float) -> float:
        """As `_send`; what cannot be read for one receiver must not keep the others waiting."""
        try:
            return await self._send(receiver, places, now_s)
        except DependencyDown:
            raise
        except Exception as e:  # noqa: BLE001 - told, and tried again later
            self._alone_until_s[receiver] = time.monotonic() + _BROKEN_S
            _log.failure("receiver_broke", e)
            return _BROKEN_S

    async def _send(self, receiver: str, places: int, now_s: float) -> float:
        """Fill *places*; when the next of this receiver is due, as seconds from now."""
        most = places + self._at[receiver] + 1
        self._ended.clear()
        due = await self._db.read(partial(outbox.due, endpoint=receiver, most=most, now_s=math.inf))
        soon_s = math.inf
        for delivery in due:
            if delivery.id in self._out or delivery.id in self._ended:  # ended while this was read: it may be old
                continue
            if delivery.due_s > now_s:
                soon_s = delivery.due_s - now_s
                break
            if not places:
                break  # a place that becomes free is told
            places -= 1
            self._at[receiver] += 1
            task = asyncio.get_running_loop().create_task(self._deliver(receiver, delivery))
            self._out[delivery.id] = task
        return soon_s

    async def _deliver(self, receiver: str, delivery: Delivery) -> None:
        try:
            outcome = await self._attempt(delivery)
            if isinstance(outcome, Later):
                self._observed.callback("later")
                self._alone_until_s[receiver] = time.monotonic() + max(outcome.after_s, _SHORTEST_S)
            else:
                await self._settle(delivery, outcome)
        except (DependencyDown, Superseded) as e:
            self._alone_until_s[receiver] = time.monotonic() + _FILE_DOWN_S
            _log.warning("delivery_not_written", delivery=delivery.id, reason=str(e))
        except Exception as e:  # noqa: BLE001 - it is still owed, and must not be tried again and again at once
            self._alone_until_s[receiver] = time.monotonic() + _BROKEN_S
            _log.failure("delivery_broke", e, delivery=delivery.id)
        finally:
            del self._out[delivery.id]
            self._ended.add(delivery.id)
            self._at[receiver] -= 1
            self.freed()

    async def _attempt(self, delivery: Delivery) -> Outcome:
        about = await self._about(delivery)
        if about is None:
            return Gone("what it tells of is forgotten")
        try:
            return await self._steps.deliver(delivery, about)
        except Exception as e:  # noqa: BLE001 - it never raises; and where it does, the message is still owed
            _log.failure("delivery_broke", e, delivery=delivery.id)
            return Again("internal")

    async def _about(self, delivery: Delivery) -> Job | Batch | None:
        if delivery.event is Event.FINISHED:
            return await self._db.read(partial(batches.read, batch_id=delivery.job))
        return await self._db.read(partial(orders.read, job_id=delivery.job))

    async def _settle(self, delivery: Delivery, outcome: Delivered | Again | Gone) -> None:
        now_s = self._clock()
        after = outbox.attempted(delivery, outcome, now_s, random.random())  # noqa: S311 - spreads load
        await insist(self._db, partial(outbox.settle, epoch=self._epoch, after=after, now_s=now_s))
        self._observe(after, outcome, now_s)

    def _observe(self, after: Delivery, outcome: Delivered | Again | Gone, now_s: float) -> None:
        dead = after.state is DeliveryState.DEAD and after.event is not Event.PROGRESS
        self._observed.callback("dead" if dead and isinstance(outcome, Again) else type(outcome).__name__.lower())
        if dead:
            _log.warning("dead_letter", delivery=after.id, job=after.job, attempts=after.attempts, reason=after.reason)
        if after.event in FINAL and after.state is DeliveryState.DELIVERED:
            self._observed.stage("delivering", max(0.0, now_s - after.made_s))

    def _forget_others(self, receivers: dict[str, float]) -> None:
        self._at = Counter({r: n for r, n in self._at.items() if n})
        self._alone_until_s = {r: s for r, s in self._alone_until_s.items() if r in receivers}


def _nothing() -> None:
    """Nobody waits for a place."""
