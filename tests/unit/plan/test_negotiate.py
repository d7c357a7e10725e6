"""R11: what a client accepts is brought down to four classes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagemill.model.media import Format
from imagemill.plan.negotiate import candidates

A, W = Format.AVIF, Format.WEBP


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        (b"", ()), (b"*/*", ()), (b"image/*", ()), (b"image/avif", (A,)), (b"image/webp", (W,)),
        (b"image/webp,image/avif", (A, W)), (b" IMAGE/AVIF ; q=0.8 , image/webp", (A, W)), (b"image/avif;q=1", (A,)),
        (b"image/avif;q=0", ()), (b"image/avif; q=0.0,image/webp", (W,)), (b"image/avif;q=0.000", ()),
        (b"image/avif;Q = 0.00", ()), (b"image/avif;q=0.001", (A,)), (b"image/avif;q=0.5", (A,)),
        (b"image/avifx,ximage/webp", ()), (b"image/avif;v=b;q=0", ()), (b"a" * 1020 + b",image/avif", ()),
        (b"image/webp," + b"a" * 998 + b",image/avif;q=0", (W,)),
    ],
)  # fmt: skip
def test_table(accept, wanted):
    """Named and not refused; a refusal that was cut off is not an acceptance."""
    assert candidates(accept) == wanted


@given(st.binary(max_size=2000))
def test_few_classes(accept):
    """Whatever is sent, the result is one of four."""
    assert candidates(accept) in {(), (A,), (W,), (A, W)}


def test_a_refusal_is_never_cut_into_an_acceptance():
    """Wherever the header is cut, ``q=0`` stays a refusal."""
    assert not any(candidates(b"a" * padding + b",image/avif;q=0") for padding in range(1100))
