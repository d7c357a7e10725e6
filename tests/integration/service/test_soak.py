"""D20, L13: the short form of `make soak`."""

import sys
from pathlib import Path

import pytest

from support.soak import MOST_KB, soak

pytestmark = pytest.mark.timeout(900)

_REQUESTS = 24_000
"""A heap goes up by some 4 MB, once, and not at an even pace (72 to 75 MB after 60,000): the half that is judged is so
long that `MOST_KB` a request is twice that. Of 9,000, it was less, and failed where that step fell into it."""


def test_nothing_grows_and_nothing_is_left(tmp_path):
    """Thousands of good, bad, slow and abandoned requests: memory, descriptors, processes, threads, files as before."""
    report = soak(tmp_path, _REQUESTS)

    assert report.complaints == [], report.rows()
    assert report.recycled >= 2


def test_a_leak_of_a_kilobyte_a_request_is_seen(tmp_path):
    """Or the test above would mean nothing."""
    leaking = [sys.executable, str(Path(__file__).parents[2] / "support" / "leaking.py")]

    report = soak(tmp_path, 3_000, command=leaking)

    assert report.growth_kb("front") > MOST_KB, report.rows()
    assert [c for c in report.complaints if c.startswith("front: ") and c.endswith("KB more a request")]
