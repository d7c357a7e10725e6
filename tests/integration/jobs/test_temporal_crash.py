"""Workers and servers that are killed: accepted jobs end once, and what was done is not done again."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from imagemill.jobs.base import Claim
from imagemill.jobs.temporal.engine import TemporalEngine
from imagemill.model.errors import DependencyDown
from imagemill.model.job import Event, ResultState, State, delivery_id
from support.temporal import Server
from support.temporal_jobs import ended, job, lines, settings, until, worker

URL = "https://receiver.example/"
HEARTBEAT_S = 2.0
pytestmark = pytest.mark.timeout(300)  # far more than any of it takes, also on a busy machine


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[Server]:
    """A server that a test may kill."""
    server = Server(tmp_path / "server").start()
    yield server
    server.stop()


@pytest.mark.timed
async def test_a_killed_workers_job_goes_elsewhere(temporal, tmp_path):
    """Within the heartbeat timeout, and the rendition that was stored is not made again.

    It dies over its work, and not over a step of the workflow, which would be waited for for ten seconds.
    """
    given = settings(temporal.address, heartbeat_s=HEARTBEAT_S)
    engine, log = TemporalEngine(given), tmp_path / "log"
    accepted = await engine.submit(job("sleep:4", url=URL))
    queue = given.temporal.task_queue
    with worker(temporal.address, queue, log) as one, worker(temporal.address, queue, log) as other:
        await until(lambda: lines(log, "first"), "one of them has begun")
        await until(lambda: _knows(engine, accepted.id, 1), "its workflow has heard of it")
        pid = lines(log, "first")[0]["pid"]
        next(process for process in (one, other) if process.pid == pid).kill()
        killed_s = time.time()
        await until(lambda: len(lines(log, "make")) == 2, "the other has begun")
        done = await ended(engine, accepted.id)

    again = lines(log, "make")[1]
    assert again["pid"] != pid
    assert again["t"] - killed_s < HEARTBEAT_S + 5
    assert again["have"] == ["a"]
    assert (done.state, done.attempts, len(done.results)) == (State.SUCCEEDED, 2, 2)
    assert {line["id"] for line in lines(log, "deliver")} == {delivery_id(accepted.id, Event.SUCCEEDED)}


async def _knows(engine, job_id, stored):
    """Whether so many renditions are told as stored, which they are once no step of the workflow is under way."""
    return [result.state for result in (await engine.read(job_id)).results].count(ResultState.STORED) == stored


async def test_a_frozen_workers_reports_are_not_heard(temporal, tmp_path):
    """It wakes when another has its job: the job has one end, and the sleeper's attempt is stopped."""
    given = settings(temporal.address, heartbeat_s=HEARTBEAT_S)
    engine, log = TemporalEngine(given), tmp_path / "log"
    accepted = await engine.submit(job("once:3600", "sleep:2"))
    with worker(temporal.address, given.temporal.task_queue, log) as first:
        await until(lambda: lines(log, "first"), "the first worker has begun")
        await until(lambda: _knows(engine, accepted.id, 1), "its workflow has heard of it")
        os.kill(first.pid, signal.SIGSTOP)
        with worker(temporal.address, given.temporal.task_queue, log):
            await until(lambda: len(lines(log, "make")) == 2, "another worker has begun")
            os.kill(first.pid, signal.SIGCONT)
            await until(lambda: lines(log, "stopped"), "the sleeper has heard of it")
            done = await ended(engine, accepted.id)

    assert {line["pid"] for line in lines(log, "stopped")} == {first.pid}
    assert [line["pid"] != first.pid for line in lines(log, "made")] == [True]
    assert (done.state, done.attempts) == (State.SUCCEEDED, 2)


async def test_a_poison_job_ends(temporal, tmp_path):
    """A job over which every worker dies fails as crashed; it is not tried for ever."""
    given = settings(temporal.address, heartbeat_s=1.0, crashes=1)
    engine, log = TemporalEngine(given), tmp_path / "log"
    accepted = await engine.submit(job("sleep:60"))
    for begun in (1, 2):
        with worker(temporal.address, given.temporal.task_queue, log):
            await until(lambda n=begun: len(lines(log, "make")) == n, "it is begun")
    with worker(temporal.address, given.temporal.task_queue, log):
        done = await ended(engine, accepted.id)

    assert (done.state, done.fault.code) == (State.FAILED, "job_crashed")


async def test_a_killed_server_loses_nothing(mortal, tmp_path):
    """Jobs that wait, run and are being told of all end after it is back on the same file; a repeat is the same job."""
    given = settings(mortal.address, heartbeat_s=HEARTBEAT_S)
    engine, log = TemporalEngine(given), tmp_path / "log"
    jobs = [job("sleep:0.5", url=URL) for _ in range(20)]
    accepted = [await engine.submit(one, Claim(one.id, "body")) for one in jobs]
    with worker(mortal.address, given.temporal.task_queue, log, HEARTBEAT_S):
        await until(lambda: len(lines(log, "made")) >= 3, "some are made")
        mortal.kill()
        with pytest.raises(DependencyDown):
            await engine.submit(job())
        mortal.start()

        repeated = [await _insist(engine, one) for one in jobs]
        done = [await ended(engine, one.id, 90) for one in accepted]

    assert [one.id for one in repeated] == [one.id for one in accepted]
    assert {one.state for one in done} == {State.SUCCEEDED}
    told = {line["id"] for line in lines(log, "deliver")}
    assert told == {delivery_id(one.id, Event.SUCCEEDED) for one in accepted}


async def _insist(engine, one):
    for _ in range(30):
        try:
            return await engine.submit(one, Claim(one.id, "body"))
        except DependencyDown:
            continue
    raise AssertionError("it never came back")


async def test_killed_between_the_outcome_and_its_callback(mortal, tmp_path):
    """Worker and server die while a callback is under way: it is told again, under the same id."""
    given = settings(mortal.address, heartbeat_s=HEARTBEAT_S)
    engine, log = TemporalEngine(given), tmp_path / "log"
    with worker(mortal.address, given.temporal.task_queue, log) as first:
        accepted = await engine.submit(job(url=URL))
        await until(lambda: lines(log, "made"), "it is made")
        first.kill()
        mortal.kill()
    mortal.start()
    with worker(mortal.address, given.temporal.task_queue, log):
        done = await ended(engine, accepted.id, 90)

    assert (done.state, done.callback_state) == (State.SUCCEEDED, "delivered")
    assert {line["id"] for line in lines(log, "deliver")} == {delivery_id(accepted.id, Event.SUCCEEDED)}


async def test_an_engine_starts_before_its_server(mortal, tmp_path):
    """It says that the service is down, and goes on when it is up."""
    given = settings(mortal.address)
    mortal.stop()
    engine = TemporalEngine(given)

    await engine.start()
    with pytest.raises(DependencyDown):
        await engine.read("0" * 32)
    mortal.start()

    accepted = await engine.submit(job())
    assert await engine.read(accepted.id) == accepted
