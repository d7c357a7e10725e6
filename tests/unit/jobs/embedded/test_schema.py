"""How the tables are asked."""

import re

from imagemill.jobs.base import Claim, Delivered, Query
from imagemill.jobs.embedded import batches, orders, outbox, turns, upkeep
from imagemill.jobs.embedded.admission import Quota
from imagemill.jobs.embedded.turns import Places
from support.jobs import batch, callback, job, spec

NOW_S = 1_000_000.0


def everything(db):
    """Whatever is done all the time, once."""
    accepted = orders.submit(db, job(tags=("a",), callback=callback()), Claim("k", "d"), Quota(9, 9), NOW_S)
    orders.submit(db, job(), Claim("k", "d"), Quota(9, 9), NOW_S)
    order = batch(1, "default")
    batches.add(db, order, batches.pages([spec()]))
    upkeep.make_page(db, 0, NOW_S)
    upkeep.look(db, 0)
    upkeep.recover(db, 0, (), 5, NOW_S)
    upkeep.promote(db, 0, 9, NOW_S)
    upkeep.expire(db, 0, 9, NOW_S)
    upkeep.fire(db, 0, lambda _: Quota(9, 9), NOW_S)
    turns.claim(db, 0, Places(1, 2), {}, NOW_S)
    upkeep.give_back(db, 0, NOW_S)
    orders.cancel(db, accepted.id, NOW_S)
    for query in (Query("default"), Query("default", tag="a"), Query("default", batch=order.id), Query(None)):
        orders.listed(db, query, 99)
    orders.versions(db, [accepted.id])
    outbox.receivers(db)
    (delivery,) = outbox.due(db, "default https://receiver.example", 9, NOW_S)
    outbox.settle(db, 0, outbox.attempted(delivery, Delivered(200), NOW_S, 0.0), NOW_S)
    outbox.redeliver(db, accepted.id, NOW_S)
    batches.cancel(db, order.id, NOW_S)
    upkeep.go_on_cancelling(db, 0, 9, NOW_S)
    batches.read(db, order.id)
    upkeep.prune(db, NOW_S, 9, NOW_S)
    upkeep.prune_batches(db, NOW_S, 9, NOW_S)


# Tables that grow with the jobs, also by the names that queries give them.
GROWING = re.compile(r"SCAN (jobs|j|deliveries|d|claims|c|job_tags|t)\b(?! USING INDEX jobs_running)")


def test_nothing_that_is_done_all_the_time_reads_a_whole_table(db):
    """However many jobs there are, each question takes a few steps in an index, or reads what runs."""
    asked = set()
    db.set_trace_callback(asked.add)
    everything(db)
    db.set_trace_callback(None)

    plans = {
        statement: [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {statement}")]
        for statement in asked
        if statement.lstrip().startswith(("SELECT", "UPDATE", "DELETE", "WITH"))
    }

    assert len(plans) > 30
    assert not {statement: steps for statement, steps in plans.items() if any(map(GROWING.match, steps))}
