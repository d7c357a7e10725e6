"""The file below the embedded engine, and what may be wrong with it."""

import asyncio
import sqlite3
import stat
import threading
import time
from contextlib import asynccontextmanager, closing

import pytest

from imagemill.jobs.embedded import schema
from imagemill.jobs.embedded.database import Database
from imagemill.jobs.embedded.engine import EmbeddedEngine
from imagemill.jobs.embedded.lock import only_one
from imagemill.model.errors import DependencyDown, NotFound, SettingsError
from imagemill.model.job import State
from imagemill.settings import Jobs
from support.jobs import Embedded, NoteTaking, callback, eventually, job, opened, until


@asynccontextmanager
async def database(path):
    db = Database(path)
    await db.open()
    try:
        yield db
    finally:
        await db.close()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "data" / schema.FILE


def add_one(db):
    db.execute("UPDATE meta SET epoch = epoch + 1")


def epoch(db):
    return db.execute("SELECT epoch FROM meta").fetchone()[0]


async def test_one_that_fails_takes_no_other_along(path):
    """They are committed together, and each is told of its own end."""

    def fail(db):
        add_one(db)
        raise NotFound

    async with database(path) as db:
        done = await asyncio.gather(*(db.write(fail if i % 2 else add_one) for i in range(20)), return_exceptions=True)

        assert [type(one) for one in done] == [type(None), NotFound] * 10
        assert await db.read(epoch) == 10


async def test_a_write_is_durable_and_private(path):
    """Synced at every commit; and nobody else may read the directory or the files in it."""
    async with database(path) as db:
        await db.write(add_one)

        assert await db.write(lambda c: c.execute("PRAGMA synchronous").fetchone()) == (2,)
        assert await db.write(lambda c: c.execute("PRAGMA journal_mode").fetchone()) == ("wal",)
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}
    async with database(path) as db:
        assert await db.read(epoch) == 1


async def test_the_bell_rings_for_what_others_write(path):
    """Once at first, then within a moment; and not for ever."""
    async with database(path) as db, database(path) as other:
        rang = asyncio.Event()
        db.listen(rang.set)
        await asyncio.wait_for(rang.wait(), 60)
        await asyncio.sleep(0.1)
        rang.clear()
        await asyncio.sleep(0.15)
        assert not rang.is_set()

        await other.write(add_one)

        await asyncio.wait_for(rang.wait(), 60)
        rang.clear()
        db.listen(None)
        await other.write(add_one)
        await asyncio.sleep(0.15)
        assert not rang.is_set()


async def test_who_listens_no_more_hears_nothing_late(path):
    """Nor what is written while the thread that looks is still at a read that it had begun before."""
    async with database(path) as db, database(path) as other:
        rang, go = asyncio.Event(), threading.Event()
        db.listen(rang.set)
        await asyncio.wait_for(rang.wait(), 60)
        rang.clear()
        reading = asyncio.create_task(db.read(lambda _: go.wait(60)))
        await asyncio.sleep(0.1)  # longer ago than it would look again

        db.listen(None)
        await other.write(add_one)
        go.set()
        await reading
        await db.read(epoch)

        assert not rang.is_set()


async def test_the_bell_rings_also_where_reads_never_pause(path):
    """A busy reader must not make anybody deaf."""
    async with database(path) as db, database(path) as other:
        rang = asyncio.Event()
        db.listen(rang.set)
        await asyncio.wait_for(rang.wait(), 60)
        await asyncio.sleep(0.1)
        rang.clear()
        await other.write(add_one)
        until_s = time.monotonic() + 60

        while not rang.is_set():
            await db.read(lambda _: time.sleep(0.005))
            assert time.monotonic() < until_s


async def test_a_locked_file_is_waited_for(path):
    """As long as another process writes, which is not long."""
    async with database(path) as db:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            writing = asyncio.create_task(db.write(add_one))
            await asyncio.sleep(0.3)
            assert not writing.done()
            other.execute("ROLLBACK")
        await writing

        assert await db.read(epoch) == 1


async def test_a_full_disk_is_said_and_passes(path):
    """Nothing of what was refused is there, and everything of what was accepted."""

    def most_pages(db, pages=0):
        return db.execute(f"PRAGMA max_page_count = {pages or 'page_count'}").fetchone()

    def fill(db):
        db.execute("INSERT INTO batch_pages VALUES ('b', 0, zeroblob(1000000))")

    async with database(path) as db:
        await db.write(lambda c: most_pages(c, 100))

        done = await asyncio.gather(db.write(add_one), db.write(fill), return_exceptions=True)

        assert isinstance(done[1], DependencyDown)
        assert "no space left" in str(done[1])
        assert await db.read(epoch) == (0 if isinstance(done[0], DependencyDown) else 1)
        await db.write(lambda c: most_pages(c, 10_000))
        await db.write(fill)
        await db.write(add_one)


async def test_a_file_that_was_taken_away_is_not_written_to(path):
    """What goes into a deleted file is lost: better to accept nothing."""
    async with database(path) as db:
        await db.write(add_one)
        path.rename(path.with_name("elsewhere"))

        with pytest.raises(DependencyDown, match="moved or deleted"):
            await db.write(add_one)
        path.with_name("elsewhere").rename(path)
        await db.write(add_one)


async def test_a_damaged_table_is_said(path):
    """In our words, and not as success or as no such job."""
    engine = EmbeddedEngine(Jobs(), path.parent)
    async with opened(engine):
        accepted = await engine.submit(job())
    with closing(sqlite3.connect(path)) as db:
        (page,) = db.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'jobs'").fetchone()
        (page_bytes,) = db.execute("PRAGMA page_size").fetchone()
    with path.open("r+b") as file:
        file.seek((page - 1) * page_bytes)
        file.write(b"\xff" * page_bytes)

    engine = EmbeddedEngine(Jobs(), path.parent)
    async with opened(engine):
        for asked in (engine.read(accepted.id), engine.submit(job())):
            with pytest.raises(DependencyDown, match="damaged"):
                await asked


@pytest.mark.parametrize("content", [b"no database, but longer than a header of one is: " * 40])
async def test_a_file_that_is_none_stops_the_start(path, content):
    """It is left as it is."""
    path.parent.mkdir()
    path.write_bytes(content)

    with pytest.raises(SettingsError, match=r"jobs\.data: .*jobs\.db"):
        await EmbeddedEngine(Jobs(), path.parent).start()
    assert path.read_bytes() == content


async def test_a_directory_that_every_user_may_write_to_stops_the_start(tmp_path):
    """Of whoever submits and of whoever works."""
    tmp_path.chmod(0o777)

    with pytest.raises(SettingsError, match="every user may write"):
        await EmbeddedEngine(Jobs(), tmp_path).start()
    with pytest.raises(SettingsError, match="every user may write"):
        async with only_one(tmp_path):
            pass
    assert not list(tmp_path.iterdir())


async def test_a_directory_that_cannot_be_stops_the_start(tmp_path):
    """With its name."""
    (tmp_path / "file").write_text("")

    with pytest.raises(SettingsError, match="file"):
        await EmbeddedEngine(Jobs(), tmp_path / "file" / "data").start()


def test_an_older_file_is_brought_forward_and_a_newer_one_refused(path):
    """Step by step, all or nothing; and what lies there stays."""
    grown = (*schema.STEPS, ("CREATE TABLE later (a TEXT) STRICT", "INSERT INTO later SELECT tenant FROM job_tags"))
    broken = (*grown, ("CREATE TABLE half (a TEXT) STRICT", "no statement"))

    schema.prepare(path)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("INSERT INTO job_tags VALUES ('tag', 'tenant', 1)")
    with pytest.raises(SettingsError):
        schema.prepare(path, broken)
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (len(schema.STEPS),)
        assert db.execute("SELECT name FROM sqlite_schema WHERE name IN ('later', 'half')").fetchall() == []
    schema.prepare(path, grown)
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT a FROM later").fetchall() == [("tenant",)]
    with pytest.raises(SettingsError, match=f"version {len(grown)}"):
        schema.prepare(path)


def test_another_programs_file_is_refused(path):
    """Whatever is in it."""
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA application_id = 42")

    with pytest.raises(SettingsError, match="another program"):
        schema.prepare(path)


async def test_what_cannot_be_written_down_is_not_lost(tmp_path, monkeypatch):
    """A file that cannot be written while a job ends and is told: both are written once it can."""
    failures = [DependencyDown("jobs.db: no space left")] * 4

    async def work(order, report):
        write = kit.runner._db.write

        async def failing(operation):
            if failures:
                raise failures.pop()
            return await write(operation)

        monkeypatch.setattr(kit.runner._db, "write", failing)
        return await NoteTaking().make(order, report)

    steps = NoteTaking(work)
    kit = Embedded(tmp_path / "data")
    async with opened(kit.engine) as engine, kit.run(steps):
        accepted = await engine.submit(job(callback=callback()))
        done = await until(engine, accepted.id, State.SUCCEEDED)

    assert not failures
    assert (done.attempts, len(steps.made), len(steps.told)) == (1, 1, 1)


class Clock:
    def __init__(self):
        self.off_s = 0.0

    def __call__(self):
        return time.time() + self.off_s


@pytest.mark.parametrize("step_s", [600.0, -600.0])
async def test_a_clock_that_is_set_makes_nothing_run_twice_or_never(tmp_path, step_s):
    """What runs goes on; what is due by the new time begins; each once."""
    clock = Clock()
    go_on = asyncio.Event()

    async def work(order, report):
        if order.spec.tags:
            await go_on.wait()
        return await NoteTaking().make(order, report)

    steps = NoteTaking(work)
    kit = Embedded(tmp_path / "data", clock=clock)
    async with opened(kit.engine) as engine, kit.run(steps):
        runs = await engine.submit(job(tags=("slow",), deadline_s=time.time() + 900))
        later = await engine.submit(job(not_before_s=time.time() + 300))
        await until(engine, runs.id, State.RUNNING)
        clock.off_s = step_s
        now = await engine.submit(job(created_s=clock()))
        await until(engine, now.id, State.SUCCEEDED)
        if step_s > 0:
            await until(engine, later.id, State.SUCCEEDED)
        go_on.set()
        await until(engine, runs.id, State.SUCCEEDED)
        await eventually(lambda: _is(engine, later.id, State.SUCCEEDED if step_s > 0 else State.SCHEDULED))

    assert len({made.id for made in steps.made}) == len(steps.made)


async def _is(engine, job_id, state):
    return (await engine.read(job_id)).state is state
