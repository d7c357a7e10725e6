"""Messages in the file: which are due, and what came of an attempt. Each function is one operation of a transaction.

Units    Unix seconds.
Errors   `NotFound`; `Superseded` where another process has begun since.
"""

import sqlite3

from msgspec.structs import replace

from imagemill.jobs.base import Again, Delivered, Gone
from imagemill.jobs.embedded import batches, course, orders, rows
from imagemill.jobs.notices import goes_again
from imagemill.jobs.retry import delivery_delay_s
from imagemill.model.errors import NotFound
from imagemill.model.job import FINAL, Delivery, DeliveryState, Event


def receivers(db: sqlite3.Connection) -> dict[str, float]:
    """Who is owed anything, and since or from when: one step in the index for each, however much it is."""
    found = db.execute(
        """WITH RECURSIVE receivers (endpoint) AS (
            SELECT min(endpoint) FROM deliveries WHERE state = 'pending'
            UNION ALL
            SELECT (SELECT min(endpoint) FROM deliveries WHERE state = 'pending' AND endpoint > receivers.endpoint)
            FROM receivers WHERE receivers.endpoint IS NOT NULL
        )
        SELECT endpoint, (SELECT min(due_s) FROM deliveries AS d WHERE d.state = 'pending'
            AND d.endpoint = receivers.endpoint) FROM receivers WHERE endpoint IS NOT NULL"""
    )
    return dict(found.fetchall())


def due(db: sqlite3.Connection, endpoint: str, most: int, now_s: float) -> list[Delivery]:
    """Up to *most* messages for one receiver that are due, the longest due first."""
    return rows.deliveries_where(
        db, "state = 'pending' AND endpoint = ? AND due_s <= ? ORDER BY due_s, seq LIMIT ?", (endpoint, now_s, most)
    )


def owed_to(db: sqlite3.Connection, job_id: str) -> tuple[Delivery, ...]:
    """All messages about a job or batch, oldest first."""
    return tuple(rows.deliveries_where(db, "job = ? ORDER BY seq", (job_id,)))


def attempted(delivery: Delivery, outcome: Delivered | Again | Gone, now_s: float, chance: float) -> Delivery:
    """*delivery* after one more attempt: pure."""
    tried = replace(
        delivery, attempts=delivery.attempts + 1, status=outcome.status, reason=getattr(outcome, "reason", "")
    )
    if isinstance(outcome, Delivered):
        return replace(tried, state=DeliveryState.DELIVERED)
    delay_s = None if isinstance(outcome, Gone) else delivery_delay_s(tried.attempts, tried.event, chance)
    if delay_s is None:
        return replace(tried, state=DeliveryState.DEAD)
    return replace(tried, due_s=now_s + delay_s)


def settle(db: sqlite3.Connection, epoch: int, after: Delivery, now_s: float) -> None:
    """Write what came of an attempt, and end the job or batch that waited for it only."""
    orders.fence(db, epoch)
    rows.update_delivery(db, after)
    if after.event in FINAL and after.state is not DeliveryState.PENDING:
        _tell(db, after, now_s)


def redeliver(db: sqlite3.Connection, job_id: str, now_s: float) -> int:
    """Begin anew with the messages that go again; how many.

    Raises:
        NotFound: there is neither a job nor a batch of that id.
    """
    if rows.job_where(db, "id = ?", (job_id,)) is None and rows.batch_where(db, "id = ?", (job_id,)) is None:
        raise NotFound
    found = [delivery for delivery in owed_to(db, job_id) if goes_again(delivery)]
    for delivery in found:
        anew = replace(delivery, state=DeliveryState.PENDING, attempts=0, due_s=now_s, status=0, reason="")
        rows.update_delivery(db, anew)
        if anew.event in FINAL:
            _tell(db, anew, now_s)
    return len(found)


def _tell(db: sqlite3.Connection, delivery: Delivery, now_s: float) -> None:
    if delivery.event is Event.FINISHED:
        batches.told(db, delivery.job, delivery.state)
    elif kept := rows.job_where(db, "id = ?", (delivery.job,)):
        orders.change(db, kept, course.told(kept, delivery.state), now_s)
