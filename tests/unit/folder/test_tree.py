"""What a walk meets, and in which order."""

import os

import pytest

from imagemill.folder import tree
from imagemill.folder.tree import Entered, File, Hidden, Link, Other, Unlisted, identity, walk

NOWHERE = (0, 0)


def make(root, *paths):
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()


def test_order(tmp_path):
    """By name, folders after files, whatever order the filesystem has."""
    make(tmp_path, "b.jpg", "z/1", "a.jpg", "c/2", "c/d/3")

    assert list(walk(tmp_path, NOWHERE)) == [
        Entered(()), File((), "a.jpg"), File((), "b.jpg"),
        Entered(("c",)), File(("c",), "2"), Entered(("c", "d")), File(("c", "d"), "3"),
        Entered(("z",)), File(("z",), "1"),
    ]  # fmt: skip


def test_loops_and_what_is_no_file(tmp_path):
    """No link is followed, a pipe is not opened, nothing hidden is looked at."""
    make(tmp_path, "a", ".hidden/b", ".c")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "link").symlink_to("a")
    (tmp_path / "gone").symlink_to("nothing")
    os.mkfifo(tmp_path / "pipe")

    met = list(walk(tmp_path, NOWHERE))

    assert met == [Entered(()), Hidden(), Hidden(), File((), "a"), Link(), Link(), Link(), Other()]


def test_the_output_folder_is_left_out(tmp_path):
    """By what it is, not by its name; what is called the same elsewhere is walked."""
    make(tmp_path, "out/a", "sub/out/b")

    met = list(walk(tmp_path, identity(tmp_path / "out")))

    assert [one for one in met if isinstance(one, File)] == [File(("sub", "out"), "b")]


def test_a_folder_that_cannot_be_listed(tmp_path, monkeypatch):
    """Is told, and the rest is walked. (Whoever runs the tests may be root, so the refusal is made.)"""
    make(tmp_path, "a/1", "b/2")
    scandir = os.scandir

    def refusing(path):
        if path.name == "a":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(tree.os, "scandir", refusing)

    assert list(walk(tmp_path, NOWHERE)) == [
        Entered(()), Unlisted(("a",), "Permission denied"), Entered(("b",)), File(("b",), "2"),
    ]  # fmt: skip


def test_one_folder_at_a_time(tmp_path, monkeypatch):
    """A folder is listed when its turn comes, not before."""
    make(tmp_path, *(f"{n}/file" for n in range(20)))
    listed, scandir = [], os.scandir
    monkeypatch.setattr(tree.os, "scandir", lambda path: listed.append(path) or scandir(path))
    walking = walk(tmp_path, NOWHERE)

    for _ in range(3):
        next(walking)

    assert len(listed) == 2


@pytest.mark.parametrize("name", ["\udcff.jpg", "a\nb.jpg"])
def test_odd_names_come_as_they_are(tmp_path, name):
    """Also such as are no UTF-8."""
    make(tmp_path, name)

    assert list(walk(tmp_path, NOWHERE)) == [Entered(()), File((), name)]
