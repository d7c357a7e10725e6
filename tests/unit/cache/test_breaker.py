"""What keeps failing is left alone, and each change is told once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagemill.cache.breaker import Breaker, Health, State


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def told():
    return []


@pytest.fixture
def breaker(clock, told):
    breaker = Breaker(3, 0.05, clock, lambda: told.append((not breaker.open, breaker.why)))
    return breaker


def fail(breaker, clock, times=1, why="refused"):
    for _ in range(times):
        breaker.failed(clock.now, why)
        clock.now += 0.06


def test_opens_after_so_many_in_a_row(breaker, clock, told):
    fail(breaker, clock, 2)
    assert breaker.asks
    assert not told

    fail(breaker, clock, 1)

    assert breaker.open
    assert not breaker.asks
    assert told == [(False, "refused")]


def test_a_success_in_between_starts_anew(breaker, clock, told):
    fail(breaker, clock, 2)
    breaker.well()
    clock.now += 0.01
    fail(breaker, clock, 2)

    assert not told


def test_stays_open_until_it_is_well(breaker, clock, told):
    """No time that passes closes it: only a probe does."""
    fail(breaker, clock, 3)
    clock.now += 1e6
    assert not breaker.asks

    breaker.well()

    assert breaker.asks
    assert told == [(False, "refused"), (True, "")]


def test_each_change_is_told_once(breaker, clock, told):
    fail(breaker, clock, 10)
    breaker.well()
    breaker.well()

    assert [well for well, _ in told] == [False, True]


def test_grace(breaker, clock):
    """After one failure, nothing is asked for a moment: the same request does not pay twice."""
    breaker.failed(clock.now, "slow")
    assert not breaker.asks

    clock.now += 0.051

    assert breaker.asks


def test_what_began_before_the_last_success_does_not_count(breaker, clock, told):
    """A hundred that waited too long behind others say nothing of a server that answered the others."""
    began = clock.now
    clock.now += 0.04
    breaker.well()
    clock.now += 0.02
    for _ in range(100):
        breaker.failed(began, "timeout")

    assert not told


@given(st.lists(st.sampled_from(["fail", "well", "wait"])))
def test_changes_alternate(steps):
    """Whatever happens, open and closed are told in turn, and `asks` is never true while open."""
    clock, told = Clock(), []
    breaker = Breaker(3, 0.05, clock, lambda: told.append(not breaker.open))

    for step in steps:
        if step == "fail":
            breaker.failed(clock.now, "")
        elif step == "well":
            breaker.well()
        else:
            clock.now += 0.03
        assert not (breaker.open and breaker.asks)

    assert told == [n % 2 == 1 for n in range(len(told))]
    assert breaker.open == (len(told) % 2 == 1)


def test_a_server_that_refuses_writes_is_still_read(clock):
    told = []
    health = Health(3, 0.05, clock, lambda state, why: told.append((state, why)))
    fail(health.writes, clock, 3, "OOM")

    assert health.asks(write=False)
    assert not health.asks(write=True)

    fail(health.reads, clock, 3, "timeout")
    assert not health.asks(write=False)

    health.reads.well()
    health.writes.well()
    assert health.asks(write=True)
    assert told == [
        (State.READ_ONLY, "OOM"),
        (State.AWAY, "timeout"),
        (State.READ_ONLY, "OOM"),
        (State.WELL, ""),
    ]
