"""The file of the embedded engine: how it is opened, what lies in it, and how an older one is brought forward.

Units    ``_s`` Unix seconds of this machine's wall clock, ``_ms`` milliseconds; blobs are JSON unless stated.
Errors   `SettingsError` where the file cannot be used at all; `sqlite3.Error` later on.
Source   sqlite.org/wal.html and sqlite.org/pragma.html#pragma_synchronous (2026-11): in WAL mode only FULL syncs the
         log at every commit, and only then does a commit outlive a power cut.
"""

import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path

from imagemill.jobs.directory import made
from imagemill.model.errors import SettingsError

FILE = "jobs.db"
BUSY_S = 10.0
"""How long a write waits for another process's."""
_OLDEST = (3, 37, 0)  # the first with STRICT
_APPLICATION = 0x696D6C6A  # "imlj"

_OVER = "('delivering', 'succeeded', 'failed', 'cancelled', 'expired')"
_TERMINAL = "('succeeded', 'failed', 'cancelled', 'expired')"

_FIRST = (
    """CREATE TABLE meta (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        epoch INTEGER NOT NULL,
        secret BLOB NOT NULL
    ) STRICT""",
    "INSERT INTO meta VALUES (1, 0, randomblob(32))",
    # `seq` is the order of acceptance, and never used again; what is written often stands before what is long.
    """CREATE TABLE jobs (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        tenant TEXT NOT NULL,
        state TEXT NOT NULL,
        priority INTEGER NOT NULL,
        created_s REAL NOT NULL,
        due_s REAL NOT NULL,
        started_s REAL NOT NULL,
        finished_s REAL NOT NULL,
        deadline_s REAL,
        fetch_ms REAL NOT NULL,
        make_ms REAL NOT NULL,
        outcome TEXT,
        version INTEGER NOT NULL,
        attempts INTEGER NOT NULL,
        failures INTEGER NOT NULL,
        crashes INTEGER NOT NULL,
        owner INTEGER NOT NULL,
        callback_state TEXT NOT NULL,
        retry_of TEXT NOT NULL,
        batch TEXT NOT NULL,
        schedule TEXT NOT NULL,
        results BLOB NOT NULL,
        fault BLOB,
        spec BLOB NOT NULL
    ) STRICT""",
    "CREATE INDEX jobs_queued ON jobs (tenant, priority DESC, due_s, seq) WHERE state = 'queued'",
    "CREATE INDEX jobs_scheduled ON jobs (due_s) WHERE state = 'scheduled'",
    "CREATE INDEX jobs_running ON jobs (owner) WHERE state = 'running'",
    """CREATE INDEX jobs_deadline ON jobs (deadline_s)
        WHERE state IN ('queued', 'scheduled') AND deadline_s IS NOT NULL""",
    "CREATE INDEX jobs_listed ON jobs (tenant, seq, state, created_s)",
    "CREATE INDEX jobs_of_batch ON jobs (batch, state) WHERE batch <> ''",
    f"CREATE INDEX jobs_ended ON jobs (finished_s) WHERE state IN {_TERMINAL}",
    "CREATE TABLE job_tags (tag TEXT, tenant TEXT, seq INTEGER, PRIMARY KEY (tag, tenant, seq)) STRICT, WITHOUT ROWID",
    "CREATE INDEX job_tags_of ON job_tags (seq)",
    # How many jobs there are in each state: asked at every submission, claim and scrape, so never counted anew.
    """CREATE TABLE tallies (
        state TEXT, tenant TEXT, priority INTEGER, jobs INTEGER NOT NULL,
        PRIMARY KEY (state, tenant, priority)
    ) STRICT, WITHOUT ROWID""",
    """CREATE TRIGGER jobs_came AFTER INSERT ON jobs BEGIN
        INSERT INTO tallies VALUES (NEW.state, NEW.tenant, NEW.priority, 1)
            ON CONFLICT DO UPDATE SET jobs = jobs + 1;
    END""",
    """CREATE TRIGGER jobs_moved AFTER UPDATE OF state ON jobs WHEN OLD.state <> NEW.state BEGIN
        UPDATE tallies SET jobs = jobs - 1
            WHERE state = OLD.state AND tenant = OLD.tenant AND priority = OLD.priority;
        INSERT INTO tallies VALUES (NEW.state, NEW.tenant, NEW.priority, 1)
            ON CONFLICT DO UPDATE SET jobs = jobs + 1;
    END""",
    """CREATE TRIGGER jobs_went AFTER DELETE ON jobs BEGIN
        UPDATE tallies SET jobs = jobs - 1
            WHERE state = OLD.state AND tenant = OLD.tenant AND priority = OLD.priority;
        DELETE FROM job_tags WHERE seq = OLD.seq;
        DELETE FROM deliveries WHERE job = OLD.id;
        DELETE FROM claims WHERE subject = OLD.id;
    END""",
    """CREATE TABLE claims (
        tenant TEXT, key TEXT, digest TEXT NOT NULL, subject TEXT NOT NULL, made_s REAL NOT NULL,
        PRIMARY KEY (tenant, key)
    ) STRICT, WITHOUT ROWID""",
    "CREATE INDEX claims_of ON claims (subject)",
    """CREATE TABLE deliveries (
        seq INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        job TEXT NOT NULL,
        tenant TEXT NOT NULL,
        priority INTEGER NOT NULL,
        event TEXT NOT NULL,
        rendition TEXT NOT NULL,
        endpoint TEXT NOT NULL,
        made_s REAL NOT NULL,
        state TEXT NOT NULL,
        attempts INTEGER NOT NULL,
        due_s REAL NOT NULL,
        status INTEGER NOT NULL,
        reason TEXT NOT NULL,
        callback BLOB NOT NULL
    ) STRICT""",
    "CREATE INDEX deliveries_of ON deliveries (job, seq)",
    "CREATE INDEX deliveries_pending ON deliveries (endpoint, due_s) WHERE state = 'pending'",
    "CREATE INDEX deliveries_dead ON deliveries (priority) WHERE state = 'dead'",
    """CREATE TABLE batches (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        tenant TEXT NOT NULL,
        seed TEXT NOT NULL,
        state TEXT NOT NULL,
        outcome TEXT,
        total INTEGER NOT NULL,
        made INTEGER NOT NULL,
        over INTEGER NOT NULL,
        cancelled INTEGER NOT NULL,
        version INTEGER NOT NULL,
        created_s REAL NOT NULL,
        finished_s REAL NOT NULL,
        tags BLOB NOT NULL,
        callback BLOB,
        metadata BLOB NOT NULL
    ) STRICT""",
    "CREATE INDEX batches_open ON batches (tenant) WHERE finished_s = 0",
    "CREATE INDEX batches_ended ON batches (finished_s) WHERE finished_s > 0",
    # Specifications not made into jobs yet: JSON lists below zlib.
    "CREATE TABLE batch_pages (batch TEXT, page INTEGER, specs BLOB NOT NULL, PRIMARY KEY (batch, page)) STRICT",
    f"""CREATE TRIGGER jobs_of_batch_over AFTER UPDATE OF state ON jobs
        WHEN NEW.batch <> '' AND OLD.state NOT IN {_OVER} AND NEW.state IN {_OVER} BEGIN
        UPDATE batches SET over = over + 1, version = version + 1 WHERE id = NEW.batch;
    END""",  # noqa: S608 - a constant
    """CREATE TRIGGER batches_went AFTER DELETE ON batches BEGIN
        DELETE FROM deliveries WHERE job = OLD.id;
        DELETE FROM claims WHERE subject = OLD.id;
    END""",
    """CREATE TABLE schedules (
        tenant TEXT, name TEXT, next_s REAL, schedule BLOB NOT NULL, PRIMARY KEY (tenant, name)
    ) STRICT""",
    "CREATE INDEX schedules_next ON schedules (next_s) WHERE next_s IS NOT NULL",
)
_SECOND = (
    # Of the time that is due: how many of its jobs are there already.
    "ALTER TABLE schedules ADD COLUMN made INTEGER NOT NULL DEFAULT 0",
)
STEPS: tuple[tuple[str, ...], ...] = (_FIRST, _SECOND)
"""From nothing to version 1, from there to 2, …: only ever added to."""


def prepare(path: Path, steps: Sequence[Sequence[str]] = STEPS) -> None:
    """Make the file where there is none, and bring an older one forward, in one transaction.

    Raises:
        SettingsError: it cannot be opened or written, is damaged, none of ours, or of a later version.
    """
    if sqlite3.sqlite_version_info < _OLDEST:
        raise SettingsError(f"jobs.engine: SQLite {sqlite3.sqlite_version} is older than 3.37")
    try:
        _create(path)
        with closing(connect(path)) as db:
            _bring_forward(db, path, steps)
        _sync_directory(path.parent)
    except sqlite3.Error as e:
        raise SettingsError(f"jobs.data: {path}: {e}") from e
    except OSError as e:
        raise SettingsError(f"jobs.data: {e.filename or path}: {e.strerror}") from e


def connect(path: Path, *, reads_only: bool = False, busy_s: float = BUSY_S) -> sqlite3.Connection:
    """One connection, whose transactions are begun by hand and outlive a power cut once they are committed."""
    db = sqlite3.connect(path, timeout=busy_s, isolation_level=None, check_same_thread=False, cached_statements=256)
    try:
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA journal_size_limit = 67108864")
        db.execute("PRAGMA trusted_schema = OFF")
        if reads_only:
            db.execute("PRAGMA query_only = ON")
    except sqlite3.Error:
        db.close()
        raise
    return db


def _create(path: Path) -> None:
    made(path.parent)
    # Never a descriptor on a file that is there: to close it drops the locks that this process's connections hold
    # (fcntl(2)), whereupon another process may take the log away from under them. SQLite gives the log and the index
    # beside the file the mode of the file itself.
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def _bring_forward(db: sqlite3.Connection, path: Path, steps: Sequence[Sequence[str]]) -> None:
    db.execute("PRAGMA auto_vacuum = INCREMENTAL")  # heeded in an empty file only
    if db.execute("PRAGMA journal_mode = WAL").fetchone() != ("wal",):
        raise SettingsError(f"jobs.data: {path}: this file system cannot do SQLite's WAL")
    db.execute("BEGIN IMMEDIATE")
    (version,) = db.execute("PRAGMA user_version").fetchone()
    (application,) = db.execute("PRAGMA application_id").fetchone()
    if application not in {0, _APPLICATION} or (version and not application):
        raise SettingsError(f"jobs.data: {path}: a database of another program")
    if version > len(steps):
        raise SettingsError(f"jobs.data: {path}: version {version}, and this imagemill knows {len(steps)} at most")
    for step in steps[version:]:
        for statement in step:
            db.execute(statement)
    db.execute(f"PRAGMA application_id = {_APPLICATION}")
    db.execute(f"PRAGMA user_version = {len(steps)}")
    db.execute("COMMIT")


def _sync_directory(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
