"""L17: what ended workers twice is refused for a while; what only shares its length is not."""

import pytest

from imagemill.engines import poison
from imagemill.engines.base import Task
from imagemill.engines.poison import Poison, name_of
from imagemill.model.errors import ImageCorrupt, ProcessingTimeout
from imagemill.model.recipe import Encode, Flip

A, B = [Task((Encode(),))], [Task((Flip(), Encode()))]


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 100.0

    monkeypatch.setattr(poison.time, "monotonic", lambda: Clock.now)
    return Clock


def test_two_strikes(clock):
    """The second crash is one too many, for whatever recipe; other bytes of that length are let through."""
    list_ = Poison(10.0)
    assert list_.blame_source(name_of(b"bomb")) is False
    list_.refuse(name_of(b"bomb"), A)
    assert list_.blame_source(name_of(b"bomb")) is True
    for tasks in (A, B):
        with pytest.raises(ImageCorrupt):
            list_.refuse(name_of(b"bomb"), tasks)
    list_.refuse(name_of(b"calm"), A)


def test_it_wears_off(clock):
    """After its time the source is tried again, and counted from one."""
    list_ = Poison(10.0)
    list_.blame_source(name_of(b"bomb"))
    list_.blame_source(name_of(b"bomb"))
    clock.now += 10.1
    list_.refuse(name_of(b"bomb"), A)
    assert list_.blame_source(name_of(b"bomb")) is False


def test_time_is_held_against_the_work_alone(clock):
    """A recipe that took too long twice does not take its source away from others."""
    list_ = Poison(10.0)
    list_.blame_work(name_of(b"photo"), A)
    list_.blame_work(name_of(b"photo"), A)
    with pytest.raises(ProcessingTimeout):
        list_.refuse(name_of(b"photo"), A)
    list_.refuse(name_of(b"photo"), B)


def test_bounded(clock):
    """Ten thousand different bombs are not remembered for ever; the last ones are."""
    list_ = Poison(10.0)
    bombs = [b"%d" % n for n in range(2_000)]
    for bomb in bombs:
        list_.blame_source(name_of(bomb))
        list_.blame_source(name_of(bomb))
    assert len(list_._kills) == 1_000
    list_.refuse(name_of(bombs[0]), A)
    with pytest.raises(ImageCorrupt):
        list_.refuse(name_of(bombs[-1]), A)


def test_only_its_length_makes_a_source_suspect(clock):
    """What shares no length with a bomb is never hashed; what does is judged by its bytes."""
    list_ = Poison(10.0)
    list_.blame_source(name_of(b"bomb"))
    assert list_.suspects(b"calm")
    assert not list_.suspects(b"longer")
