"""R10: where there is a grid, one source has few renditions, whatever is asked for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagemill.dialects.native import Native
from imagemill.model.client import Client
from imagemill.model.errors import LimitExceeded
from imagemill.model.recipe import Encode, Extend, Resize
from imagemill.plan.grid import on_grid
from imagemill.plan.prepare import prepare
from imagemill.settings import Limits, Negotiation

REFUSING = Limits(widths=(100, 400, 200), heights=(50,), qualities=(40, 80))
ROUNDING = Limits(widths=(100, 400, 200), heights=(50,), qualities=(40, 80), grid_outside="round")


def key(query, limits):
    return prepare(Native(limits, lambda url: url).parse(b"source=local:a/b&" + query), limits).key


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (Resize(100), Resize(100)), (Resize(101), Resize(200)), (Resize(1), Resize(100)), (Resize(999), Resize(400)), (Resize(0, 7), Resize(0, 50)),
        (Resize(150, 60), Resize(200, 50)), (Resize(0, 0, min_width_px=150, min_height_px=51), Resize(0, 0, min_width_px=200, min_height_px=50)),
        (Extend(150, 50), Extend(200, 50)), (Extend(16, 9, is_ratio=True), Extend(16, 9, is_ratio=True)),
        (Encode(), Encode()), (Encode(quality=1), Encode(quality=40)), (Encode(quality=81), Encode(quality=80)),
    ],
)  # fmt: skip
def test_round(given, wanted):
    """The next one up, or the largest; what the proportions or the format give is free."""
    assert on_grid((given,), ROUNDING) == (wanted,)
    assert on_grid((given,), Limits()) == (given,)
    if given == wanted:
        assert on_grid((given,), REFUSING) == (wanted,)
    else:
        with pytest.raises(LimitExceeded) as caught:
            on_grid((given,), REFUSING)
        assert caught.value.limit == "grid"


@pytest.mark.parametrize("limits", [REFUSING, ROUNDING])
@pytest.mark.parametrize("op", [Resize(width_ppm=500_000), Resize(height_ppm=500_000)])
def test_percent(op, limits):
    """A share of an unknown side may be any number."""
    with pytest.raises(LimitExceeded):
        on_grid((op,), limits)


@pytest.mark.parametrize(
    "query", [b"w=auto:200", b"w=100&dpr=auto", b"w=200&format=webp", b"w=auto:200&h=50&format=auto"]
)
@pytest.mark.parametrize(
    "client",
    [Client(), Client(width_px=160, dpr_centi=150), Client(width_px=3840, dpr_centi=400), Client(saves_data=True)],
)
def test_one_url_for_all_clients(query, client):
    """Whatever a client says of itself, a URL that others may ask for is not refused to it, and stays on the grid."""
    policy = Negotiation(client_hints=True, save_data_quality=33)
    dialect = Native(REFUSING, lambda url: url, client_hints=True)

    plan = prepare(dialect.parse(b"source=local:a/b&" + query, client), REFUSING, client, policy)

    resize, encode = plan.recipe[-2:]
    assert resize.width_px in REFUSING.widths
    assert encode.quality == (33 if client.saves_data else 0)


def test_one_axis_alone():
    """A grid for widths leaves heights alone."""
    assert on_grid((Resize(0, 77, height_ppm=0),), Limits(widths=(5,))) == (Resize(0, 77),)
    assert on_grid((Resize(0, height_ppm=7),), Limits(widths=(5,))) == (Resize(0, height_ppm=7),)


@pytest.mark.parametrize(
    ("limits", "op"),
    [({"widths": (5,)}, Resize(7)), ({"heights": (5,)}, Resize(0, 7)), ({"qualities": (5,)}, Encode(quality=7))],
)
def test_one_grid_alone(limits, op):
    """Each of the three holds without the others."""
    with pytest.raises(LimitExceeded, match="7 is none of 5"):
        on_grid((op,), Limits(**limits))


def test_each_axis_has_its_own():
    """A width is held to widths and a height to heights, least sides and canvases, too."""
    limits = Limits(widths=(200,), heights=(60,))
    for op in (Resize(200, 60), Resize(0, 0, min_width_px=200, min_height_px=60), Extend(200, 60)):
        assert on_grid((op,), limits) == (op,)


@given(st.lists(st.integers(1, 8192), min_size=12, max_size=12), st.integers(1, 100))
def test_few_keys(widths, quality):
    """However many numbers are tried, by a width, by a dpr or by a quality, the keys are those of the grid."""
    queries = [b"w=%d&dpr=1.5&q=%d" % (width, quality) for width in widths]
    assert len({key(query, ROUNDING) for query in queries}) <= len(ROUNDING.widths)
