"""The file of bearer tokens: read again when it changes, written whole or not at all.

Keys     ``{"tokens": [...]}``, each a `model.token.Token`; it holds digests and no secret.
Units    looked at once a second at most, so that a new or a revoked token counts within a second.
Errors   a file that cannot be read, is damaged, that others than its owner may write, that is a stranger's, or that is
         gone although it was there: `Register.readable` is false, and whoever judges by it lets nobody in.
         `SettingsError` from what writes.
Source   rename(2): inside one filesystem a rename replaces atomically; fsync(2): the directory is synced on its own.
"""

import errno
import fcntl
import os
import secrets
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from msgspec import Struct

from imagemill.model.errors import BadOption, SettingsError
from imagemill.model.token import Token
from imagemill.obs.logs import Log

LOOK_S = 1.0
MAX_BYTES = 4 * 1024 * 1024
_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH


class _File(Struct, frozen=True, forbid_unknown_fields=True):
    tokens: tuple[Token, ...]


class Register(Struct, frozen=True):
    """All tokens at one moment."""

    tokens: tuple[Token, ...] = ()
    readable: bool = True
    """False where there may be tokens that cannot be known."""


class TokenFile:
    """Tokens as a service sees them."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self.path = path
        self._clock = clock
        self._log = Log("imagemill.tokens")
        self._looked_s = float("-inf")
        self._seen: object = None
        self._there = False
        """Whether there ever was a file: one that is taken away must not let in whoever is on this machine."""
        self._register = Register()

    def read(self) -> Register:
        """What the file says, as of a second ago at most."""
        now_s = self._clock()
        if now_s - self._looked_s >= LOOK_S:
            self._looked_s = now_s
            self._look()
        return self._register

    def _look(self) -> None:
        try:
            seen: object = _identity(self.path)
        except OSError as e:
            seen = e.errno
        if seen == self._seen:
            return
        try:
            if seen == errno.ENOENT and self._there:
                raise SettingsError(f"jobs.tokens: {self.path} was there, and is gone; a restart goes on without it")
            self._register = Register(load(self.path))
        except SettingsError as e:
            self._register = Register(readable=False)
            self._log.error("tokens cannot be read: nobody is let in to jobs", reason=str(e))
        self._seen = seen
        self._there = self._there or isinstance(seen, tuple)


def load(path: Path) -> tuple[Token, ...]:
    """The tokens of a file, none where there is no file; or raise `SettingsError`."""
    try:
        body = _body(path)
    except FileNotFoundError:
        return ()
    except OSError as e:
        raise SettingsError(f"jobs.tokens: {path}: {e.strerror}") from e
    try:
        return msgspec.json.decode(body, type=_File).tokens
    except (msgspec.MsgspecError, UnicodeDecodeError, BadOption) as e:
        raise SettingsError(f"jobs.tokens: {path} is damaged: {e}") from e


def add(path: Path, token: Token) -> None:
    """Keep one more."""
    with _alone(path):
        tokens = load(path)
        if any(token.id == other.id for other in tokens):
            raise SettingsError(f"a token {token.id} exists; try again")
        _replace(path, (*tokens, token))


def remove(path: Path, token_id: str) -> Token:
    """Forget the one of that id, and give back what it was; or raise `SettingsError`."""
    with _alone(path):
        tokens = load(path)
        gone = next((token for token in tokens if token.id == token_id), None)
        if gone is None:
            raise SettingsError(f"no token has the id {token_id}; `imagemill token list` shows them")
        _replace(path, tuple(token for token in tokens if token is not gone))
        return gone


def _identity(path: Path) -> tuple[int, ...]:
    found = path.stat()
    return found.st_mtime_ns, found.st_ino, found.st_size, found.st_mode, found.st_ctime_ns


def _body(path: Path) -> bytes:
    with path.open("rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode) or found.st_size > MAX_BYTES:
            raise SettingsError(f"jobs.tokens: {path} is no file of at most {MAX_BYTES} bytes")
        if found.st_mode & _WRITABLE_BY_OTHERS:
            raise SettingsError(f"jobs.tokens: others may write {path}; chmod 600 it once its content is known")
        if found.st_uid not in {0, os.geteuid(), path.parent.stat().st_uid}:
            raise SettingsError(f"jobs.tokens: {path} is the file of user {found.st_uid}, who has no say in its folder")
        return file.read(MAX_BYTES)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Keep a second writer out, so that none of two new tokens is lost; the directory is made where there is none."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(path.with_name(f".{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)
    except OSError as e:
        raise SettingsError(f"jobs.tokens: {path}: {e.strerror}") from e


def _replace(path: Path, tokens: tuple[Token, ...]) -> None:
    body = msgspec.json.format(msgspec.json.encode(_File(tokens)), indent=2)
    new = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(body + b"\n")
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
