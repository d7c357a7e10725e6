"""Whether a job or batch is accepted: once for each ``Idempotency-Key``, and not where too many wait already.

Units    Unix seconds.
Errors   `IdempotencyMismatch`, `QuotaExceeded`.
"""

import sqlite3

from msgspec import Struct

from imagemill.jobs.base import Claim
from imagemill.model.errors import IdempotencyMismatch, QuotaExceeded

TOO_MANY = "too many jobs of all tenants together wait"
_WAITING = "state IN ('queued', 'scheduled')"


class Quota(Struct, frozen=True):
    """How many jobs may wait."""

    tenant: int
    everyone: int


def claimed(db: sqlite3.Connection, tenant: str, claim: Claim) -> str | None:
    """The id that *claim* was accepted for, if it was.

    Raises:
        IdempotencyMismatch: the key was used with another body.
    """
    found = db.execute(
        "SELECT digest, subject FROM claims WHERE tenant = ? AND key = ?", (tenant, claim.key)
    ).fetchone()
    if found is None:
        return None
    if found[0] != claim.digest:
        raise IdempotencyMismatch("the Idempotency-Key was used with another body")
    return str(found[1])


def remember(db: sqlite3.Connection, tenant: str, claim: Claim, subject: str, now_s: float) -> None:
    """Let a repeat of *claim* find *subject*."""
    db.execute("INSERT INTO claims VALUES (?, ?, ?, ?, ?)", (tenant, claim.key, claim.digest, subject, now_s))


def keep_to(db: sqlite3.Connection, tenant: str, jobs: int, quota: Quota) -> None:
    """Refuse *jobs* more where too many wait.

    Raises:
        QuotaExceeded: the message has the numbers, where they are this tenant's own.
    """
    mine, all_ = db.execute(
        f"SELECT total(CASE tenant WHEN ? THEN jobs END), total(jobs) FROM tallies WHERE {_WAITING}",  # noqa: S608
        (tenant,),
    ).fetchone()
    mine_to_make, all_to_make = db.execute(
        """SELECT total(CASE tenant WHEN ? THEN total - made END), total(total - made) FROM batches
        WHERE finished_s = 0 AND NOT cancelled""",
        (tenant,),
    ).fetchone()
    if (waiting := mine + mine_to_make) + jobs > quota.tenant:
        raise QuotaExceeded(f"jobs of this tenant waiting: {waiting:.0f} + {jobs} > {quota.tenant}")
    if all_ + all_to_make + jobs > quota.everyone:
        raise QuotaExceeded(TOO_MANY)  # and not how many: the others' business is no tenant's to count
