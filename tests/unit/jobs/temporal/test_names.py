"""Names of workflows, queues and ranks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from imagemill.jobs.temporal import names
from imagemill.model.job import JobSpec, Wanted, is_id
from imagemill.model.recipe import Blur, Crop, Encode, Resize
from imagemill.model.request import SourceRef

TEXT = st.text(max_size=20)


@given(TEXT, TEXT, TEXT, TEXT)
def test_ids_differ_where_anything_does(tenant, key, other_tenant, other_key):
    """Also where two pairs are the same text when written one after the other."""
    one, other = names.claimed_id(tenant, key), names.claimed_id(other_tenant, other_key)

    assert (one == other) == ((tenant, key) == (other_tenant, other_key))
    assert is_id(one)
    assert names.scheduled_id(tenant, key, 60, 0) != names.scheduled_id(tenant, key, 60, 1)


def test_ids_stay_what_they_are():
    """What was claimed before an upgrade is found after it."""
    assert names.claimed_id("default", "key") == "dca0cef7e00e3087d0bf8b2a3b4e086b"
    assert names.child_id("00" * 32, 7) == "306e9426d794f2f6c46362b507b06062"


def test_ten_priorities_are_five_ranks():
    """The higher never comes after the lower, and both ends are used."""
    ranks = [names.priority_key(priority) for priority in range(10)]

    assert ranks == sorted(ranks, reverse=True)
    assert set(ranks) == {1, 2, 3, 4, 5}


@given(TEXT)
def test_a_fairness_key_fits(tenant):
    """Temporal takes 64 bytes."""
    assert len(names.fairness_key(tenant * 9).encode()) <= 64


def _spec(*recipes):
    wanted = tuple(Wanted(str(n), recipe, "k") for n, recipe in enumerate(recipes))
    return JobSpec(SourceRef("local", "in/a"), wanted, store="out")


@pytest.mark.parametrize(
    ("recipes", "queue"),
    [
        ([(Resize(1000, 1000),)], "q-small"),
        ([(Resize(1000, 1000),)] * 9, "q-large"),
        ([(Resize(1000, 0), Blur(100))], "q-small"),
        ([(Resize(0, 3000),)], "q-large"),
        ([(Crop(100, 100), Encode())], "q-small"),
        ([(Resize(9000, 9000), Crop(100, 100))], "q-small"),
        ([(Encode(),)], "q-large"),
        ([(Resize(10, 10),), (Encode(),)], "q-large"),
    ],
)
def test_what_may_be_large_goes_where_large_work_does(recipes, queue):
    """By the sum of all renditions, and what nothing bounds is large."""
    assert names.make_queue("q", _spec(*recipes), 8_000_000) == queue
    assert names.make_queue("q", replace(_spec(*recipes), priority=6), 8_000_000) == queue


def test_what_is_urgent_waits_for_nothing_else():
    """Whatever its size."""
    for recipe in ((Resize(10, 10),), (Encode(),)):
        assert names.make_queue("q", replace(_spec(recipe), priority=7), 8_000_000) == "q-urgent"
