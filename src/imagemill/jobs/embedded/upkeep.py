"""What a job process does beside making: whatever the clock, an earlier process or a batch has left to do.

Each function is one operation of a transaction, and small: what is left over is done at the next turn.
Units    Unix seconds.
Errors   `Superseded` where another process has begun since.
"""

import math
import sqlite3
from collections.abc import Callable, Collection

from msgspec import Struct

from imagemill.jobs.embedded import admission, batches, course, orders, rows, schedules
from imagemill.jobs.embedded.admission import Quota
from imagemill.jobs.embedded.rows import Kept
from imagemill.model.errors import QuotaExceeded
from imagemill.model.job import Job, Schedule, State, Timings

DAY_S = 86_400.0
_WAITING = "state IN ('queued', 'scheduled')"  # as the index says it
_TERMINAL = "state IN ('succeeded', 'failed', 'cancelled', 'expired')"
_BATCH_DONE = """batches.finished_s > 0 AND batches.finished_s < ?
    AND NOT EXISTS (SELECT 1 FROM deliveries AS d WHERE d.job = batches.id AND d.state = 'pending')
    AND NOT EXISTS (SELECT 1 FROM claims AS c WHERE c.subject = batches.id AND c.made_s > ?)"""
"""That it may be forgotten: of when it ended, and of when its ``Idempotency-Key`` came."""


def begin_epoch(db: sqlite3.Connection) -> int:
    """A number above all that worked on this file before."""
    (epoch,) = db.execute("UPDATE meta SET epoch = epoch + 1 RETURNING epoch").fetchone()
    return int(epoch)


def recover(db: sqlite3.Connection, epoch: int, at_work: Collection[str], crashes: int, now_s: float) -> list[Kept]:
    """Take back what earlier processes died over, and what of this one's is not *at_work*; each as it stands then.

    Where a suspect is among them (see `turns.claim`) it is to blame; the others were only beside it.
    """
    orders.fence(db, epoch)
    lost = [kept for kept in rows.jobs_where(db, "state = 'running'", ()) if kept.job.id not in at_work]
    suspected = any(kept.crashes for kept in lost)
    return [
        orders.change(
            db,
            kept,
            course.crashed(kept, crashes, now_s) if kept.crashes or not suspected else course.returned(kept),
            now_s,
        )
        for kept in lost
    ]


def give_back(db: sqlite3.Connection, epoch: int, now_s: float) -> int:
    """Queue what this process has begun and will not end, as if it had not been begun; how many."""
    orders.fence(db, epoch)
    left = rows.jobs_where(db, "state = 'running' AND owner = ?", (epoch,))
    for kept in left:
        orders.change(db, kept, course.returned(kept), now_s)
    return len(left)


def promote(db: sqlite3.Connection, epoch: int, most: int, now_s: float) -> int:
    """Queue up to *most* of what was scheduled and is due by now; how many. It owes no message."""
    orders.fence(db, epoch)
    return db.execute(
        """UPDATE jobs SET state = 'queued', version = version + 1 WHERE seq IN (
            SELECT seq FROM jobs WHERE state = 'scheduled' AND due_s <= ? ORDER BY due_s LIMIT ?
        )""",
        (now_s, most),
    ).rowcount


def expire(db: sqlite3.Connection, epoch: int, most: int, now_s: float) -> list[Kept]:
    """End what waited until its deadline."""
    orders.fence(db, epoch)
    found = rows.jobs_where(db, f"{_WAITING} AND deadline_s IS NOT NULL AND deadline_s <= ? LIMIT ?", (now_s, most))
    return [orders.change(db, kept, course.concluded(kept, State.EXPIRED, now_s), now_s) for kept in found]


def prune(db: sqlite3.Connection, before_s: float, most: int, now_s: float) -> int:
    """Forget up to *most* jobs that ended before *before_s*.

    Stays: what still owes a message, whose ``Idempotency-Key`` is younger than a day, or whose batch has to stay: how
    many of its jobs ended how is told from these.
    """
    found = db.execute(
        f"""SELECT seq FROM jobs WHERE {_TERMINAL} AND finished_s < ?
            AND NOT EXISTS (SELECT 1 FROM deliveries AS d WHERE d.job = jobs.id AND d.state = 'pending')
            AND NOT EXISTS (SELECT 1 FROM claims AS c WHERE c.subject = jobs.id AND c.made_s > ?)
            AND NOT EXISTS (SELECT 1 FROM batches WHERE batches.id = jobs.batch AND NOT ({_BATCH_DONE}))
        ORDER BY finished_s LIMIT ?""",  # noqa: S608 - constants
        (before_s, now_s - DAY_S, before_s, now_s - DAY_S, most),
    ).fetchall()
    db.executemany("DELETE FROM jobs WHERE seq = ?", found)
    db.execute("DELETE FROM tallies WHERE jobs = 0")
    if found:
        db.execute("PRAGMA incremental_vacuum(200)").fetchall()
    return len(found)


def prune_batches(db: sqlite3.Connection, before_s: float, most: int, now_s: float) -> int:
    """Forget up to *most* batches that ended before *before_s* and have no jobs any more; else as `prune`."""
    found = db.execute(
        f"""SELECT seq FROM batches WHERE {_BATCH_DONE}
            AND NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.batch <> '' AND jobs.batch = batches.id)
        ORDER BY finished_s LIMIT ?""",  # noqa: S608 - constants
        (before_s, now_s - DAY_S, most),
    ).fetchall()
    db.executemany("DELETE FROM batches WHERE seq = ?", found)
    return len(found)


def make_page(db: sqlite3.Connection, epoch: int, now_s: float) -> int:
    """Make one page of the batch that has least made; how many jobs. An order that cannot be read fails at once."""
    orders.fence(db, epoch)
    page = batches.next_page(db)
    if page is None:
        return 0
    for job_id, spec in page.jobs:
        job = Job(job_id, page.tenant, spec, State.QUEUED, Timings(now_s), batch=page.batch)
        orders.add(db, job, now_s)
    batches.page_made(db, page)
    for job_id, spec in page.jobs:
        if spec is rows.LOST and (kept := rows.job_where(db, "id = ?", (job_id,))):
            orders.give_up(db, kept, now_s)
    return len(page.jobs)


def go_on_cancelling(db: sqlite3.Connection, epoch: int, most: int, now_s: float) -> int:
    """Cancel what is left of a cancelled batch, whose canceller may have died over it; how many jobs."""
    orders.fence(db, epoch)
    batch_id = batches.cancelled_one(db)
    return 0 if batch_id is None else cancel_some(db, batch_id, most, now_s)


def cancel_some(db: sqlite3.Connection, batch_id: str, most: int, now_s: float) -> int:
    """Cancel up to *most* jobs of a batch that are not over; how many."""
    left = rows.jobs_where(
        db, "batch <> '' AND batch = ? AND state IN ('queued', 'scheduled', 'running') LIMIT ?", (batch_id, most)
    )
    for kept in left:
        orders.change(db, kept, course.concluded(kept, State.CANCELLED, now_s), now_s)
    return len(left)


def fire(db: sqlite3.Connection, epoch: int, quotas: Callable[[str], Quota], now_s: float) -> str:
    """Make jobs of the schedule that is due longest, once for all the times that were missed; its name.

    A page at a time, so that nobody waits for a long one. That of a tenant too many of whose jobs wait stays due, and
    the next tenant's has its turn.

    Raises:
        QuotaExceeded: nothing else is due.
    """
    orders.fence(db, epoch)
    full: dict[str, QuotaExceeded] = {}
    while schedule := schedules.due(db, full, now_s):
        try:
            if not schedules.made(db, schedule):
                admission.keep_to(db, schedule.tenant, len(schedule.specs), quotas(schedule.tenant))
        except QuotaExceeded as e:
            full[schedule.tenant] = e
        else:
            return _fire(db, schedule, now_s)
    for error in full.values():
        raise error
    return ""


def _fire(db: sqlite3.Connection, schedule: Schedule, now_s: float) -> str:
    first, size = schedules.made(db, schedule), len(schedule.specs)
    indices = range(first, min(first + batches.PAGE, size))
    for job_id, spec in schedules.jobs_of(db, schedule, schedule.next_s or now_s, indices):
        job = Job(job_id, schedule.tenant, spec, State.QUEUED, Timings(now_s), schedule=schedule.name)
        orders.add(db, job, now_s)
    if indices.stop < size:
        schedules.page_made(db, schedule, indices.stop)
    else:
        schedules.fired(db, schedule, now_s)
    return schedule.name


class Agenda(Struct, frozen=True):
    """What there is to do, and when the next thing will be."""

    running: frozenset[str]
    """Jobs that are still this process's."""
    queued: bool
    pages: bool
    cancelling: bool
    job_s: float
    """When the next scheduled job or deadline is due; infinite = none is."""
    schedule_s: float
    """When the next schedule is."""


def look(db: sqlite3.Connection, epoch: int) -> Agenda:
    """What there is to do: a few steps in indices, however many jobs there are."""
    running = db.execute("SELECT id FROM jobs WHERE state = 'running' AND owner = ?", (epoch,)).fetchall()
    (queued, pages, cancelling) = db.execute(
        f"""SELECT EXISTS (SELECT 1 FROM tallies WHERE state = 'queued' AND jobs > 0),
            EXISTS (SELECT 1 FROM batch_pages), {batches.CANCELLING}"""  # noqa: S608 - constants
    ).fetchone()
    times = db.execute(
        f"""SELECT (SELECT min(due_s) FROM jobs WHERE state = 'scheduled'),
            (SELECT min(deadline_s) FROM jobs WHERE {_WAITING} AND deadline_s IS NOT NULL),
            (SELECT min(next_s) FROM schedules WHERE next_s IS NOT NULL)"""  # noqa: S608 - constants
    ).fetchone()
    return Agenda(
        running=frozenset(job_id for (job_id,) in running),
        queued=bool(queued),
        pages=bool(pages),
        cancelling=bool(cancelling),
        job_s=min((t for t in times[:2] if t is not None), default=math.inf),
        schedule_s=math.inf if times[2] is None else times[2],
    )
