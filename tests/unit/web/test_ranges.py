"""R14: parts of a finished picture, and the conditions they are asked under; tables, and properties for any input."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from imagemill.model.errors import PreconditionFailed, RangeNotSatisfiable
from imagemill.web.headers import Delivery, respond
from imagemill.web.problems import problem
from imagemill.web.ranges import Part, part

BODY = bytes(range(100))
TAG, DATE = b'"0123456789abcdef"', b"Sun, 06 Nov 1994 08:49:37 GMT"
NOW = 1_800_000_000.0
PICTURE = Delivery(
    BODY,
    "0123456789abcdef",
    "image/webp",
    lifetime_s=3600,
    age_s=60,
    private=False,
    tier="L1",
    last_modified_s=784_111_777,
)


def answer(delivery=PICTURE, **asked):
    reply = respond(delivery, **{"if_none_match": b"", "if_modified_since": b"", "now_s": NOW} | asked)
    assert len({name for name, _ in reply.headers}) == len(reply.headers)
    return reply.status, dict(reply.headers), reply.body


@pytest.mark.parametrize(
    ("field", "first", "last"),
    [
        (b"bytes=0-0", 0, 0), (b"bytes=0-9", 0, 9), (b"bytes=10-99", 10, 99), (b"bytes=99-99", 99, 99), (b"bytes=0-", 0, 99),
        (b"bytes=98-", 98, 99), (b"bytes=-1", 99, 99), (b"bytes=-100", 0, 99), (b"bytes=-101", 0, 99), (b"bytes=0-99", 0, 99),
        (b"bytes=0-100", 0, 99), (b"bytes=50-18446744073709551616", 50, 99), (b"bytes=-18446744073709551616", 0, 99),
        (b"BYTES=1-2", 1, 2), (b"bytes=0001-02", 1, 2),
    ],
)  # fmt: skip
def test_one_range(field, first, last):
    """206: the part, cut at the end, and where it lies."""
    status, found, body = answer(wanted_range=field)

    assert (status, body) == (206, BODY[first : last + 1])
    assert found[b"content-range"] == b"bytes %d-%d/100" % (first, last)
    assert found[b"content-length"] == b"%d" % len(body)
    assert (found[b"content-type"], found[b"etag"], found[b"accept-ranges"]) == (b"image/webp", TAG, b"bytes")
    assert found.keys() >= {
        b"cache-control",
        b"age",
        b"last-modified",
        b"x-content-type-options",
        b"content-security-policy",
    }


@pytest.mark.parametrize(
    "field", [b"bytes=100-", b"bytes=100-200", b"bytes=18446744073709551616-", b"bytes=-0", b"bytes=-000"]
)
def test_nothing_lies_there(field):
    """416 as a problem, which says how much there is."""
    with pytest.raises(RangeNotSatisfiable) as caught:
        answer(wanted_range=field)
    reply = problem(caught.value, "r")

    assert reply.status == 416
    assert dict(reply.headers)[b"content-range"] == b"bytes */100"


WHOLE = [
    b"bytes=0-1,2-3", b"bytes=0-9,5-14", b"bytes=" + b",".join(b"%d-%d" % (n, n) for n in range(1000)),
    b"bytes=" + b"0-," * 1000, b"bytes=0-0,", b"bytes=,0-0", b"bytes=0-9, bytes=0-9", b"bytes=200-,300-",
    b"bytes=5-4", b"bytes=", b"bytes=-", b"bytes=--1", b"bytes=a-b", b"bytes=0-9x", b"bytes=x0-9", b"bytes=+0-9", b"bytes=0x0-9",
    b"bytes=0 -9", b"bytes= 0-9", b"bytes =0-9", b" bytes=0-9", b"bytes=0-9 ", b"bytes:0-9", b"bytes 0-9", b"0-9", b"bytes",
    b"items=0-9", b"byte=0-9", b"bytes=1.0-2.0", b"bytes=1e1-2e1", b"bytes=0-9;q=1", b"bytes=\xd9\xa0-\xd9\xa9", b"\0", b"\xff",
    b"bytes=0-9\n", b"bytes=" + b"0" * 100 + b"-1", b"bytes=0-" + b"9" * 5000, b"*", b"bytes=*",
]  # fmt: skip


@pytest.mark.parametrize("field", WHOLE, ids=range(len(WHOLE)))
def test_the_whole_picture(field):
    """Several ranges, however many, other units and what is ill-formed: 200, as if nothing had been asked."""
    assert answer(wanted_range=field) == answer()


@given(st.binary(max_size=80) | st.from_regex(rb"bytes=[0-9]{0,21}-[0-9]{0,21}", fullmatch=True), st.integers(0, 10**6))
def test_any_range_is_judged(field, size):
    """Any bytes at all: a part that lies within, the whole, or 416; never another error."""
    found = None
    with suppress(RangeNotSatisfiable):
        found = part(field, size)

    assert found is None or 0 <= found.first <= found.last < size == found.size_bytes


@given(st.binary(min_size=1, max_size=200), st.data())
def test_parts_make_up_the_whole(body, data):
    """What comes before a point and what comes from it on are the body, byte for byte."""
    at = data.draw(st.integers(1, len(body)))
    first, rest = (
        part(b"bytes=0-%d" % (at - 1), len(body)),
        part(b"bytes=%d-" % at, len(body)) if at < len(body) else None,
    )

    assert first.of(body) + (rest.of(body) if rest else b"") == body


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({"if_none_match": TAG}, 304), ({"if_none_match": b"W/" + TAG}, 304), ({"if_none_match": b"*"}, 304),
        ({"if_none_match": b'"other"'}, 206), ({"if_modified_since": DATE}, 304), ({"if_none_match": b'"other"', "if_modified_since": DATE}, 206),
        ({"if_modified_since": b"Sun, 06 Nov 1994 08:49:36 GMT"}, 206),
        ({"if_none_match": TAG, "if_range": b'"other"'}, 304), ({"if_none_match": TAG, "wanted_range": b"bytes=100-"}, 304),
        ({"if_match": TAG}, 206), ({"if_match": b"*"}, 206), ({"if_match": b'"a", ' + TAG}, 206), ({"if_match": b'"other"'}, 412),
        ({"if_match": b"W/" + TAG}, 412), ({"if_match": b"nonsense"}, 412), ({"if_match": b'"other"', "if_none_match": TAG}, 412),
        ({"if_match": b'"other"', "wanted_range": b"bytes=100-"}, 412), ({"if_match": TAG, "if_unmodified_since": b"Sun, 06 Nov 1994 08:49:36 GMT"}, 206),
        ({"if_unmodified_since": DATE}, 206), ({"if_unmodified_since": b"Sun, 06 Nov 1994 08:49:36 GMT"}, 412),
        ({"if_unmodified_since": b"nonsense"}, 206), ({"if_match": TAG, "if_none_match": TAG}, 304),
    ],
)  # fmt: skip
def test_which_condition_comes_first(asked, status):
    """RFC 9110 13.2.2: If-Match, else If-Unmodified-Since; If-None-Match, else If-Modified-Since; then Range."""
    try:
        told = answer(**{"wanted_range": b"bytes=0-9"} | asked)[0]
    except (PreconditionFailed, RangeNotSatisfiable) as e:
        told = problem(e, "r").status

    assert told == status


@pytest.mark.parametrize(
    ("if_range", "status"),
    [
        (TAG, 206), (b"W/" + TAG, 200), (b'"other"', 200), (TAG.upper(), 200), (TAG + b', "a"', 200), (b'"a", ' + TAG, 200),
        (b"*", 200), (b'"*"', 200), (b"0123456789abcdef", 200), (b'"', 200), (b'""', 200), (b"\xff" * 5000, 200),
        (DATE, 206), (b"Sunday, 06-Nov-94 08:49:37 GMT", 206), (b"Sun, 06 Nov 1994 08:49:36 GMT", 200),
        (b"Sun, 06 Nov 1994 08:49:38 GMT", 200), (b"Sun, 06 Nov 2094 08:49:37 GMT", 200), (b"yesterday", 200),
    ],
)  # fmt: skip
def test_if_range(if_range, status):
    """A strong tag or the very date, or the whole picture; without a Range it says nothing."""
    found, _, body = answer(wanted_range=b"bytes=10-19", if_range=if_range)

    assert (found, body) == ((206, BODY[10:20]) if status == 206 else (200, BODY))
    assert answer(if_range=if_range) == answer()


@pytest.mark.parametrize(
    "terms",
    [{"last_modified_s": 0}, {"vary": ("Accept",)}, {"last_modified_s": int(NOW) - 60}, {"last_modified_s": int(NOW)}],
)
def test_a_date_that_tells_too_little(terms):
    """RFC 9110 8.8.2.2: none of ours, one of many pictures, one that changed in the second it was asked for or later."""
    from email.utils import formatdate

    delivery = replace(PICTURE, **terms)
    date = formatdate(delivery.last_modified_s, usegmt=True).encode()

    assert answer(delivery, wanted_range=b"bytes=10-19", if_range=date)[0] == 200
    assert answer(delivery, wanted_range=b"bytes=10-19", if_range=TAG)[0] == 206


def test_a_date_tells_enough_where_only_the_asking_page_differs():
    """Vary: Origin is about who may read the answer, and not about its bytes."""
    assert answer(replace(PICTURE, vary=("Origin",)), wanted_range=b"bytes=10-19", if_range=DATE)[0] == 206


def test_a_bad_range_that_is_not_meant_is_not_judged():
    """If-Range does not hold: the whole, and no 416."""
    assert answer(wanted_range=b"bytes=100-", if_range=b'"other"')[0] == 200


@pytest.mark.parametrize("tier", ["L1", "L2", "STALE", "COALESCED", "MISS"])
def test_every_tier_is_cut_alike(tier):
    status, found, body = answer(replace(PICTURE, tier=tier), wanted_range=b"bytes=-10")

    assert (status, found[b"x-cache"], body) == (206, tier.encode(), BODY[90:])


def test_a_part_says_where_it_lies():
    assert Part(3, 5, 9).content_range == b"bytes 3-5/9"
