"""The short form of `make drill`: a few random kills, while clients submit and a receiver is moody."""

import pytest

from support.killing import drill


@pytest.mark.timeout(300)
@pytest.mark.parametrize("victim", ["api", "jobs", "engine"])
def test_random_kills(tmp_path, victim):
    """Nothing lost, one result a rendition, one end, and one id however often it is told."""
    report = drill(tmp_path, victim, kills=3, seconds=100)

    assert report.is_well, report
    assert (report.kills, report.lost, report.twice) == (3, 0, 0), report
    assert report.jobs > 3
