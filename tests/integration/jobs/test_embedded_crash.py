"""Real job processes that are killed, stopped and doubled: nothing is lost, and nothing is done twice at once."""

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path

import msgspec
import pytest

from imagemill.jobs.embedded import lock, schema, upkeep
from imagemill.jobs.embedded.database import Database
from imagemill.jobs.embedded.engine import EmbeddedEngine
from imagemill.model.job import ResultState, State
from imagemill.settings import Jobs
from support.jobs import callback, eventually, job, opened, until

TESTS = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(TESTS)}


class Process:
    """A job process on *directory*, killed at the end of the test at the latest."""

    def __init__(self, directory, **options):
        self.directory = directory
        self._child = subprocess.Popen(
            [sys.executable, "-m", "support.job_process", str(directory), msgspec.json.encode(options).decode()],
            env=ENVIRONMENT,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.pid = self._child.pid

    def kill(self):
        self._child.kill()
        self._child.wait()

    def terminate(self):
        self._child.terminate()
        return self.end()

    def send(self, number):
        self._child.send_signal(number)

    def end(self, timeout_s=60):
        _, words = self._child.communicate(timeout=timeout_s)
        return self._child.returncode, words

    def is_running(self):
        return self._child.poll() is None

    async def is_stopped(self):
        return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"

    def memory_mib(self):
        line = next(x for x in Path(f"/proc/{self.pid}/status").read_text().splitlines() if x.startswith("VmRSS"))
        return int(line.split()[1]) / 1024


@pytest.fixture
def start(tmp_path):
    """Start a job process."""
    begun = []

    def start(**options):
        begun.append(Process(tmp_path, **options))
        return begun[-1]

    yield start
    for process in begun:
        if process.is_running():
            process.send(signal.SIGCONT)
            process.kill()
        process._child.stderr.close()


@pytest.fixture
async def engine(tmp_path):
    async with opened(EmbeddedEngine(Jobs(), tmp_path)) as engine:
        yield engine


def notes(directory, kind):
    """The words of each note of that kind, in order."""
    path = directory / "notes"
    lines = path.read_text().splitlines() if path.exists() else []
    return [line.split()[1:] for line in lines if line.startswith(f"{kind} ")]


async def noted(directory, kind, count, timeout_s=60):
    async def enough():
        return len(notes(directory, kind)) >= count

    await eventually(enough, timeout_s)


async def ended(engine, ids, timeout_s=60):
    deadline_s = time.monotonic() + timeout_s
    return [await until(engine, one, State.SUCCEEDED, timeout_s=deadline_s - time.monotonic()) for one in ids]


def assert_each_is_whole(directory, found):
    """One result, every message under one id, nobody working on the same job twice at once."""
    ids = {one.id for one in found}
    assert {path.name for path in (directory / "results").iterdir() if "." not in path.name} == ids
    assert Counter(job_id for job_id, _ in notes(directory, "stored")).most_common(1)[0][1] == 1
    told = defaultdict(set)
    for job_id, message_id, outcome in notes(directory, "told"):
        told[job_id].add((message_id, outcome))
    assert told.keys() == ids
    assert {len(messages) for messages in told.values()} == {1}
    for one in found:
        assert [r.state for r in one.results] == [ResultState.STORED]


async def test_nothing_is_lost_by_kills(engine, start, tmp_path):
    """Killed again and again at whatever it does; all is done, and messages are repeated under their own id only."""
    ids = [(await engine.submit(job(callback=callback(), priority=i % 10))).id for i in range(120)]

    for kill in range(4):
        process = start(work_s=0.02)
        await noted(tmp_path, "begin", 20 * (kill + 1))
        process.kill()
    start(work_s=0.0)
    found = await ended(engine, ids)

    assert_each_is_whole(tmp_path, found)
    assert {one.state for one in found} == {State.SUCCEEDED}
    assert len(notes(tmp_path, "begin")) <= 120 + 4 * 8


async def test_a_later_version_finds_what_ran_in_the_older_one(engine, start, tmp_path):
    """Neither the version nor the process is part of whose job it is."""
    accepted = await engine.submit(job(callback=callback(), retries=0))
    old = start(work_s=60)
    await noted(tmp_path, "begin", 1)
    old.kill()
    assert (await engine.read(accepted.id)).state is State.RUNNING

    start(version="99.0")
    (found,) = await ended(engine, [accepted.id])

    assert found.fault is None
    assert len(notes(tmp_path, "begin")) == 2


async def test_the_second_process_on_a_directory_is_refused(engine, start, tmp_path):
    """It says which; one that may wait takes over when the first has gone."""
    accepted = await engine.submit(job())
    first = start()
    await ended(engine, [accepted.id])
    assert lock.is_held(tmp_path)

    code, words = start().end()
    patient = start(lock_wait_s=30.0)
    await asyncio.sleep(0.5)
    assert patient.is_running()
    assert first.terminate()[0] == 0
    later = await engine.submit(job())
    await ended(engine, [later.id])

    assert code != 0
    assert f"settings: jobs.data: {tmp_path} is in use by another job process" in words
    assert {pid for _, pid, _ in notes(tmp_path, "begin")} == {str(first.pid), str(patient.pid)}


async def test_a_stop_lets_what_runs_end(engine, start, tmp_path):
    """What ends within the grace ends; the rest is given back at once, and not counted."""
    short, long = await engine.submit(job()), await engine.submit(job())
    process = start(work_s=0.4, jobs={"grace_s": 50.0})
    await noted(tmp_path, "begin", 2)

    assert process.terminate()[0] == 0
    assert {(await engine.read(one.id)).state for one in (short, long)} == {State.SUCCEEDED}
    given = await engine.submit(job())
    process = start(work_s=60, jobs={"grace_s": 0.1})
    await noted(tmp_path, "begin", 3)
    assert process.terminate()[0] == 0
    found = await engine.read(given.id)

    assert (found.state, found.attempts) == (State.QUEUED, 0)


async def test_poison_fails_in_the_end_and_the_others_go_on(engine, start):
    """It may take the process with it as often as the settings say."""
    poison = await engine.submit(job(tags=("poison",), priority=9))
    others = [(await engine.submit(job())).id for _ in range(5)]

    for _ in range(3):
        assert start(jobs={"crashes": 2}).end()[0] == -signal.SIGKILL
    start(jobs={"crashes": 2})
    found = await until(engine, poison.id, State.FAILED)
    await ended(engine, others)

    assert found.fault.code == "job_crashed"


async def test_a_process_that_was_asleep_does_nothing_twice(engine, start, tmp_path):
    """Stopped for longer than its work takes: nobody else may begin, and it goes on where it was."""
    ids = [(await engine.submit(job(callback=callback()))).id for _ in range(20)]
    process = start(work_s=0.1)
    await noted(tmp_path, "begin", 5)

    process.send(signal.SIGSTOP)
    await eventually(process.is_stopped)
    code, _ = start().end()
    begun = len(notes(tmp_path, "begin"))
    await asyncio.sleep(0.5)
    assert len(notes(tmp_path, "begin")) == begun
    process.send(signal.SIGCONT)
    found = await ended(engine, ids)

    assert code != 0
    assert_each_is_whole(tmp_path, found)
    assert len(notes(tmp_path, "begin")) == 20
    assert {one.attempts for one in found} == {1}


async def test_whoever_wakes_up_to_a_later_epoch_changes_nothing(engine, start, tmp_path):
    """Where locks do not hold, as on some network file systems: the epoch does."""
    accepted = await engine.submit(job(callback=callback()))
    held = tmp_path / "held"
    held.touch()
    process = start(held_by=str(held))
    await noted(tmp_path, "begin", 1)
    process.send(signal.SIGSTOP)
    await eventually(process.is_stopped)  # and in no transaction: its job has begun

    usurper = Database(tmp_path / schema.FILE)
    await usurper.open()
    epoch = await usurper.write(upkeep.begin_epoch)
    await usurper.write(lambda db: upkeep.recover(db, epoch, (), 5, time.time()))
    await usurper.close()
    taken = await engine.read(accepted.id)
    held.unlink()
    process.send(signal.SIGCONT)
    code, words = process.end()

    assert code != 0
    assert "Superseded" in words
    assert await engine.read(accepted.id) == taken
    assert taken.state is State.QUEUED
    assert notes(tmp_path, "stored") == notes(tmp_path, "told") == []
    start()
    await ended(engine, [accepted.id])


def _traced(directory, count, callers):
    strace = shutil.which("strace")
    if strace is None:
        if os.environ.get("CI") == "true":
            pytest.fail("strace is missing")
        pytest.skip("strace is not installed")
    log = directory / "trace"
    done = subprocess.run(
        [
            *(strace, "-f", "-y", "-e", "trace=fsync,fdatasync,write", "-o", str(log)),
            *(sys.executable, "-m", "support.job_submitter", str(directory / "data"), str(count), str(callers)),
        ],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    if done.returncode and "ptrace" in done.stderr:
        pytest.skip("strace is not allowed here")
    assert done.returncode == 0, done.stderr
    calls = [line.split(maxsplit=1)[1] for line in log.read_text().splitlines()]
    return calls[next(i for i, call in enumerate(calls) if '"ready' in call) + 1 :]


def test_what_is_accepted_was_synced_before(tmp_path):
    """The log of the database is on the disk before anybody is told, each time."""
    calls = _traced(tmp_path, 5, 1)

    answered = [i for i, call in enumerate(calls) if '"accepted' in call]
    assert len(answered) == 5
    begun = re.compile(r"f(data)?sync\(\d+<[^>]*jobs\.db-wal>(\) += 0| <unfinished)")
    ended = re.compile(r"(f(data)?sync\(\d+<[^>]*jobs\.db-wal>\)|<\.\.\. f(data)?sync resumed>\)) += 0")
    for before, after in zip([0, *answered], answered, strict=False):
        between = calls[before:after]
        assert any(map(begun.match, between)), between
        assert any(map(ended.match, between)), between


def test_many_at_once_are_few_syncs(tmp_path):
    """They are committed together."""
    calls = _traced(tmp_path, 100, 100)

    assert sum('"accepted' in call for call in calls) == 100
    assert sum(call.startswith(("fsync(", "fdatasync(")) for call in calls) <= 50


@pytest.mark.timed
@pytest.mark.timeout(600)
async def test_ten_thousand_mixed_jobs_keep_their_order(engine, start, tmp_path):
    """By priority within what runs at a time; urgent ones begin within a second; memory does not grow with the queue."""
    places, flood, late, urgent = 8, 9_000, 1_000, 200
    now_s = time.time()
    orders = [job(priority=i * 7 % 6) for i in range(flood)]
    orders += [job(priority=i % 6, not_before_s=now_s + 3 + i / 500) for i in range(late)]
    for i in range(0, len(orders), 500):
        await asyncio.gather(*(engine.submit(order) for order in orders[i : i + 500]))

    process = start(work_s=0.001, jobs={"concurrency": places})
    await noted(tmp_path, "begin", 500)
    early_mib = process.memory_mib()
    urgent_ids = []
    for _ in range(urgent):
        urgent_ids.append((await engine.submit(job(priority=9))).id)
        await asyncio.sleep(0.02)
    left = engine.counts
    await eventually(lambda: _drained(left), 300)
    late_mib = process.memory_mib()

    waits_s = sorted(one.times.started_s - one.times.created_s for one in await ended(engine, urgent_ids))
    assert waits_s[len(waits_s) * 99 // 100 - 1] < 1.0, waits_s[-5:]
    assert late_mib - early_mib < 10, (early_mib, late_mib)
    begun = [job_id for job_id, _, _ in notes(tmp_path, "begin")]
    assert len(begun) == len(set(begun)) == flood + late + urgent
    at = {job_id: i for i, job_id in enumerate(begun)}
    # Among what waited from the start: each begins after all that are more urgent, but for those that run beside it.
    waited = sorted((at[order.id], order.spec.priority, i) for i, order in enumerate(orders[:flood]))
    expected = sorted(waited, key=lambda one: (-one[1], one[2]))
    places_of = {one: i for i, one in enumerate(waited)}
    displaced = max(abs(places_of[one] - i) for i, one in enumerate(expected))
    assert displaced <= places, displaced
    for order in orders[flood:]:
        found = await engine.read(order.id)
        assert found.times.started_s >= order.spec.not_before_s


async def _drained(counts):
    return not any(state in {"queued", "running", "scheduled"} for state, _ in await counts())
