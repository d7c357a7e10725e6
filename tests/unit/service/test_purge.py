"""Purging: noted here at once, told to the others, and never by halves in silence."""

import pytest

from imagemill.cache.purges import Purge, Purges, Subject, Verdict
from imagemill.dialects.native import Native
from imagemill.model.entry import Entry
from imagemill.model.errors import BadRequest, DependencyDown
from imagemill.model.keys import source_key
from imagemill.model.media import Format, Rendition
from imagemill.model.request import SourceRef
from imagemill.net import guard
from imagemill.plan.negotiate import client
from imagemill.plan.prepare import prepare
from imagemill.service.purge import Order, Purger, read_order
from imagemill.settings import Limits, Negotiation

DIALECT = Native(Limits(), lambda url: guard.parse(url).url)
CAT = source_key(SourceRef("https", "https://a.example/cat.jpg"))


class Others:
    """The other nodes."""

    def __init__(self, answers=True):
        self.answers = answers
        self.told: list[Purge] = []

    async def publish(self, purge):
        self.told.append(purge)
        return self.answers


@pytest.fixture
def purges():
    return Purges(100, clock=lambda: 1.0)


def held(source=CAT, tags=(), asked_ms=1_000):
    return Entry(Rendition(b"x", Format.PNG, "e", 1, 1), 0, source_key=source, tags=tags, asked_ms=asked_ms)


@pytest.mark.parametrize("address", ["https://a.example/cat.jpg", "HTTPS://A.example:443/cat.jpg"])
async def test_by_source(purges, address):
    """In whatever spelling, as requests may use it."""
    others = Others()
    done = await Purger(purges, DIALECT, others.publish).carry_out(Order(source=address))

    assert (done.at_ms, done.names) == (1_000, 1)
    assert others.told == [Purge.of(Subject.SOURCE, CAT, 1_000)]
    assert purges.judge(held(), "k") is Verdict.GONE
    assert purges.judge(held(asked_ms=1_001), "k") is Verdict.VALID


async def test_by_source_in_a_store(purges):
    await Purger(purges, DIALECT, None).carry_out(Order(source="local:sample/a b&c%41.jpg"))

    key = source_key(SourceRef("local", "sample/a b&c%41.jpg"))
    assert purges.judge(held(key), "k") is Verdict.GONE


async def test_by_tag(purges):
    """Alone: counted here, where nobody reads it from a stream."""
    counted = []
    await Purger(purges, DIALECT, None, counted.append).carry_out(Order(tag="cats"))

    assert counted == ["tag"]
    assert purges.judge(held(tags=("cats",)), "k") is Verdict.GONE
    assert purges.judge(held(tags=("dogs",)), "k") is Verdict.VALID


@pytest.mark.parametrize("signature", ["", "&signature=k.x", "&tags=a&ttl=100000&expires=5"])
async def test_by_target(purges, signature):
    """All that a URL with format=auto may be answered with, and nothing else; who signed it does not matter."""
    query = "source=https://a.example/cat.jpg&width=5&format=auto"
    others = Others()
    done = await Purger(purges, DIALECT, others.publish).carry_out(Order(target=f"/image?{query}{signature}"))

    assert done.names == len(others.told) == 4
    for accept in (b"", b"image/webp", b"image/avif", b"image/avif,image/webp"):
        assert (
            purges.judge(
                held(), prepare(DIALECT.parse(query.encode()), Limits(), client({b"accept": accept}, Negotiation())).key
            )
            is Verdict.GONE
        )
    assert purges.judge(held(), prepare(DIALECT.parse(query.replace("5", "6").encode()), Limits()).key) is Verdict.VALID


async def test_by_target_of_what_is_told(purges):
    """What /info answers, and not the picture under the same parameters."""
    query = "source=https://a.example/cat.jpg&width=5"
    done = await Purger(purges, DIALECT, None).carry_out(Order(target=f"/info?{query}&palette=3"))

    assert done.names == 1
    told = [prepare(DIALECT.described(f"{query}&palette={n}".encode()), Limits()).key for n in (3, 4)]
    assert [purges.judge(held(), key) for key in told] == [Verdict.GONE, Verdict.VALID]
    assert purges.judge(held(), prepare(DIALECT.parse(query.encode()), Limits()).key) is Verdict.VALID


async def test_where_the_others_cannot_be_told(purges):
    """It holds here, and whoever asked hears that it does not elsewhere."""
    with pytest.raises(DependencyDown, match="on this node"):
        await Purger(purges, DIALECT, Others(answers=False).publish).carry_out(Order(tag="cats"))

    assert purges.judge(held(tags=("cats",)), "k") is Verdict.GONE


@pytest.mark.parametrize(
    "order",
    [
        {"tag": "a b"}, {"tag": ""}, {"tag": "x" * 65}, {"source": ""}, {"source": "ftp://a.example/x"}, {"source": "nonsense"},
        {"target": ""}, {"target": "/image"}, {"target": "/image?"}, {"target": "/images?source=local:a/b"},
        {"target": "https://me.example/image?source=local:a/b"}, {"target": "/image?source=local:a/b&no=1"},
        {"target": "/image?source=local:a/b&w=\u00e4"}, {"source": "https://a.example/\udc80"}, {"tag": "\udc80"},
        {"target": "/image?source=local:\udc80"},
    ],
)  # fmt: skip
async def test_what_names_nothing(purges, order):
    """It is refused, and nothing is purged."""
    others = Others()
    with pytest.raises(BadRequest):
        await Purger(purges, DIALECT, others.publish).carry_out(Order(**order))

    assert others.told == []
    assert len(purges) == 0


async def test_nothing_at_all(purges):
    with pytest.raises(BadRequest):
        await Purger(purges, DIALECT, None).purge()


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{}", b"[]", b"null", b'"tag"', b"{", b'{"tag":1}', b'{"tag":null}', b'{"tag":"a","source":"b"}', b'{"tag":"a","x":1}',
        b'{"tag":["a"]}', b'{"tag":"a"}{}', b'{"tags":"a"}', b'\xff{"tag":"a"}', b'{"tag":"\xff"}', b'{"tag":"a","source":""}',
        b"[" * 10_000, b'{"x":' + b"[" * 9_000, b'{"tag":"\\udc80"}x', b'{"tag":' * 2_000,
    ],
)  # fmt: skip
def test_an_order_is_exactly_one_thing(body):
    with pytest.raises(BadRequest):
        read_order(body)


def test_reading_an_order():
    assert read_order(b' {"tag": "a"} ') == Order(tag="a") == Order.of(tag="a")
    with pytest.raises(BadRequest):
        Order.of()
    with pytest.raises(BadRequest):
        Order.of(tag="a", source="b")


async def test_by_target_where_hints_are_heard(purges):
    """Whoever asked, and however wide its screen is: all that the URL may have been answered with."""
    policy, limits = Negotiation(client_hints=True), Limits(widths=(640, 1280), grid_outside="round")
    dialect = Native(limits, lambda url: guard.parse(url).url, client_hints=True)
    query = b"source=https://a.example/cat.jpg&width=auto&format=auto"
    order = Order(target=f"/image?{query.decode()}")
    done = await Purger(purges, dialect, None, limits=limits, policy=policy).carry_out(order)

    for fields in (
        {},
        {b"sec-ch-width": b"300"},
        {b"sec-ch-width": b"5000", b"accept": b"image/webp"},
        {b"save-data": b"on"},
    ):
        asker = client(fields, policy)
        assert purges.judge(held(), prepare(dialect.parse(query, asker), limits, asker, policy).key) is Verdict.GONE
    assert done.names == 4 * 3 * 2  # what is accepted, the widths and none, saving or not
