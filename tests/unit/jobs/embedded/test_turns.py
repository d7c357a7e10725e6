"""Whose turn it is."""

import pytest

from imagemill.jobs.embedded import orders, turns, upkeep
from imagemill.jobs.embedded.turns import Loads, Places
from imagemill.model.errors import Superseded
from support.jobs import job

NOW_S = 1_000_000.0


def add(db, tenant, *priorities):
    return [orders.add(db, job(tenant, priority=p), NOW_S).id for p in priorities]


def claim(db, ordinary, urgent, served=None):
    return turns.claim(db, 0, Places(ordinary, urgent), served or {}, NOW_S)


def test_who_has_fewest_running_goes_next():
    """Then who was served longest ago; and only who has what may begin."""
    waiting = {"a": Loads(1, 5, 0), "b": Loads(0, 5, 0), "c": Loads(0, 5, 1), "d": Loads(0, 0, 0)}

    assert turns.next_tenant(waiting, {"b": 1, "c": 2}, urgent_only=False) == "b"
    assert turns.next_tenant(waiting, {"b": 2, "c": 1}, urgent_only=False) == "c"
    assert turns.next_tenant(waiting, {}, urgent_only=True) == "c"
    assert turns.next_tenant({}, {}, urgent_only=False) is None


def test_a_flood_of_one_tenant_leaves_half_the_places_to_another(db):
    """Whatever their priorities: those order a tenant's own jobs."""
    add(db, "flood", *[6] * 20)
    add(db, "calm", *[0] * 20)

    begun = claim(db, 6, 7)

    tenants = [kept.job.tenant for kept in begun]
    assert (tenants.count("flood"), tenants.count("calm")) == (3, 3)


def test_with_one_place_they_take_turns(db):
    """Who was served last waits, also where nothing runs at the moment."""
    add(db, "a", 0, 0)
    add(db, "b", 0, 0)

    (first,) = claim(db, 1, 1)
    second = turns.next_tenant(turns.loads(db), {first.job.tenant: 1}, urgent_only=False)

    assert {first.job.tenant, second} == {"a", "b"}


def test_the_kept_place_is_for_urgent_ones(db):
    """An ordinary job never takes it; an urgent one may take any."""
    ordinary = add(db, "t", 0, 0)
    assert [kept.job.id for kept in claim(db, 0, 1)] == []
    urgent = add(db, "t", 7)

    assert [kept.job.id for kept in claim(db, 0, 1)] == urgent
    assert [kept.job.id for kept in claim(db, 1, 2)] == ordinary[:1]


def test_an_urgent_one_leaves_ordinary_places_as_they_are(db):
    """Three places, one of them kept: one urgent and two ordinary jobs run together."""
    add(db, "t", 9, 0, 0, 0)

    assert [kept.job.spec.priority for kept in claim(db, 2, 3)] == [9, 0, 0]


def test_whoever_is_superseded_begins_nothing(db):
    """The epoch is part of every write."""
    add(db, "t", 0)
    upkeep.begin_epoch(db)

    with pytest.raises(Superseded):
        claim(db, 1, 1)


def test_an_order_that_cannot_be_read_fails_and_the_others_go_on(db):
    """A later version may have become stricter than the one that accepted it."""
    bad, good = add(db, "t", 5, 0)
    db.execute("UPDATE jobs SET spec = ? WHERE id = ?", (b'{"priority": "high"}', bad))

    assert claim(db, 1, 2) == []
    assert [kept.job.id for kept in claim(db, 1, 2)] == [good]
    assert db.execute("SELECT state FROM jobs WHERE id = ?", (bad,)).fetchone() == ("failed",)


def test_suspects_run_one_at_a_time(db):
    """So that the next death tells who it was; whoever was only beside it is not blamed."""
    suspects = add(db, "t", 9, 9)
    db.execute("UPDATE jobs SET crashes = 1")
    (beside,) = add(db, "t", 0)

    assert [kept.job.id for kept in claim(db, 3, 4)] == [suspects[0], beside]
    assert claim(db, 1, 2) == []
    epoch = upkeep.begin_epoch(db)
    lost = {kept.job.id: kept for kept in upkeep.recover(db, epoch, (), 5, NOW_S)}
    assert (lost[suspects[0]].crashes, lost[beside].crashes) == (2, 0)
    assert lost[beside].job.attempts == 0
