"""What is owed to receivers."""

import pytest

from imagemill.jobs.base import Again, Delivered, Gone
from imagemill.jobs.embedded import orders, outbox, rows, upkeep
from imagemill.jobs.retry import SCHEDULE_S
from imagemill.model.errors import Superseded
from imagemill.model.job import Delivery, DeliveryState, Event, delivery_id
from support.jobs import callback, job

NOW_S = 1_000_000.0


def message(event=Event.SUCCEEDED, **fields):
    return Delivery("msg_1", "j", "t", callback(), event, NOW_S, **fields)


def test_an_attempt_is_counted_and_the_next_one_due_by_the_schedule():
    """Until the schedule is at its end: then it is dead."""
    delivery = message()
    for attempt in range(1, len(SCHEDULE_S)):
        delivery = outbox.attempted(delivery, Again("500", 500), NOW_S, 0.0)
        assert (delivery.state, delivery.attempts) == (DeliveryState.PENDING, attempt)
        assert delivery.due_s == NOW_S + SCHEDULE_S[attempt]

    dead = outbox.attempted(delivery, Again("500", 500), NOW_S, 0.0)

    assert (dead.state, dead.status, dead.reason) == (DeliveryState.DEAD, 500, "500")
    assert dead.id == "msg_1"


def test_an_answer_ends_it():
    """2xx; or that no more is wanted; and progress is told once only."""
    assert outbox.attempted(message(), Delivered(204), NOW_S, 0.0).state is DeliveryState.DELIVERED
    assert outbox.attempted(message(), Gone("410", 410), NOW_S, 0.0).state is DeliveryState.DEAD
    assert outbox.attempted(message(Event.PROGRESS), Again("500"), NOW_S, 0.0).state is DeliveryState.DEAD


def test_receivers_are_found_however_much_is_owed(db):
    """One for each tenant and host, with the time from which on."""
    for tenant, host in (("t", "a.example"), ("t", "b.example"), ("u", "a.example"), ("t", "a.example")):
        orders.cancel(db, orders.add(db, job(tenant, callback=callback(host)), NOW_S).id, NOW_S)
    db.execute("UPDATE deliveries SET due_s = ? WHERE endpoint LIKE '%b.example'", (NOW_S + 5,))

    found = outbox.receivers(db)

    assert found == {
        "t https://a.example": NOW_S,
        "t https://b.example": NOW_S + 5,
        "u https://a.example": NOW_S,
    }
    assert len(outbox.due(db, "t https://a.example", 9, NOW_S)) == 2
    assert outbox.due(db, "t https://b.example", 9, NOW_S) == []


def test_the_same_message_is_owed_once(db):
    """However often a change is worked out."""
    accepted = orders.add(db, job(callback=callback(events=[Event.ACCEPTED])), NOW_S)
    orders.add(db, accepted, NOW_S)

    owed = outbox.owed_to(db, accepted.id)
    rows.insert_deliveries(db, owed, 0)

    assert [one.id for one in outbox.owed_to(db, accepted.id)] == [delivery_id(accepted.id, Event.ACCEPTED)]


def test_whoever_is_superseded_settles_nothing(db):
    """The new process delivers it again, under the same id."""
    job_id = orders.cancel(db, orders.add(db, job(callback=callback()), NOW_S).id, NOW_S)[0].id
    (owed,) = outbox.owed_to(db, job_id)
    upkeep.begin_epoch(db)

    with pytest.raises(Superseded):
        outbox.settle(db, 0, outbox.attempted(owed, Delivered(200), NOW_S, 0.0), NOW_S)
    outbox.settle(db, 1, outbox.attempted(owed, Delivered(200), NOW_S, 0.0), NOW_S)
    assert orders.read(db, job_id).state == "cancelled"
