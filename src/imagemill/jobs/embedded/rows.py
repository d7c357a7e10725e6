"""Jobs, deliveries, batches and schedules as rows of the file, and back: nothing is decided here.

An order that cannot be read any more, as a later version may be stricter than the one that accepted it, comes back as
`LOST` in its place: whoever reads many must not stumble over one.
Units    as in `schema`.
Errors   `Superseded` where a job was changed by another since it was read.
"""

import sqlite3
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from imagemill.model.errors import ImagemillError, Superseded
from imagemill.model.job import (
    Batch,
    Callback,
    Delivery,
    DeliveryState,
    Event,
    Fault,
    Job,
    JobSpec,
    Result,
    Schedule,
    State,
    Timings,
    Wanted,
)
from imagemill.model.request import SourceRef

Row = tuple[Any, ...]
NOBODY = 0
"""Owner of what nobody works on; epochs begin at 1."""
LOST = JobSpec(SourceRef("unreadable", ""), (Wanted("unreadable", (), ""),), warm=True)
"""Stands for an order that cannot be read."""
UNREADABLE = (msgspec.MsgspecError, ImagemillError)

_SPEC = msgspec.json.Decoder(JobSpec)
_RAWS = msgspec.json.Decoder(tuple[msgspec.Raw, ...])
_RESULTS = msgspec.json.Decoder(tuple[Result, ...])
_FAULT = msgspec.json.Decoder(Fault)
_CALLBACK = msgspec.json.Decoder(Callback)
_TAGS = msgspec.json.Decoder(tuple[str, ...])
_SCHEDULE = msgspec.json.Decoder(Schedule)
encode = msgspec.json.encode

_JOB = (
    "id, tenant, state, created_s, due_s, started_s, finished_s, fetch_ms, make_ms, outcome, version, attempts,"
    " callback_state, retry_of, batch, schedule, results, fault, spec, failures, crashes, owner"
)
_DELIVERY = (
    "id, job, tenant, callback, event, made_s, rendition, state, attempts, due_s, status, reason"  # as in `Delivery`
)
_BATCH = (
    "id, tenant, seed, total, created_s, callback, tags, metadata, made, state, version, finished_s, cancelled, outcome"
)


class Kept(Struct, frozen=True):
    """A job, and what the engine remembers beside it."""

    job: Job
    failures: int = 0
    """Attempts that failed by themselves; `retries` bounds these, and not interrupted ones."""
    crashes: int = 0
    """Times the process died over it."""
    owner: int = NOBODY
    """Epoch of the process that works on it."""

    @property
    def is_lost(self) -> bool:
        """Whether its order cannot be read."""
        return self.job.spec.source == LOST.source


class KeptBatch(Struct, frozen=True):
    """A batch without counts, and what the engine remembers beside it."""

    batch: Batch
    cancelled: bool = False
    outcome: State | None = None


def job_where(db: sqlite3.Connection, condition: str, values: Iterable[Any]) -> Kept | None:
    """The first job that *condition* is true of."""
    row = db.execute(f"SELECT {_JOB} FROM jobs WHERE {condition} LIMIT 1", tuple(values)).fetchone()  # noqa: S608
    return None if row is None else _kept(row)


def jobs_where(db: sqlite3.Connection, condition: str, values: Iterable[Any]) -> list[Kept]:
    """All jobs that *condition*, which may order and limit them, is true of."""
    rows = db.execute(f"SELECT {_JOB} FROM jobs WHERE {condition}", tuple(values))  # noqa: S608 - ours alone
    return [_kept(row) for row in rows]


def insert_job(db: sqlite3.Connection, job: Job) -> bool:
    """Add *job* unless its id is there already; whether it was added."""
    cursor = db.execute(
        """INSERT INTO jobs (id, tenant, state, priority, created_s, due_s, started_s, finished_s, deadline_s,
            fetch_ms, make_ms, outcome, version, attempts, failures, crashes, owner, callback_state, retry_of, batch,
            schedule, results, fault, spec)
        VALUES (?, ?, ?, ?, ?, ?, 0, 0, ?, 0, 0, NULL, ?, 0, 0, 0, 0, '', ?, ?, ?, ?, NULL, ?)
        ON CONFLICT (id) DO NOTHING""",
        (
            job.id,
            job.tenant,
            job.state,
            job.spec.priority,
            job.times.created_s,
            job.times.due_s,
            job.spec.deadline_s,
            job.version,
            job.retry_of,
            job.batch,
            job.schedule,
            encode(job.results),
            encode(job.spec),
        ),
    )
    if not cursor.rowcount:
        return False
    seq = cursor.lastrowid
    db.executemany("INSERT OR IGNORE INTO job_tags VALUES (?, ?, ?)", [(tag, job.tenant, seq) for tag in job.spec.tags])
    return True


def update_job(db: sqlite3.Connection, before: Kept, after: Kept) -> None:
    """Write *after* in place of *before*, provided that nobody has written meanwhile.

    Raises:
        Superseded: somebody has.
    """
    job, times = after.job, after.job.times
    cursor = db.execute(
        """UPDATE jobs SET state = ?, due_s = ?, started_s = ?, finished_s = ?, fetch_ms = ?, make_ms = ?, outcome = ?,
            version = ?, attempts = ?, failures = ?, crashes = ?, owner = ?, callback_state = ?, results = ?, fault = ?
        WHERE id = ? AND version = ? AND state = ? AND owner = ?""",
        (
            job.state,
            times.due_s,
            times.started_s,
            times.finished_s,
            times.fetch_ms,
            times.make_ms,
            job.outcome,
            job.version,
            job.attempts,
            after.failures,
            after.crashes,
            after.owner,
            job.callback_state,
            encode(job.results),
            None if job.fault is None else encode(job.fault),
            job.id,
            before.job.version,
            before.job.state,
            before.owner,
        ),
    )
    if cursor.rowcount != 1:
        raise Superseded(f"{job.id}: changed since version {before.job.version}")


def insert_deliveries(db: sqlite3.Connection, deliveries: Iterable[Delivery], priority: int) -> None:
    """Add what is not there yet."""
    db.executemany(
        "INSERT OR IGNORE INTO deliveries VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                d.id,
                d.job,
                d.tenant,
                priority,
                d.event,
                d.rendition,
                endpoint(d.tenant, d.callback.url),
                d.made_s,
                d.state,
                d.attempts,
                d.due_s,
                d.status,
                d.reason,
                encode(d.callback),
            )
            for d in deliveries
        ],
    )


def update_delivery(db: sqlite3.Connection, after: Delivery) -> None:
    """Write how far *after* is."""
    db.execute(
        "UPDATE deliveries SET state = ?, attempts = ?, due_s = ?, status = ?, reason = ? WHERE id = ?",
        (after.state, after.attempts, after.due_s, after.status, after.reason, after.id),
    )


def deliveries_where(db: sqlite3.Connection, condition: str, values: Iterable[Any]) -> list[Delivery]:
    """All deliveries that *condition*, which may order and limit them, is true of."""
    rows = db.execute(f"SELECT {_DELIVERY} FROM deliveries WHERE {condition}", tuple(values))  # noqa: S608 - ours alone
    return [_delivery(row) for row in rows]


def endpoint(tenant: str, url: str) -> str:
    """Whose place a callback takes: all addresses of one host and port are one receiver of a tenant."""
    parts = urlsplit(url)
    return f"{tenant} {parts.scheme}://{parts.netloc}"


def insert_batch(db: sqlite3.Connection, batch: Batch) -> None:
    """Add *batch* with nothing made of it."""
    db.execute(
        """INSERT INTO batches (id, tenant, seed, state, outcome, total, made, over, cancelled, version, created_s,
            finished_s, tags, callback, metadata)
        VALUES (?, ?, ?, ?, NULL, ?, 0, 0, 0, ?, ?, 0, ?, ?, ?)""",
        (
            batch.id,
            batch.tenant,
            batch.seed,
            batch.state,
            batch.total,
            batch.version,
            batch.created_s,
            encode(batch.tags),
            None if batch.callback is None else encode(batch.callback),
            bytes(batch.metadata),
        ),
    )


def batch_where(db: sqlite3.Connection, condition: str, values: Iterable[Any]) -> KeptBatch | None:
    """The first batch that *condition* is true of."""
    row = db.execute(f"SELECT {_BATCH} FROM batches WHERE {condition} LIMIT 1", tuple(values)).fetchone()  # noqa: S608
    return None if row is None else _batch(row)


def specs(page: bytes) -> tuple[JobSpec, ...]:
    """What a page of specifications holds; or raise a `msgspec.MsgspecError` where it is none."""
    return tuple(_spec(raw) for raw in _RAWS.decode(page))


def schedule(row: Row) -> Schedule | None:
    """A schedule, of the columns ``schedule`` and ``next_s``; None where it cannot be read."""
    try:
        return msgspec.structs.replace(_SCHEDULE.decode(row[0]), next_s=row[1])
    except UNREADABLE:
        return None


def _spec(raw: msgspec.Raw | bytes) -> JobSpec:
    try:
        return _SPEC.decode(raw)
    except UNREADABLE:
        return LOST


def _results(raw: bytes) -> tuple[Result, ...]:
    try:
        return _RESULTS.decode(raw)
    except UNREADABLE:
        return ()


def _kept(row: Row) -> Kept:
    job = Job(
        id=row[0],
        tenant=row[1],
        spec=_spec(row[18]),
        state=State(row[2]),
        times=Timings(*row[3:9]),
        outcome=None if row[9] is None else State(row[9]),
        version=row[10],
        attempts=row[11],
        results=_results(row[16]),
        fault=None if row[17] is None else _FAULT.decode(row[17]),
        callback_state=row[12],
        retry_of=row[13],
        batch=row[14],
        schedule=row[15],
    )
    return Kept(job, *row[19:22])


def _delivery(row: Row) -> Delivery:
    named = (*row[:3], _CALLBACK.decode(row[3]), Event(row[4]), *row[5:7], DeliveryState(row[7]), *row[8:])
    return Delivery(*named)


def _batch(row: Row) -> KeptBatch:
    batch = Batch(
        id=row[0],
        tenant=row[1],
        seed=row[2],
        total=row[3],
        created_s=row[4],
        callback=None if row[5] is None else _CALLBACK.decode(row[5]),
        tags=_TAGS.decode(row[6]),
        metadata=msgspec.Raw(row[7]),
        made=row[8],
        state=State(row[9]),
        version=row[10],
        finished_s=row[11],
    )
    return KeptBatch(batch, cancelled=bool(row[12]), outcome=None if row[13] is None else State(row[13]))
