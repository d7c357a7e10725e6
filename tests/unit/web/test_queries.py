"""What may stand behind the ``?`` of ``GET /jobs``, and in the body of a prune."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagemill.jobs.base import Query
from imagemill.model.errors import BadOption, BadRequest
from imagemill.model.job import State
from imagemill.web.queries import before_of, query_of

ID = "0123456789abcdef0123456789abcdef"


def own(raw, *, admin=False):
    return query_of(raw, "acme", admin=admin)


def test_nothing_asks_for_all_of_ones_own():
    """And an admin for everyone's."""
    assert own(b"") == Query("acme")
    assert own(b"", admin=True) == Query(None)


def test_everything():
    raw = b"state=queued,running&state=failed&tag=article-4711&batch=" + ID.encode()
    raw += b"&since=2027-01-15T09:00:00%2B01:00&until=1800000060.5&cursor=a%2Fb&limit=7"

    assert own(raw) == Query(
        "acme", frozenset({State.QUEUED, State.RUNNING, State.FAILED}), "article-4711", ID, 1_800_000_000, 1_800_000_060.5,
        "a/b", 7,
    )  # fmt: skip


def test_a_plus_is_a_plus():
    assert own(b"since=2027-01-15T09:00:00+01:00").since_s == 1_800_000_000


@pytest.mark.parametrize(
    "raw",
    [
        b"states=queued", b"state=done", b"state=", b"state", b"tag=", b"tag=a&tag=b", b"tag=%ff", b"tag=a%20b",
        b"batch=1", b"since=yesterday", b"since=2027-01-15T09:00:00", b"since=-1", b"until=1e99", b"until=" + b"9" * 400,
        b"since=nan", b"since=inf", b"limit=0", b"limit=201", b"limit=-1", b"limit=1.0", b"limit=%D9%A1", b"cursor=",
        b"cursor=" + b"a" * 1025, b"tenant=other", b"tenant=", b"a" * 5_000, b"\xff=1",
    ],
)  # fmt: skip
def test_what_is_refused(raw):
    with pytest.raises(BadOption):
        own(raw)


def test_only_an_admin_names_another_tenant():
    assert own(b"tenant=acme") == Query("acme")
    assert own(b"tenant=other", admin=True) == Query("other")


@given(st.binary(max_size=200))
def test_any_bytes_are_a_query_or_a_bad_option(raw):
    with contextlib.suppress(BadOption):
        assert own(raw).tenant == "acme"


@pytest.mark.parametrize(
    "body", [b'{"before": 1800000000}', b'{"before": 1.8e9}', b'{"before": "2027-01-15T08:00:00Z"}']
)
def test_when_to_prune(body):
    assert before_of(body) == 1_800_000_000


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"[]", b'{"before": null}', b'{"before": -1}', b'{"before": "x"}', b'{"before": 1, "all": true}',
     b'{"before": 1800000000, "before": 1900000000}'],
)  # fmt: skip
def test_what_is_no_moment_prunes_nothing(body):
    with pytest.raises(BadRequest):
        before_of(body)
