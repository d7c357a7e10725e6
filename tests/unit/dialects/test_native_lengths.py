"""``dpr``: everything that is a length in pixels of the result is multiplied, and nothing else."""

import pytest

from imagemill.dialects.native import Native
from imagemill.dialects.native.lengths import lengthened
from imagemill.model.errors import BadOption, LimitExceeded
from imagemill.settings import Limits


def recipe(query):
    return Native(Limits(), str).parse(f"source=local:a/b&{query}".encode()).recipe


@pytest.mark.parametrize(
    ("given", "same"),
    [
        ("blur=1.5", "blur=3"), ("sharpen=0.25", "sharpen=0.5"), ("unsharp=2,150,7", "unsharp=4,150,7"),
        ("pixelate=5", "pixelate=10"), ("radius=1,0,3,4", "radius=2,0,6,8"), ("radius=7", "radius=14"),
        ("radius=max&width=4", "radius=max&width=8"), ("pad=1,2", "pad=2,4"), ("extend=30,40", "extend=60,80"),
        ("watermark=local:l/m&wm_x=-3&wm_y=4&wm_rotate=9", "watermark=local:l/m&wm_x=-6&wm_y=8&wm_rotate=9"),
        ("watermark=local:l/m&wm_scale=0.5&wm_shadow=-1,2,1.5,00000080", "watermark=local:l/m&wm_scale=0.5&wm_shadow=-2,4,3,00000080"),
        ("watermark=local:l/m&wm_ops=blur:2&wm_x=1", "watermark=local:l/m&wm_ops=blur:2&wm_x=2"),
        ("text=a", "text=a&text_size=64"), ("text=a&text_size=9", "text=a&text_size=18"),
        ("text=a&text_width=50&text_x=-7&text_y=5&text_shadow=1,1,1&text_rotate=8",
         "text=a&text_size=64&text_width=100&text_x=-14&text_y=10&text_shadow=2,2,2&text_rotate=8"),
        ("crop=9,9&width=5&tilt=4", "crop=9,9&width=10&tilt=4"),
    ],
)  # fmt: skip
def test_all_lengths(given, same):
    """Twice as dense is the same as lengths twice as long; shares, angles and levels stay."""
    assert recipe(f"{given}&dpr=2") == recipe(same) != recipe(given)


@pytest.mark.parametrize(
    ("given", "same"),
    [("blur:1;dpr=2", "blur:2"), ("round:3;dpr=2", "round:6"), ("text:a;dpr=0.5", "text:a;text_size=16"), ("pixelate:4;dpr=3", "pixelate:12"),
     ("layer:local%3Al%2Fm;wm_x=2;dpr=2", "layer:local%3Al%2Fm;wm_x=4"), ("unsharp:1;dpr=2", "unsharp:2"), ("sharpen:1;dpr=2", "sharpen:2")],
)  # fmt: skip
def test_in_ops(given, same):
    """Each operation has its own."""
    quoted = given.replace("%", "%25"), same.replace("%", "%25")
    assert recipe(f"ops={quoted[0]}") == recipe(f"ops={quoted[1]}")


@pytest.mark.parametrize(
    "query",
    ["dpr=2", "dpr=2&hue=5", "dpr=2&crop=9,9", "dpr=2&extend=1:2", "dpr=2&tilt=5", "dpr=2&mask=star", "dpr=2&ops=blur:2",
     "dpr=4&radius=8192", "dpr=2&text=a&text_size=1000", "dpr=0.1&pixelate=2", "dpr=2&watermark=local:l/m&wm_x=9000"],
)  # fmt: skip
def test_refused(query):
    """Where there is nothing to multiply; and bounds hold for the products."""
    with pytest.raises(BadOption):
        recipe(query)


def test_limit():
    """As large as the server lets it be, for every length."""
    for query in ("blur=1", "text=a", "radius=5", "watermark=local:l/m&wm_x=1"):
        with pytest.raises(LimitExceeded) as caught:
            recipe(f"{query}&dpr=4.01")
        assert caught.value.limit == "dpr"


@pytest.mark.parametrize(
    ("length", "ratio", "product"), [(0, 300, 0), (1, 1, 1), (-1, 1, -1), (3, 150, 5), (-3, 150, -5), (7, 100, 7)]
)
def test_nothing_stays_nothing(length, ratio, product):
    """And something something, on its side of nothing; halves away from it."""
    assert lengthened(length, ratio) == product
