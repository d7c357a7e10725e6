"""What is kept of an error, who is told of it, and what it does to an old answer."""

import gc
import weakref

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagemill.cache.frame import pack, unpack
from imagemill.model import errors
from imagemill.model.entry import Failure
from imagemill.model.failures import (
    MAX_MESSAGE_CHARS,
    OF_SOURCE,
    SHARED,
    as_error,
    as_failure,
    is_passing,
    is_remembered,
)

ALL = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.ImagemillError)]
SOURCE = ["source_not_found", "source_too_large", "source_bad_response", "source_truncated", "source_timeout"]
WORK = ["unsupported_source_type", "image_corrupt", "limit_exceeded", "processing_timeout"]


def made(kind, message="no"):
    if kind is errors.LimitExceeded:
        return kind("pixels", message)
    return kind() if kind in {errors.SignatureInvalid, errors.Unauthorized} else kind(message)


KEPT = [kind for kind in ALL if kind is not errors.Refused and is_remembered(made(kind))]


def test_what_is_remembered():
    """What a source or its picture is at fault for; never what the caller or this moment is."""
    assert {kind.code for kind in KEPT} == {*SOURCE, *WORK, "source_forbidden"}


def test_who_is_told():
    """Nodes share what any of them would find, never what one's network says."""
    assert {"source_not_found", "source_too_large", *WORK} == SHARED
    assert {*SOURCE, "source_forbidden", "unsupported_source_type"} == OF_SOURCE


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_what_passes(kind):
    """RFC 5861 section 4: outages pass; that it is gone, refused, corrupt or too much is an answer."""
    passing = {
        "source_bad_response",
        "source_truncated",
        "source_timeout",
        "processing_timeout",
        "overloaded",
        "dependency_down",
    }

    assert is_passing(made(kind)) is (kind.code in passing)


def test_nobody_answering_is_no_refusal():
    """The caller is told the same words, an old answer is kept through it; memory keeps both apart."""
    down = errors.SourceForbidden("connection refused", unreachable=True)
    blocked = errors.SourceForbidden("10.0.0.1: private")

    assert str(down) == str(blocked)
    for error in (down, blocked):
        again = as_error(as_failure(error, "s", 1.0, 2))
        assert (is_passing(again), again.reason) == (error.unreachable, error.reason)


@pytest.mark.parametrize("kind", KEPT, ids=lambda kind: kind.__name__)
@given(st.text(), st.floats(1, 1e9), st.integers(0, 1 << 40))
def test_there_and_back(kind, message, born_s, asked_ms):
    """The same kind, the same words up to a bound, and when it was found; also by way of a frame, where it is shared."""
    error = made(kind, message)
    failure = as_failure(error, "a" * 64, born_s, asked_ms)
    again = as_error(failure)

    assert (type(again), again.found_s) == (kind, born_s)
    assert failure.message == (error.reason if kind is errors.SourceForbidden else message)[:MAX_MESSAGE_CHARS]
    assert (failure.source_key, failure.asked_ms) == ("a" * 64, asked_ms)
    assert getattr(again, "limit", "") == getattr(error, "limit", "")
    assert as_failure(again, "a" * 64, born_s + 99, asked_ms) == failure
    if kind.code in SHARED and message.isprintable():
        assert unpack(pack("b" * 64, failure, b""), "b" * 64, b"") == failure


def test_a_failure_of_another_release_is_told():
    """A code that this one does not know is no crash."""
    assert type(as_error(Failure("brand_new", "x", 1.0))) is errors.ImageCorrupt


def test_nothing_is_held_alive():
    """What is kept of an error holds no frame of the work that it ended."""

    class Big:
        pass

    def work():
        big = Big()
        kept.append(weakref.ref(big))
        raise errors.ImageCorrupt("x")

    kept = []
    failure = None
    try:
        work()
    except errors.ImageCorrupt as e:
        failure = as_failure(e, "s", 1.0, 2)
    gc.collect()

    assert failure
    assert kept[0]() is None


@pytest.mark.parametrize("kind", KEPT, ids=lambda kind: kind.__name__)
def test_a_long_story_is_cut(kind):
    """A message that a source had a hand in does not fill the cache."""
    assert len(as_failure(made(kind, "x" * 10_000), "s", 1.0, 2).message) == MAX_MESSAGE_CHARS
