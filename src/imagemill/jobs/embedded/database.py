"""One SQLite file off the event loop: a thread that writes, a thread that reads, and a bell for what others write.

Whatever waits to be written is committed together: one sync for all of it, and a savepoint each, so that one that fails
takes no other along. A write is answered after its commit has returned, and never before.
Errors   `DependencyDown` where the file cannot be used just now (full, locked, damaged, taken away); what an operation
         raises itself. Foreign errors are told apart by their code, never by their words.
"""

import asyncio
import os
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from imagemill.jobs.embedded import schema
from imagemill.model.errors import DependencyDown

T = TypeVar("T")
Operation = Callable[[sqlite3.Connection], T]
_MOST_TOGETHER = 256
POLL_S = 0.025
"""How often the bell is looked at while anyone listens; half as often where it has been silent for `_LATELY_S`."""
_LATELY_S = 2.0
_WORDS = {
    sqlite3.SQLITE_BUSY: f"locked by another process for more than {schema.BUSY_S:g} s",
    sqlite3.SQLITE_LOCKED: "locked",
    sqlite3.SQLITE_FULL: "no space left",
    sqlite3.SQLITE_READONLY: "not writable",
    sqlite3.SQLITE_PERM: "not writable",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened",
    sqlite3.SQLITE_IOERR: "reading or writing failed",
    sqlite3.SQLITE_CORRUPT: "damaged",
    sqlite3.SQLITE_NOTADB: "damaged",
}
_Listener = tuple[asyncio.AbstractEventLoop, Callable[[], None]]
_Done = tuple["asyncio.Future[Any]", Any, BaseException | None]


class _Task:
    """One operation, and who waits for it."""

    __slots__ = ("future", "operation")

    def __init__(self, operation: Operation[Any]) -> None:
        self.operation = operation
        self.future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()


class _Nobody:
    """In place of a task: look up."""


_NOBODY = _Nobody()
_Queue = SimpleQueue[_Task | _Nobody | None]


class _Bell:
    """Rings where another connection has written since the last look; always at a listener's first look."""

    def __init__(self, db: sqlite3.Connection, poll_s: float) -> None:
        self._db = db
        self._poll_s = poll_s
        self._seen: object = None
        self._rang_s = 0.0
        self._looked_s = 0.0

    @property
    def every_s(self) -> float:
        """How often to look now."""
        lately = time.monotonic() - self._rang_s < _LATELY_S
        return self._poll_s if lately else self._poll_s * 2

    def look(self, listener: _Listener) -> None:
        now_s = time.monotonic()
        if now_s - self._looked_s < self._poll_s * 0.9:
            return
        self._looked_s = now_s
        with suppress(sqlite3.Error, RuntimeError):  # whoever reads next is told; or the loop is closed
            (version,) = self._db.execute("PRAGMA data_version").fetchone()
            if self._seen != (version, listener):
                self._seen = (version, listener)
                self._rang_s = now_s
                listener[0].call_soon_threadsafe(listener[1])


class Database:
    """The file at *path*, opened; see the module."""

    def __init__(self, path: Path, poll_s: float = POLL_S) -> None:
        self.path = path
        self._poll_s = poll_s
        self._inode = 0
        self._writes: _Queue = SimpleQueue()
        self._reads: _Queue = SimpleQueue()
        self._threads: tuple[threading.Thread, ...] = ()
        self._listener: _Listener | None = None

    async def open(self) -> None:
        """Prepare the file and start both threads.

        Raises:
            SettingsError: the file cannot be used; see `schema.prepare`.
        """
        await asyncio.to_thread(schema.prepare, self.path)
        self._inode = self.path.stat().st_ino
        writer, reader = schema.connect(self.path, busy_s=0.0), schema.connect(self.path, reads_only=True)
        self._threads = (
            threading.Thread(target=self._write_all, args=(writer,), name="jobs-write", daemon=True),
            threading.Thread(target=self._read_all, args=(reader,), name="jobs-read", daemon=True),
        )
        for thread in self._threads:
            thread.start()

    @property
    def is_open(self) -> bool:
        """Whether anything can be asked of it."""
        return bool(self._threads)

    async def close(self) -> None:
        """Finish what waits, then let go of the file."""
        threads, self._threads = self._threads, ()
        self._listener = None
        self._writes.put(None)
        self._reads.put(None)
        for thread in threads:
            await asyncio.to_thread(thread.join)

    async def write(self, operation: Operation[T]) -> T:
        """Do *operation* in a transaction; durable when this returns."""
        return await self._ask(self._writes, operation)

    async def read(self, operation: Operation[T]) -> T:
        """Do *operation*, which only reads; it may be several statements, which see one moment each."""
        return await self._ask(self._reads, operation)

    def listen(self, heard: Callable[[], None] | None) -> None:
        """Call *heard* on this loop soon after anybody has written; once at first in any case. None: no more."""
        self._listener = (asyncio.get_running_loop(), heard) if heard else None
        self._reads.put(_NOBODY)  # so that the thread looks up

    async def _ask(self, queue: _Queue, operation: Operation[T]) -> T:
        if not self._threads:
            raise DependencyDown(f"{self.path.name}: closed")
        task = _Task(operation)
        queue.put(task)
        answer: T = await task.future
        return answer

    def _write_all(self, db: sqlite3.Connection) -> None:
        while tasks := _take(self._writes):
            _answer(self._commit_together(db, tasks))
        db.close()

    def _commit_together(self, db: sqlite3.Connection, tasks: list[_Task]) -> list[_Done]:
        try:
            self._refuse_another_file()
            _begin(db)
            done = [_in_savepoint(db, task, self.path) for task in tasks]
            db.execute("COMMIT")
        except Exception as e:  # noqa: BLE001 - handed to whoever asked
            error = as_ours(e, self.path)
            done = [(task.future, None, error) for task in tasks]
            _roll_back(db)
        return done

    def _refuse_another_file(self) -> None:
        """Writing into a file that was deleted would succeed, and be lost."""
        try:
            same = os.stat(self.path).st_ino == self._inode  # noqa: PTH116 - a third of the time, at every commit
        except OSError:
            same = False
        if not same:
            raise DependencyDown(f"{self.path.name}: moved or deleted while in use")

    def _read_all(self, db: sqlite3.Connection) -> None:
        bell = _Bell(db, self._poll_s)
        while True:
            listener = self._listener
            try:
                task = self._reads.get(timeout=bell.every_s if listener else None)
            except Empty:
                task = _NOBODY
            if task is None:
                break
            if isinstance(task, _Task):
                _answer([_plain(db, task, self.path)])
            if listener and listener is self._listener:  # who listens no more hears nothing late
                bell.look(listener)  # also where one read follows the other without a pause
        db.close()


def as_ours(error: Exception, path: Path) -> Exception:
    """*error* as `DependencyDown` where the file is at fault; as it is where we are."""
    code = getattr(error, "sqlite_errorcode", None)
    words = _WORDS.get(code & 0xFF) if code is not None else None
    if words is None:
        return error
    ours = DependencyDown(f"{path.name}: {words}")
    ours.__cause__ = error
    return ours


def _take(queue: _Queue) -> list[_Task]:
    """All that waits, at least one; empty at the end."""
    tasks: list[_Task] = []
    task = queue.get()
    while isinstance(task, _Task):
        tasks.append(task)
        if len(tasks) == _MOST_TOGETHER:
            return tasks
        try:
            task = queue.get_nowait()
        except Empty:
            return tasks
    if tasks:
        queue.put(None)  # the end comes after these
    return tasks


def _begin(db: sqlite3.Connection) -> None:
    """Wait for another process's transaction by asking often.

    SQLite's own waiting sleeps for longer and longer, up to 100 ms: beside a process that commits all the time, one
    that only submits now and then would starve.
    """
    began_s = time.monotonic()
    while True:
        try:
            db.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as e:
            waited_s = time.monotonic() - began_s
            if e.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or waited_s > schema.BUSY_S:
                raise
            time.sleep(min(0.001 + waited_s / 50, 0.02))
        else:
            return


def _in_savepoint(db: sqlite3.Connection, task: _Task, path: Path) -> _Done:
    db.execute("SAVEPOINT one")
    done = _plain(db, task, path)
    if done[2] is not None:
        if not db.in_transaction:  # SQLite gave it up whole, as it may where the disk is full
            raise DependencyDown(f"{path.name}: {done[2]}") from done[2]
        db.execute("ROLLBACK TO one")
    db.execute("RELEASE one")
    return done


def _plain(db: sqlite3.Connection, task: _Task, path: Path) -> _Done:
    try:
        return task.future, task.operation(db), None
    except Exception as e:  # noqa: BLE001 - handed to whoever asked
        return task.future, None, as_ours(e, path)


def _roll_back(db: sqlite3.Connection) -> None:
    with suppress(sqlite3.Error):
        if db.in_transaction:
            db.execute("ROLLBACK")


def _answer(done: list[_Done]) -> None:
    loop = done[0][0].get_loop()
    try:
        loop.call_soon_threadsafe(_resolve, done)
    except RuntimeError:
        return  # the loop is closed, and nobody waits any more


def _resolve(done: list[_Done]) -> None:
    for future, answer, error in done:
        if future.cancelled():
            continue
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(answer)
