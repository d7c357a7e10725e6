"""When a schedule is due."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from imagemill.jobs.embedded.schedules import next_after
from imagemill.model.errors import BadOption

BERLIN = ZoneInfo("Europe/Berlin")


def test_times_are_those_of_the_time_zone():
    """Seven in Berlin is five in UTC in summer, and six in winter."""
    summer, winter = datetime(2026, 7, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)

    for day, hour in ((summer, 5), (winter, 6)):
        assert next_after("0 7 * * *", "Europe/Berlin", day.timestamp()) == day.replace(hour=hour).timestamp()
    assert next_after("0 7 * * *", "UTC", summer.timestamp()) == summer.replace(hour=7).timestamp()


def test_an_hour_that_comes_twice_makes_one_time_and_one_that_is_left_out_is_made_up():
    """Half past two on the nights when clocks change."""
    back = datetime(2026, 10, 25, 0, 30, tzinfo=BERLIN).timestamp()
    forward = datetime(2026, 3, 29, 0, 30, tzinfo=BERLIN).timestamp()

    first = next_after("30 2 * * *", "Europe/Berlin", back)
    assert datetime.fromtimestamp(next_after("30 2 * * *", "Europe/Berlin", first), BERLIN).day == 26
    assert datetime.fromtimestamp(next_after("30 2 * * *", "Europe/Berlin", forward), BERLIN).day == 29


FOLDS = (datetime(2026, 10, 25, 0, tzinfo=UTC).timestamp(), datetime(2026, 3, 29, 0, tzinfo=UTC).timestamp())


@given(
    st.floats(0, 4e9) | st.builds(float.__add__, st.sampled_from(FOLDS), st.floats(0, 10_800)),
    st.sampled_from(["* * * * *", "*/7 3 * * 1", "0 0 1 * *", "30 2 * * *"]),
)
@example(FOLDS[0] + 4000.0, "30 2 * * *")
def test_the_next_time_is_always_later(after_s, cron):
    """So that no schedule comes twice, or stands still."""
    assert next_after(cron, "Europe/Berlin", after_s) > after_s


@pytest.mark.parametrize(
    ("cron", "timezone"),
    [
        ("", "UTC"),
        ("* * * *", "UTC"),
        ("* * * * * *", "UTC"),
        ("99 * * * *", "UTC"),
        ("0 0 31 2 *", "UTC"),
        ("* * * * *", "Mars/Base"),
        ("* * * * *", "../etc/passwd"),
        ("* * * * *", ""),
    ],
)
def test_what_never_comes_is_refused(cron, timezone):
    """Where it is put."""
    with pytest.raises(BadOption):
        next_after(cron, timezone, 0.0)
