"""Values as rows, and back."""

import msgspec
from msgspec.structs import replace

from imagemill.jobs.embedded import batches, orders, rows
from imagemill.model.job import DeliveryState, Fault, State, Timings
from support.jobs import ALL_EVENTS, batch, callback, job, spec, stored

NOW_S = 1_000_000.5


def test_a_job_comes_back_as_it_was_written(db):
    """Every field of it, and of what is remembered beside it."""
    order = job("t", retry_of="a" * 32, tags=("x",), priority=9, deadline_s=2e9, metadata=msgspec.Raw(b'{"n": 1.50}'))
    accepted = orders.add(db, replace(order, batch="b", schedule="s"), NOW_S)
    before = rows.job_where(db, "id = ?", (order.id,))
    job_after = replace(
        before.job,
        state=State.DELIVERING,
        outcome=State.FAILED,
        times=Timings(accepted.times.created_s, 2.5, 3.5, 4.5, 5.5, 6.5),
        version=8,
        attempts=3,
        results=(stored(order),),
        fault=Fault("code", "words", retryable=True),
        callback_state=DeliveryState.PENDING.value,
    )
    after = rows.Kept(job_after, failures=2, crashes=1, owner=4)

    rows.update_job(db, before, after)
    (found,) = rows.jobs_where(db, "id = ?", (order.id,))

    assert rows.encode(found) == rows.encode(after)
    assert bytes(found.job.spec.metadata) == b'{"n": 1.50}'


def test_a_message_comes_back_as_it_was_written(db):
    """Callback included."""
    accepted = orders.add(db, job(callback=callback(events=ALL_EVENTS)), NOW_S)
    (made,) = rows.deliveries_where(db, "job = ?", (accepted.id,))
    after = replace(made, state=DeliveryState.DEAD, attempts=4, due_s=9.5, status=500, reason="why")

    rows.update_delivery(db, after)

    assert rows.deliveries_where(db, "id = ?", (made.id,)) == [after]
    assert (made.callback, made.event, made.made_s) == (accepted.spec.callback, "accepted", NOW_S)


def test_a_batch_comes_back_as_it_was_written(db):
    """Metadata untouched."""
    order = batch(2, "t", callback=callback(), tags=("a", "b"), metadata=msgspec.Raw(b"[1e2]"))

    added = batches.add(db, order, batches.pages([spec(), spec()]))

    assert rows.encode(batches.read(db, order.id)) == rows.encode(added)
    assert bytes(batches.read(db, order.id).metadata) == b"[1e2]"
