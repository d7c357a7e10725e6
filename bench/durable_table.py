"""A lease table of our own in SQLite as `bench/durable.py` drives it: a prototype of the shape, not the engine.

One row per job, an outbox beside it, one process that claims. Each of the three steps is a transaction of its own, and
every write of the job process is `WHERE owner = epoch`.
"""

import asyncio
import sqlite3
import time

SCHEMA = """
CREATE TABLE IF NOT EXISTS job (
  id TEXT PRIMARY KEY, state TEXT NOT NULL, priority INT NOT NULL, due_s REAL NOT NULL, seq INTEGER NOT NULL,
  tenant TEXT NOT NULL DEFAULT 'a', work_ms INT NOT NULL, step INT NOT NULL DEFAULT 0, owner INT NOT NULL DEFAULT 0,
  crashes INT NOT NULL DEFAULT 0) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS job_next ON job (priority DESC, due_s, seq) WHERE state = 'queued';
CREATE INDEX IF NOT EXISTS job_later ON job (due_s) WHERE state = 'scheduled';
CREATE INDEX IF NOT EXISTS job_running ON job (owner) WHERE state = 'running';
CREATE TABLE IF NOT EXISTS outbox (id TEXT PRIMARY KEY, job TEXT NOT NULL, state TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS epoch (only INTEGER PRIMARY KEY CHECK (only = 1), value INT NOT NULL);
INSERT OR IGNORE INTO epoch VALUES (1, 0);
"""
INSERT = "INSERT INTO job (id, state, priority, due_s, seq, work_ms) VALUES (?, ?, ?, ?, ?, ?)"
CLAIM = """
UPDATE job SET state = 'running', owner = ? WHERE state = 'queued' AND id IN
  (SELECT id FROM job WHERE state = 'queued' ORDER BY priority DESC, due_s, seq LIMIT ?)
RETURNING id, work_ms, step, priority, due_s, seq"""


def connect(path):
    opened = sqlite3.connect(path, isolation_level=None, timeout=30, check_same_thread=False)
    for pragma in ("journal_mode=WAL", "synchronous=FULL"):
        opened.execute(f"PRAGMA {pragma}")
    return opened


class Client:
    """What the process that accepts jobs does."""

    def __init__(self, path):
        self._db = connect(path)
        self._db.executescript(SCHEMA)

    def enqueue(self, job, priority=0, work_ms=0, delay_s=0.0):
        state = "scheduled" if delay_s else "queued"
        self._db.execute(INSERT, (job, state, priority, time.time() + delay_s, time.time_ns(), work_ms))

    def enqueue_all(self, jobs):
        """Every (job, priority, work_ms) or none."""
        now_s = time.time()
        self._db.execute("BEGIN IMMEDIATE")
        self._db.executemany(INSERT, [(i, "queued", p, now_s, n, w) for n, (i, p, w) in enumerate(jobs)])
        self._db.execute("COMMIT")

    def cancel(self, job):
        self._db.execute("UPDATE job SET state = 'cancelled' WHERE id = ? AND state IN ('queued', 'running')", (job,))

    def counts(self):
        return dict(self._db.execute("SELECT state, count(*) FROM job GROUP BY state"))


def run(path, log, *, poll_s, concurrency):
    """Work until killed."""
    db = connect(path)
    db.executescript(SCHEMA)
    asyncio.run(_Worker(db, log, poll_s, concurrency).run())


class _Worker:
    def __init__(self, db, log, poll_s, concurrency):
        self._db, self._log, self._poll_s, self._room = db, log, poll_s, concurrency
        self._running = {}
        self._epoch = db.execute("UPDATE epoch SET value = value + 1 RETURNING value").fetchone()[0]
        db.execute(
            "UPDATE job SET state = 'queued', crashes = crashes + 1 WHERE state = 'running' AND owner < ?",
            (self._epoch,),
        )

    async def run(self):
        self._log("ready", "-")
        seen, next_due_s = None, 0.0
        while True:
            bell = self._db.execute("PRAGMA data_version").fetchone()[0]
            if bell != seen or time.time() >= next_due_s:
                seen = bell
                next_due_s = self._release()
                self._stop_cancelled()
                self._claim()
            await asyncio.sleep(self._poll_s)

    def _release(self):
        """Queue what is due; when the next is."""
        now_s = time.time()
        row = self._db.execute("SELECT min(due_s) FROM job WHERE state = 'scheduled'").fetchone()
        if row[0] is not None and row[0] <= now_s:
            self._db.execute("UPDATE job SET state = 'queued' WHERE state = 'scheduled' AND due_s <= ?", (now_s,))
            return now_s
        return min(now_s + 60, row[0] or now_s + 60)

    def _stop_cancelled(self):
        if not self._running:
            return
        own = {
            row[0]
            for row in self._db.execute("SELECT id FROM job WHERE state = 'running' AND owner = ?", (self._epoch,))
        }
        for job, task in self._running.items():
            if job not in own:
                task.cancel()

    def _claim(self):
        room = self._room - len(self._running)
        if room <= 0 or not self._db.execute("SELECT 1 FROM job WHERE state = 'queued' LIMIT 1").fetchone():
            return
        rows = self._db.execute(CLAIM, (self._epoch, room)).fetchall()
        for job, work_ms, step, *_ in sorted(rows, key=lambda row: (-row[3], row[4], row[5])):
            task = asyncio.create_task(self._work(job, work_ms, step))
            self._running[job] = task
            task.add_done_callback(lambda _, job=job: self._ended(job))

    def _ended(self, job):
        del self._running[job]
        self._claim()

    async def _work(self, job, work_ms, step):
        if step < 1:
            self._log("make", job)
            if work_ms:
                try:
                    await asyncio.sleep(work_ms / 1000)
                except asyncio.CancelledError:
                    self._log("cancelled", job)
                    raise
            self._log("made", job)
            if not self._step(job, 1):
                return
        if step < 2:
            self._log("store", job)
            self._db.execute("BEGIN IMMEDIATE")
            if self._step(job, 2):
                self._db.execute("INSERT OR IGNORE INTO outbox VALUES (?, ?, 'due')", (f"msg_{job}", job))
            self._db.execute("COMMIT")
        self._log("notify", job)
        self._db.execute("BEGIN IMMEDIATE")
        if self._step(job, 3, "succeeded"):
            self._db.execute("UPDATE outbox SET state = 'delivered' WHERE job = ?", (job,))
        self._db.execute("COMMIT")

    def _step(self, job, step, state="running"):
        """Whether the job was still ours."""
        return self._db.execute(
            "UPDATE job SET step = ?, state = ? WHERE id = ? AND owner = ? AND state = 'running'",
            (step, state, job, self._epoch),
        ).rowcount
