"""The data directory is this user's alone, or at least no stranger's to write to."""

import pytest

from imagemill.jobs.directory import made
from imagemill.model.errors import SettingsError


def test_it_is_made_private(tmp_path):
    made(tmp_path / "a" / "b")

    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("mode", [0o700, 0o755, 0o770, 0o2775])
def test_one_that_an_operator_made_is_used_as_it_is(tmp_path, mode):
    """A volume may belong to a group of ours."""
    tmp_path.chmod(mode)

    made(tmp_path)

    assert tmp_path.stat().st_mode & 0o7777 == mode


@pytest.mark.parametrize("mode", [0o777, 0o702, 0o1777])
def test_one_that_every_user_may_write_to_stops_the_start(tmp_path, mode):
    """A journal beside the database would be played into it, and a link in the place of the lock be followed."""
    tmp_path.chmod(mode)

    with pytest.raises(SettingsError, match=r"jobs\.data: every user may write"):
        made(tmp_path)
