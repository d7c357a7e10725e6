"""Row J10: caps and breakers, one receiver apart from the other, by a clock of ours."""

import pytest
from msgspec.structs import replace

from imagemill.jobs import endpoints as endpoints_module
from imagemill.jobs.base import Again, Later
from imagemill.jobs.endpoints import GIVEN_UP_S, MAX_WAIT_S, PROBED_S, Endpoints, Place
from imagemill.settings import Callbacks

SETTINGS = Callbacks(per_endpoint=2, total=8, breaker_failures=3, breaker_s=30)


class Clock:
    def __init__(self):
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def endpoints(clock) -> Endpoints:
    return Endpoints(SETTINGS, clock)


def attempt(endpoints: Endpoints, name: str, *, well: bool | None = True):
    """One attempt that ends at once; what `enter` gave."""
    place = endpoints.enter(name, name)
    if isinstance(place, Place):
        with place:
            if well is not None:
                (place.well if well else place.unwell)()
    return place


def hold(endpoints: Endpoints, *names: str) -> list[Place]:
    places = []
    for name in names:
        place = endpoints.enter(name, name)
        assert isinstance(place, Place), name
        places.append(place.__enter__())
    return places


def release(places: list[Place], *, well: bool | None = None) -> None:
    for place in places:
        if well is not None:
            (place.well if well else place.unwell)()
        place.__exit__(None, None, None)


def test_so_many_each(endpoints):
    """The third at one receiver is sent away; another receiver's first is not."""
    places = hold(endpoints, "a", "a")

    assert isinstance(endpoints.enter("a", "a"), Later)
    assert isinstance(endpoints.enter("b", "b"), Place)

    release(places)
    assert isinstance(endpoints.enter("a", "a"), Place)


def test_those_sent_away_come_back_one_after_the_other(endpoints, clock):
    places = hold(endpoints, "a", "a")
    clock.now_s += 4
    release(places, well=True)
    hold(endpoints, "a", "a")
    waits_s = [endpoints.enter("a", "a").after_s for _ in range(100)]

    assert waits_s == sorted(waits_s)
    assert len(set(waits_s[:10])) == 10
    assert waits_s[-1] == MAX_WAIT_S


def test_so_many_in_all(endpoints):
    """Half of all for those not known to answer, all for those that do."""
    for name in "abcdefgh":
        attempt(endpoints, name)
    places = hold(endpoints, *"abcdefgh")

    assert isinstance(endpoints.enter("i", "i"), Later)
    assert isinstance(endpoints.enter("a", "a"), Later)
    release(places)


def test_those_that_hang_leave_half_to_those_that_answer(endpoints):
    """However many new or failing receivers there are, one that answers has its places."""
    attempt(endpoints, "good")
    attempt(endpoints, "failed", well=False)
    hung = hold(endpoints, "failed", "n1", "n2", "n3")

    assert isinstance(endpoints.enter("n4", "n4"), Later)
    assert isinstance(endpoints.enter("failed", "failed"), Later)
    good = hold(endpoints, "good", "good")

    release(hung + good)
    assert isinstance(endpoints.enter("n4", "n4"), Place)


def test_one_tenants_new_receivers_leave_places_to_another(endpoints):
    """J06: a thousand names that hang are made up easily; another tenant's first message is sent all the same."""
    hung = [endpoints.enter(f"n{n}", "loud") for n in range(2)]
    for place in hung:
        place.__enter__()

    assert isinstance(endpoints.enter("n3", "loud"), Later)
    assert isinstance(endpoints.enter("n3", "quiet"), Place)
    release(hung, well=True)
    assert isinstance(endpoints.enter("n3", "loud"), Place)


def test_breaker(endpoints, clock):
    """After so many failures in a row one is left alone, then asked once, and no more until that is known."""
    for _ in range(3):
        assert isinstance(attempt(endpoints, "a", well=False), Place)
    assert endpoints.enter("a", "a") == Later(30)
    clock.now_s += 29
    assert endpoints.enter("a", "a") == Later(1)
    assert isinstance(endpoints.enter("b", "b"), Place)

    clock.now_s += 1
    probe = hold(endpoints, "a")
    assert endpoints.enter("a", "a") == Later(PROBED_S)
    release(probe, well=False)
    assert endpoints.enter("a", "a") == Later(30)

    clock.now_s += 30
    release(hold(endpoints, "a"), well=True)
    hold(endpoints, "a", "a")


def test_only_a_row_of_failures_counts(endpoints):
    for well in (False, False, True, False, False):
        attempt(endpoints, "a", well=well)

    assert isinstance(endpoints.enter("a", "a"), Place)


def test_a_probe_that_says_nothing_leaves_the_next_one_to_ask(endpoints, clock):
    """Cancelled: neither well nor unwell, and the place is free."""
    for _ in range(3):
        attempt(endpoints, "a", well=False)
    clock.now_s += 30
    release(hold(endpoints, "a"))

    assert isinstance(endpoints.enter("a", "a"), Place)


def test_who_fails_for_a_day_is_not_waited_for(endpoints, clock):
    """Messages to it count their attempts, so that they end; now and then one looks whether it is back."""
    sent = 0
    while clock.now_s < 100 + GIVEN_UP_S:
        place = attempt(endpoints, "a", well=False)
        assert not isinstance(place, Again)
        sent += isinstance(place, Place)
        clock.now_s += 15

    assert sent > 2000
    attempt(endpoints, "a", well=False)
    assert isinstance(endpoints.enter("a", "a"), Again)
    clock.now_s += 30
    assert isinstance(attempt(endpoints, "a"), Place)
    assert isinstance(attempt(endpoints, "a", well=False), Place)


def test_receivers_are_forgotten(endpoints, monkeypatch):
    """However many there are; first those that are not known to answer, never one in use."""
    monkeypatch.setattr(endpoints_module, "MAX_ENDPOINTS", 5)
    attempt(endpoints, "good")
    held = hold(endpoints, "held")
    for n in range(50):
        attempt(endpoints, f"n{n}", well=False)

    assert endpoints.known == 5
    assert {"good good", "held held"} <= set(endpoints._known)
    release(held)


def test_one_place_is_enough():
    """The smallest settings still let a new receiver in."""
    endpoints = Endpoints(replace(SETTINGS, total=1, per_endpoint=1), Clock())

    assert isinstance(attempt(endpoints, "a"), Place)
