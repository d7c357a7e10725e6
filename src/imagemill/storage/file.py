"""Keep objects as files below one root directory.

Keys     as `storage.base.split`; ``a`` and ``a/b`` cannot both exist here. Symbolic links below the root are not
         followed, wherever they lead; one in the place of an object is replaced.
Units    sizes in bytes; an etag is ``<mtime in ns>-<size>``, both in hex.
Errors   `BadRequest`; reading: `SourceNotFound` (the same words for all that is not a readable regular file),
         `SourceTooLarge`, `SourceTruncated` (changed while it was read); writing: `StoreRefused`, `StoreCorrupt`;
         `DependencyDown` (any other `OSError`), `SettingsError`.
Source   openat(2): with ``O_NOFOLLOW`` on every component no name can lead out of its directory. rename(2): replaces
         atomically within one filesystem. fsync(2): a name is durable once its directory is.
"""

import asyncio
import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from stat import S_ISREG
from typing import Literal

from msgspec import Struct

from imagemill.model.entry import Validators
from imagemill.model.errors import (
    DependencyDown,
    SettingsError,
    SourceNotFound,
    SourceTooLarge,
    SourceTruncated,
    StoreRefused,
)
from imagemill.storage.base import NONE_KNOWN, Blob, Stat, Terms, Unchanged, split
from imagemill.storage.public import below, is_base
from imagemill.storage.staged import replace, staging

CHUNK_BYTES = 1024 * 1024
_LAST_WORDS_S = 1.0

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
_REFUSING = _ABSENT | {errno.EROFS, errno.EXDEV, errno.EEXIST, errno.ENOTEMPTY}


class Settings(Struct, frozen=True, forbid_unknown_fields=True):
    """``[storage.<name>]`` with ``kind = "file"``: a folder."""

    root: Path
    """The folder. Nothing outside it is reachable by any spelling; symbolic links below it are not followed."""
    kind: Literal["file"] = "file"
    """This one."""
    sources: bool | None = None
    """Whether ``source=local:<name>/<key>`` may read it; not set = where `write` is off."""
    write: bool = False
    """Whether jobs may store results here."""
    public_url: str = ""
    """Where a web server of yours offers this folder: callers get addresses below it. Empty = they get none."""


class FileStore:
    """A directory, seen as a store."""

    def __init__(self, settings: Settings, name: str = "") -> None:
        if not settings.root.is_dir():
            raise SettingsError(f"storage root {settings.root} is not a directory")
        if settings.public_url and not is_base(settings.public_url):
            raise SettingsError("public_url is http:// or https://, a host, and perhaps a path")
        self._root = settings.root
        self._settings = settings
        self._name = name
        if settings.write:
            with _as_settings(settings.root):
                staging(settings.root)

    async def get(self, key: str, /, *, limit: int, known: Validators = NONE_KNOWN) -> Blob | Unchanged:
        """Read one file whole, refusing it by size before reading it."""
        return await asyncio.to_thread(_read, self._root, split(key), limit, known.etag)

    async def put(self, key: str, body: bytes, /, terms: Terms) -> Stat:
        """Write one file, durable when this returns; its terms but the digest are kept nowhere."""
        names = split(key)
        if not self._settings.write:
            raise StoreRefused("this store is not written to")
        writing = asyncio.ensure_future(asyncio.to_thread(_replace, self._root, names, body, terms.sha256))
        try:
            return await asyncio.shield(writing)
        except asyncio.CancelledError:
            # a thread cannot be stopped; let it come to its end, so that it replaces nothing that is written after this
            done, _ = await asyncio.wait({writing}, timeout=_LAST_WORDS_S)
            for it in done:
                it.exception()  # nobody is left who wants to know
            raise

    async def stat(self, key: str, /) -> Stat | None:
        """What lies at *key*, read from beginning to end."""
        return await asyncio.to_thread(_digest, self._root, split(key))

    def address(self, key: str, /) -> str:
        """``local:<store>/<key>``, as ``source`` takes it."""
        return f"local:{self._name}/{key}"

    async def url(self, key: str, /, *, good_for_s: int) -> str | None:  # noqa: ARG002 - a web server's are for ever
        """Below `public_url`; None without one."""
        names = split(key)
        return below(self._settings.public_url, names) if self._settings.public_url else None

    async def check(self) -> None:
        """Look at the folder, and whether it may be written where it should."""
        wanted = os.R_OK | os.X_OK | (os.W_OK if self._settings.write else 0)
        if not await asyncio.to_thread(os.access, self._root, wanted):
            raise StoreRefused("the store's folder is not there, or does not let us in")


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


def _replace(root: Path, names: list[str], body: bytes, digest: str) -> Stat:
    try:
        found = replace(root, names, body, digest)
    except OSError as e:
        if e.errno in _REFUSING:
            raise StoreRefused("the store does not let us write there") from e
        raise DependencyDown("the store cannot be written") from e
    except UnicodeEncodeError as e:
        raise StoreRefused("the store does not let us write there") from e
    return Stat(found.st_size, digest or sha256(body).hexdigest(), _etag(found), int(found.st_mtime))


def _digest(root: Path, names: list[str]) -> Stat | None:
    digest, read = sha256(), 0
    try:
        with _as_ours(), _opened(root, names) as descriptor:
            while chunk := os.read(descriptor, CHUNK_BYTES):
                digest.update(chunk)
                read += len(chunk)
            found = os.fstat(descriptor)
    except SourceNotFound:
        return None
    return Stat(read, digest.hexdigest(), _etag(found), int(found.st_mtime))


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
def _as_settings(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as e:
        raise SettingsError(f"storage root {root} cannot be written: {e.strerror}") from e


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
