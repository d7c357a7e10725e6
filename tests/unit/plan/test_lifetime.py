"""How long anything may be used: properties over every entry, request, policy and moment."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from imagemill.model.entry import DAY_S, MAX_LIFE_S, Entry
from imagemill.model.errors import LimitExceeded
from imagemill.model.media import Format, Rendition
from imagemill.model.recipe import Encode
from imagemill.model.request import ImageRequest, Plan, SourceRef
from imagemill.plan.lifetime import Age, age_of, allowed_ttl, is_early, left_s, life_s, longer, wanted_s
from imagemill.plan.prepare import prepare
from imagemill.settings import Cache, Limits

BORN = 1_800_000_000.0
SOURCE = SourceRef("local", "a/b")
seconds = st.integers(0, 10 * DAY_S)
tags = st.lists(st.sampled_from("abcd"), unique=True).map(lambda names: tuple(sorted(names)))
plans = st.builds(Plan, st.just("k"), st.just(SOURCE), st.just("s"), st.just(()), ttl_s=st.none() | seconds, tags=tags)
policies = st.builds(Cache, default_ttl_s=seconds, stale_s=seconds, stale_if_error_s=seconds)
ages = st.integers(-600_000, 20 * DAY_S * 1000).map(lambda ms: ms / 1000)  # finer ones drown in Unix time


def entry(life=DAY_S, **terms) -> Entry:
    return Entry(Rendition(b"x", Format.PNG, "e", 1, 1), BORN, life, **terms)


entries = st.builds(entry, seconds, tags=tags, cost_ms=st.integers(0, 10**6))


@given(plans, entries, policies, ages, st.booleans(), st.booleans())
def test_nothing_is_fresh_three_days_after_its_birth(plan, kept, policy, age_s, changed, outdated):
    """Whatever anybody asked for, before or now; and what is fresh has something left."""
    for each in (kept, longer(plan, kept, policy) or kept):
        age = age_of(each, BORN + age_s, policy, changed=changed, outdated=outdated)

        assert age is not Age.FRESH or age_s < MAX_LIFE_S
        assert each.expires_s <= BORN + MAX_LIFE_S
        assert (left_s(plan, each, BORN + age_s, policy) == 0) is (
            age_s >= each.expires_s - BORN or wanted_s(plan, policy) == 0
        )


@given(plans, st.none() | seconds, policies)
def test_a_life_is_within_three_days(plan, said, policy):
    assert 0 <= life_s(plan, said, policy) <= MAX_LIFE_S


@pytest.mark.parametrize(("ttl", "default", "said", "life"), [
    (7, 50, 60, 7), (None, 50, 60, 50), (None, 0, 60, 60), (None, 0, None, DAY_S), (None, 0, 0, 0), (9 * DAY_S, 0, 1, 3 * DAY_S),
])  # fmt: skip
def test_who_decides_a_life(ttl, default, said, life):
    """The request, else policy, else the source, else a day."""
    plan = Plan("k", SOURCE, "s", (), ttl_s=ttl)

    assert life_s(plan, said, Cache(default_ttl_s=default)) == life


@given(plans, entries, policies)
def test_a_request_never_shortens_an_entry(plan, kept, policy):
    """Its life grows to what was asked for, and its tags add up; None is no news, and there is none twice."""
    better = longer(plan, kept, policy)

    now = better or kept
    assert now.life_s >= kept.life_s
    assert now.life_s == max(kept.life_s, min(wanted_s(plan, policy) or 0, MAX_LIFE_S))
    assert set(now.tags) == {*kept.tags, *plan.tags}
    assert (better is None) is (now == kept)
    assert longer(plan, now, policy) is None
    assert replace(now, life_s=kept.life_s, tags=kept.tags) == kept


@given(plans, entries, policies, st.floats(0, 4 * DAY_S))
def test_what_is_left_is_never_more_than_either(plan, kept, policy, age_s):
    """Of the entry, and of what was asked for: a short ttl is a short answer of a long entry."""
    left = left_s(plan, kept, BORN + age_s, policy)

    assert 0 <= left <= max(0, math.ceil(kept.expires_s - BORN - age_s))
    assert wanted_s(plan, policy) is None or left <= wanted_s(plan, policy)


@given(entries, policies, ages, ages, st.booleans())
def test_age_only_grows(kept, policy, first, second, outdated):
    """An entry goes from fresh to stale to spare to dead, and never back."""
    order = [Age.FRESH, Age.STALE, Age.SPARE, Age.DEAD]
    earlier, later = (age_of(kept, BORN + s, policy, outdated=outdated) for s in sorted((first, second)))

    assert order.index(earlier) <= order.index(later)


@given(entries, policies, ages, st.booleans())
def test_what_has_changed_is_a_spare_at_most(kept, policy, age_s, outdated):
    """It is never answered with while there is another way, and not at all where policy has no window."""
    age = age_of(kept, BORN + age_s, policy, changed=True, outdated=outdated)

    assert age in {Age.SPARE, Age.DEAD}
    assert age is Age.DEAD or policy.stale_if_error_s


@pytest.mark.parametrize(("over_s", "age"), [
    (-1, Age.FRESH), (0, Age.STALE), (299, Age.STALE), (300, Age.SPARE), (3_599, Age.SPARE), (3_600, Age.DEAD),
])  # fmt: skip
def test_windows(over_s, age):
    """Five minutes of stale, an hour of spare."""
    assert age_of(entry(), BORN + DAY_S + over_s, Cache()) is age


@pytest.mark.parametrize(("stale_s", "if_error_s", "age"), [(0, 0, Age.DEAD), (0, 9, Age.SPARE), (9, 0, Age.STALE)])
def test_a_window_of_nothing(stale_s, if_error_s, age):
    """0 = never."""
    assert age_of(entry(), BORN + DAY_S, Cache(stale_s=stale_s, stale_if_error_s=if_error_s)) is age


def test_what_allows_no_time_is_never_stale():
    """``no-cache``: usable once its source was asked, or cannot be."""
    assert age_of(entry(0), BORN, Cache()) is Age.SPARE
    assert age_of(entry(1), BORN + 1, Cache()) is Age.STALE


def test_an_older_engine_does_not_outlive_the_entry():
    """It turns what is fresh into what is stale, and nothing else."""
    assert age_of(entry(), BORN + 1, Cache(stale_s=0), outdated=True) is Age.STALE
    assert age_of(entry(), BORN + DAY_S, Cache(stale_s=0), outdated=True) is Age.SPARE


@given(seconds, st.integers(1, MAX_LIFE_S), st.integers(1, MAX_LIFE_S))
def test_a_ttl_is_within_policy(asked, one, other):
    """Clamped to the nearest that is allowed, or refused by name; one inside is as it was."""
    low, high = sorted((one, other))
    clamp, refuse = (Limits(ttl_min_s=low, ttl_s=high, ttl_outside=way) for way in ("clamp", "refuse"))

    given_s = allowed_ttl(asked, clamp)

    assert low <= given_s <= high
    if given_s == asked:
        assert allowed_ttl(asked, refuse) == asked
    else:
        assert given_s in {low, high}
        with pytest.raises(LimitExceeded) as caught:
            allowed_ttl(asked, refuse)
        assert caught.value.limit == "ttl"


def test_who_asks_for_nothing_is_refused_nothing():
    assert allowed_ttl(None, Limits()) is None


@given(st.none() | st.integers(DAY_S, MAX_LIFE_S), st.none() | st.integers(0, 1 << 40), tags)
def test_terms_are_not_in_the_key(ttl, expires, names):
    """`ttl`, `tags` and `expires` say how a result is kept, and not which."""
    plain = prepare(ImageRequest(SOURCE, (Encode(),)), Limits())
    plan = prepare(ImageRequest(SOURCE, (Encode(),), ttl, expires, names), Limits())

    assert (plan.key, plan.source_key) == (plain.key, plain.source_key)
    assert (plan.ttl_s, plan.asked_ttl_s, plan.tags, plan.expires_at_s) == (ttl, None, names, expires)


def test_what_became_of_a_ttl_is_told():
    """The plan has both, so that the answer can say so."""
    plan = prepare(ImageRequest(SOURCE, (), 5), Limits(ttl_outside="clamp"))

    assert (plan.ttl_s, plan.asked_ttl_s) == (DAY_S, 5)


@given(entries, st.floats(-100, 20 * DAY_S), st.floats(0, 10), st.floats(1e-12, 1))
def test_early_is_late(kept, left, eagerness, chance):
    """Nothing is made anew more than a minute before its end, nor after it, nor where it costs nothing or policy says never."""
    early = is_early(kept, kept.expires_s - left, eagerness, chance)

    assert not early or -1 < left < 61
    assert not early or (kept.cost_ms and eagerness)


@given(st.floats(0.01, 59), st.floats(1e-12, 1), st.integers(1, 10**5), st.integers(1, 10**5))
def test_the_dearer_the_earlier(left, chance, one, other):
    cheap, dear = (entry(cost_ms=cost) for cost in sorted((one, other)))
    now_s = entry().expires_s - left

    early = is_early(cheap, now_s, 1.0, chance)

    assert not early or is_early(dear, now_s, 1.0, chance)
    assert not early or is_early(cheap, now_s + left / 2, 1.0, chance)


@pytest.mark.parametrize(("left", "cost_ms", "eagerness", "chance", "early"), [
    (59, 10**9, 1, 0.5, True), (61, 10**9, 1, 1e-9, False), (0, 10**9, 1, 1e-9, False), (-1, 10**9, 1, 1e-9, False),
    (1, 1_000, 1, math.exp(-1.01), True), (1, 1_000, 1, math.exp(-0.99), False),
    (1, 1_000, 0.5, math.exp(-1.99), False), (1, 1_000, 0.5, math.exp(-2.01), True), (1, 1_000, 0, 1e-300, False),
    (1, 1_000, 1, 1.0, False),
])  # fmt: skip
def test_how_early(left, cost_ms, eagerness, chance, early):
    """XFetch: cost times eagerness times -ln(chance) is when, within the last minute."""
    each = entry(cost_ms=cost_ms)

    assert is_early(each, each.expires_s - left, eagerness, chance) is early
