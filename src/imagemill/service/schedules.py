"""Read schedules: jobs that are made again and again, by the clock.

Units    five cron fields, minutes the smallest; local time of ``timezone``.
Errors   `BadOption`; `LimitExceeded` for too many jobs.
Source   cronsim follows Debian's cron: days of month and of week are joined by "or" unless one begins with ``*``, and
         times that daylight saving skips or repeats come once.
"""

import re
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from imagemill.model.errors import BadOption

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_FIELDS = 5
_MAX_CHARS = 200


def check_name(name: str) -> None:
    """Refuse what no schedule may be called."""
    if not _NAME.fullmatch(name):
        raise BadOption("name: a schedule's is 1 to 64 of A-Z a-z 0-9 . _ -")


def next_s(cron: str, timezone: str, after_s: float) -> float:
    """The next time after *after_s*, in Unix seconds."""
    if len(cron) > _MAX_CHARS or len(cron.split()) != _FIELDS:
        raise BadOption("cron: five fields are wanted: minute, hour, day of month, month, day of week")
    try:
        times = (time.timestamp() for time in CronSim(cron, datetime.fromtimestamp(after_s, _zone(timezone))))
        # asked within an hour that comes for the second time, it may begin with one of the first
        return next(time_s for time_s in times if time_s > after_s)
    except CronSimError as e:
        raise BadOption(f"cron: {e}") from e
    except StopIteration as e:
        raise BadOption("cron: there is no such day") from e


def _zone(name: str) -> tzinfo:
    if name == "UTC":  # also where the system knows no time zones
        return UTC
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError) as e:
        raise BadOption(f"timezone: none is called {name[:64]!r}") from e
