"""Files come whole or not at all, none is overwritten unasked, and nothing is written elsewhere."""

import errno
import fcntl
import os

import pytest

from imagemill.folder import place as module
from imagemill.folder.place import Misplaced, Place
from imagemill.folder.tree import identity


@pytest.fixture
def folders(tmp_path):
    for name in ("in", "out", "elsewhere"):
        (tmp_path / name).mkdir()
    return tmp_path


@pytest.fixture
def place(folders):
    made = Place(folders / "out", identity(folders / "in"))
    yield made
    made.close()


def files(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_file_and_its_folders(folders, place):
    """Folders are made; what is written is there, with the rights that any new file has, and nothing else."""
    assert place.put(("a", "b"), "c.webp", b"body", over=False)

    assert files(folders / "out") == {"a/b/c.webp": b"body"}
    (folders / "plain").touch()
    assert (folders / "out/a/b/c.webp").stat().st_mode == (folders / "plain").stat().st_mode
    assert place.has(("a", "b"), "c.webp")
    assert not place.has(("a", "b"), "d.webp")
    assert not place.has(("x",), "c.webp")


@pytest.mark.parametrize("links", [True, False])
def test_nothing_is_overwritten_unasked(folders, place, monkeypatch, links):
    """Also where somebody wrote it a moment ago, and on a filesystem without hard links."""
    if not links:
        monkeypatch.setattr(os, "link", _no_links)
    (folders / "out/a").write_bytes(b"theirs")

    assert place.put((), "a", b"ours", over=False) is False
    assert files(folders / "out") == {"a": b"theirs"}
    assert place.put((), "a", b"ours", over=True)
    assert place.put((), "b", b"ours", over=False)
    assert files(folders / "out") == {"a": b"ours", "b": b"ours"}


def _no_links(*_, **__):
    raise OSError(errno.EPERM, "no links here")


def test_no_link_is_followed(folders, place):
    """Neither in the place of a folder nor of a file: a file that is a link is there, and replaced only if asked."""
    (folders / "elsewhere/theirs").write_bytes(b"theirs")
    (folders / "out/sub").symlink_to(folders / "elsewhere")
    (folders / "out/file").symlink_to(folders / "elsewhere/theirs")

    with pytest.raises(Misplaced, match="sub: no folder, or a link"):
        place.put(("sub",), "a", b"ours", over=True)
    with pytest.raises(Misplaced):
        place.has(("sub",), "theirs")
    place.sweep(("sub",))
    assert place.has((), "file")
    assert place.put((), "file", b"ours", over=False) is False
    assert place.put((), "file", b"ours", over=True)
    assert files(folders / "elsewhere") == {"theirs": b"theirs"}
    assert not (folders / "out/file").is_symlink()


def test_what_is_in_the_way_is_told(folders, place):
    """A folder in the place of a file, a file in the place of a folder."""
    (folders / "out/a").mkdir()
    (folders / "out/b").touch()

    with pytest.raises(Misplaced, match="a: a folder of that name is there"):
        place.has((), "a")
    with pytest.raises(IsADirectoryError):
        place.put((), "a", b"", over=True)
    with pytest.raises(Misplaced, match="b: no folder"):
        place.put(("b",), "c", b"", over=False)
    assert files(folders / "out") == {"b": b""}


def test_the_sources_are_not_written_into(folders):
    """Where the output folder holds the folder of the sources."""
    place = Place(folders, identity(folders / "in"))
    with pytest.raises(Misplaced, match="in: this is the folder of the sources"):
        place.put(("in", "deeper"), "a", b"", over=False)
    place.close()
    assert files(folders) == {}


def test_what_fails_on_the_way_leaves_nothing(folders, place, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(module.os, "fsync", full)
    with pytest.raises(OSError, match="full"):
        place.put((), "a", b"ours", over=False)

    assert files(folders / "out") == {}


def test_only_dead_writers_are_swept(folders, place):
    """What is being written is locked; what is not locked was left; other names are nobody's business."""
    for name in (".imagemill-1.part", ".imagemill-2.part", ".other.part", ".imagemill-x"):
        (folders / "out" / name).touch()
    with (folders / "out/.imagemill-2.part").open("rb") as living:
        fcntl.flock(living, fcntl.LOCK_EX)
        place.sweep(())

    assert set(files(folders / "out")) == {".imagemill-2.part", ".other.part", ".imagemill-x"}


def test_a_writer_that_was_swept_begins_again(folders, place, monkeypatch):
    """Between making its file and locking it, another run may take it for a dead one's."""
    lock, swept = fcntl.flock, []

    def late(file, how):
        if not swept:
            swept.extend(p.name for p in (folders / "out").iterdir())
            (folders / "out" / swept[0]).unlink()
        lock(file, how)

    monkeypatch.setattr(module.fcntl, "flock", late)
    assert place.put((), "a", b"ours", over=False)
    assert len(swept) == 1
    assert files(folders / "out") == {"a": b"ours"}
