"""``width=auto`` and ``dpr=auto``: what the client says, where it is heard; ``Vary`` says what was asked."""

import pytest

from imagemill.dialects.native import Native
from imagemill.model.client import ANYONE, Client
from imagemill.model.errors import BadOption
from imagemill.model.media import Format
from imagemill.model.recipe import AutoOrient, Describe, Encode, Resize
from imagemill.model.request import ImageRequest, SourceRef
from imagemill.plan.prepare import prepare
from imagemill.settings import Limits, Negotiation

HEARD = Native(Limits(), lambda url: url, client_hints=True)
DEAF = Native(Limits(), lambda url: url)
WIDE, DENSE = Client(width_px=640), Client(dpr_centi=150)


def parse(query, client=ANYONE, dialect=HEARD):
    return dialect.parse("&".join(["source=local:a/b", *filter(None, [query])]).encode(), client)


@pytest.mark.parametrize(
    ("query", "client", "wanted", "vary"),
    [
        ("width=auto", WIDE, Resize(640), ("Sec-CH-Width",)), ("w=auto", ANYONE, None, ("Sec-CH-Width",)),
        ("width=auto:300", WIDE, Resize(640), ("Sec-CH-Width",)), ("width=auto:300", ANYONE, Resize(300), ("Sec-CH-Width",)),
        ("width=auto&height=50", WIDE, Resize(640, 50), ("Sec-CH-Width",)), ("width=auto&height=50", DENSE, Resize(0, 50), ("Sec-CH-Width",)),
        ("width=100&dpr=auto", DENSE, Resize(150), ("Sec-CH-DPR",)), ("width=100&dpr=auto", WIDE, Resize(100), ("Sec-CH-DPR",)),
        ("width=100", Client(dpr_centi=400, width_px=640), Resize(100), ()),
    ],
)  # fmt: skip
def test_followed(query, client, wanted, vary):
    """A number of the client's in the place of ``auto``; named in ``Vary`` whatever it says, and only then."""
    request = parse(query, client)
    assert request.recipe == (AutoOrient(), *((wanted,) if wanted else ()), Encode())
    assert request.vary == vary


@pytest.mark.parametrize(
    ("query", "width_px"), [("width=auto", 1000), ("width=auto:300", 1000), ("width=100&dpr=auto", 200)]
)
def test_more_than_there_is(query, width_px):
    """A client that says more than the limits allow gets as much as they do, and no refusal."""
    limits = Limits(dpr=2, output_side_px=1000)
    tight = Native(limits, lambda url: url, client_hints=True)

    request = parse(query, Client(dpr_centi=300, width_px=3840), tight)

    assert prepare(request, limits).recipe[1] == Resize(width_px)


@pytest.mark.parametrize("query", ["width=auto&dpr=2", "width=auto&dpr=auto", "width=auto:", "width=auto:0", "width=auto:x", "width=AUTO", "height=auto",
                                   "dpr=auto", "dpr=auto:2&width=5", "quality=auto:", "ops=resize:auto"])  # fmt: skip
def test_refused(query):
    """400 for what would mean nothing."""
    with pytest.raises(BadOption):
        parse(query, Client(dpr_centi=100))


@pytest.mark.parametrize("query", ["width=auto", "width=5&dpr=auto", "width=auto:300"])
def test_not_heard(query):
    """400 where hints are off, and for whoever has no client."""
    with pytest.raises(BadOption, match="client hints"):
        parse(query, dialect=DEAF)
    with pytest.raises(BadOption, match="client hints"):
        HEARD.recipe({name: value for name, _, value in (pair.partition("=") for pair in query.split("&"))})


@pytest.mark.parametrize(
    ("query", "varies"),
    [("", True), ("format=webp", True), ("format=auto", True), ("quality=80", False), ("format=png", False), ("format=gif", False),
     ("format=webp&lossless=1", False), ("quality=auto", False)],
)  # fmt: skip
def test_save_data(query, varies):
    """Who saves data gets a lower quality where the URL names none and there is one; ``Vary`` says so to everyone."""
    policy = Negotiation(client_hints=True, save_data_quality=33)
    plain, saving = (prepare(parse(query, c), Limits(), c, policy) for c in (ANYONE, Client(saves_data=True)))
    assert ("Save-Data" in plain.vary) == ("Save-Data" in saving.vary) == varies == (plain.key != saving.key)
    assert saving.recipe[-1].quality == (33 if varies else plain.recipe[-1].quality)
    off = Negotiation(client_hints=True, save_data_quality=0)
    assert "Save-Data" not in prepare(parse(query), Limits(), ANYONE, off).vary
    assert "Save-Data" not in prepare(parse(query), Limits(), ANYONE, Negotiation()).vary


def test_what_is_told_varies_with_nothing():
    """A description has no quality that could be saved at, and no format: one answer for all clients."""
    request = ImageRequest(SourceRef("local", "a/b"), (AutoOrient(), Describe(colours=2)))
    policy = Negotiation(client_hints=True, save_data_quality=33)
    plain, saving = (prepare(request, Limits(), c, policy) for c in (ANYONE, Client((Format.WEBP,), saves_data=True)))
    assert plain == saving
    assert plain.vary == plain.candidates == ()
