"""Write what must not be lost: a file that cannot be written just now is tried again until it can.

Units    seconds.
Errors   what the operation raises itself, above all `Superseded`.
"""

import asyncio

from imagemill.jobs.embedded.database import Database, Operation, T
from imagemill.model.errors import DependencyDown
from imagemill.obs.logs import Log

_FIRST_S = 0.05
_LONGEST_S = 5.0
_log = Log("imagemill.jobs")


async def insist(db: Database, operation: Operation[T]) -> T:
    """Do *operation*, however often the file is full, locked or away meanwhile.

    Raises:
        DependencyDown: it was closed here.
    """
    wait_s = _FIRST_S
    while True:
        try:
            return await db.write(operation)
        except DependencyDown as e:
            if not db.is_open:
                raise
            _log.error("jobs_not_written", reason=str(e), again_in_s=wait_s)
        await asyncio.sleep(wait_s)
        wait_s = min(wait_s * 2, _LONGEST_S)
