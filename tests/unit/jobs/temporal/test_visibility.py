"""List filters and cursors."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagemill.jobs.base import Query
from imagemill.jobs.temporal import visibility
from imagemill.model.errors import BadOption
from imagemill.model.job import State

_STRING = re.compile(r"'((?:[^'\\]|\\.)*)'")


def test_a_query_says_all_that_was_asked():
    """Each term of it, and nothing of other kinds of workflows."""
    query = Query("t", frozenset({State.QUEUED, State.FAILED}), "red", "b" * 32, 0.5, 1.0)

    assert visibility.of(query, "q") == (
        "WorkflowType = 'ImageJob' AND TaskQueue = 'q' AND Tenant = 't' AND JobState IN ('failed', 'queued')"
        f" AND Tags = 'red' AND Batch = '{'b' * 32}'"
        " AND StartTime >= '1970-01-01T00:00:00.500000Z' AND StartTime < '1970-01-01T00:00:01Z'"
    )


@given(st.text(alphabet=st.sampled_from("ab'\\ =") | st.characters(), max_size=20))
def test_a_name_cannot_say_more_than_a_name(tenant):
    """Whatever stands in it, it is one string of the filter, and reads back as it was."""
    filter_ = visibility.of(Query(tenant), "q")

    strings = _STRING.findall(filter_)
    assert _STRING.sub("?", filter_) == "WorkflowType = ? AND TaskQueue = ? AND Tenant = ?"
    assert re.sub(r"\\(.)", r"\1", strings[-1], flags=re.DOTALL) == tenant


@given(st.binary(min_size=1), st.text())
def test_a_cursor_is_its_lists_alone(token, filter_):
    """It reads back, and another list, or a changed byte, is refused."""
    cursor = visibility.cursor_of(filter_, token)

    assert visibility.token_of(filter_, cursor) == token
    with pytest.raises(BadOption):
        visibility.token_of(filter_ + "x", cursor)
    with pytest.raises(BadOption):
        visibility.token_of(filter_, ("B" if cursor[0] == "A" else "A") + cursor[1:])


@pytest.mark.parametrize("cursor", ["x", "-1", "é", "f" * 99])
def test_what_is_no_cursor_is_refused(cursor):
    with pytest.raises(BadOption):
        visibility.token_of("f", cursor)


def test_no_cursor_is_the_beginning():
    """Both ways."""
    assert visibility.token_of("f", "") is None
    assert visibility.cursor_of("f", b"") == ""
