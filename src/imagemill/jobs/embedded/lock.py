"""One job process for each data directory: a lock that the kernel drops with its holder.

Units    seconds.
Errors   `SettingsError`.
Source   flock(2): a lock belongs to the open file, and goes when the last descriptor of it is closed.
"""

import asyncio
import fcntl
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from imagemill.jobs.directory import made
from imagemill.model.errors import SettingsError

FILE = "lock"
_POLL_S = 0.1


@asynccontextmanager
async def only_one(directory: Path, wait_s: float = 0.0) -> AsyncIterator[None]:
    """Hold the lock of *directory*; wait for *wait_s* where a process before this one is still going away.

    Raises:
        SettingsError: another process holds it, or it cannot be made.
    """
    fd = _open(directory)
    try:
        await _take(fd, directory, wait_s)
        os.ftruncate(fd, 0)
        os.write(fd, f"{os.getpid()}\n".encode())  # for people: the lock is what counts
        yield
    finally:
        os.close(fd)


def is_held(directory: Path) -> bool:
    """Whether a job process works on *directory* now."""
    try:
        fd = os.open(directory / FILE, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(fd)


def _open(directory: Path) -> int:
    try:
        made(directory)
        return os.open(directory / FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as e:
        raise SettingsError(f"jobs.data: {e.filename}: {e.strerror}") from e


async def _take(fd: int, directory: Path, wait_s: float) -> None:
    until_s = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as e:
            if time.monotonic() >= until_s:
                raise SettingsError(f"jobs.data: {directory} is in use by another job process") from e
            await asyncio.sleep(_POLL_S)
        else:
            return
