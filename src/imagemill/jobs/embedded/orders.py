"""Jobs in the file: accept, choose, begin, change, cancel, forget. Each function is one operation of a transaction.

Units    Unix seconds.
Errors   `QuotaExceeded`, `IdempotencyMismatch`, `NotFound`, `JobFinished`, `Superseded`.
"""

import sqlite3
from collections.abc import Iterable
from typing import Any

from imagemill.jobs.base import Claim, Query
from imagemill.jobs.embedded import admission, batches, course, rows
from imagemill.jobs.embedded.admission import Quota
from imagemill.jobs.embedded.rows import Kept
from imagemill.jobs.notices import owed
from imagemill.model.errors import IdempotencyMismatch, JobFinished, NotFound, Superseded
from imagemill.model.job import OVER, Job, State
from imagemill.obs.logs import Log

_log = Log("imagemill.jobs")


def fence(db: sqlite3.Connection, epoch: int) -> None:
    """Refuse whoever began before the process that works now.

    Raises:
        Superseded: another process has begun since.
    """
    (current,) = db.execute("SELECT epoch FROM meta").fetchone()
    if current != epoch:
        raise Superseded(f"epoch {epoch} is over: {current} works now")


def submit(db: sqlite3.Connection, job: Job, claim: Claim | None, quota: Quota, now_s: float) -> Job:
    """Accept *job*, or find the one that *claim* was accepted for."""
    if claim is not None and (earlier := claimed(db, job.tenant, claim)) is not None:
        return earlier
    admission.keep_to(db, job.tenant, 1, quota)
    new = add(db, job, now_s)
    if claim is not None:
        admission.remember(db, job.tenant, claim, job.id, now_s)
    return new


def claimed(db: sqlite3.Connection, tenant: str, claim: Claim) -> Job | None:
    """The job that *claim* was accepted for, if one was."""
    earlier = admission.claimed(db, tenant, claim)
    if earlier is None:
        return None
    found = read(db, earlier)
    if found is None:
        raise IdempotencyMismatch("the Idempotency-Key was used for a batch")
    return found


def add(db: sqlite3.Connection, job: Job, now_s: float) -> Job:
    """Add *job* and the messages that it owes from now on; nothing where its id is there already."""
    new = course.accepted(job, now_s)
    if rows.insert_job(db, new):
        rows.insert_deliveries(db, owed(None, new, now_s), new.spec.priority)
    return new


def change(db: sqlite3.Connection, before: Kept, after: Kept, now_s: float) -> Kept:
    """Write *after*, with the messages that the change owes, in place of *before*.

    Raises:
        Superseded: somebody else has changed it meanwhile.
    """
    rows.update_job(db, before, after)
    rows.insert_deliveries(db, owed(before.job, after.job, now_s), after.job.spec.priority)
    if after.job.batch and after.job.state in OVER and before.job.state not in OVER:
        batches.finish_if_over(db, after.job.batch, now_s)
    return after


def read(db: sqlite3.Connection, job_id: str) -> Job | None:
    """The job of that id."""
    kept = rows.job_where(db, "id = ?", (job_id,))
    return kept.job if kept else None


def give_up(db: sqlite3.Connection, kept: Kept, now_s: float) -> None:
    """Fail a job whose order cannot be read: there is nothing to do for it."""
    _log.error("job_unreadable", job=kept.job.id)
    change(db, kept, course.lost(kept, now_s), now_s)


def mine(db: sqlite3.Connection, job_id: str, epoch: int) -> Kept:
    """The job, as long as the process of *epoch* works on it.

    Raises:
        Superseded: it was cancelled, or another process has begun since.
    """
    fence(db, epoch)
    kept = rows.job_where(db, "id = ? AND state = 'running' AND owner = ?", (job_id, epoch))
    if kept is None:
        raise Superseded(f"{job_id}: not this process's any more")
    return kept


def versions(db: sqlite3.Connection, ids: Iterable[str]) -> dict[str, int]:
    """The versions of those jobs."""
    found = {}
    for job_id in ids:
        row = db.execute("SELECT version FROM jobs WHERE id = ?", (job_id,)).fetchone()
        if row is not None:
            found[job_id] = int(row[0])
    return found


def cancel(db: sqlite3.Connection, job_id: str, now_s: float) -> tuple[Job, bool]:
    """Cancel what is not over, and say if it was not: whoever works on it finds that it is another's.

    Raises:
        NotFound: there is no such job.
        JobFinished: it is over, and was not cancelled.
    """
    kept = rows.job_where(db, "id = ?", (job_id,))
    if kept is None:
        raise NotFound
    if kept.job.state not in OVER:
        return change(db, kept, course.concluded(kept, State.CANCELLED, now_s), now_s).job, True
    if kept.job.outcome is not State.CANCELLED:
        raise JobFinished(f"the job is over: {kept.job.outcome}")
    return kept.job, False


def listed(db: sqlite3.Connection, query: Query, before_seq: int | None) -> list[tuple[int, Job]]:
    """What *query* asks for, below *before_seq*, newest first, and one more where there is more; each with its seq."""
    conditions, values = _conditions(query, before_seq)
    tagged = "JOIN job_tags AS t ON t.seq = j.seq " if query.tag else ""
    order = "t.seq" if query.tag else "j.seq"
    found = db.execute(
        f"SELECT j.seq FROM jobs AS j {tagged}WHERE {conditions} ORDER BY {order} DESC LIMIT ?",  # noqa: S608
        (*values, query.limit + 1),
    ).fetchall()
    jobs = ((seq, rows.job_where(db, "seq = ?", (seq,))) for (seq,) in found)
    return [(seq, kept.job) for seq, kept in jobs if kept]


def _conditions(query: Query, before_seq: int | None) -> tuple[str, list[Any]]:
    wanted: list[tuple[str, Any]] = []
    if query.tenant is not None:
        wanted.append(("t.tenant = ?" if query.tag else "j.tenant = ?", query.tenant))
    if query.tag:
        wanted.append(("t.tag = ?", query.tag))
    if query.batch:
        wanted.append(("j.batch <> '' AND j.batch = ?", query.batch))
    if before_seq is not None:
        wanted.append(("t.seq < ?" if query.tag else "j.seq < ?", before_seq))
    if query.since_s is not None:
        wanted.append(("j.created_s >= ?", query.since_s))
    if query.until_s is not None:
        wanted.append(("j.created_s < ?", query.until_s))
    conditions = [condition for condition, _ in wanted]
    values = [value for _, value in wanted]
    if query.states:
        conditions.append(f"j.state IN ({', '.join('?' * len(query.states))})")
        values += sorted(query.states)
    return " AND ".join(conditions) or "TRUE", values


def counts(db: sqlite3.Connection) -> dict[tuple[str, int], int]:
    """State and priority to number of jobs, and of dead deliveries."""
    found = db.execute("SELECT state, priority, sum(jobs) FROM tallies GROUP BY state, priority HAVING sum(jobs) > 0")
    dead = db.execute(
        "SELECT 'dead_letter', priority, count(*) FROM deliveries WHERE state = 'dead' AND event <> 'progress'"
        " GROUP BY priority"
    )
    return {(state, priority): jobs for state, priority, jobs in (*found, *dead)}
