"""Write a file so that a reader sees the old one or the new one, whole, and a power cut loses neither.

A body is written, flushed and read back in a folder of its own below the root, then renamed to its place. The folder's
name has a backslash, which no key may have: what lies in it is out of every reader's reach.
Units    bytes, seconds.
Errors   `OSError` as it comes; `StoreCorrupt` where other bytes came back than were written.
Source   rename(2), fsync(2), open(2).
"""

import os
import time
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from secrets import token_hex
from typing import Self

from imagemill.model.errors import StoreCorrupt

FOLDER = "\\unfinished"
LEFT_S = 3600.0
"""What is older belongs to a writer that died; nothing takes so long to write."""
_CHUNK_BYTES = 1024 * 1024
_ROOT = os.O_RDONLY | os.O_DIRECTORY
_DIRECTORY = _ROOT | os.O_NOFOLLOW
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW


def staging(root: Path, now_s: float | None = None) -> None:
    """Make the folder below *root*, and sweep what dead writers left in it; or raise `OSError`."""
    oldest_s = (time.time() if now_s is None else now_s) - LEFT_S
    with _Directory(os.open(root, _ROOT)) as top, _Directory(_entered(top.fd, FOLDER, 0o700)) as folder:
        for name in os.listdir(folder.fd):  # noqa: PTH208 - a descriptor is no path
            with suppress(FileNotFoundError):  # another process sweeps as well
                if os.stat(name, dir_fd=folder.fd, follow_symlinks=False).st_mtime < oldest_s:
                    os.unlink(name, dir_fd=folder.fd)


def replace(root: Path, names: list[str], body: bytes, digest: str = "") -> os.stat_result:
    """Put *body*, whose SHA-256 is *digest* where there is one, at *names* below *root*."""
    with (
        _Directory(os.open(root, _ROOT)) as top,
        _Directory(_entered(top.fd, FOLDER, 0o700)) as folder,
        _descend(top.fd, names[:-1]) as target,
    ):
        unfinished = token_hex(16)
        try:
            found = _written(folder.fd, unfinished, body, digest)
            os.rename(unfinished, names[-1], src_dir_fd=folder.fd, dst_dir_fd=target.fd)
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(unfinished, dir_fd=folder.fd)
            raise
        os.fsync(target.fd)
        return found


class _Directory:
    """A directory's descriptor, closed at the end."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.fd)


def _descend(top: int, names: list[str]) -> _Directory:
    """The directory of these *names* below *top*, made where it is missing."""
    at = os.dup(top)
    try:
        for name in names:
            inner = _entered(at, name)
            os.close(at)
            at = inner
    except BaseException:
        os.close(at)
        raise
    return _Directory(at)


def _entered(at: int, name: str, mode: int = 0o777) -> int:
    try:
        return os.open(name, _DIRECTORY, dir_fd=at)
    except FileNotFoundError:
        with suppress(FileExistsError):  # somebody else was as quick
            os.mkdir(name, mode, dir_fd=at)
        os.fsync(at)  # also where the other one made it, and may not have come as far as this
        return os.open(name, _DIRECTORY, dir_fd=at)


def _written(at: int, name: str, body: bytes, digest: str) -> os.stat_result:
    descriptor = os.open(name, _NEW, 0o666, dir_fd=at)
    try:
        rest = memoryview(body)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.fsync(descriptor)
        if _read_back(descriptor) != (digest or sha256(body).hexdigest()):
            raise StoreCorrupt(f"{len(body)} bytes were written, and others came back")
        return os.fstat(descriptor)
    finally:
        os.close(descriptor)


def _read_back(descriptor: int) -> str:
    digest, offset = sha256(), 0
    while chunk := os.pread(descriptor, _CHUNK_BYTES, offset):
        digest.update(chunk)
        offset += len(chunk)
    return digest.hexdigest()
