"""A score is reached in at most three tries, whatever the curve of an encoder."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagemill.plan.target import BEST, CLOSE, LEAST, MOST, next_try, settled


def search(curve, target, first):
    tried = []
    while (quality := next_try(tried, target, first)) is not None:
        tried.append((quality, curve(quality)))
        assert len(tried) <= MOST
    return settled(tried, target), tried


CURVES = {
    "straight": lambda q: 30 + 0.6 * q,
    "steep": lambda q: 1.2 * q - 20,
    "flat": lambda q: 70 + 0.2 * q,
    "bent": lambda q: 100 - 60 * math.exp(-q / 35),
}


@pytest.mark.parametrize("first", [40, 79, 90])
@pytest.mark.parametrize("target", [60.0, 75.0, 85.0])
@pytest.mark.parametrize("name", CURVES)
def test_reached(name, target, first):
    """Within four points of the target, where any quality reaches it; else the end of the range."""
    curve = CURVES[name]
    quality, _ = search(curve, target, first)

    within = [q for q in range(LEAST, BEST + 1) if abs(curve(q) - target) <= 4]
    assert quality in within if within else quality in {LEAST, BEST}


def test_one_try_is_enough_where_it_is_close():
    """Nothing is encoded that tells no more."""
    assert search(CURVES["straight"], 30 + 0.6 * 75 + CLOSE / 2, 75)[1] == [(75, 75.0)]


@pytest.mark.parametrize("off", [-CLOSE, CLOSE])
def test_close_is_reached(off):
    """Exactly so near is near enough: where the search ends, what it came to is what was tried."""
    assert next_try([(75, 60 + off)], 60.0, 75) is None
    assert settled([(75, 60 + off)], 60.0) == 75
    assert next_try([(75, 60 + 1.01 * off)], 60.0, 75) != 75


@given(st.lists(st.floats(-50, 100), min_size=MOST, max_size=MOST), st.floats(1, 95), st.integers(1, 100))
def test_any_scores(scores, target, first):
    """However a score jumps, the search ends, and within bounds."""
    left = list(scores)
    quality, tried = search(lambda _: left.pop(), target, first)
    assert LEAST <= quality <= BEST
    assert len({q for q, _ in tried}) == len(tried)
