"""Write a file so that a reader sees the old one or the new one, whole, and a power cut loses neither.

A body is written as it comes, flushed and read back in a folder of its own below the root, then renamed to its place.
The folder's name has a backslash, which no key may have: what lies in it is out of every reader's reach.
Units    bytes, seconds.
Errors   `OSError` as it comes; `StoreCorrupt` where other bytes came back than were written.
Source   rename(2), fsync(2), open(2).
"""

import os
import time
from contextlib import ExitStack, suppress
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


class Unfinished:
    """A file on its way to *names* below *root*: `write` …, `check`, `show`; and always `close`.

    *digest* is the SHA-256 that it must have, where one is known.
    """

    def __init__(self, root: Path, names: list[str], digest: str = "") -> None:
        self._root = root
        self._names = names
        self._name = token_hex(16)
        self._open = ExitStack()
        self._expected = digest
        self._written = sha256()
        self._begun = self._hidden = False
        self.body_bytes = 0

    def write(self, chunk: bytes) -> None:
        """Append; *chunk* may be empty."""
        self._begin()
        if not self._expected:  # else reading it back is enough
            self._written.update(chunk)
        self.body_bytes += len(chunk)
        rest = memoryview(chunk)
        while rest:
            rest = rest[os.write(self._file, rest) :]

    def check(self) -> str:
        """Flush it and read it back: the SHA-256 that it was to have, and has."""
        self._begin()
        os.fsync(self._file)
        digest = self._expected or self._written.hexdigest()
        if _read_back(self._file) != digest:
            raise StoreCorrupt(f"{self.body_bytes} bytes were written, and others were meant or came back")
        return digest

    def show(self) -> os.stat_result:
        """Put it in its place, durably."""
        found = os.fstat(self._file)
        os.rename(self._name, self._names[-1], src_dir_fd=self._folder, dst_dir_fd=self._target)
        self._hidden = False
        os.fsync(self._target)
        return found

    def close(self) -> None:
        """Remove what is not in its place."""
        with self._open:
            if self._hidden:
                with suppress(FileNotFoundError):
                    os.unlink(self._name, dir_fd=self._folder)

    def _begin(self) -> None:
        """Make the folders on the way, and the file out of sight; once."""
        if self._begun:
            return
        top = self._open.enter_context(_Directory(os.open(self._root, _ROOT))).fd
        self._folder = self._open.enter_context(_Directory(_entered(top, FOLDER, 0o700))).fd
        self._target = self._open.enter_context(_descend(top, self._names[:-1])).fd
        self._file = os.open(self._name, _NEW, 0o666, dir_fd=self._folder)
        self._open.callback(os.close, self._file)
        self._begun = self._hidden = True


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


def _read_back(descriptor: int) -> str:
    digest, offset = sha256(), 0
    while chunk := os.pread(descriptor, _CHUNK_BYTES, offset):
        digest.update(chunk)
        offset += len(chunk)
    return digest.hexdigest()
