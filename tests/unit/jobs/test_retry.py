"""Row J10: the schedule of deliveries, and the backoff of jobs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagemill.jobs.retry import MAX_BACKOFF_S, SCHEDULE_JITTER, SCHEDULE_S, delivery_delay_s, job_delay_s
from imagemill.model.job import Event

CHANCES = st.floats(0, 1, exclude_max=True)
TOLD = st.sampled_from([event for event in Event if event is not Event.PROGRESS])
DAY_S = 86_400


def test_the_first_attempt_is_at_once():
    assert delivery_delay_s(0, Event.SUCCEEDED, 0.99) == 0


@given(TOLD, st.lists(CHANCES, min_size=len(SCHEDULE_S), max_size=len(SCHEDULE_S)))
def test_a_day_is_tried_for(event, chances):
    """J10: 24 hours at least by any chance, thirty at most; then it is dead."""
    delays_s = [delivery_delay_s(attempts, event, chance) for attempts, chance in enumerate(chances)]

    assert DAY_S <= sum(delays_s) <= 30 * 3600
    assert list(SCHEDULE_S) == sorted(SCHEDULE_S)
    assert delivery_delay_s(len(SCHEDULE_S), event, 0.5) is None
    assert delivery_delay_s(len(SCHEDULE_S) + 5, event, 0.5) is None


@given(st.integers(1, len(SCHEDULE_S) - 1), CHANCES)
def test_jitter_only_adds(attempts, chance):
    published_s = SCHEDULE_S[attempts]

    assert published_s <= delivery_delay_s(attempts, Event.FAILED, chance) <= published_s * (1 + SCHEDULE_JITTER)


def test_jitter_spreads():
    assert len({delivery_delay_s(3, Event.FAILED, n / 10) for n in range(10)}) == 10


def test_progress_is_told_once():
    assert delivery_delay_s(0, Event.PROGRESS, 0.5) == 0
    assert delivery_delay_s(1, Event.PROGRESS, 0.5) is None


@pytest.mark.parametrize(("failures", "least_s", "most_s"), [(1, 1, 2), (2, 2, 4), (3, 4, 8), (9, 256, 512)])
def test_jobs_wait_twice_as_long_each_time(failures, least_s, most_s):
    assert job_delay_s(failures, 0) == least_s
    assert most_s * 0.99 < job_delay_s(failures, 0.999) < most_s


@given(st.integers(1, 10_000), CHANCES)
def test_jobs_wait_within_bounds(failures, chance):
    assert 1 <= job_delay_s(failures, chance) <= MAX_BACKOFF_S
