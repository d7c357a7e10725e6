"""The folder that renditions are written to: whole files or none, nothing overwritten unasked, no link followed.

A file is written and flushed under a hidden name beside its place, and locked so long; then it is given its name. What
a killed writer left is not locked any more, and is swept when its folder is come to again.
Errors   `OSError` as it comes; `Misplaced` where a folder's place is taken, or is the folder of the sources.
Source   link(2): fails where the new name exists, in the same step in which it would make it; rename(2) replaces in one
         step. flock(2): a lock ends with its holder, however that ends. openat(2): ``O_NOFOLLOW``.
"""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from stat import S_ISDIR

from imagemill.folder.tree import Identity, Parts, identity

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_LOOK = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_BEFORE, _AFTER = ".imagemill-", ".part"
_NO_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV})
"""What a filesystem without hard links says."""


class Misplaced(Exception):
    """Nothing can be written there without doing harm; the message says why."""


class Place:
    """An output folder; *sources* is the folder that must not be written into."""

    def __init__(self, root: Path, sources: Identity) -> None:
        self._sources = sources
        self._root = os.open(root, _DIRECTORY)  # whoever names a link here means where it leads

    def close(self) -> None:
        """No thread may be at work here any more."""
        os.close(self._root)

    def has(self, parts: Parts, name: str) -> bool:
        """Whether a file, or a link, of that name lies there."""
        try:
            with self._folder(parts) as folder:
                found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return False
        if S_ISDIR(found.st_mode):
            raise Misplaced(f"{_path(*parts, name)}: a folder of that name is there")
        return True

    def put(self, parts: Parts, name: str, body: bytes, *, over: bool) -> bool:
        """Write a file; False, and nothing done, where one is there already and *over* is not set."""
        with self._folder(parts, make=True) as folder, _hidden(folder) as (file, hidden):
            rest = memoryview(body)
            while rest:
                rest = rest[os.write(file, rest) :]
            os.fsync(file)  # else a power cut might leave the name without the bytes, which a later run would keep
            if over:
                os.rename(hidden, name, src_dir_fd=folder, dst_dir_fd=folder)
                return True
            return _named(folder, hidden, name)

    def sweep(self, parts: Parts) -> None:
        """Remove what killed writers left in one folder."""
        with suppress(FileNotFoundError, Misplaced), self._folder(parts) as folder, os.scandir(folder) as entries:
            for name in [e.name for e in entries if e.name.startswith(_BEFORE) and e.name.endswith(_AFTER)]:
                with suppress(OSError):
                    _remove_unlocked(folder, name)

    @contextmanager
    def _folder(self, parts: Parts, *, make: bool = False) -> Iterator[int]:
        at = os.dup(self._root)
        try:
            for n, name in enumerate(parts, 1):
                try:
                    inner = _entered(at, name, make=make)
                except NotADirectoryError:
                    raise Misplaced(f"{_path(*parts[:n])}: no folder, or a link to one") from None
                os.close(at)
                at = inner
                if identity(at) == self._sources:
                    raise Misplaced(f"{_path(*parts[:n])}: this is the folder of the sources")
            yield at
        finally:
            os.close(at)


def _entered(at: int, name: str, *, make: bool) -> int:
    try:
        return os.open(name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=at)
    except FileNotFoundError:
        if not make:
            raise
        with suppress(FileExistsError):  # another one was as quick
            os.mkdir(name, dir_fd=at)
        return os.open(name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=at)


@contextmanager
def _hidden(folder: int) -> Iterator[tuple[int, str]]:
    """A new file under a hidden name, locked; the name is gone afterwards."""
    while True:
        name = f"{_BEFORE}{token_hex(8)}{_AFTER}"
        file = os.open(name, _NEW, 0o666, dir_fd=folder)
        try:
            if not _is_locked(file):
                continue  # it was taken for a dead writer's, in the moment before
            yield file, name
            return
        finally:
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=folder)
            os.close(file)


def _is_locked(file: int) -> bool:
    """Lock *file*; whether it still has a name then."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a filesystem without locks: nothing is swept there either
        return True
    return os.fstat(file).st_nlink > 0


def _remove_unlocked(folder: int, name: str) -> None:
    file = os.open(name, _LOOK, dir_fd=folder)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.unlink(name, dir_fd=folder)
    finally:
        os.close(file)


def _named(folder: int, hidden: str, name: str) -> bool:
    """Give the file its name, unless that is taken."""
    try:
        os.link(hidden, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
    except FileExistsError:
        return False
    except OSError as e:
        if e.errno not in _NO_LINKS:
            raise
        with suppress(FileNotFoundError):
            os.stat(name, dir_fd=folder, follow_symlinks=False)
            return False
        os.rename(hidden, name, src_dir_fd=folder, dst_dir_fd=folder)
    return True


def _path(*parts: str) -> str:
    return "/".join(parts)
