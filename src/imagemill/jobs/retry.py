"""When to try again: pure, with chance as an argument.

Units    seconds; *chance* is a number from 0 up to, but not including, 1.
Errors   none.
"""

from imagemill.model.job import Event

SCHEDULE_S = (0, 5, 30, 120, 600, 1_800, 3_600, 7_200, 14_400, 28_800, 32_400)
"""Published: how long after the attempt before it each attempt to deliver a callback is due."""
SCHEDULE_JITTER = 0.2
"""By up to this share an attempt is due later, never earlier, so that many do not come at once."""
FIRST_BACKOFF_S = 2.0
MAX_BACKOFF_S = 600.0
_DOUBLINGS = 10


def delivery_delay_s(attempts: int, event: Event, chance: float) -> float | None:
    """How long after *attempts* counted ones the next attempt to deliver is due; None = none, it is dead."""
    if event is Event.PROGRESS and attempts:
        return None  # the next one says more
    if attempts >= len(SCHEDULE_S):
        return None
    return SCHEDULE_S[attempts] * (1 + SCHEDULE_JITTER * chance)


def job_delay_s(failures: int, chance: float) -> float:
    """How long after its *failures*-th failure (1 or more) a job is tried again: doubling, the upper half by chance."""
    most_s = min(MAX_BACKOFF_S, FIRST_BACKOFF_S * (1 << min(failures - 1, _DOUBLINGS)))
    return most_s * (0.5 + 0.5 * chance)
