"""What the clock, a crash or a batch leaves to do."""

import pytest
from msgspec.structs import replace

from imagemill.jobs.base import Claim
from imagemill.jobs.embedded import admission, batches, orders, outbox, rows, schedules, turns, upkeep
from imagemill.jobs.embedded.admission import Quota
from imagemill.jobs.embedded.turns import Places
from imagemill.model.errors import QuotaExceeded, Superseded
from imagemill.model.job import DeliveryState, Schedule, State
from support.jobs import batch, callback, job, spec

NOW_S = 1_000_040.0  # 20 s into a minute
DAY_S = 86_400.0
PLENTY = Quota(1000, 1000)


def begin(db, *ids):
    begun = turns.claim(db, _epoch(db), Places(len(ids), len(ids) + 1), {}, NOW_S)
    assert {kept.job.id for kept in begun} == set(ids)


def _epoch(db):
    return db.execute("SELECT epoch FROM meta").fetchone()[0]


def state(db, job_id):
    return orders.read(db, job_id).state


def test_a_new_process_takes_back_what_the_old_one_died_over(db):
    """Each time counts; what was ordered otherwise is untouched; too often is a failure that is told."""
    lost = orders.add(db, job(callback=callback()), NOW_S).id
    epochs = []
    for _ in range(3):
        begin(db, lost)
        epochs.append(upkeep.begin_epoch(db))
        upkeep.recover(db, epochs[-1], (), 2, NOW_S)

    found = orders.read(db, lost)
    assert epochs == [1, 2, 3]
    assert (found.state, found.outcome, found.fault.code) == (State.DELIVERING, State.FAILED, "job_crashed")
    assert [d.event for d in rows.deliveries_where(db, "job = ?", (lost,))] == ["failed"]


def test_what_is_at_work_is_not_taken_back(db):
    """Only what this process has begun and knows no more of."""
    kept, lost = (orders.add(db, job(), NOW_S).id for _ in range(2))
    begin(db, kept, lost)

    assert [one.job.id for one in upkeep.recover(db, 0, {kept}, 5, NOW_S)] == [lost]
    assert (state(db, kept), state(db, lost)) == (State.RUNNING, State.QUEUED)


def test_the_old_process_can_write_nothing_any_more(db):
    """Whatever it tries; the job is the new one's."""
    job_id = orders.add(db, job(), NOW_S).id
    begin(db, job_id)
    epoch = upkeep.begin_epoch(db)
    upkeep.recover(db, epoch, (), 5, NOW_S)

    for write in (
        lambda: orders.mine(db, job_id, 0),
        lambda: upkeep.promote(db, 0, 1, NOW_S),
        lambda: upkeep.give_back(db, 0, NOW_S),
        lambda: upkeep.make_page(db, 0, NOW_S),
        lambda: upkeep.fire(db, 0, lambda _: PLENTY, NOW_S),
    ):
        with pytest.raises(Superseded):
            write()
    begin(db, job_id)
    with pytest.raises(Superseded):
        orders.mine(db, orders.add(db, job(), NOW_S).id, epoch)
    assert orders.mine(db, job_id, epoch).job.id == job_id


def test_a_change_from_an_old_version_is_refused(db):
    """So that no two ends are ever written."""
    job_id = orders.add(db, job(), NOW_S).id
    before = rows.job_where(db, "id = ?", (job_id,))
    orders.cancel(db, job_id, NOW_S)

    with pytest.raises(Superseded):
        orders.change(db, before, replace(before, job=replace(before.job, version=2)), NOW_S)


def test_an_order_that_cannot_be_read_stops_no_start(db):
    """Nor any upkeep."""
    bad, late, good = (orders.add(db, job(deadline_s=NOW_S + 1), NOW_S).id for _ in range(3))
    begin(db, bad, late, good)
    upkeep.give_back(db, 0, NOW_S)
    db.execute("UPDATE jobs SET spec = x'78', state = 'running' WHERE id = ?", (bad,))
    db.execute("UPDATE jobs SET spec = x'78' WHERE id = ?", (late,))

    assert [kept.job.id for kept in upkeep.recover(db, upkeep.begin_epoch(db), (), 5, NOW_S)] == [bad]
    assert {kept.job.id for kept in upkeep.expire(db, 1, 9, NOW_S + 2)} == {bad, late, good}


def test_what_is_due_is_queued_and_what_is_late_expires(db):
    """In small slices."""
    due = [orders.add(db, job(created_s=NOW_S, not_before_s=NOW_S + 10), NOW_S).id for _ in range(3)]
    late = orders.add(db, job(created_s=NOW_S, not_before_s=NOW_S + 99, deadline_s=NOW_S + 10), NOW_S).id

    assert upkeep.look(db, 0).job_s == NOW_S + 10
    assert upkeep.promote(db, 0, 2, NOW_S + 9) == 0
    assert upkeep.promote(db, 0, 2, NOW_S + 10) == 2
    assert [kept.job.id for kept in upkeep.expire(db, 0, 9, NOW_S + 10)] == [late]
    assert [state(db, one) for one in due] == [State.QUEUED, State.QUEUED, State.SCHEDULED]
    assert state(db, late) is State.EXPIRED


def every_minute(**fields):
    return Schedule("warm", "t", "* * * * *", (spec(), spec(priority=4)), **fields)


def fired(db, now_s, quota=PLENTY):
    return upkeep.fire(db, 0, lambda _: quota, now_s)


def scheduled_ids(db):
    return [kept.job.id for kept in rows.jobs_where(db, "schedule = 'warm' ORDER BY seq", ())]


def test_a_schedule_makes_its_jobs_once_for_each_time(db):
    """And missed times are made up once, not one by one."""
    put = schedules.put(db, every_minute(), 9, NOW_S)

    assert put.next_s == NOW_S + 40
    assert not fired(db, NOW_S + 39)
    assert fired(db, NOW_S + 40) == "warm"
    assert not fired(db, NOW_S + 40)
    assert fired(db, NOW_S + 3600) == "warm"
    assert not fired(db, NOW_S + 3600)
    assert len(set(scheduled_ids(db))) == 4
    (kept,) = schedules.listed(db, "t")
    assert (kept.last_s, kept.next_s) == (NOW_S + 100, NOW_S + 3640)


def test_no_time_comes_twice(db):
    """Neither after the clock has stepped back, nor for a schedule that is put anew, nor for one dropped meanwhile."""
    schedules.put(db, every_minute(), 9, NOW_S)
    fired(db, NOW_S + 40)
    ids = scheduled_ids(db)

    assert not fired(db, NOW_S - 560)
    assert schedules.put(db, every_minute(), 9, NOW_S - 560).next_s == NOW_S + 100
    schedules.drop(db, "t", "warm")
    schedules.put(db, every_minute(), 9, NOW_S - 560)
    db.execute("UPDATE schedules SET next_s = ?", (NOW_S + 40,))
    assert fired(db, NOW_S + 41)
    assert scheduled_ids(db) == ids


def test_a_paused_schedule_is_never_due(db):
    """It is kept all the same."""
    schedules.put(db, every_minute(paused=True), 9, NOW_S)

    assert not fired(db, NOW_S + 3600)
    assert upkeep.look(db, 0).schedule_s == float("inf")


def test_a_schedule_waits_where_too_many_jobs_do(db):
    """It stays due, and comes once when there is room."""
    schedules.put(db, every_minute(), 9, NOW_S)

    with pytest.raises(QuotaExceeded, match=r"0 \+ 2 > 1"):
        fired(db, NOW_S + 40, Quota(1, 1))
    assert scheduled_ids(db) == []
    assert fired(db, NOW_S + 300)
    assert len(scheduled_ids(db)) == 2


def test_a_full_tenants_schedules_are_in_nobodys_way(db):
    """J06: whoever lets its queue be full keeps no other tenant's times from coming."""
    for tenant, name in (("full", "a"), ("full", "b"), ("second", "c"), ("third", "d")):
        schedules.put(db, replace(every_minute(), tenant=tenant, name=name), 9, NOW_S)
    db.execute("UPDATE schedules SET next_s = next_s - 30 WHERE tenant = 'full'")  # due longer than the others

    def fire():
        return upkeep.fire(db, 0, lambda tenant: Quota(0 if tenant == "full" else 9, 99), NOW_S + 40)

    assert [fire(), fire()] == ["c", "d"]
    with pytest.raises(QuotaExceeded):
        fire()
    assert [one.last_s for one in schedules.listed(db, "full")] == [0.0, 0.0]


@pytest.mark.parametrize("damage", ["'{}'", "replace(schedule, 'UTC', 'Gone/Zone')"])
def test_a_schedule_that_is_understood_no_more_is_in_nobodys_way(db, damage):
    """It is put off, and kept: a time zone may come back."""
    schedules.put(db, every_minute(), 9, NOW_S)
    schedules.put(db, replace(every_minute(), name="well"), 9, NOW_S)
    db.execute(f"UPDATE schedules SET next_s = 1, schedule = CAST({damage} AS BLOB) WHERE name = 'warm'")

    assert fired(db, NOW_S + 40) == "well"
    assert fired(db, NOW_S + 40) == ""
    assert db.execute("SELECT next_s > ? FROM schedules WHERE name = 'warm'", (NOW_S + 40,)).fetchone() == (1,)


def test_a_long_schedule_is_made_in_pages(db):
    """All of one time, each once, whatever the clock says meanwhile; room is asked for before the first only."""
    size = batches.PAGE * 2 + 1
    schedules.put(db, replace(every_minute(), specs=(spec(),) * size), 9, NOW_S)

    assert fired(db, NOW_S + 40, Quota(size, size)) == "warm"
    assert len(scheduled_ids(db)) == batches.PAGE
    assert fired(db, NOW_S + 200, Quota(size, size)) == "warm"
    assert schedules.listed(db, "t")[0].next_s == NOW_S + 40
    assert fired(db, NOW_S + 200, Quota(size, size)) == "warm"
    assert not fired(db, NOW_S + 200)
    assert len(set(scheduled_ids(db))) == size
    (kept,) = schedules.listed(db, "t")
    assert (kept.last_s, kept.next_s) == (NOW_S + 40, NOW_S + 220)
    assert fired(db, NOW_S + 220, Quota(9999, 9999)) == "warm"
    assert len(set(scheduled_ids(db))) == size + batches.PAGE


def test_a_page_made_twice_makes_each_job_once(db):
    """Its ids follow from the batch."""
    size = batches.PAGE + 1
    order = batch(size, "t")
    specs = [spec() for _ in range(size)]
    batches.add(db, order, batches.pages(specs))
    admission.keep_to(db, "t", 1, Quota(size + 1, 10_000))
    with pytest.raises(QuotaExceeded):
        admission.keep_to(db, "t", 2, Quota(size + 1, 10_000))

    assert upkeep.make_page(db, 0, NOW_S) == batches.PAGE
    db.execute("INSERT INTO batch_pages VALUES (?, 0, ?)", (order.id, batches.pages(specs)[0]))
    upkeep.make_page(db, 0, NOW_S)
    assert upkeep.make_page(db, 0, NOW_S) == 1
    assert upkeep.make_page(db, 0, NOW_S) == 0

    made = [kept.job.id for kept in rows.jobs_where(db, "batch = ? AND batch <> '' ORDER BY seq", (order.id,))]
    assert made == [batches.job_id(order.seed, i) for i in range(size)]


def test_short_batches_need_not_wait_for_long_ones(db):
    """The one that has least made goes next."""
    long, short = batch(batches.PAGE * 3, "t"), batch(1, "t")
    for order in (long, short):
        batches.add(db, order, batches.pages([spec()] * order.total))

    made = [upkeep.make_page(db, 0, NOW_S) for _ in range(4)]

    assert made == [batches.PAGE, 1, batches.PAGE, batches.PAGE]


def test_a_cancelled_batch_is_cancelled_to_its_end_by_whoever_works(db):
    """Where the one that cancelled it died before it was done."""
    order = batch(3, "t", callback=callback())
    batches.add(db, order, batches.pages([spec()] * 3))
    upkeep.make_page(db, 0, NOW_S)
    batches.cancel(db, order.id, NOW_S)

    assert upkeep.look(db, 0).cancelling
    assert upkeep.go_on_cancelling(db, 0, 2, NOW_S) == 2
    assert upkeep.go_on_cancelling(db, 0, 2, NOW_S) == 1
    assert not upkeep.look(db, 0).cancelling
    found = batches.read(db, order.id)
    assert (found.state, found.counts) == (State.DELIVERING, {"cancelled": 3})


def test_the_jobs_of_a_batch_stay_until_it_may_be_forgotten(db):
    """What its summary tells is counted from them, however late the receiver takes it."""
    order = batch(2, "t", callback=callback())
    batches.add(db, order, batches.pages([spec()] * 2))
    upkeep.make_page(db, 0, NOW_S)
    upkeep.cancel_some(db, order.id, 1, NOW_S)
    upkeep.cancel_some(db, order.id, 1, NOW_S + 100)

    assert upkeep.prune(db, NOW_S + 1, 99, NOW_S + 101) == 0
    assert upkeep.prune(db, NOW_S + 101, 99, NOW_S + 101) == 0
    assert batches.read(db, order.id).counts == {"cancelled": 2}
    (owed,) = rows.deliveries_where(db, "job = ?", (order.id,))
    outbox.settle(db, 0, replace(owed, state=DeliveryState.DELIVERED), NOW_S)
    assert upkeep.prune(db, NOW_S + 101, 99, NOW_S + 101) == 2
    assert upkeep.prune_batches(db, NOW_S + 101, 99, NOW_S + 101) == 1


def over(db, order, claim=None):
    orders.submit(db, order, claim, PLENTY, NOW_S)
    return orders.cancel(db, order.id, NOW_S)[0].id


def test_pruning_leaves_what_is_still_needed(db):
    """What still owes a message, a young key, a batch that goes on; and all else goes without a trace."""
    plain = over(db, job(tags=("red",)))
    keyed = over(db, job(), Claim("k", "d"))
    owing = over(db, job(callback=callback()))
    order = batch(2, "default")
    batches.add(db, order, batches.pages([spec()] * 2))
    upkeep.make_page(db, 0, NOW_S)
    child = batches.job_id(order.seed, 0)
    orders.cancel(db, child, NOW_S)

    assert upkeep.prune(db, NOW_S + 1, 99, NOW_S + 1) == 1
    assert orders.read(db, plain) is None
    assert all(orders.read(db, one) for one in (keyed, owing, child))
    assert upkeep.prune(db, NOW_S + 1, 99, NOW_S + DAY_S + 1) == 1
    upkeep.cancel_some(db, order.id, 99, NOW_S)
    assert upkeep.prune(db, NOW_S + 1, 99, NOW_S + 1) == 2
    admission.remember(db, "default", Claim("b", "d"), order.id, NOW_S)
    assert upkeep.prune_batches(db, NOW_S + 1, 99, NOW_S + 1) == 0
    assert upkeep.prune_batches(db, NOW_S + 1, 99, NOW_S + DAY_S + 1) == 1
    for table in ("claims", "job_tags", "batches"):
        assert db.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,), table
    assert orders.counts(db) == {("delivering", 0): 1}
