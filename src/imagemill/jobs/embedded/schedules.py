"""Schedules in the file, and when they are due.

Keys     a job's id is an HMAC of tenant, name, time and place, so that one time of a schedule makes each job once.
Units    Unix seconds; the wall clock decides, and a clock that steps back makes no time come twice.
Errors   `BadOption`.
"""

import hmac
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from msgspec.structs import replace

from imagemill.jobs.embedded import rows
from imagemill.model.errors import BadOption
from imagemill.model.job import JobSpec, Schedule
from imagemill.obs.logs import Log

_FIELDS = 5
_ID_CHARS = 32
_COLUMNS = "schedule, next_s"
_log = Log("imagemill.jobs")


def next_after(cron: str, timezone: str, after_s: float) -> float:
    """The first time of *cron* later than *after_s*.

    Raises:
        BadOption: five fields it has not, that never come, or a time zone that nobody knows.
    """
    if len(cron.split()) != _FIELDS:
        raise BadOption("cron: five fields are needed")
    try:
        return float(next(CronSim(cron, datetime.fromtimestamp(after_s, _zone(timezone)))).timestamp())
    except CronSimError as e:
        raise BadOption(f"cron: {e}") from e
    except StopIteration as e:
        raise BadOption("cron: never comes") from e


def _zone(name: str) -> tzinfo:
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as e:  # ZoneInfoNotFoundError is a KeyError
        raise BadOption("timezone: unknown") from e


def put(db: sqlite3.Connection, schedule: Schedule, now_s: float) -> Schedule:
    """Keep *schedule* in place of any of that name; when it came last stays known."""
    old = read(db, schedule.tenant, schedule.name)
    last_s = old.last_s if old else 0.0
    next_s = next_after(schedule.cron, schedule.timezone, max(now_s, last_s))
    new = replace(schedule, next_s=None if schedule.paused else next_s, last_s=last_s)
    _write(db, new)
    return new


def listed(db: sqlite3.Connection, tenant: str | None) -> tuple[Schedule, ...]:
    """All of a tenant's, or everyone's, by name."""
    found = db.execute(
        f"SELECT {_COLUMNS} FROM schedules WHERE ? IS NULL OR tenant = ? ORDER BY name, tenant",  # noqa: S608
        (tenant, tenant),
    )
    return tuple(schedule for schedule in map(rows.schedule, found) if schedule)


def drop(db: sqlite3.Connection, tenant: str, name: str) -> bool:
    """Forget it; whether there was one."""
    return db.execute("DELETE FROM schedules WHERE tenant = ? AND name = ?", (tenant, name)).rowcount > 0


def due(db: sqlite3.Connection, now_s: float) -> list[tuple[str, str]]:
    """Tenant and name of those that are due, the longest due first."""
    return db.execute(
        "SELECT tenant, name FROM schedules WHERE next_s IS NOT NULL AND next_s <= ? ORDER BY next_s, tenant, name",
        (now_s,),
    ).fetchall()


def read(db: sqlite3.Connection, tenant: str, name: str) -> Schedule | None:
    """The one of that name; None where it is gone or cannot be read."""
    found = db.execute(
        f"SELECT {_COLUMNS} FROM schedules WHERE tenant = ? AND name = ?",  # noqa: S608 - a constant
        (tenant, name),
    ).fetchone()
    return rows.schedule(found) if found else None


def rest(db: sqlite3.Connection, tenant: str, name: str) -> None:
    """Let it be due no more."""
    db.execute("UPDATE schedules SET next_s = NULL WHERE tenant = ? AND name = ?", (tenant, name))


def jobs_of(db: sqlite3.Connection, schedule: Schedule, time_s: float) -> Iterator[tuple[str, JobSpec]]:
    """The specifications of *schedule* with the ids that their jobs have at *time_s*."""
    (secret,) = db.execute("SELECT secret FROM meta").fetchone()
    for index, spec in enumerate(schedule.specs):
        words = f"{schedule.tenant}\n{schedule.name}\n{time_s:.0f}\n{index}"
        yield hmac.digest(secret, words.encode(), "sha256").hex()[:_ID_CHARS], spec


def fired(db: sqlite3.Connection, schedule: Schedule, now_s: float) -> None:
    """Its time has come, and with it all that were missed since; it rests where no other will come any more."""
    last_s = schedule.next_s or now_s
    next_s: float | None
    try:
        next_s = next_after(schedule.cron, schedule.timezone, max(now_s, last_s))
    except BadOption as e:
        _log.error("schedule_rests", schedule=schedule.name, reason=str(e))
        next_s = None
    _write(db, replace(schedule, next_s=next_s, last_s=last_s))


def _write(db: sqlite3.Connection, schedule: Schedule) -> None:
    db.execute(
        "INSERT OR REPLACE INTO schedules VALUES (?, ?, ?, ?)",
        (schedule.tenant, schedule.name, schedule.next_s, rows.encode(schedule)),
    )
