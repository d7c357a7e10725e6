"""Schedules in the file, and when they are due.

Keys     a job's id is an HMAC of tenant, name, time and place, so that one time of a schedule makes each job once.
Units    Unix seconds; the wall clock decides, and a clock that steps back makes no time come twice.
Errors   `BadOption`, `LimitExceeded`.
"""

import hmac
import sqlite3
from collections.abc import Collection, Iterator
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from msgspec.structs import replace

from imagemill.jobs.embedded import rows
from imagemill.model.errors import BadOption, LimitExceeded
from imagemill.model.job import JobSpec, Schedule
from imagemill.obs.logs import Log

_FIELDS = 5
_ID_CHARS = 32
_COLUMNS = "schedule, next_s"
_PUT_OFF_S = 3600.0
_log = Log("imagemill.jobs")


def next_after(cron: str, timezone: str, after_s: float) -> float:
    """The first time of *cron* later than *after_s*.

    Raises:
        BadOption: five fields it has not, that never come, or a time zone that nobody knows.
    """
    if len(cron.split()) != _FIELDS:
        raise BadOption("cron: five fields are needed")
    try:
        times = (time.timestamp() for time in CronSim(cron, datetime.fromtimestamp(after_s, _zone(timezone))))
        # asked within an hour that comes for the second time, it may begin with one of the first
        return float(next(time_s for time_s in times if time_s > after_s))
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


def put(db: sqlite3.Connection, schedule: Schedule, most: int, now_s: float) -> Schedule:
    """Keep *schedule* in place of any of that name; when it came last stays known.

    Raises:
        LimitExceeded: its tenant would have more than *most*.
    """
    (others,) = db.execute(
        "SELECT count(*) FROM schedules WHERE tenant = ? AND name <> ?", (schedule.tenant, schedule.name)
    ).fetchone()
    if others >= most:
        raise LimitExceeded("schedules", f"schedules of this tenant: {others} + 1 > {most}")
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


def read(db: sqlite3.Connection, tenant: str, name: str) -> Schedule | None:
    """The one of that name; None where there is none, or it cannot be read."""
    found = db.execute(
        f"SELECT {_COLUMNS} FROM schedules WHERE tenant = ? AND name = ?",  # noqa: S608 - a constant
        (tenant, name),
    ).fetchone()
    return rows.schedule(found) if found else None


def due(db: sqlite3.Connection, besides: Collection[str], now_s: float) -> Schedule | None:
    """The one that is due longest, of other tenants than *besides*.

    One that cannot be read, or whose times cannot be understood any more, as a time zone may be gone, is put off: it
    stands in nobody's way, and is tried again.
    """
    while found := db.execute(
        f"""SELECT {_COLUMNS}, tenant, name FROM schedules WHERE next_s IS NOT NULL AND next_s <= ?
            AND tenant NOT IN ({", ".join("?" * len(besides))}) ORDER BY next_s LIMIT 1""",  # noqa: S608
        (now_s, *besides),
    ).fetchone():
        tenant, name = found[2:]
        schedule = rows.schedule(found)
        if schedule is not None and _comes_again(schedule, now_s):
            return schedule
        _log.error("schedule_put_off", tenant=tenant, name=name)
        db.execute("UPDATE schedules SET next_s = ? WHERE tenant = ? AND name = ?", (now_s + _PUT_OFF_S, tenant, name))
    return None


def _comes_again(schedule: Schedule, now_s: float) -> bool:
    try:
        next_after(schedule.cron, schedule.timezone, now_s)
    except BadOption:
        return False
    return True


def made(db: sqlite3.Connection, schedule: Schedule) -> int:
    """How many jobs of the time that is due are there already."""
    found = db.execute(
        "SELECT made FROM schedules WHERE tenant = ? AND name = ?", (schedule.tenant, schedule.name)
    ).fetchone()
    return int(found[0])


def page_made(db: sqlite3.Connection, schedule: Schedule, jobs: int) -> None:
    """There are *jobs* now, and more to come."""
    db.execute("UPDATE schedules SET made = ? WHERE tenant = ? AND name = ?", (jobs, schedule.tenant, schedule.name))


def jobs_of(db: sqlite3.Connection, schedule: Schedule, time_s: float, indices: range) -> Iterator[tuple[str, JobSpec]]:
    """The specifications at *indices* of *schedule* with the ids that their jobs have at *time_s*."""
    (secret,) = db.execute("SELECT secret FROM meta").fetchone()
    for index in indices:
        spec = schedule.specs[index]
        words = f"{schedule.tenant}\n{schedule.name}\n{time_s:.0f}\n{index}"
        yield hmac.digest(secret, words.encode(), "sha256").hex()[:_ID_CHARS], spec


def fired(db: sqlite3.Connection, schedule: Schedule, now_s: float) -> None:
    """Its time has come, and with it all that were missed since."""
    last_s = schedule.next_s or now_s
    next_s = next_after(schedule.cron, schedule.timezone, max(now_s, last_s))
    _write(db, replace(schedule, next_s=next_s, last_s=last_s))


def _write(db: sqlite3.Connection, schedule: Schedule) -> None:
    db.execute(
        "INSERT OR REPLACE INTO schedules (tenant, name, next_s, schedule, made) VALUES (?, ?, ?, ?, 0)",
        (schedule.tenant, schedule.name, schedule.next_s, rows.encode(schedule)),
    )
