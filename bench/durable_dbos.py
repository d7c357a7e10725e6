"""DBOS on SQLite as `bench/durable.py` drives it: WAL, synchronous=FULL, version and executor pinned."""

import asyncio
import os
import time

import sqlalchemy as sa
from dbos import DBOS, DBOSClient

QUEUE = "bench"


def open_engine(path):
    """As DBOS opens SQLite itself, and with what it leaves out: WAL and a write that outlives a power cut."""
    opened = sa.create_engine(f"sqlite:///{path}")

    @sa.event.listens_for(opened, "connect")
    def _(connection, _):
        connection.isolation_level = "IMMEDIATE"
        for pragma in ("busy_timeout=30000", "foreign_keys=ON", "journal_mode=WAL", "synchronous=FULL"):
            connection.execute(f"PRAGMA {pragma}")

    return opened


class Client:
    """What the process that accepts jobs does."""

    def __init__(self, path):
        self._engine = open_engine(path)
        self._client = DBOSClient(system_database_engine=self._engine)

    def enqueue(self, job, priority=0, work_ms=0, delay_s=0.0):
        self._client.enqueue(self._options(job, priority, delay_s), job, work_ms)

    def enqueue_all(self, jobs):
        """Every (job, priority, work_ms) or none."""
        with self._engine.begin() as transaction:
            for job, priority, work_ms in jobs:
                self._client.enqueue_in_transaction(transaction, self._options(job, priority, 0.0), job, work_ms)

    def cancel(self, job):
        self._client.cancel_workflow(job)

    def counts(self):
        with self._engine.connect() as reading:
            return dict(reading.execute(sa.text("SELECT status, count(*) FROM workflow_status GROUP BY status")).all())

    def _options(self, job, priority, delay_s):
        options = {"workflow_name": "job", "queue_name": QUEUE, "workflow_id": job, "priority": 10 - priority}
        if delay_s:
            options["delay_seconds"] = delay_s
        if os.environ.get("BENCH_VERSION"):
            options["app_version"] = os.environ["BENCH_VERSION"]
        return options


def run(path, log, *, poll_s, concurrency):
    """Work until killed."""
    upgraded = bool(os.environ.get("BENCH_UPGRADED"))
    config = {
        "name": "bench",
        "system_database_url": f"sqlite:///{path}",
        "system_database_engine": open_engine(path),
        "log_level": "ERROR",
        "executor_id": os.environ.get("BENCH_EXECUTOR", "embedded"),
    }
    if os.environ.get("BENCH_VERSION"):
        config["application_version"] = os.environ["BENCH_VERSION"]
    DBOS(config=config)

    if os.environ.get("BENCH_SYNC"):

        @DBOS.step()
        def make(job, work_ms):
            log("make", job)
            if work_ms:
                time.sleep(work_ms / 1000)
            log("made", job)

        @DBOS.step()
        def store(job):
            log("store", job)

        @DBOS.step()
        def notify(job):
            log("notify", job)

        @DBOS.workflow(name="job", max_recovery_attempts=100)
        def job_(job, work_ms):
            make(job, work_ms)
            store(job)
            notify(job)

    else:

        @DBOS.step(preemptible=True)
        async def make(job, work_ms):
            log("make", job)
            if work_ms:
                try:
                    await asyncio.sleep(work_ms / 1000)
                except asyncio.CancelledError:
                    log("cancelled", job)
                    raise
            log("made", job)

        @DBOS.step()
        async def store(job):
            log("store", job)

        @DBOS.step()
        async def notify(job):
            log("notify", job)

        @DBOS.workflow(name="job", max_recovery_attempts=100)
        async def job_(job, work_ms):
            await make(job, work_ms)
            await store(job)
            await notify(job)

    if upgraded:

        @DBOS.workflow(name="another")
        async def another_():
            """Only there to make the source another one."""

    DBOS.launch()
    DBOS.register_queue(QUEUE, worker_concurrency=concurrency, polling_interval_sec=poll_s, on_conflict="always_update")
    log("ready", "-")
    while True:
        time.sleep(3600)
