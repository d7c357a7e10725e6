"""Batches in the file: one record, specifications in pages, and jobs made of them page by page.

Keys     a job's id is an HMAC of its place in the batch, so that whoever makes a page twice makes the same jobs.
Units    Unix seconds; a page is JSON below zlib.
Errors   `NotFound`.
"""

import hmac
import sqlite3
import zlib
from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from imagemill.jobs.embedded import rows
from imagemill.jobs.notices import batch_outcome, owed_of_batch
from imagemill.model.errors import NotFound
from imagemill.model.job import Batch, DeliveryState, JobSpec, State

PAGE = 200
"""Jobs of one page, which one transaction makes."""
_ID_CHARS = 32
_FASTEST = 1
CANCELLING = """EXISTS (SELECT 1 FROM batches WHERE finished_s = 0 AND cancelled AND over < made)"""


class Page(Struct, frozen=True):
    """One page about to be made."""

    batch: str
    tenant: str
    number: int
    jobs: tuple[tuple[str, JobSpec], ...]
    """Each with its id; what cannot be read is `rows.LOST`."""


def pages(specs: Sequence[JobSpec]) -> list[bytes]:
    """*specs*, folded up for the file."""
    starts = range(0, len(specs), PAGE)
    return [zlib.compress(rows.encode(specs[start : start + PAGE]), _FASTEST) for start in starts]


def job_id(seed: str, index: int) -> str:
    """The id of the job at *index*: nobody can guess it who does not know the seed."""
    return hmac.digest(bytes.fromhex(seed), str(index).encode(), "sha256").hex()[:_ID_CHARS]


def add(db: sqlite3.Connection, batch: Batch, folded: Sequence[bytes]) -> Batch:
    """Add *batch* and its *folded* pages as one record."""
    new = replace(batch, state=State.RUNNING, version=1, made=0, finished_s=0.0, counts={})
    rows.insert_batch(db, new)
    db.executemany("INSERT INTO batch_pages VALUES (?, ?, ?)", [(new.id, i, page) for i, page in enumerate(folded)])
    return new


def read(db: sqlite3.Connection, batch_id: str) -> Batch | None:
    """The batch, with the outcomes of its jobs counted: one that still delivers counts as what it ended as."""
    kept = rows.batch_where(db, "id = ?", (batch_id,))
    if kept is None:
        return None
    found = db.execute(
        "SELECT coalesce(outcome, state), count(*) FROM jobs WHERE batch <> '' AND batch = ? GROUP BY 1", (batch_id,)
    )
    counts: dict[str, int] = dict(found.fetchall())
    unmade = kept.batch.total - kept.batch.made
    if kept.cancelled and unmade:
        counts[State.CANCELLED] = counts.get(State.CANCELLED, 0) + unmade
    return replace(kept.batch, counts=counts)


def next_page(db: sqlite3.Connection) -> Page | None:
    """The first page of the batch that has least made, so that a short one need not wait for a long one."""
    found = db.execute(
        """SELECT b.id, b.tenant, b.seed, b.total, p.page, p.specs
        FROM batch_pages AS p JOIN batches AS b ON b.id = p.batch
        WHERE p.batch = (
            SELECT id FROM batches WHERE finished_s = 0 AND EXISTS (SELECT 1 FROM batch_pages WHERE batch = batches.id)
            ORDER BY made, seq LIMIT 1
        ) ORDER BY p.page LIMIT 1"""
    ).fetchone()
    if found is None:
        return None
    batch_id, tenant, seed, total, number, folded = found
    first = number * PAGE
    specs = _unfolded(folded, min(PAGE, total - first))
    ids = (job_id(seed, index) for index in range(first, first + len(specs)))
    return Page(batch_id, tenant, number, tuple(zip(ids, specs, strict=True)))


def _unfolded(folded: bytes, size: int) -> tuple[JobSpec, ...]:
    try:
        specs = rows.specs(zlib.decompress(folded))
    except (zlib.error, *rows.UNREADABLE):
        specs = ()
    return specs if len(specs) == size else (rows.LOST,) * size


def page_made(db: sqlite3.Connection, page: Page) -> None:
    """Its jobs are there."""
    db.execute("DELETE FROM batch_pages WHERE batch = ? AND page = ?", (page.batch, page.number))
    db.execute("UPDATE batches SET made = made + ?, version = version + 1 WHERE id = ?", (len(page.jobs), page.batch))


def cancel(db: sqlite3.Connection, batch_id: str, now_s: float) -> None:
    """Make no more jobs of it; nothing where it is over.

    Raises:
        NotFound: there is no such batch.
    """
    kept = rows.batch_where(db, "id = ?", (batch_id,))
    if kept is None:
        raise NotFound("batch")
    if kept.batch.finished_s or kept.cancelled:
        return
    db.execute("DELETE FROM batch_pages WHERE batch = ?", (batch_id,))
    db.execute("UPDATE batches SET cancelled = 1, version = version + 1 WHERE id = ?", (batch_id,))
    finish_if_over(db, batch_id, now_s)


def cancelled_one(db: sqlite3.Connection) -> str | None:
    """A cancelled batch some of whose jobs are not over."""
    found = db.execute("SELECT id FROM batches WHERE finished_s = 0 AND cancelled AND over < made LIMIT 1").fetchone()
    return None if found is None else str(found[0])


def finish_if_over(db: sqlite3.Connection, batch_id: str, now_s: float) -> None:
    """Let its outcome stand, and owe the summary, where none of its jobs is left."""
    left = "id = ? AND finished_s = 0 AND over = made AND (made = total OR cancelled)"
    if db.execute(f"SELECT 1 FROM batches WHERE {left}", (batch_id,)).fetchone() is None:  # noqa: S608 - a constant
        return
    batch = read(db, batch_id)
    assert batch is not None
    outcome = batch_outcome(batch)
    owed = owed_of_batch(batch, now_s)
    db.execute(
        "UPDATE batches SET state = ?, outcome = ?, finished_s = ?, version = version + 1 WHERE id = ?",
        (State.DELIVERING if owed else outcome, outcome, now_s, batch_id),
    )
    if owed:
        rows.insert_deliveries(db, [owed], 0)


def told(db: sqlite3.Connection, batch_id: str, state: DeliveryState) -> None:
    """Its summary is delivered, dead, or about to be tried anew."""
    if state is not DeliveryState.PENDING:
        db.execute(
            "UPDATE batches SET state = outcome, version = version + 1 WHERE id = ? AND state = 'delivering'",
            (batch_id,),
        )
