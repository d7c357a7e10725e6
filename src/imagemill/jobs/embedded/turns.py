"""Who goes next: among tenants the one that has fewest running, within a tenant the most urgent, longest due job.

Units    Unix seconds.
Errors   `Superseded` where another process has begun since.
"""

import sqlite3
from collections.abc import Mapping

from msgspec import Struct

from imagemill.jobs.embedded import course, orders, rows
from imagemill.jobs.embedded.rows import Kept
from imagemill.model.job import URGENT


class Places(Struct, frozen=True):
    """How many more jobs may begin."""

    ordinary: int
    urgent: int
    """Of `URGENT` priority; includes the ordinary ones."""


class Loads(Struct, frozen=True):
    """What one tenant has running and waiting."""

    running: int
    waiting: int
    urgent: int
    """Of those waiting, the ones of `URGENT` priority."""


def loads(db: sqlite3.Connection) -> dict[str, Loads]:
    """Tenants that have anything queued."""
    found = db.execute(
        f"""SELECT tenant, sum(jobs * (state = 'running')), sum(jobs * (state = 'queued')),
            sum(jobs * (state = 'queued' AND priority >= {URGENT}))
        FROM tallies WHERE state IN ('queued', 'running') GROUP BY tenant HAVING sum(jobs * (state = 'queued')) > 0"""  # noqa: S608
    )
    return {tenant: Loads(*numbers) for tenant, *numbers in found}


def claim(db: sqlite3.Connection, epoch: int, places: Places, served: Mapping[str, int], now_s: float) -> list[Kept]:
    """Begin as many jobs as there are places: of the tenant that has fewest running, its most urgent, longest due one.

    *served* says which tenant was served last, for those that have equally many. A job that was at work when a process
    died is a suspect: one of these runs at a time, so that the next death tells who it was.
    """
    orders.fence(db, epoch)
    waiting, turns = loads(db), dict(served)
    ordinary, urgent = places.ordinary, places.urgent
    suspects = 1 - len(db.execute("SELECT 1 FROM jobs WHERE state = 'running' AND crashes > 0 LIMIT 1").fetchall())
    begun: list[Kept] = []
    while urgent > 0 and (tenant := next_tenant(waiting, turns, urgent_only=ordinary <= 0)) is not None:
        kept = _foremost(db, tenant, URGENT if ordinary <= 0 else 0, suspects)
        if kept is None:  # nothing but suspects
            del waiting[tenant]
            continue
        if kept.is_lost:
            orders.give_up(db, kept, now_s)
            del waiting[tenant]  # until the next turn
            continue
        begun.append(orders.change(db, kept, course.begun(kept, epoch, now_s), now_s))
        suspects -= kept.crashes > 0
        is_urgent = kept.job.spec.priority >= URGENT
        urgent -= 1
        ordinary = min(ordinary - (not is_urgent), urgent)
        load = waiting[tenant]
        waiting[tenant] = Loads(load.running + 1, load.waiting - 1, load.urgent - is_urgent)
        turns[tenant] = max(turns.values(), default=0) + 1
    return begun


def next_tenant(waiting: Mapping[str, Loads], served: Mapping[str, int], *, urgent_only: bool) -> str | None:
    """Whose turn it is: who has fewest running; among equals, who was served longest ago."""
    ready = [t for t, load in waiting.items() if (load.urgent if urgent_only else load.waiting) > 0]
    return min(ready, key=lambda t: (waiting[t].running, served.get(t, 0), t), default=None)


def _foremost(db: sqlite3.Connection, tenant: str, least: int, suspects: int) -> Kept | None:
    return rows.job_where(
        db,
        """state = 'queued' AND tenant = ? AND priority >= ? AND (crashes = 0 OR ?)
        ORDER BY priority DESC, due_s, seq""",
        (tenant, least, suspects),
    )
