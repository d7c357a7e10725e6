"""What is believed of a source's cache headers (F13)."""

import pytest

from imagemill.net.freshness import etag, freshness, unix_time

NOW = 1_700_000_000


@pytest.mark.parametrize(
    ("cache_control", "expires", "max_age_s", "storable"),
    [
        ("", "", None, True),
        ("max-age=60", "", 60, True),
        ("public, max-age=60, s-maxage=90", "", 90, True),
        ("MAX-AGE=60", "", 60, True),
        ('max-age="60"', "", 60, True),
        ("max-age=1e99", "", 0, True),
        ("max-age=-5", "", 0, True),
        ("max-age=٣", "", 0, True),
        ("max-age=" + "9" * 5000, "", 31_536_000, True),
        ("private, max-age=5", "", 5, False),
        ('private="set-cookie"', "", None, False),
        ("no-store", "", None, False),
        ("no-cache, max-age=9", "", 0, True),
        ("", "Tue, 14 Nov 2023 22:14:20 GMT", 60, True),
        ("max-age=7", "Tue, 14 Nov 2023 22:14:20 GMT", 7, True),
        ("", "0", 0, True),
        ("", "Fri, 31 Dec 9999 23:59:59 GMT", 31_536_000, True),
        ("", "Mon, 01 Jan 1900 00:00:00 GMT", 0, True),
    ],
)
def test_freshness(cache_control, expires, max_age_s, storable):
    said = freshness(cache_control, expires, NOW)

    assert (said.max_age_s, said.storable) == (max_age_s, storable)


@pytest.mark.parametrize(
    ("age", "max_age_s"),
    [("", 60), ("0", 60), ("45", 15), ("60", 0), ("9" * 400, 0), ("-9", 60), ("x", 60), ("1e1", 60)],
)
def test_what_a_cache_before_us_has_used_up(age, max_age_s):
    """RFC 9111 4.2.3: a copy that a CDN has kept for 45 s is that much nearer its end."""
    assert freshness("max-age=60", "", NOW, age).max_age_s == max_age_s
    assert freshness("", "", NOW, age).max_age_s is None


@pytest.mark.parametrize(
    "date", ["", "x", "0", "Tue, 99 Nov 2023 22:14:20 GMT", "Tue, 14 Nov 99999999 22:14:20 GMT", "é" * 99]
)
def test_dates_that_cannot_be_read(date):
    assert unix_time(date) == 0


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ('"abc"', True),
        ('W/"abc"', True),
        ("x" * 256, True),
        ("x" * 257, False),
        ("a b", False),
        ("é", False),
        ("a\r\nb", False),
    ],
)
def test_etag(text, kept):
    assert etag(text) == (text if kept else "")
