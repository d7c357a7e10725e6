"""R14, R17: validators, lifetimes and the fixed headers of a rendition; pure, for any input."""

import time
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from imagemill.web.headers import Delivery, cache_control, etag_matches, not_modified, respond, unix_time

ETAG = "0123456789abcdef"
NOW = 1_800_000_000.0
PLAIN = Delivery(b"body", ETAG, "image/webp", lifetime_s=3600, age_s=60, private=False, tier="L1")


def headers(delivery: Delivery, none_match: bytes = b"", since: bytes = b"") -> tuple[int, dict[bytes, bytes], bytes]:
    reply = respond(delivery, if_none_match=none_match, if_modified_since=since, now_s=NOW)
    assert len({name for name, _ in reply.headers}) == len(reply.headers)
    return reply.status, dict(reply.headers), reply.body


def test_a_whole_answer():
    """R17: its own type, nosniff, sandbox, the resource policy as set, ranges on offer."""
    status, found, body = headers(
        replace(
            PLAIN, last_modified_s=784_111_777, vary=("accept", "dpr"), timings_ms={"fetch": 1.25, "cpu": 20.0},
            resource_policy="same-site",
        )
    )  # fmt: skip

    assert (status, body) == (200, b"body")
    assert found == {
        b"content-type": b"image/webp",
        b"content-length": b"4",
        b"etag": b'"0123456789abcdef"',
        b"last-modified": b"Sun, 06 Nov 1994 08:49:37 GMT",
        b"cache-control": b"public, max-age=3600",
        b"age": b"60",
        b"vary": b"accept, dpr",
        b"server-timing": b"fetch;dur=1.25, cpu;dur=20.00",
        b"x-cache": b"L1",
        b"accept-ranges": b"bytes",
        b"x-content-type-options": b"nosniff",
        b"content-security-policy": b"sandbox; default-src 'none'",
        b"cross-origin-resource-policy": b"same-site",
    }


def test_a_304_keeps_what_caches_need():
    """RFC 9110 15.4.5: the validators and the cache's instructions, no body, no type."""
    status, found, body = headers(replace(PLAIN, vary=("accept",)), b"*")

    assert (status, body) == (304, b"")
    assert found.keys() >= {b"etag", b"cache-control", b"vary", b"age"}
    assert not found.keys() & {b"content-type", b"content-length"}


@pytest.mark.parametrize(
    ("field", "same"),
    [
        (b'"0123456789abcdef"', True),
        (b'W/"0123456789abcdef"', True),
        (b' "a" ,\t"0123456789abcdef" ', True),
        (b'"a",,W/"b",W/"0123456789abcdef"', True),
        (b"*", True),
        (b" * ", True),
        (b'"0123456789ABCDEF"', False),
        (b"0123456789abcdef", False),
        (b'w/"0123456789abcdef"', False),
        (b'W/W/"0123456789abcdef"', False),
        (b'"0123456789abcdef', False),
        (b'"*"', False),
        (b'"a", *', False),
        (b'"' * 10_000, False),
        (b"," * 10_000 + b'"0123456789abcdef"', False),
    ],
)
def test_if_none_match(field, same):
    """R14: weak comparison, lists, a lone star; anything else matches nothing."""
    assert etag_matches(field, ETAG) is same


@given(st.binary(max_size=200))
def test_any_condition_is_answered(raw):
    """No condition raises."""
    etag_matches(raw, ETAG)
    unix_time(raw)


@given(st.text("MonTueJanFeb0123456789 :,GMT+-()", max_size=45))
def test_what_looks_like_a_date_is_answered(text):
    unix_time(text.encode())


@given(st.integers(1, 4_102_444_800))
def test_dates_come_back(second):
    assert unix_time(formatdate(second, usegmt=True).encode()) == second


def test_old_forms_of_dates(monkeypatch):
    """RFC 9110 5.6.7: three forms, all of them UTC wherever this runs."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        forms = (b"Sun, 06 Nov 1994 08:49:37 GMT", b"Sunday, 06-Nov-94 08:49:37 GMT", b"Sun Nov  6 08:49:37 1994")
        assert [unix_time(form) for form in forms] == [784_111_777] * 3
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_date_counts_only_without_a_tag():
    delivery = replace(PLAIN, last_modified_s=784_111_777)
    date = b"Sun, 06 Nov 1994 08:49:37 GMT"

    assert not_modified(delivery, b"", date)
    assert not not_modified(delivery, b'"other"', date)
    assert not not_modified(delivery, b"", b"Sun, 06 Nov 1994 08:49:36 GMT")
    assert not not_modified(PLAIN, b"", date)


@given(st.integers(0, 10**9), st.integers(0, 10**6), st.integers(-(10**6), 10**9))
def test_no_cache_keeps_it_beyond_expires(lifetime, age, left):
    """What a cache takes for the rest of its life, max-age less Age, ends at `expires` at the latest."""
    delivery = replace(PLAIN, lifetime_s=lifetime, age_s=age, expires_at_s=int(NOW) + left)

    value = cache_control(delivery, NOW)

    max_age = int(value.removeprefix(b"public, max-age="))
    assert 0 <= max_age <= lifetime
    assert max_age - age <= max(left, 0)


def test_what_its_source_calls_private_is_nobodys():
    assert headers(replace(PLAIN, private=True, expires_at_s=int(NOW) + 9))[1][b"cache-control"] == b"private, no-store"


def test_nothing_is_said_that_is_not_known():
    assert not headers(PLAIN)[1].keys() & {b"last-modified", b"vary", b"server-timing", b"cross-origin-resource-policy"}


@pytest.mark.parametrize("tier", ["L1", "L2", "STALE", "COALESCED", "MISS"])
def test_the_tier_is_told(tier):
    """X-Cache says who answered, with the body and without."""
    for condition in (b"", b"*"):
        assert headers(replace(PLAIN, tier=tier), condition)[1][b"x-cache"] == tier.encode()


def test_a_ttl_that_was_not_given_is_told():
    """X-TTL has the one that was given and the one that was asked for, with the body and without; else it is not there."""
    told = replace(PLAIN, ttl="86400; asked=5")

    for condition in (b"", b"*"):
        assert headers(told, condition)[1][b"x-ttl"] == b"86400; asked=5"
        assert b"x-ttl" not in headers(PLAIN, condition)[1]


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_what_is_left_is_max_age_less_age(age, left):
    """RFC 9111 4.2.3: a cache that has just got it may use it for so long."""
    found = headers(replace(PLAIN, age_s=age, lifetime_s=age + left))[1]

    assert int(found[b"cache-control"].removeprefix(b"public, max-age=")) - int(found[b"age"]) == left
