"""When a schedule comes next."""

from datetime import UTC, datetime

import pytest

from imagemill.service.schedules import next_s


@pytest.mark.parametrize("minute", [0, 7, 29, 30, 59])
def test_the_next_time_is_later_also_in_an_hour_that_comes_twice(minute):
    """Half past two has been, before clocks went back: it comes tomorrow."""
    again_s = datetime(2026, 10, 25, 1, minute, tzinfo=UTC).timestamp()

    assert next_s("30 2 * * *", "Europe/Berlin", again_s) == datetime(2026, 10, 26, 1, 30, tzinfo=UTC).timestamp()
