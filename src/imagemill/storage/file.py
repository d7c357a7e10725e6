"""Read sources from files below one root directory.

Keys     as `storage.base.split`. Symbolic links below the root are not followed, wherever they lead.
Units    sizes in bytes; an etag is ``<mtime in ns>-<size>``, both in hex.
Errors   `BadRequest`, `SourceNotFound` (the same words for all that is not a readable regular file), `SourceTooLarge`,
         `SourceTruncated` (changed while it was read), `DependencyDown` (any other `OSError`), `SettingsError`.
Source   openat(2): with ``O_NOFOLLOW`` on every component no name can lead out of its directory.
"""

import asyncio
import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from stat import S_ISREG
from typing import Literal

from msgspec import Struct

from imagemill.model.entry import Validators
from imagemill.model.errors import DependencyDown, SettingsError, SourceNotFound, SourceTooLarge, SourceTruncated
from imagemill.storage.base import NONE_KNOWN, Blob, Unchanged, split

CHUNK_BYTES = 1024 * 1024

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
_ABSENT = frozenset(
    {
        errno.ENOENT,
        errno.ENOTDIR,
        errno.ELOOP,
        errno.EACCES,
        errno.EPERM,
        errno.EISDIR,
        errno.ENXIO,
        errno.ENODEV,
        errno.ENAMETOOLONG,
    }
)


class Settings(Struct, frozen=True, forbid_unknown_fields=True):
    """``[storage.<name>]`` with ``kind = "file"``."""

    root: Path
    kind: Literal["file"] = "file"


class FileStore:
    """A directory, seen as a store."""

    def __init__(self, settings: Settings) -> None:
        if not settings.root.is_dir():
            raise SettingsError(f"storage root {settings.root} is not a directory")
        self._root = settings.root

    async def get(self, key: str, /, *, limit: int, known: Validators = NONE_KNOWN) -> Blob | Unchanged:
        """Read one file whole, refusing it by size before reading it."""
        return await asyncio.to_thread(_read, self._root, split(key), limit, known.etag)


def _read(root: Path, names: list[str], limit: int, known: str) -> Blob | Unchanged:
    with _as_ours(), _opened(root, names) as descriptor:
        before = os.fstat(descriptor)
        if not S_ISREG(before.st_mode):
            raise SourceNotFound("no such object")
        if known and known == _etag(before):
            return Unchanged()
        if before.st_size > limit:
            raise SourceTooLarge(f"the source: {before.st_size} > {limit} bytes")
        body = _drain(descriptor, limit)
        after = os.fstat(descriptor)
    etag = _etag(after)
    if len(body) != after.st_size or _etag(before) != etag:
        raise SourceTruncated("the source changed while it was read")
    return Blob(body, etag, int(after.st_mtime))


@contextmanager
def _as_ours() -> Iterator[None]:
    try:
        yield
    except OSError as e:
        if e.errno in _ABSENT:
            raise SourceNotFound("no such object") from e
        raise DependencyDown("the store cannot be read") from e
    except UnicodeEncodeError as e:
        raise SourceNotFound("no such object") from e


@contextmanager
def _opened(root: Path, names: list[str]) -> Iterator[int]:
    *directories, last = names
    at = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for name in directories:
            inner = os.open(name, _DIRECTORY, dir_fd=at)
            os.close(at)
            at = inner
        # looking first keeps us from opening devices, which may act on being opened
        if not S_ISREG(os.stat(last, dir_fd=at, follow_symlinks=False).st_mode):
            raise SourceNotFound("no such object")
        descriptor = os.open(last, _FILE, dir_fd=at)
    finally:
        os.close(at)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _drain(descriptor: int, limit: int) -> bytes:
    body = bytearray()
    while chunk := os.read(descriptor, min(CHUNK_BYTES, limit - len(body) + 1)):
        body += chunk
        if len(body) > limit:
            raise SourceTooLarge(f"the source: more than {limit} bytes")
    return bytes(body)


def _etag(stat: os.stat_result) -> str:
    return f"{stat.st_mtime_ns:x}-{stat.st_size:x}"
