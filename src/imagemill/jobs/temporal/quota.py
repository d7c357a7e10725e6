"""How many jobs may wait, judged by a count that is a little old.

The visibility store is behind by up to a second or so, and a count is used for `_FRESH_S`; what this process accepted
meanwhile is added. Several processes together may therefore pass a limit by what they accept in that time.
"""

import time

from imagemill.jobs.temporal import visibility
from imagemill.jobs.temporal.link import Link
from imagemill.model.errors import QuotaExceeded
from imagemill.settings import Jobs

_FRESH_S = 2.0
_LEAST_ASKED = 0.8
"""Below this share of a limit an older count will do: what came since is known, what left only makes room."""
_OLD_S = 30.0


class Quota:
    """Counts by tenant, and of all."""

    def __init__(self, settings: Jobs, link: Link) -> None:
        self._settings = settings
        self._link = link
        self._counted: dict[str | None, tuple[float, int]] = {}

    async def admit(self, tenant: str, number: int) -> None:
        """Let *number* more jobs in, or raise `QuotaExceeded`."""
        own = self._settings.tenants.get(tenant)
        most = self._settings.max_waiting if own is None or own.max_waiting is None else own.max_waiting
        for who, limit in ((tenant, most), (None, self._settings.max_waiting_all)):
            waiting = await self._waiting(who, limit - number)
            if waiting + number > limit and who is None:
                raise QuotaExceeded("too many jobs of all tenants together wait")  # whose, is no tenant's to know
            if waiting + number > limit:
                raise QuotaExceeded(f"jobs of this tenant waiting: {waiting} + {number} > {limit}")
        for who in (tenant, None):
            counted_s, waiting = self._counted[who]
            self._counted[who] = (counted_s, waiting + number)

    async def _waiting(self, who: str | None, limit: int) -> int:
        counted_s, waiting = self._counted.get(who, (0.0, 0))
        now_s = time.monotonic()
        fresh_s = _OLD_S if waiting < limit * _LEAST_ASKED else _FRESH_S
        if counted_s and now_s - counted_s < fresh_s:
            return waiting
        waiting = await self._link.count(visibility.waiting(self._link.queue, who))
        self._counted[who] = (now_s, waiting)
        return waiting
