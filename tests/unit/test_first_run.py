"""What a first run gets without having asked: a picture to read, and a folder to write to where there can be one."""

from argparse import Namespace
from pathlib import Path

import pytest

from imagemill.first_run import nothing_said, overlay

SAMPLES = Path("/samples")
BARE = {"host": None, "port": None, "admin_port": None, "unsigned": False, "sample": False}


def arguments(**flags):
    return Namespace(**BARE | flags)


def test_a_folder_for_results_is_made_below_the_data_directory(tmp_path):
    """For this user alone; only where it is meant to be made."""
    environ = {"XDG_STATE_HOME": str(tmp_path)}
    root = tmp_path / "imagemill" / "out"

    for absent in ("omit", "name"):
        laid = overlay(arguments(), None, SAMPLES, environ, absent)
        assert ("out" in laid["storage"]) == (absent == "name")
        assert not root.parent.exists()
    laid = overlay(arguments(), None, SAMPLES, environ, "make")

    assert laid["storage"]["out"] == {"kind": "file", "root": str(root), "write": True}
    assert root.parent.stat().st_mode & 0o777 == 0o700
    assert overlay(arguments(), None, SAMPLES, environ)["storage"].keys() == {"sample", "out"}


@pytest.mark.parametrize("environ", [{}, {"HOME": "relative"}, {"HOME": "/proc/nowhere"}])
def test_without_a_home_pictures_are_served_all_the_same(environ):
    """The sample is there, and no store that cannot be written."""
    assert overlay(arguments(), None, SAMPLES, environ, "make")["storage"].keys() == {"sample"}


def test_what_an_operator_says_stands(tmp_path):
    """A store of that name, or no jobs at all."""
    for name, text in (
        ("own.toml", '[storage.out]\nkind = "file"\nroot = "/x"'),
        ("off.toml", '[jobs]\nengine = "off"'),
    ):
        path = tmp_path / name
        path.write_text(text)
        laid = overlay(arguments(sample=True, unsigned=True), path, SAMPLES, {"HOME": str(tmp_path)}, "make")
        assert laid["storage"].keys() == {"sample"}


@pytest.mark.parametrize(
    ("environ", "said"),
    [({}, True), ({"IMAGEMILL_URL": "x", "IMAGEMILL_TOKEN": "y"}, True), ({"IMAGEMILL_CONFIG": "x"}, False),
     ({"IMAGEMILL_LOG__LEVEL": "info"}, False)],
)  # fmt: skip
def test_whom_a_client_calls_is_no_setting(environ, said):
    assert nothing_said(arguments(), None, environ) is said
