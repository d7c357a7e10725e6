"""R11: what a client accepts is brought down to four classes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagemill.model.client import Client
from imagemill.model.media import Format
from imagemill.plan.negotiate import DPRS_CENTI, WIDTHS_PX, candidates, client, clients
from imagemill.settings import Negotiation

POLICY = Negotiation()
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
    assert candidates(accept, POLICY) == wanted


@given(st.binary(max_size=2000))
def test_few_classes(accept):
    """Whatever is sent, the result is one of four."""
    assert candidates(accept, POLICY) in {(), (A,), (W,), (A, W)}


def test_a_refusal_is_never_cut_into_an_acceptance():
    """Wherever the header is cut, ``q=0`` stays a refusal."""
    assert not any(candidates(b"a" * padding + b",image/avif;q=0", POLICY) for padding in range(1100))


def test_offered():
    """What is offered is what the settings say, in their order."""
    assert candidates(b"image/avif,image/webp", Negotiation(formats=("webp",))) == (W,)
    assert candidates(b"image/avif,image/webp", Negotiation(formats=("webp", "avif"))) == (W, A)
    assert candidates(b"image/avif,image/webp", Negotiation(formats=())) == ()


HEARD = Negotiation(client_hints=True)


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({}, Client()), ({b"sec-ch-dpr": b"1"}, Client(dpr_centi=100)), ({b"sec-ch-dpr": b"1.0"}, Client(dpr_centi=100)),
        ({b"sec-ch-dpr": b"2.625"}, Client(dpr_centi=300)), ({b"sec-ch-dpr": b"1.01"}, Client(dpr_centi=150)), ({b"sec-ch-dpr": b"99"}, Client(dpr_centi=400)),
        ({b"sec-ch-width": b"641"}, Client(width_px=800)), ({b"sec-ch-width": b"640"}, Client(width_px=640)), ({b"sec-ch-width": b"99999999"}, Client(width_px=3840)),
        ({b"save-data": b"on"}, Client(saves_data=True)), ({b"save-data": b" ON "}, Client(saves_data=True)), ({b"save-data": b"1"}, Client()),
        ({b"sec-ch-dpr": b"0", b"sec-ch-width": b"0"}, Client()), ({b"sec-ch-dpr": b"-1", b"sec-ch-width": b"-1"}, Client()),
        ({b"sec-ch-dpr": b"2.", b"sec-ch-width": b"1e3"}, Client()), ({b"sec-ch-dpr": b"nan", b"sec-ch-width": b"999999999"}, Client()),
        ({b"sec-ch-dpr": b"1.x", b"sec-ch-width": b"\xb2"}, Client()),
    ],
)  # fmt: skip
def test_hints(fields, wanted):
    """Numbers become the next step up; what is none says nothing; and nothing is heard where hints are not."""
    assert client(fields, HEARD) == wanted
    assert client(fields, POLICY) == Client()


@given(
    st.dictionaries(st.sampled_from([b"accept", b"sec-ch-dpr", b"sec-ch-width", b"save-data"]), st.binary(max_size=12))
)
def test_every_client_is_of_a_known_class(fields):
    """Whatever is sent: so there are few keys, and a purge can name them all."""
    assert client(fields, HEARD) in set(clients(HEARD))
    assert len(set(clients(HEARD))) == 4 * (len(DPRS_CENTI) + 1) * (len(WIDTHS_PX) + 1) * 2
    assert client(fields, POLICY) in set(clients(POLICY))
