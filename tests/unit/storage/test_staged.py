"""Files are replaced whole, durably, and nowhere else than below the root (J02)."""

import asyncio
import contextlib
import os
import shutil
import threading
from pathlib import Path

import pytest

from imagemill.model.errors import BadRequest, DependencyDown, SettingsError, SourceNotFound, StoreCorrupt, StoreRefused
from imagemill.storage import held, staged
from imagemill.storage.base import Terms
from imagemill.storage.file import FileStore, Settings

HOUR_S = 3600


@pytest.fixture
def root(tmp_path) -> Path:
    root = tmp_path / "root"
    root.mkdir()
    return root


@pytest.fixture
def store(root) -> FileStore:
    return FileStore(Settings(root=root, write=True, public_url="https://cdn.example/out/"), "results")


def unfinished(root: Path) -> list[str]:
    return os.listdir(root / staged.FOLDER)


def files(root: Path) -> set[str]:
    return {str(p.relative_to(root)) for p in root.rglob("*") if p.is_file()}


async def test_nothing_is_left_beside_the_object(store, root):
    await store.put("a/b", b"1", Terms())
    await store.put("a/b", b"2", Terms())

    assert files(root) == {"a/b"}


async def test_all_is_flushed_before_and_after_it_is_seen(store, root, monkeypatch):
    """The bytes before the rename, the folder's entry after it, and every new folder's own entry."""
    told = []
    fsync, rename = os.fsync, os.rename

    def flushed(fd):
        told.append(os.path.relpath(Path(f"/proc/self/fd/{fd}").readlink(), root))
        fsync(fd)

    monkeypatch.setattr(staged.os, "fsync", flushed)
    monkeypatch.setattr(staged.os, "rename", lambda *a, **k: (told.append("renamed"), rename(*a, **k)))
    await store.put("a/b/c", b"1", Terms())

    assert told[:2] == [".", "a"]
    assert told[2].startswith(staged.FOLDER)
    assert told[3:] == ["renamed", "a/b"]


@pytest.mark.parametrize("call", ["write", "fsync", "rename", "fstat"])
async def test_a_write_that_fails_leaves_the_old(store, root, monkeypatch, call):
    """Whatever step a full or broken disk fails at: the old object stays, nothing is left, and it may be tried again."""
    await store.put("a", b"old", Terms())

    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(staged.os, call, fail)
    with pytest.raises(DependencyDown) as caught:
        await store.put("a", b"new", Terms())
    monkeypatch.undo()

    assert isinstance(caught.value.__cause__, OSError)
    assert (await store.get("a", limit=9)).body == b"old"
    assert unfinished(root) == []


async def test_a_cancelled_write_replaces_nothing_later(store, root, monkeypatch):
    """A thread goes on when nobody waits for it any more; who was cancelled ends only after it."""
    rename, begun, go = os.rename, threading.Event(), threading.Event()

    def slowly(*args, **rest):
        begun.set()
        go.wait(60)
        rename(*args, **rest)

    monkeypatch.setattr(staged.os, "rename", slowly)
    first = asyncio.create_task(store.put("a", b"cancelled", Terms()))
    while not begun.is_set():
        await asyncio.sleep(0.001)
    first.cancel()
    asyncio.get_running_loop().call_later(0.1, go.set)
    with pytest.raises(asyncio.CancelledError):
        await first
    monkeypatch.undo()
    await store.put("a", b"later", Terms())
    await asyncio.sleep(0.15)

    assert (await store.get("a", limit=9)).body == b"later"


async def test_a_write_that_was_left_replaces_nothing_when_its_thread_wakes(store, root, monkeypatch):
    """A disk may hang for longer than a cancelled writer waits for it."""
    fsync, flushing, go = os.fsync, threading.Event(), threading.Event()

    def hanging(fd):
        flushing.set()
        go.wait(5)
        fsync(fd)

    await store.put("a", b"old", Terms())
    monkeypatch.setattr(held, "LAST_WORDS_S", 0.01)
    monkeypatch.setattr(staged.os, "fsync", hanging)
    task = asyncio.create_task(store.put("a", b"cancelled", Terms()))
    await asyncio.to_thread(flushing.wait, 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    monkeypatch.setattr(staged.os, "fsync", fsync)
    await store.put("a", b"later", Terms())
    assert len(unfinished(root)) == 1
    go.set()
    async with asyncio.timeout(5):
        while unfinished(root):
            await asyncio.sleep(0.001)

    assert (await store.get("a", limit=9)).body == b"later"


async def test_short_writes_are_gone_on_with(store, monkeypatch):
    write = os.write
    monkeypatch.setattr(staged.os, "write", lambda fd, rest: write(fd, rest[:3]))
    await store.put("a", b"12345678", Terms())

    assert (await store.get("a", limit=9)).body == b"12345678"


async def test_bytes_that_came_back_otherwise_are_not_shown(store, root, monkeypatch):
    """J02: what was written is read back before anybody else can see it."""
    await store.put("a", b"old", Terms())
    write = os.write
    monkeypatch.setattr(staged.os, "write", lambda fd, rest: write(fd, bytes(len(rest))))
    with pytest.raises(StoreCorrupt):
        await store.put("a", b"new", Terms())
    monkeypatch.undo()

    assert (await store.get("a", limit=9)).body == b"old"
    assert unfinished(root) == []


def links(root: Path) -> None:
    (root.parent / "outside").mkdir()
    (root.parent / "outside" / "f").write_bytes(b"theirs")
    (root / "out").symlink_to(root.parent / "outside")
    (root / "file").symlink_to(root.parent / "outside" / "f")


# R19
async def test_links_are_not_followed(store, root):
    """On the way they end it; in the place of the object they are replaced, and what they led to is not touched."""
    links(root)

    with pytest.raises(StoreRefused):
        await store.put("out/f", b"ours", Terms())
    await store.put("file", b"ours", Terms())

    assert (root.parent / "outside" / "f").read_bytes() == b"theirs"
    assert not (root / "file").is_symlink()
    assert await store.stat("out/f") is None


@pytest.mark.parametrize("key", ["a", "a/b/c", "x" * 255 + "/" + "y" * 255, "\ud800"])
async def test_what_cannot_lie_there_is_refused(store, root, key):
    """In the place of a folder, below a file, or by a name that is none: not to be tried again."""
    (root / "a").mkdir()
    (root / "a" / "b").write_bytes(b"1")
    (root / ("x" * 255)).write_bytes(b"1")

    with pytest.raises(StoreRefused):
        await store.put(key, b"1", Terms())

    assert unfinished(root) == []


async def test_unfinished_files_have_no_key(store, root):
    """Whatever a reader asks for, the folder of what is being written is not reachable."""
    (root / staged.FOLDER / "x").write_bytes(b"half")

    for key in (f"{staged.FOLDER}/x", "unfinished/x", "%5Cunfinished/x", "/unfinished/x"):
        with pytest.raises((BadRequest, SourceNotFound)):
            await store.get(key, limit=9)


async def test_leftovers_of_dead_writers_are_swept(root):
    """At the start, and only what no living writer can be at."""
    FileStore(Settings(root=root, write=True))
    for name, age_s in (("old", HOUR_S + 60), ("young", HOUR_S - 60)):
        (root / staged.FOLDER / name).write_bytes(b"half")
        then = (root / staged.FOLDER / name).stat().st_mtime - age_s
        os.utime(root / staged.FOLDER / name, (then, then))

    FileStore(Settings(root=root, write=True))

    assert unfinished(root) == ["young"]


async def test_the_folder_may_be_removed_meanwhile(store, root):
    (root / staged.FOLDER).rmdir()

    await store.put("a", b"1", Terms())

    assert files(root) == {"a"}


async def test_no_descriptor_is_left(store, root):
    links(root)
    before = len(os.listdir("/proc/self/fd"))
    for key in ("a", "b/c/d", "out/f", "a/b"):
        with contextlib.suppress(StoreRefused):
            await store.put(key, b"1", Terms())

    assert len(os.listdir("/proc/self/fd")) == before


def test_a_root_that_cannot_be_written_is_refused_at_the_start(root):
    root.chmod(0o500)
    if os.access(root, os.W_OK):
        (root / staged.FOLDER).write_bytes(b"a file stands in the way, also of those who may do everything")
    with pytest.raises(SettingsError, match="cannot be written"):
        FileStore(Settings(root=root, write=True))
    root.chmod(0o700)


def test_nothing_is_made_in_a_folder_that_is_only_read(root):
    FileStore(Settings(root=root))

    assert list(root.iterdir()) == []


async def test_a_folder_that_is_gone_or_shut_is_found_out(store, root):
    shut = not os.access("/", os.W_OK)
    root.chmod(0o500 if shut else 0o700)
    if shut:
        with pytest.raises(StoreRefused):
            await store.check()
    root.chmod(0o700)
    shutil.rmtree(root)

    with pytest.raises(StoreRefused):
        await store.check()


async def test_addresses(store, root):
    """One for ``source``, one for the web where a server is named."""
    assert store.address("a/b c") == "local:results/a/b c"
    assert await store.url("a/b c?é", good_for_s=1) == "https://cdn.example/out/a/b%20c%3F%C3%A9"
    assert await FileStore(Settings(root=root)).url("a", good_for_s=1) is None


@pytest.mark.parametrize(
    "url",
    [
        "cdn.example",
        "ftp://x/",
        "https://",
        "https://u@h/",
        "https://h/?q",
        "https://h:0/",
        "//h",
        "https://h/ x",
        "https://h:x/",
    ],
)
def test_wrong_bases_are_refused(root, url):
    with pytest.raises(SettingsError, match="public_url"):
        FileStore(Settings(root=root, public_url=url))
