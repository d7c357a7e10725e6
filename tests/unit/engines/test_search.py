"""The best quality that fits, in a bounded number of encodes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagemill.engines.search import within
from imagemill.model.errors import LimitExceeded
from imagemill.model.media import Format, MediaInfo
from imagemill.model.recipe import Encode
from imagemill.plan.operations.encoding import MOST_ENCODES
from imagemill.plan.resolve import resolve
from imagemill.settings import Engine, Limits


def steps(quality, max_bytes):
    last = Encode(Format.JPEG, quality, max_bytes=max_bytes)
    return resolve((last,), (), MediaInfo(Format.JPEG, 80, 60), Limits())


@given(
    sizes=st.randoms(use_true_random=False).map(lambda chance: sorted(chance.choices(range(1, 5_000), k=100))), quality=st.integers(1, 100),
    most=st.integers(1, 6_000),
)  # fmt: skip
def test_finds_the_best_that_fits(sizes, quality, most):
    """Never above what was asked for, never over the limit, never more encodes than promised."""
    made = []

    def encode(tried):
        made.append(tried.quality)
        return bytes(sizes[tried.quality - 1])

    fitting = [size for size in sizes[:quality] if size <= most]
    if not fitting:
        with pytest.raises(LimitExceeded, match=f"{sizes[0]} bytes at the lowest") as caught:
            within(steps(quality, most), Engine(), encode)
        assert caught.value.limit == "max_bytes"
    else:
        assert len(within(steps(quality, most), Engine(), encode)) == fitting[-1]
    assert len(made) <= MOST_ENCODES


def test_begins_with_the_default():
    """Without a quality the format's own is the highest."""
    made = []
    within(steps(0, 10), Engine(jpeg_quality=61), lambda tried: made.append(tried.quality) or b"small")
    assert made == [0]
    made.clear()
    within(steps(0, 10), Engine(jpeg_quality=3), lambda tried: made.append(tried.quality) or bytes(11 - len(made) // 2))
    assert made == [0, 1, 2]


def test_one_encode_without_a_limit():
    """Nothing is searched for where nothing is asked."""
    made = []
    assert within(steps(50, 0), Engine(), lambda tried: made.append(tried.quality) or bytes(10**6)) == bytes(10**6)
    assert made == [50]


def test_nothing_made_is_nothing_found():
    """An encoder that leaves a picture to another one is not asked again."""
    assert within(steps(50, 9), Engine(), lambda _tried: None) is None
