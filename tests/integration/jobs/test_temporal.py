"""The Temporal engine against a real server: what no other engine's tests would find."""

import asyncio
import random
import time

import pytest
from msgspec.structs import replace

from imagemill.jobs.base import Again, Claim, Gone, Later, Query
from imagemill.jobs.temporal import batch as batch_workflow
from imagemill.jobs.temporal import names
from imagemill.jobs.temporal.orders import Begun, Reported
from imagemill.model.errors import (
    BadOption,
    IdempotencyMismatch,
    JobFinished,
    LimitExceeded,
    NotSupported,
    QuotaExceeded,
)
from imagemill.model.job import Callback, DeliveryState, Event, Result, ResultState, Schedule, State, delivery_id
from imagemill.settings import Tenant
from support.temporal_jobs import ALL_EVENTS, batch, ended, job, lines, spec, until

URL = "https://receiver.example/"


async def test_a_job_is_made_and_told_of(setting):
    """Every event that is asked for is told once, each under its own id, and the job ends."""
    async with setting.running():
        accepted = await setting.engine.submit(job(url=URL, events=ALL_EVENTS, priority=7))
        done = await ended(setting.engine, accepted.id)
        await until(lambda: len(lines(setting.log, "deliver")) >= 7, "all events")

    assert (done.state, done.callback_state, done.attempts) == (State.SUCCEEDED, "delivered", 1)
    assert [result.state for result in done.results] == [ResultState.STORED] * 2
    told = [line["id"] for line in lines(setting.log, "deliver")]
    owed = await setting.engine.deliveries(accepted.id)
    assert sorted(told) == sorted({delivery.id for delivery in owed})
    assert [d.event for d in owed].count(Event.RENDITION) == 2
    assert setting.seen.jobs == [(State.SUCCEEDED, 7)]
    assert {"waiting", "making", "delivering"} == set(setting.seen.stages)


async def test_an_outcome_that_cannot_be_counted_is_told_all_the_same(setting, monkeypatch):
    """To its receiver and to its batch: metrics are worth no job."""

    def broken(state, priority):
        raise RuntimeError("broken")

    monkeypatch.setattr(setting.seen, "job", broken)
    async with setting.running():
        order = await setting.engine.submit_batch(batch(1), [spec(url=URL)])
        await until(lambda: _is_over(setting.engine, order.id), "the batch")
        await until(lambda: len(lines(setting.log, "deliver")) == 1, "its receiver")


async def _is_over(engine, batch_id):
    return (await engine.read_batch(batch_id)).state is State.SUCCEEDED


async def test_reading_needs_no_worker(setting):
    """What was accepted can be read, listed and watched while nothing works on it."""
    accepted = await setting.engine.submit(job("t1"))

    assert await setting.engine.read(accepted.id) == accepted
    assert (await setting.engine.wait(accepted.id, accepted.version, 0.1)) == accepted
    await until(lambda: _listed(setting, accepted.id), "it is listed")


async def _listed(setting, job_id: str) -> bool:
    page = await setting.engine.list(Query("default", states=frozenset({State.QUEUED}), tag="t1"))
    return [found.id for found in page.jobs] == [job_id]


async def test_a_cursor_goes_on_where_the_page_ended(setting):
    """Pages together have every job once; a cursor of another list is refused."""
    ids = [(await setting.engine.submit(job())).id for _ in range(5)]
    await until(lambda: _number(setting, 5), "all are listed")

    found, cursor = [], ""
    while True:
        page = await setting.engine.list(Query("default", cursor=cursor, limit=2))
        found += [one.id for one in page.jobs]
        cursor = page.cursor or cursor
        if not page.cursor:
            break

    assert found == ids[::-1]
    with pytest.raises(BadOption):
        await setting.engine.list(Query("other", cursor=cursor, limit=2))


async def _number(setting, number: int) -> bool:
    return len((await setting.engine.list(Query(None))).jobs) == number


async def test_one_key_is_one_job(setting):
    """A hundred submissions at once under one key are one job; the key with another body is refused."""
    jobs = [job() for _ in range(100)]

    accepted = await asyncio.gather(*(setting.engine.submit(one, Claim("k", "body")) for one in jobs))

    assert len({one.id for one in accepted}) == 1
    with pytest.raises(IdempotencyMismatch):
        await setting.engine.submit(job(), Claim("k", "other body"))
    assert (await setting.engine.submit(job(tenant="b"), Claim("k", "other body"))).id != accepted[0].id


@pytest.mark.timed
async def test_a_cancelled_job_stops_within_a_second(setting):
    """The work hears of it, and the outcome stands."""
    async with setting.running():
        accepted = await setting.engine.submit(job("sleep:60", url=URL))
        await until(lambda: lines(setting.log, "first"), "it is begun")

        asked_s = time.time()
        cancelled = await setting.engine.cancel(accepted.id)
        await until(lambda: lines(setting.log, "stopped"), "it is stopped")

        assert lines(setting.log, "stopped")[0]["t"] - asked_s < 1.0
        assert cancelled.outcome is State.CANCELLED
        assert (await ended(setting.engine, accepted.id)).state is State.CANCELLED
        assert (await setting.engine.cancel(accepted.id)).state is State.CANCELLED
    assert [line["event"] for line in lines(setting.log, "deliver")] == ["failed"]


async def test_only_the_attempt_that_counts_is_heard(setting):
    """Whatever a worker reports that was given up, late or twice, the job does not have."""
    client = await setting.engine._link.client()
    async with setting.running():
        accepted = await setting.engine.submit(job("held"))
        await until(lambda: lines(setting.log, "first"), "it is begun")
        handle = client.get_workflow_handle(names.workflow_id(setting.queue, accepted.id))
        for number in (0, 2):
            await handle.signal("reported", Reported(number, Result("stale", ResultState.STORED)))
        await handle.signal("begun", Begun(1, time.time()))
        setting.steps.go_on.set()
        done = await ended(setting.engine, accepted.id)

    assert ([result.name for result in done.results], done.attempts) == (["a", "b"], 1)


async def test_a_scheduled_job_can_be_cancelled_at_once(setting):
    """It waits in its workflow, which hears of everything."""
    async with setting.running():
        accepted = await setting.engine.submit(job(not_before_s=time.time() + 3600))

        assert accepted.state is State.SCHEDULED
        assert (await setting.engine.cancel(accepted.id)).state is State.CANCELLED
    assert lines(setting.log) == []


async def test_what_is_over_cannot_be_cancelled(setting):
    """One terminal state, and it stays."""
    async with setting.running():
        accepted = await setting.engine.submit(job())
        await ended(setting.engine, accepted.id)

        with pytest.raises(JobFinished):
            await setting.engine.cancel(accepted.id)


async def test_cancelling_and_ending_at_once_has_one_end(setting):
    """Whatever comes first, the state that is seen first stays."""
    async with setting.running():
        for _ in range(10):
            accepted = await setting.engine.submit(job("sleep:0.05"))
            await until(lambda one=accepted.id: any(r["job"] == one for r in lines(setting.log, "first")), "begun")
            try:
                seen = (await setting.engine.cancel(accepted.id)).state
            except JobFinished:
                seen = State.SUCCEEDED
            assert (await ended(setting.engine, accepted.id)).state is seen


async def test_errors_say_whether_to_try_again(setting):
    """What is not retryable ends at once; what is, is tried as often as the job allows."""
    async with setting.running():
        corrupt = await setting.engine.submit(job("corrupt"))
        flaky = await setting.engine.submit(job("flaky"))
        hopeless = await setting.engine.submit(job("slow", retries=1))

        first = await ended(setting.engine, corrupt.id)
        assert (first.state, first.attempts, first.fault.code) == (State.FAILED, 1, "image_corrupt")
        second = await ended(setting.engine, flaky.id)
        assert (second.state, second.attempts, second.fault) == (State.SUCCEEDED, 2, None)
        third = await ended(setting.engine, hopeless.id)
        assert (third.state, third.attempts, third.fault.code) == (State.FAILED, 2, "source_timeout")


async def test_a_deadline_ends_it_wherever_it_is(setting):
    """Running, or not begun yet."""
    async with setting.running():
        running = await _begun_and_expired(setting)
        late = await setting.engine.submit(job(deadline_s=time.time() - 1))

        assert running.state is State.EXPIRED
        assert (await ended(setting.engine, late.id)).state is State.EXPIRED
    assert {line["job"] for line in lines(setting.log, "make")} == {running.id}


async def _begun_and_expired(setting):
    """A job that had begun when its time was up: with more time, where a busy machine had not got so far."""
    for left_s in (1.5, 6, 24):
        accepted = await setting.engine.submit(job("sleep:60", deadline_s=time.time() + left_s))
        done = await ended(setting.engine, accepted.id)
        if any(line["job"] == done.id for line in lines(setting.log, "make")):
            return done
    raise AssertionError("it was never begun")


async def test_a_delivery_is_postponed_repeated_and_given_up(setting):
    """``Later`` does not count, ``Again`` does, ``Gone`` is a dead letter, which can be redelivered under its old id."""
    setting.steps.outcomes = [Later(0.2), Again("500", 500), Gone("410", 410)]
    async with setting.running():
        accepted = await setting.engine.submit(job(url=URL))
        done = await ended(setting.engine, accepted.id)

        assert (done.state, done.callback_state) == (State.SUCCEEDED, "dead")
        (dead,) = await setting.engine.deliveries(accepted.id)
        assert (dead.state, dead.attempts, dead.status) == (DeliveryState.DEAD, 2, 410)
        await until(lambda: _dead_letters(setting), "it is counted")

        assert await setting.engine.redeliver(accepted.id) == 1
        await until(lambda: len(lines(setting.log, "deliver")) == 4, "it is told again")
        await until(lambda: _callback(setting, accepted.id, "delivered"), "it has arrived")

    assert {line["id"] for line in lines(setting.log, "deliver")} == {delivery_id(accepted.id, Event.SUCCEEDED)}
    assert setting.seen.callbacks == ["later", "again", "gone", "delivered"]


async def _dead_letters(setting) -> bool:
    setting.engine._counted_s = 0.0
    return (await setting.engine.counts()).get(("dead_letter", 0)) == 1


async def _callback(setting, job_id: str, state: str) -> bool:
    found = await setting.engine.read(job_id)
    return (found.state, found.callback_state) == (State.SUCCEEDED, state)


@pytest.mark.parametrize("setting", [{"tenants": {"small": Tenant(max_waiting=3)}}], indirect=True)
async def test_a_tenant_has_a_quota(setting):
    """Counted by what this process accepted at least, so a flood is met at once."""
    for _ in range(3):
        await setting.engine.submit(job(tenant="small"))

    with pytest.raises(QuotaExceeded):
        await setting.engine.submit(job(tenant="small"))
    await setting.engine.submit(job(tenant="other"))


async def test_counts_are_by_state_and_priority(setting):
    """As the visibility store has it, a moment later."""
    for priority in (0, 0, 9):
        await setting.engine.submit(job(priority=priority))

    async def counted() -> bool:
        setting.engine._counted_s = 0.0
        return await setting.engine.counts() == {("queued", 0): 2, ("queued", 9): 1}

    await until(counted, "all are counted")


@pytest.mark.timeout(400)
async def test_a_batch_makes_its_jobs_and_tells_once(setting):
    """More than one page; all outcomes are counted, and one message says that it is over."""
    callback = Callback(URL, "main", (Event.SUCCEEDED,))
    specs = [spec("corrupt")] + [spec("noop")] * 54
    async with setting.running():
        accepted = await setting.engine.submit_batch(batch(55, callback=callback), specs, Claim("k", "body"))
        again = await setting.engine.submit_batch(batch(55, callback=callback), specs, Claim("k", "body"))
        await until(lambda: _batch_over(setting, accepted.id), "it is over", 250)

    over = await setting.engine.read_batch(accepted.id)
    assert again.id == accepted.id
    assert (over.state, over.made, over.counts) == (State.FAILED, 55, {"succeeded": 54, "failed": 1})
    assert [line["event"] for line in lines(setting.log, "deliver")] == ["finished"]
    assert len({line["job"] for line in lines(setting.log, "make")}) == 55
    (told,) = await setting.engine.deliveries(accepted.id)
    assert told.state is DeliveryState.DELIVERED
    with pytest.raises(JobFinished):
        await setting.engine.cancel_batch(accepted.id)


async def _batch_over(setting, batch_id: str) -> bool:
    found = await setting.engine.read_batch(batch_id)
    return found.state in {State.SUCCEEDED, State.FAILED, State.CANCELLED}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("cancelled", [False, True])
async def test_a_long_batch_goes_on_with_new_histories(setting, monkeypatch, cancelled):
    """Whatever was counted, made and cancelled before is remembered."""
    monkeypatch.setattr(batch_workflow, "_PAGE", 5)
    monkeypatch.setattr(batch_workflow, "_HISTORY_EVENTS", 60)
    async with setting.running():
        wanted = spec("noop", not_before_s=time.time() + 3600) if cancelled else spec("noop")
        accepted = await setting.engine.submit_batch(batch(30), [wanted] * 30)
        if cancelled:
            await until(lambda: _made(setting, accepted.id, 30), "all are made", 250)
            await setting.engine.cancel_batch(accepted.id)
        await until(lambda: _batch_over(setting, accepted.id), "it is over", 250)

    over = await setting.engine.read_batch(accepted.id)
    assert (over.made, over.counts) == (30, {"cancelled" if cancelled else "succeeded": 30})
    found = await setting.engine._link.described("JobBatch", names.workflow_id(setting.queue, accepted.id))
    assert found.run_id != found.raw_info.first_run_id


async def test_a_cancelled_batch_stops_its_jobs(setting):
    """None of them is begun afterwards."""
    async with setting.running():
        accepted = await setting.engine.submit_batch(batch(20), [spec(not_before_s=time.time() + 3600)] * 20)
        await until(lambda: _made(setting, accepted.id, 20), "all are made")
        await setting.engine.cancel_batch(accepted.id)
        await until(lambda: _batch_over(setting, accepted.id), "it is over")

    over = await setting.engine.read_batch(accepted.id)
    assert (over.state, over.counts) == (State.CANCELLED, {"cancelled": 20})
    assert lines(setting.log) == []


async def _made(setting, batch_id: str, number: int) -> bool:
    return (await setting.engine.read_batch(batch_id)).made == number


async def test_a_batch_beyond_a_payload_is_refused(setting):
    """Before anything is started, with the numbers."""
    chance = random.Random(1)
    specs = [
        replace(spec(), tags=tuple(f"{chance.getrandbits(240):x}" for _ in range(16)))
        for _ in range(4000)
    ]  # fmt: skip

    with pytest.raises(LimitExceeded, match="bytes"):
        await setting.engine.submit_batch(batch(len(specs)), specs)


async def test_a_schedule_makes_its_jobs(setting):
    """By Temporal's own clock, with the schedule's name; it can be changed, paused and forgotten."""
    kept = Schedule("nightly", "default", "0 3 * * *", (spec("s"), spec("s")), timezone="Europe/Berlin", created_s=1.0)
    put = await setting.engine.put_schedule(kept)
    assert put.next_s is not None
    assert replace(put, next_s=None) == kept
    paused = await setting.engine.put_schedule(replace(kept, cron="0 4 * * *", paused=True))
    assert (paused.cron, paused.paused, paused.next_s) == ("0 4 * * *", True, None)
    assert await setting.engine.schedules("default") == (paused,)
    assert await setting.engine.schedules("other") == ()

    client = await setting.engine._link.client()
    async with setting.running():
        await client.get_schedule_handle(names.schedule_id(setting.queue, "default", "nightly")).trigger()
        await until(lambda: len(lines(setting.log, "made")) == 2, "both are made")
    page = await setting.engine.list(Query("default"))
    assert [found.schedule for found in page.jobs] == ["nightly", "nightly"]

    assert await setting.engine.drop_schedule("default", "nightly")
    assert not await setting.engine.drop_schedule("default", "nightly")
    assert await setting.engine.schedules(None) == ()


async def test_pruning_names_the_retention(setting):
    """Temporal has its own."""
    with pytest.raises(NotSupported, match="retention"):
        await setting.engine.prune(0.0)


@pytest.mark.parametrize("setting", [{"grace_s": 0.2}], indirect=True)
async def test_a_stopped_worker_gives_its_work_back(setting):
    """It does not count as an attempt, and nobody waits for a heartbeat."""
    accepted = await setting.engine.submit(job("held"))
    async with setting.running():
        await until(lambda: lines(setting.log, "first"), "it is begun")

    setting.steps.go_on.set()
    async with setting.running():
        done = await ended(setting.engine, accepted.id)

    assert (done.state, done.attempts) == (State.SUCCEEDED, 1)
    assert [line["have"] for line in lines(setting.log, "make")] == [[], ["a"]]
