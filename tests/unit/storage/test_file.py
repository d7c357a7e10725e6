"""Files below a root, and nothing else (R19)."""

import asyncio
import contextlib
import os
import socket
import stat
import threading
from pathlib import Path

import pytest

from imagemill.model.errors import BadRequest, SettingsError, SourceNotFound, SourceTooLarge, SourceTruncated
from imagemill.storage import file
from imagemill.storage.file import FileStore, Settings

MISSING = "no such object"


@pytest.fixture
def root(tmp_path) -> Path:
    (tmp_path / "secret").write_bytes(b"secret")
    root = tmp_path / "root"
    (root / "a").mkdir(parents=True)
    (root / "a" / "b.jpg").write_bytes(b"12345678")
    return root


@pytest.fixture
def store(root) -> FileStore:
    return FileStore(Settings(root=root))


async def test_reads(store, root):
    os.utime(root / "a" / "b.jpg", ns=(0, 1_700_000_000_123_456_789))
    blob = await store.get("a/b.jpg", limit=8)

    assert blob.body == b"12345678"
    assert blob.etag == f"{1_700_000_000_123_456_789:x}-8"
    assert blob.last_modified_s == 1_700_000_000


# R19
@pytest.mark.parametrize(
    "key",
    ["../secret", "a/../../secret", "a/..", "..", ".", "", "/", "/etc/passwd", "a//b.jpg", "a/", "a/./b.jpg", "a\\b.jpg",
     "..\\secret", "a/b.jpg\0", "\0", "a/b.jpg\0.png", "x" * 256, "/proc/self/environ", "é" * 128],
)  # fmt: skip
async def test_what_is_no_key(store, key):
    with pytest.raises(BadRequest):
        await store.get(key, limit=100)


# R19
@pytest.mark.parametrize(
    "key",
    ["no", "a/no", "no/b.jpg", "a/b.jpg/c", "a", "%2e%2e/secret", "a/%2e%2e/%2e%2e/secret", "%252e%252e%252fsecret",
     "..%2fsecret", "%2e%2e%2fsecret", "a%2fb.jpg", "a%00", "proc/self/environ", "．．/secret", "..;/secret", "\ud800",
     "a/b.jpg ", "A/B.JPG", "x" * 255, "/".join("x" * 99)],
)  # fmt: skip
async def test_what_is_not_there(store, key):
    with pytest.raises(SourceNotFound) as caught:
        await store.get(key, limit=100)
    assert str(caught.value) == MISSING


def links(root: Path) -> dict[str, str]:
    (root / "link").symlink_to(root / "a" / "b.jpg")
    (root / "out").symlink_to(root.parent / "secret")
    (root / "up").symlink_to(root.parent)
    (root / "same").symlink_to(root / "a")
    (root / "environ").symlink_to("/proc/self/environ")
    (root / "dead").symlink_to("nowhere")
    (root / "loop").symlink_to("loop")
    (root / "fd").symlink_to("/proc/self/fd")
    (root / "null").symlink_to("/dev/null")
    return {
        key: key for key in ("link", "out", "up/secret", "same/b.jpg", "environ", "dead", "loop", "fd/0", "null", "up")
    }


# R19
async def test_links_are_not_followed(store, root):
    """As the last name or on the way, wherever they lead: as good as missing."""
    for key in links(root):
        with pytest.raises(SourceNotFound) as caught:
            await store.get(key, limit=100_000)
        assert str(caught.value) == MISSING, key


# R19
@pytest.mark.parametrize("kind", ["fifo", "socket", "device", "directory"])
@pytest.mark.parametrize("look", [True, False], ids=["", "changed since the look"])
async def test_special_files(store, root, kind, look, monkeypatch):
    """Nothing blocks and nothing is read, not even when the file was a plain one a moment ago."""
    path = root / "odd"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "socket":
        here = os.open(root, os.O_RDONLY)
        with socket.socket(socket.AF_UNIX) as s:
            s.bind(f"/proc/self/fd/{here}/odd")
        os.close(here)
    elif kind == "directory":
        path.mkdir()
    else:
        try:
            os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 5))
        except PermissionError:
            pytest.skip("making a device needs root")
    if not look:
        monkeypatch.setattr(file.os, "stat", lambda *_, **__: os.lstat(root / "a" / "b.jpg"))

    with pytest.raises(SourceNotFound, match=MISSING):
        await store.get("odd", limit=100)


async def test_odd_files_are_not_even_opened(store, root, monkeypatch):
    """R19: opening a device may act on it, so a look comes first."""
    os.mkfifo(root / "odd")
    opened = []
    real = os.open
    monkeypatch.setattr(file.os, "open", lambda name, *a, **k: opened.append(str(name)) or real(name, *a, **k))

    with pytest.raises(SourceNotFound):
        await store.get("odd", limit=100)

    assert opened == [str(root)]


async def test_links_put_there_since_the_look(store, root, monkeypatch):
    """R19: opening does not follow either."""
    (root / "out").symlink_to(root.parent / "secret")
    monkeypatch.setattr(file.os, "stat", lambda *_, **__: os.lstat(root / "a" / "b.jpg"))

    with pytest.raises(SourceNotFound, match=MISSING):
        await store.get("out", limit=100)


async def test_unreadable(store, root):
    (root / "shut").write_bytes(b"x")
    (root / "shut").chmod(0)
    if os.access(root / "shut", os.R_OK):
        pytest.skip("this user reads everything")

    with pytest.raises(SourceNotFound, match=MISSING):
        await store.get("shut", limit=100)


async def test_size_is_checked_before_reading(store, root, monkeypatch):
    with (root / "big").open("wb") as f:
        f.truncate(1 << 40)
    monkeypatch.setattr(file.os, "read", lambda *_: pytest.fail("was read"))

    with pytest.raises(SourceTooLarge, match="1099511627776 > 100 bytes"):
        await store.get("big", limit=100)


@pytest.mark.parametrize(("size", "error"), [(4, SourceTruncated), (9, SourceTruncated), (11, SourceTruncated)])
async def test_changing_files(store, root, monkeypatch, size, error):
    """A file that grows or shrinks under us is an error, never half a picture."""
    path = root / "a" / "b.jpg"
    read = os.read

    def change(descriptor, count):
        if path.stat().st_size == 8:
            path.write_bytes(b"x" * size)
        return read(descriptor, count)

    monkeypatch.setattr(file.os, "read", change)
    with pytest.raises(error):
        await store.get("a/b.jpg", limit=10)


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_no_descriptor_is_left(store, root):
    links(root)
    (root / "dir").mkdir()
    before = open_descriptors()
    for key in ("a/b.jpg", "a/no", "no/x", "link", "up/secret", "dir", "a/b.jpg/c"):
        for limit in (100, 1):
            with contextlib.suppress(SourceNotFound, SourceTooLarge):
                await store.get(key, limit=limit)

    assert open_descriptors() == before


async def test_no_descriptor_is_left_of_a_stream(store, root):
    """However much of it was read: when it is left it is closed."""
    (root / "big").write_bytes(bytes(3 * file.CHUNK_BYTES))
    before = open_descriptors()
    kept = []
    for chunks in range(4):
        async with store.open("big") as opened:
            kept.append(opened)
            for _ in range(chunks):
                await anext(opened.chunks)
            assert open_descriptors() == before + 1
        assert open_descriptors() == before


async def test_a_descriptor_that_a_thread_reads_from_is_closed_by_it(store, root, monkeypatch):
    """Not under its hands, where another file might get the number."""
    (root / "big").write_bytes(bytes(3 * file.CHUNK_BYTES))
    before, read, reading, go = open_descriptors(), os.read, threading.Event(), threading.Event()

    def slowly(descriptor, count):
        reading.set()
        go.wait(5)
        return read(descriptor, count)

    async with store.open("big") as opened:
        monkeypatch.setattr(file.os, "read", slowly)
        task = asyncio.ensure_future(anext(opened.chunks))
        await asyncio.to_thread(reading.wait, 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert open_descriptors() == before + 1
    go.set()
    async with asyncio.timeout(5):
        while open_descriptors() > before:
            await asyncio.sleep(0.001)


async def test_a_small_file_takes_one_thread(store, monkeypatch):
    """Most sources are small: each turn of a thread costs about as much as all the rest."""
    turns = []
    real = asyncio.to_thread
    monkeypatch.setattr(asyncio, "to_thread", lambda *call: turns.append(call) or real(*call))

    assert (await store.get("a/b.jpg", limit=8)).body == b"12345678"
    assert len(turns) == 1


def test_root_must_be_a_directory(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    for root in (tmp_path / "no", tmp_path / "file"):
        with pytest.raises(SettingsError, match="is not a directory"):
            FileStore(Settings(root=root))
