"""Orders that this version cannot read any more: each fails by itself, and holds up nothing else."""

import zlib

import pytest
from msgspec.structs import replace

from imagemill.jobs.base import Claim, Query
from imagemill.jobs.embedded import batches, orders, outbox, rows, schedules, turns, upkeep
from imagemill.jobs.embedded.admission import Quota
from imagemill.jobs.embedded.turns import Places
from imagemill.model.job import DeliveryState, Schedule, State
from support.jobs import batch, callback, job, spec

NOW_S = 1_000_040.0  # 20 s into a minute
PLENTY = Quota(1000, 1000)


@pytest.fixture(params=[b"x", b'{"source":{"scheme":"local","address":"a"},"renditions":[],"store":"out"}'])
def bad(request):
    """No JSON; and an order that breaks a rule of today."""
    return request.param


def spoil(db, job_id, bad):
    db.execute("UPDATE jobs SET spec = ? WHERE id = ?", (bad, job_id))


def claim(db):
    return [kept.job.id for kept in turns.claim(db, 0, Places(8, 8), {}, NOW_S)]


def test_it_fails_at_its_turn(db, bad):
    """And the one behind it begins."""
    first, second = (orders.add(db, job(callback=callback()), NOW_S).id for _ in range(2))
    spoil(db, first, bad)

    assert claim(db) + claim(db) == [second]
    found = orders.read(db, first)
    assert (found.state, found.outcome, found.fault.code) == (State.FAILED, State.FAILED, "internal")


def test_it_is_listed_read_cancelled_and_found_by_its_key(db, bad):
    """As far as it can be told of; whoever asks gets no error for it."""
    order = orders.submit(db, job(), Claim("k", "d"), PLENTY, NOW_S)
    other = orders.add(db, job(), NOW_S)
    spoil(db, order.id, bad)

    assert [found.id for _, found in orders.listed(db, Query(None), None)] == [other.id, order.id]
    assert orders.claimed(db, "default", Claim("k", "d")).id == order.id
    assert orders.cancel(db, order.id, NOW_S)[0].state is State.CANCELLED


def test_the_last_of_a_batch_ends_the_batch(db, bad):
    """Which tells of it."""
    order = batch(2, "t", callback=callback())
    batches.add(db, order, batches.pages([spec()] * 2))
    upkeep.make_page(db, 0, NOW_S)
    first, last = (batches.job_id(order.seed, index) for index in range(2))
    orders.cancel(db, first, NOW_S)
    spoil(db, last, bad)

    assert claim(db) == []
    found = batches.read(db, order.id)
    assert (found.state, found.counts) == (State.DELIVERING, {"cancelled": 1, "failed": 1})


def test_in_a_cancelled_batch_it_is_cancelled(db, bad):
    """And counts as one that was, so that whoever cancels goes on to the end."""
    order = batch(2, "t")
    batches.add(db, order, batches.pages([spec()] * 2))
    upkeep.make_page(db, 0, NOW_S)
    spoil(db, batches.job_id(order.seed, 0), bad)
    batches.cancel(db, order.id, NOW_S)

    assert [upkeep.go_on_cancelling(db, 0, 1, NOW_S) for _ in range(3)] == [1, 1, 0]
    assert batches.read(db, order.id).state is State.CANCELLED


def test_in_a_page_it_fails_alone(db, bad):
    """The others of the page are made, and other batches go on."""
    order, next_one = batch(3, "t", callback=callback()), batch(1, "t")
    good = rows.encode(spec())
    batches.add(db, order, [zlib.compress(b"[" + b",".join([good, bad.replace(b"x", b'"x"'), good]) + b"]")])
    batches.add(db, next_one, batches.pages([spec()]))

    assert [upkeep.make_page(db, 0, NOW_S) for _ in range(3)] == [3, 1, 0]
    assert batches.read(db, order.id).counts == {"failed": 1, "queued": 2}
    assert batches.read(db, next_one.id).counts == {"queued": 1}


@pytest.mark.parametrize("page", [b"not zlib", zlib.compress(b"{")])
def test_a_page_of_nothing_else_fails_whole(db, page):
    """And so does the batch, which tells of it."""
    order = batch(3, "t", callback=callback())
    batches.add(db, order, [page])

    assert upkeep.make_page(db, 0, NOW_S) == 3
    found = batches.read(db, order.id)
    assert (found.state, found.made, found.counts) == (State.DELIVERING, 3, {"failed": 3})
    assert [d.event for d in outbox.owed_to(db, order.id)] == ["finished"]


def test_what_waits_for_its_last_message_ends_with_it(db, bad):
    """Its outcome stood before."""
    order = orders.add(db, job(callback=callback()), NOW_S)
    orders.cancel(db, order.id, NOW_S)
    spoil(db, order.id, bad)
    (owed,) = outbox.owed_to(db, order.id)

    outbox.settle(db, 0, replace(owed, state=DeliveryState.DELIVERED, attempts=1), NOW_S)

    found = orders.read(db, order.id)
    assert (found.state, found.callback_state) == (State.CANCELLED, "delivered")


def test_a_schedule_that_cannot_be_read_is_put_off(db, bad):
    """The others come; it is left out of lists, and can be put anew."""
    for name in ("a", "b"):
        schedules.put(db, Schedule(name, "t", "* * * * *", (spec(),)), 9, NOW_S)
    db.execute("UPDATE schedules SET schedule = ? WHERE name = 'a'", (bad,))

    fired = [upkeep.fire(db, 0, lambda _: PLENTY, NOW_S + 60) for _ in range(2)]

    assert fired == ["b", ""]
    assert upkeep.look(db, 0).schedule_s > NOW_S + 60
    assert [one.name for one in schedules.listed(db, "t")] == ["b"]
    assert schedules.put(db, Schedule("a", "t", "* * * * *", (spec(),)), 9, NOW_S).next_s == NOW_S + 40
