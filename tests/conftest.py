"""What holds for all tests: how a bound in time is judged."""

import pytest
from hypothesis import settings

TIMED_RUNS = 3

settings.register_profile("no-clock", deadline=None)  # what is true of all inputs is not a matter of how quick a run is
settings.load_profile("no-clock")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A bound in time is held if one of three runs holds it: a busy machine makes a run slower, and never quicker."""
    for item in items:
        if item.get_closest_marker("timed"):
            item.add_marker(pytest.mark.flaky(reruns=TIMED_RUNS - 1))
