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
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from functools import partial
from hashlib import sha256
from pathlib import Path
from stat import S_ISREG
from typing import Literal, TypeVar

from msgspec import Struct

from imagemill.model.entry import Validators
from imagemill.model.errors import (
    DependencyDown,
    SettingsError,
    SourceNotFound,
    SourceTruncated,
    StoreRefused,
)
from imagemill.storage import whole
from imagemill.storage.base import NONE_KNOWN, Blob, Opened, Stat, Terms, Unchanged, split
from imagemill.storage.held import Held
from imagemill.storage.public import below, is_base
from imagemill.storage.staged import Unfinished, staging

T = TypeVar("T")
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
        return await whole.get(self, key, limit=limit, known=known)

    @asynccontextmanager
    async def open(self, key: str, /, *, known: Validators = NONE_KNOWN) -> AsyncIterator[Opened | Unchanged]:
        """Open one file; a thread reads each chunk."""
        file = _Reading(self._root, split(key))
        held = Held(file.close)
        try:
            stat, first = await held.step(partial(file.begin, known.etag))
            yield Unchanged() if known.etag == stat.etag else Opened(stat, _chunks(file, held, first))
        finally:
            held.give_up()

    async def put(self, key: str, body: bytes, /, terms: Terms) -> Stat:
        """Write one file, durable when this returns; its terms but the digest are kept nowhere."""
        return await whole.put(self, key, body, terms)

    async def write(self, key: str, chunks: AsyncIterable[bytes], /, terms: Terms) -> Stat:
        """Write one file as it comes, durable when this returns; its terms but the digest are kept nowhere."""
        names = split(key)
        if not self._settings.write:
            raise StoreRefused("this store is not written to")
        file = Unfinished(self._root, names, terms.sha256)
        held = Held(file.close)
        try:
            async for chunk in chunks:
                await _step(held, partial(file.write, chunk))
            digest, found = await _step(held, partial(_finished, file, held))
        except BaseException:
            await asyncio.shield(asyncio.to_thread(held.give_up))
            raise
        held.give_up()
        return Stat(file.body_bytes, digest, _etag(found), int(found.st_mtime))

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


class _Reading:
    """One file that is read chunk by chunk, until none is `left_bytes`."""

    def __init__(self, root: Path, names: list[str]) -> None:
        self._root = root
        self._names = names
        self._open = ExitStack()
        self.left_bytes = 0

    def begin(self, known: str) -> tuple[Stat, bytes]:
        """What it is, and all of it where it is small and not *known*: that saves a second thread."""
        with _as_ours():
            self._descriptor = self._open.enter_context(_opened(self._root, self._names))
            self._begun = os.fstat(self._descriptor)
        if not S_ISREG(self._begun.st_mode):
            raise SourceNotFound("no such object")
        etag, self.left_bytes = _etag(self._begun), self._begun.st_size
        small = 0 < self.left_bytes <= CHUNK_BYTES and known != etag
        stat = Stat(self._begun.st_size, etag=etag, last_modified_s=int(self._begun.st_mtime))
        return stat, self.chunk() if small else b""

    def chunk(self) -> bytes:
        """The next one; with the last, the file is still what it was."""
        with _as_ours():
            # one more than is left, to see that there is no more
            chunk = os.read(self._descriptor, min(CHUNK_BYTES, self.left_bytes + 1))
            self.left_bytes -= len(chunk)
            changed = self.left_bytes <= 0 and _etag(os.fstat(self._descriptor)) != _etag(self._begun)
        if changed or self.left_bytes < 0 or not chunk:
            raise SourceTruncated("the source changed while it was read")
        return chunk

    def close(self) -> None:
        """Also where nothing was begun."""
        self._open.close()


async def _chunks(file: _Reading, held: Held, first: bytes) -> AsyncIterator[bytes]:
    if first:
        yield first
    while file.left_bytes:
        yield await held.step(file.chunk)


def _finished(file: Unfinished, held: Held) -> tuple[str, os.stat_result]:
    digest = file.check()
    held.go_on()  # who is cancelled replaces nothing
    return digest, file.show()


async def _step(held: Held, step: Callable[[], T]) -> T:
    try:
        return await held.last_step(step)
    except OSError as e:
        if e.errno in _REFUSING:
            raise StoreRefused("the store does not let us write there") from e
        raise DependencyDown("the store cannot be written") from e
    except UnicodeEncodeError as e:
        raise StoreRefused("the store does not let us write there") from e


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


def _etag(stat: os.stat_result) -> str:
    return f"{stat.st_mtime_ns:x}-{stat.st_size:x}"
