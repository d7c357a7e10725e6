"""What every job engine promises, once for all of them."""

import asyncio
import time

import pytest
from msgspec.structs import replace

from imagemill.jobs.base import Again, Claim, Delivered, Gone, Later, Query
from imagemill.model.errors import (
    BadOption,
    DeadlinePassed,
    IdempotencyMismatch,
    ImageCorrupt,
    JobFinished,
    LimitExceeded,
    NotFound,
    QuotaExceeded,
    SourceTimeout,
)
from imagemill.model.job import DeliveryState, Event, ResultState, Schedule, State, delivery_id
from support.jobs import ALL_EVENTS, Embedded, NoteTaking, batch, callback, eventually, job, opened, spec, store, until

ENGINES = {"embedded": Embedded}
UNKNOWN = "0" * 32


@pytest.fixture(params=ENGINES)
def kind(request):
    return ENGINES[request.param]


@pytest.fixture
async def kit(kind, tmp_path):
    kit = kind(tmp_path / "data", concurrency=4)
    async with opened(kit.engine):
        yield kit


@pytest.fixture
def engine(kit):
    return kit.engine


async def test_what_is_accepted_can_be_read_before_anybody_works(engine):
    """Accepted means kept: as it was ordered, queued, and with a version."""
    order = job(tags=("a",), priority=3)

    accepted = await engine.submit(order)

    assert accepted == await engine.read(order.id)
    assert (accepted.state, accepted.spec, accepted.tenant) == (State.QUEUED, order.spec, "default")
    assert accepted.version > 0
    assert await engine.read(UNKNOWN) is None


async def test_a_job_is_made_once_and_succeeds(kit, engine):
    """The results and times are those of the work; without a callback it is over at once."""
    steps = NoteTaking()

    async with kit.run(steps):
        accepted = await engine.submit(job())
        done = await until(engine, accepted.id, State.SUCCEEDED)

    assert [made.id for made in steps.made] == [accepted.id]
    assert [(r.name, r.state) for r in done.results] == [("small", ResultState.STORED)]
    assert (done.outcome, done.attempts, done.fault, done.callback_state) == (State.SUCCEEDED, 1, None, "")
    assert done.times.created_s <= done.times.started_s <= done.times.finished_s
    assert (done.times.fetch_ms, done.times.make_ms) == (1.0, 2.0)


async def test_work_in_progress_is_seen(kit, engine):
    """What is reported can be read before the job is done, and waiting for it ends when it is."""
    go_on = asyncio.Event()

    async def work(job, report):
        made = await store(job, report)
        await go_on.wait()
        return made

    async with kit.run(NoteTaking(work)):
        accepted = await engine.submit(job())
        seen = await eventually(lambda: _stored(engine, accepted.id))
        waiting = asyncio.create_task(engine.wait(accepted.id, seen.version, 20.0))
        await asyncio.sleep(0.1)
        assert not waiting.done()
        go_on.set()

        assert (await waiting).version > seen.version
        await until(engine, accepted.id, State.SUCCEEDED)


async def _stored(engine, job_id):
    found = await engine.read(job_id)
    return found if [r.state for r in found.results] == [ResultState.STORED] else None


@pytest.mark.timed
async def test_waiting_ends_in_time(engine):
    """Nothing changes: the job as it is; no such job: nothing, at once."""
    accepted = await engine.submit(job())

    began = time.monotonic()
    assert await engine.wait(accepted.id, accepted.version, 0.1) == accepted
    assert time.monotonic() - began < 5
    assert await engine.wait(accepted.id, accepted.version - 1, 5.0) == accepted
    assert await engine.wait(UNKNOWN, 0, 5.0) is None


async def test_one_key_is_one_job_however_often_it_comes(engine):
    """A hundred at the same moment are one; another body is refused, another tenant's key is another."""
    orders = [job() for _ in range(100)]

    accepted = await asyncio.gather(*(engine.submit(order, Claim("key", "digest")) for order in orders))

    assert len({one.id for one in accepted}) == 1
    with pytest.raises(IdempotencyMismatch):
        await engine.submit(job(), Claim("key", "other"))
    assert (await engine.submit(job("second"), Claim("key", "digest"))).id != accepted[0].id
    assert (await engine.claimed("default", Claim("key", "digest"))).id == accepted[0].id
    assert await engine.claimed("third", Claim("key", "digest")) is None
    assert len((await engine.list(Query("default"))).jobs) == 1


async def test_one_key_is_one_batch(engine):
    """As for jobs; and a key of a batch is none of a job."""
    orders = [batch(2) for _ in range(10)]

    accepted = await asyncio.gather(
        *(engine.submit_batch(order, [spec(), spec()], Claim("key", "digest")) for order in orders)
    )

    assert len({one.id for one in accepted}) == 1
    with pytest.raises(IdempotencyMismatch):
        await engine.submit_batch(batch(1), [spec()], Claim("key", "other"))
    with pytest.raises(IdempotencyMismatch):
        await engine.submit(job(), Claim("key", "another"))


async def test_listing_is_newest_first_and_goes_on_where_it_ended(engine):
    """Pages neither repeat nor leave out, also where more are accepted between them."""
    ids = [(await engine.submit(job())).id for _ in range(5)]

    async def listed():
        return [one.id for one in (await engine.list(Query("default"))).jobs] == ids[::-1]

    await eventually(listed)
    first = await engine.list(Query("default", limit=2))
    await engine.submit(job())
    second = await engine.list(Query("default", limit=2, cursor=first.cursor))
    last = await engine.list(Query("default", limit=2, cursor=second.cursor))

    assert [one.id for page in (first, second, last) for one in page.jobs] == ids[::-1]
    assert first.cursor
    assert not last.cursor
    for bad in ("x", "-1", "f" * 99):
        with pytest.raises(BadOption):
            await engine.list(Query("default", cursor=bad))


async def test_listing_is_filtered(engine):
    """By tenant, tag, state and time; each tenant sees its own."""
    mine = await engine.submit(job(tags=("red", "blue")))
    later = await engine.submit(job(tags=("blue",), not_before_s=time.time() + 3600))
    others = await engine.submit(job("second", tags=("blue",)))

    async def ids(**query):
        query.setdefault("tenant", "default")
        return [one.id for one in (await engine.list(Query(**query))).jobs]

    await eventually(lambda: _equal(ids(tenant=None), [others.id, later.id, mine.id]))
    assert await ids() == [later.id, mine.id]
    assert await ids(tag="red") == [mine.id]
    assert await ids(tag="blue") == [later.id, mine.id]
    assert await ids(tag="blue", tenant=None) == [others.id, later.id, mine.id]
    assert await ids(states=frozenset({State.SCHEDULED})) == [later.id]
    assert await ids(states=frozenset({State.SCHEDULED, State.QUEUED})) == [later.id, mine.id]
    assert await ids(until_s=mine.times.created_s) == []
    assert await ids(since_s=mine.times.created_s) == [later.id, mine.id]


async def _equal(asked, expected):
    return await asked == expected


async def test_what_waits_is_cancelled_at_once(kit, engine):
    """It is never made; once more is the same, and after another end it is refused."""
    steps = NoteTaking()
    waiting = await engine.submit(job())
    later = await engine.submit(job(not_before_s=time.time() + 3600))

    for order in (waiting, later):
        assert (await engine.cancel(order.id)).outcome is State.CANCELLED
        assert (await engine.cancel(order.id)).outcome is State.CANCELLED
    async with kit.run(steps):
        done = await engine.submit(job())
        await until(engine, done.id, State.SUCCEEDED)

    assert [made.id for made in steps.made] == [done.id]
    with pytest.raises(JobFinished):
        await engine.cancel(done.id)
    with pytest.raises(NotFound):
        await engine.cancel(UNKNOWN)


@pytest.mark.timed
async def test_work_stops_within_a_second_of_its_cancellation(kit, engine):
    """The work is cancelled, the state final, and what the work says afterwards changes nothing."""
    began, ended = asyncio.Event(), asyncio.Event()

    async def work(job, report):
        began.set()
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    async with kit.run(NoteTaking(work)):
        accepted = await engine.submit(job())
        await asyncio.wait_for(began.wait(), 20)
        await engine.cancel(accepted.id)
        await asyncio.wait_for(ended.wait(), 1.0)

        assert (await until(engine, accepted.id, State.CANCELLED)).attempts == 1


async def test_the_more_urgent_goes_first_then_the_one_accepted_first(kind, tmp_path):
    """Within a tenant; one place at a time."""
    kit = kind(tmp_path / "data", concurrency=2)
    async with opened(kit.engine) as engine:
        urgencies = [0, 5, 3, 5, 0, 6]
        orders = [await engine.submit(job(priority=p)) for p in urgencies]
        if not kit.exact_order:
            pytest.skip(f"{engine.name} promises no exact order")
        steps = NoteTaking()

        async with kit.run(steps):
            for order in orders:
                await until(engine, order.id, State.SUCCEEDED)

        assert [orders.index(_of(orders, made)) for made in steps.made] == [5, 1, 3, 2, 0, 4]


def _of(orders, made):
    return next(order for order in orders if order.id == made.id)


async def test_an_urgent_one_finds_a_place(kind, tmp_path):
    """However much of what is less urgent runs, and for however long."""
    kit = kind(tmp_path / "data", concurrency=2)

    async def work(job, report):
        await asyncio.sleep(0 if job.spec.priority else 60)
        return await store(job, report)

    steps = NoteTaking(work)
    async with opened(kit.engine) as engine, kit.run(steps):
        for _ in range(4):
            await engine.submit(job())
        await eventually(lambda: _equal(_made_by(steps), 1))
        for _ in range(3):
            await until(engine, (await engine.submit(job(priority=7))).id, State.SUCCEEDED)

        assert steps.most_making == 2


async def _made_by(steps):
    return len(steps.made)


@pytest.mark.timed
async def test_nothing_begins_before_its_time(kit, engine):
    """Until then it is scheduled."""
    due_s = time.time() + 0.3

    async with kit.run(NoteTaking()):
        accepted = await engine.submit(job(not_before_s=due_s))
        assert accepted.state is State.SCHEDULED
        done = await until(engine, accepted.id, State.SUCCEEDED)

    assert done.times.started_s >= due_s


async def test_a_deadline_ends_what_waits_and_what_runs(kit, engine):
    """Both are expired, and the work is stopped."""
    ended = asyncio.Event()

    async def work(job, report):
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    async with kit.run(NoteTaking(work)):
        waiting = await engine.submit(job(not_before_s=time.time() + 3600, deadline_s=time.time() + 0.2))

        assert (await until(engine, waiting.id, State.EXPIRED)).attempts == 0
        assert await _attempts_until_expired(engine) == 1
        await asyncio.wait_for(ended.wait(), 20)


async def _attempts_until_expired(engine):
    """Of a job that was begun; a busy machine may not begin it in time, so each has longer than the one before."""
    for left_s in (0.4, 1.6, 6.4):
        accepted = await engine.submit(job(deadline_s=time.time() + left_s))
        if attempts := (await until(engine, accepted.id, State.EXPIRED)).attempts:
            return attempts
    raise AssertionError("none was begun")


async def test_a_deadline_that_the_work_notices_first_is_one(kit, engine):
    """Its clock may be another machine's: the job has expired, and has not failed."""

    async def work(job, report):
        raise DeadlinePassed("0 of 1 renditions stored before")

    async with kit.run(NoteTaking(work)):
        accepted = await engine.submit(job(deadline_s=time.time() + 3600))
        ended = await until(engine, accepted.id, State.EXPIRED)

    assert (ended.outcome, ended.fault, ended.attempts) == (State.EXPIRED, None, 1)


async def test_what_may_pass_is_tried_again_with_what_is_there_already(kit, engine):
    """The second attempt is told what the first has reported, and a later one ends it."""

    async def work(job, report):
        made = await store(job, report)
        if job.attempts == 1:
            raise SourceTimeout("first byte: 5 s")
        return made

    steps = NoteTaking(work)
    async with kit.run(steps):
        accepted = await engine.submit(job(retries=1))
        waiting = await until(engine, accepted.id, State.SCHEDULED)
        done = await until(engine, accepted.id, State.SUCCEEDED)

    assert (waiting.fault.code, waiting.fault.retryable) == ("source_timeout", True)
    assert waiting.times.due_s > waiting.times.started_s
    assert done.attempts == 2
    assert [r.state for r in steps.made[1].results] == [ResultState.STORED]


@pytest.mark.parametrize(("error", "retries"), [(ImageCorrupt("no"), 3), (SourceTimeout("slow"), 0)])
async def test_what_makes_no_sense_to_try_again_fails(kit, engine, error, retries):
    """Not retryable, or no retries left."""

    async def work(job, report):
        raise error

    async with kit.run(NoteTaking(work)):
        accepted = await engine.submit(job(retries=retries))
        failed = await until(engine, accepted.id, State.FAILED)

    assert (failed.fault.code, failed.fault.message, failed.attempts) == (error.code, str(error), 1)


async def test_what_nobody_foresaw_fails_without_internals(kit, engine):
    """Its words are for the log."""

    async def work(job, report):
        raise RuntimeError("internals")

    async with kit.run(NoteTaking(work)):
        accepted = await engine.submit(job(retries=0))
        failed = await until(engine, accepted.id, State.FAILED)

    assert failed.fault.code == "internal"
    assert "internals" not in failed.fault.message


async def test_work_that_cancels_itself_is_not_lost(kit, engine):
    """It fails like any other."""

    async def work(job, report):
        raise asyncio.CancelledError

    async with kit.run(NoteTaking(work)):
        accepted = await engine.submit(job(retries=0))
        failed = await until(engine, accepted.id, State.FAILED)

    assert (failed.fault.code, failed.attempts) == ("internal", 1)


async def test_every_event_asked_for_is_told_once_under_its_own_id(kit, engine):
    """The last one ends the job, which delivers until then."""
    steps = NoteTaking()
    async with kit.run(steps):
        accepted = await engine.submit(job(callback=callback(events=ALL_EVENTS)))
        done = await until(engine, accepted.id, State.SUCCEEDED)
        await eventually(lambda: _equal(_pending(engine, accepted.id), []))

    assert done.callback_state == DeliveryState.DELIVERED
    for event, about in (
        (Event.ACCEPTED, ""),
        (Event.RENDITION, "small"),
        (Event.SUCCEEDED, ""),
    ):
        assert steps.ids_told(event) == [delivery_id(accepted.id, event, about)]
    final = next(about for delivery, about in steps.told if delivery.event is Event.SUCCEEDED)
    assert (final.state, final.outcome) == (State.DELIVERING, State.SUCCEEDED)


async def _pending(engine, job_id):
    return [one for one in await engine.deliveries(job_id) if one.state is DeliveryState.PENDING]


async def test_only_what_was_asked_for_is_told(kit, engine):
    """A success of which only failures are told is over at once; a cancellation is told as failure."""
    steps = NoteTaking()
    cancelled = await engine.submit(job(callback=callback(events=[Event.FAILED])))
    await engine.cancel(cancelled.id)

    async with kit.run(steps):
        accepted = await engine.submit(job(callback=callback(events=[Event.FAILED])))
        await until(engine, accepted.id, State.SUCCEEDED)
        await until(engine, cancelled.id, State.CANCELLED)

    assert await engine.deliveries(accepted.id) == ()
    assert [(delivery.job, about.outcome) for delivery, about in steps.told] == [(cancelled.id, State.CANCELLED)]


async def test_a_message_that_does_not_arrive_is_kept_and_due_later(kit, engine):
    """The job delivers meanwhile; its outcome stands."""
    async with kit.run(NoteTaking(answer=lambda _: Again("500", 500))):
        accepted = await engine.submit(job(callback=callback()))
        waiting = await until(engine, accepted.id, State.DELIVERING)
        tried = await eventually(lambda: _attempted(engine, accepted.id))

    assert (waiting.outcome, waiting.callback_state) == (State.SUCCEEDED, DeliveryState.PENDING)
    assert (tried.attempts, tried.status, tried.reason) == (1, 500, "500")
    assert tried.due_s > time.time()
    assert await engine.redeliver(accepted.id) == 0


async def _attempted(engine, job_id):
    return next((one for one in await engine.deliveries(job_id) if one.attempts), None)


async def test_a_message_put_off_does_not_count(kit, engine):
    """It is tried again after the time it was told, with all its attempts left."""
    answers = [Later(0.05), Later(0.05)]
    steps = NoteTaking(answer=lambda _: answers.pop() if answers else Gone("410", 410))

    async with kit.run(steps):
        accepted = await engine.submit(job(callback=callback()))
        await until(engine, accepted.id, State.SUCCEEDED)

    (delivery,) = await engine.deliveries(accepted.id)
    assert (delivery.attempts, len(steps.told)) == (1, 3)


async def test_what_is_dead_can_be_delivered_again_under_the_same_id(kit, engine):
    """The job's end stays what it is, whatever becomes of its messages."""
    gone = [True]
    steps = NoteTaking(answer=lambda delivery: Gone("410", 410) if gone.pop() else None)

    async with kit.run(steps):
        accepted = await engine.submit(job(callback=callback()))
        dead = await until(engine, accepted.id, State.SUCCEEDED)
        assert dead.callback_state == DeliveryState.DEAD
        await eventually(lambda: _dead_letters(engine, 1))
        steps._answer = None
        assert await engine.redeliver(accepted.id) == 1
        delivered = await eventually(lambda: _callback_is(engine, accepted.id, DeliveryState.DELIVERED))

    assert delivered.state is State.SUCCEEDED
    assert [one.attempts for one in await engine.deliveries(accepted.id)] == [1]
    assert steps.ids_told(Event.SUCCEEDED) == [delivery_id(accepted.id, Event.SUCCEEDED)] * 2
    await eventually(lambda: _dead_letters(engine, 0))
    with pytest.raises(NotFound):
        await engine.redeliver(UNKNOWN)


async def test_whatever_is_dead_can_be_delivered_again(kit, engine):
    """Also what is not the last word; what has arrived of that is not sent twice."""
    refused = {Event.ACCEPTED}
    steps = NoteTaking(answer=lambda one: Gone("410", 410) if one.event in refused else Delivered(200))

    async with kit.run(steps):
        accepted = await engine.submit(
            job(callback=callback(events=[Event.ACCEPTED, Event.RENDITION, Event.SUCCEEDED]))
        )
        await until(engine, accepted.id, State.SUCCEEDED)
        await eventually(lambda: _dead_letters(engine, 1))
        refused.clear()
        assert await engine.redeliver(accepted.id) == 2
        await eventually(lambda: _dead_letters(engine, 0))
        await eventually(lambda: _told_times(steps, Event.SUCCEEDED, 2))

    assert {one.state for one in await engine.deliveries(accepted.id)} == {DeliveryState.DELIVERED}
    assert steps.ids_told(Event.ACCEPTED) == [delivery_id(accepted.id, Event.ACCEPTED)] * 2
    assert len(steps.ids_told(Event.RENDITION)) == 1
    assert (await engine.read(accepted.id)).state is State.SUCCEEDED


async def _told_times(steps, event, number):
    return len(steps.ids_told(event)) == number


async def _dead_letters(engine, number):
    return (await engine.counts()).get(("dead_letter", 0), 0) == number


async def _callback_is(engine, job_id, state):
    found = await engine.read(job_id)
    return found if found.callback_state == state else None


async def test_a_dead_receiver_keeps_no_other_waiting(kit, engine):
    """However much is owed to it."""
    release = asyncio.Event()
    steps = NoteTaking()

    async def deliver(delivery, about):
        if "dead" in delivery.callback.url:
            await release.wait()
        return await NoteTaking.deliver(steps, delivery, about)

    steps.deliver = deliver
    async with kit.run(steps):
        dead = [await engine.submit(job(callback=callback("dead.example"))) for _ in range(60)]
        for order in dead:
            await until(engine, order.id, State.DELIVERING)
        alive = await engine.submit(job(callback=callback("alive.example")))
        await until(engine, alive.id, State.SUCCEEDED)
        release.set()


async def test_a_batch_is_one_record_of_many_jobs(kit, engine):
    """Each is made once; when all are over, the batch is, and tells it once if asked."""
    steps = NoteTaking()
    specs = [spec(tags=(f"n{i}",)) for i in range(5)]
    async with kit.run(steps):
        accepted = await engine.submit_batch(
            batch(5, callback=callback(events=[Event.FINISHED]), tags=("nightly",)), specs
        )
        assert (accepted.total, accepted.state) == (5, State.RUNNING)
        done = await eventually(lambda: _batch_is(engine, accepted.id, State.SUCCEEDED))

    assert (done.made, done.counts, done.tags) == (5, {"succeeded": 5}, ("nightly",))
    assert sorted(made.spec.tags for made in steps.made) == [(f"n{i}",) for i in range(5)]
    assert len({made.id for made in steps.made}) == 5
    assert steps.ids_told(Event.FINISHED) == [delivery_id(accepted.id, Event.FINISHED)]
    children = await eventually(lambda: _children(engine, accepted.id, 5))
    assert {child.batch for child in children} == {accepted.id}
    assert await engine.read_batch(UNKNOWN) is None


async def _batch_is(engine, batch_id, state):
    found = await engine.read_batch(batch_id)
    return found if found.state is state else None


async def _children(engine, batch_id, count):
    found = (await engine.list(Query("default", batch=batch_id))).jobs
    return found if len(found) == count else None


async def test_one_failure_makes_a_batch_fail(kit, engine):
    """And the others are made all the same."""

    async def work(job, report):
        if "bad" in job.spec.tags:
            raise ImageCorrupt("no")
        return await store(job, report)

    async with kit.run(NoteTaking(work)):
        accepted = await engine.submit_batch(batch(3), [spec(), spec(tags=("bad",)), spec()])
        done = await eventually(lambda: _batch_is(engine, accepted.id, State.FAILED))

    assert done.counts == {"succeeded": 2, "failed": 1}


async def test_a_cancelled_batch_makes_no_more(kit, engine):
    """What runs is stopped, what waits is cancelled, and what is not made yet never is."""

    async def work(job, report):
        await asyncio.sleep(60)

    async with kit.run(NoteTaking(work)):
        accepted = await engine.submit_batch(batch(5), [spec() for _ in range(5)])
        await eventually(lambda: _made(engine, accepted.id))
        await engine.cancel_batch(accepted.id)
        done = await eventually(lambda: _batch_is(engine, accepted.id, State.CANCELLED))

    assert done.counts == {"cancelled": 5}
    with pytest.raises(NotFound):
        await engine.cancel_batch(UNKNOWN)


async def _made(engine, batch_id):
    return (await engine.read_batch(batch_id)).made


async def test_a_batch_can_be_cancelled_before_anybody_works(engine):
    """It is over at once."""
    accepted = await engine.submit_batch(batch(3), [spec() for _ in range(3)])

    await engine.cancel_batch(accepted.id)

    await eventually(lambda: _batch_is(engine, accepted.id, State.CANCELLED))


async def test_schedules_are_kept_by_name(engine):
    """One of a tenant and name; its next time is known unless it is paused."""
    hourly = Schedule("warm", "default", "0 * * * *", (spec(),), created_s=time.time())

    kept = await engine.put_schedule(hourly)

    assert 0 < kept.next_s - time.time() <= 3600
    assert kept.next_s % 3600 == 0
    await engine.put_schedule(replace(hourly, tenant="second"))
    assert [one.tenant for one in await engine.schedules(None)] == ["default", "second"]
    (paused,) = [await engine.put_schedule(replace(hourly, paused=True))]
    assert paused.next_s is None
    assert await engine.schedules("default") == (paused,)
    assert await engine.drop_schedule("default", "warm")
    assert not await engine.drop_schedule("default", "warm")
    assert await engine.schedules("default") == ()


async def test_schedules_of_one_tenant_are_bounded(kind, tmp_path):
    """J06: others still have theirs, and what is there can be changed and replaced."""
    kit = kind(tmp_path / "data", max_schedules=2)
    hourly = Schedule("a", "default", "0 * * * *", (spec(),), created_s=time.time())
    async with opened(kit.engine) as engine:
        for name in ("a", "b"):
            await engine.put_schedule(replace(hourly, name=name))

        with pytest.raises(LimitExceeded, match=r"2 \+ 1 > 2"):
            await engine.put_schedule(replace(hourly, name="c"))
        await engine.put_schedule(replace(hourly, paused=True))
        await engine.put_schedule(replace(hourly, name="c", tenant="second"))
        await engine.drop_schedule("default", "b")
        await engine.put_schedule(replace(hourly, name="c"))


@pytest.mark.parametrize("wrong", [{"cron": "* * *"}, {"cron": "61 * * * *"}, {"timezone": "Nowhere/Else"}])
async def test_times_that_cannot_be_are_refused(engine, wrong):
    """When they are put, not when they are due."""
    with pytest.raises(BadOption):
        await engine.put_schedule(Schedule(**({"name": "x", "tenant": "t", "cron": "* * * * *", "specs": ()} | wrong)))


async def test_too_many_waiting_are_refused(kind, tmp_path):
    """By tenant and in all; what was accepted before is still found by its key."""
    kit = kind(tmp_path / "data", max_waiting=3, max_waiting_all=5)
    if not kit.counts_quota_at_once:
        pytest.skip("this engine counts what waits a little later")
    async with opened(kit.engine) as engine:
        first = await engine.submit(job(), Claim("key", "digest"))
        await engine.submit_batch(batch(2), [spec(), spec()])

        with pytest.raises(QuotaExceeded):
            await engine.submit(job())
        with pytest.raises(QuotaExceeded):
            await engine.submit_batch(batch(1), [spec()])
        assert await engine.submit(job(), Claim("key", "digest")) == first
        await engine.submit(job("second"))
        await engine.submit(job("second"))
        with pytest.raises(QuotaExceeded, match=r"^\D+$"):  # J06: a tenant cannot count the others' jobs
            await engine.submit(job("second"))
        await engine.cancel(first.id)
        await engine.submit(job("second"))


async def test_counts_are_by_state_and_priority(engine):
    """Of all tenants."""
    await engine.submit(job(priority=3))
    await engine.submit(job("second", priority=3))
    await engine.submit(job(not_before_s=time.time() + 3600))

    await eventually(lambda: _equal(engine.counts(), {("queued", 3): 2, ("scheduled", 0): 1}))


async def test_what_is_over_can_be_forgotten(kit, engine):
    """What goes on stays, and so does whatever has a key that is younger than a day."""
    if not kit.prunes:
        pytest.skip("this engine has a retention of its own")
    over, keyed, waiting = await engine.submit(job()), await engine.submit(job(), Claim("k", "d")), None
    for one in (over, keyed):
        await engine.cancel(one.id)
    waiting = await engine.submit(job())

    assert await engine.prune(time.time() - 60) == 0
    assert await engine.prune(time.time() + 60) == 1

    assert await engine.read(over.id) is None
    assert (await engine.read(waiting.id)).state is State.QUEUED
    assert await engine.submit(job(), Claim("k", "d")) == await engine.read(keyed.id)


async def test_stopping_gives_back_what_runs_without_counting_it(kit, engine):
    """Whoever works next begins it anew; no attempt is lost."""

    async def work(job, report):
        await asyncio.sleep(60)

    async with kit.run(NoteTaking(work)):
        accepted = await engine.submit(job(retries=0))
        await until(engine, accepted.id, State.RUNNING)
    given_back = await until(engine, accepted.id, State.QUEUED)
    async with kit.run(NoteTaking()):
        done = await until(engine, accepted.id, State.SUCCEEDED)

    assert (given_back.attempts, done.attempts) == (0, 1)


async def test_cancelling_and_finishing_at_the_same_time_has_one_end(kit, engine):
    """Whichever was first; and it stays."""

    async def work(job, report):
        await asyncio.sleep(0.01)
        return await store(job, report)

    async with kit.run(NoteTaking(work)):
        orders = [await engine.submit(job()) for _ in range(40)]
        ends = []
        for i, order in enumerate(orders):
            await asyncio.sleep(0.002 * (i % 5))
            try:
                ends.append((await engine.cancel(order.id)).outcome)
            except JobFinished:
                ends.append((await engine.read(order.id)).outcome)
        await asyncio.sleep(0.2)
        found = [await engine.read(order.id) for order in orders]

    assert [one.state for one in found] == ends
    assert set(ends) <= {State.SUCCEEDED, State.CANCELLED}
