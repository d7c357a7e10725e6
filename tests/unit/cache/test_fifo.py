"""First in, first out."""

from collections import OrderedDict

from hypothesis import given
from hypothesis import strategies as st

from imagemill.cache.fifo import Fifo


def fifo(max_bytes: int = 100, **more) -> Fifo[bytes]:
    return Fifo(max_bytes, lambda _key, value: len(value), **more)


def test_the_first_to_come_makes_room():
    """However often it was read; and as many go as need be."""
    gone: list[str] = []
    f = fifo(left=gone.append)
    for name in "abcd":
        f.set(name, b"x" * 25, 10)
        f.get("a")
    f.set("e", b"x" * 30, 10)

    assert gone == ["a", "b"]
    assert [f.get(name) is not None for name in "abcde"] == [False, False, True, True, True]
    assert f.weighted_size() == 80


def test_a_new_value_comes_last():
    """Whoever is put again has come again; nobody is told that the old value left, nor of what is removed."""
    gone: list[str] = []
    f = fifo(60, left=gone.append)
    for name in ("a", "b", "a", "c"):
        f.set(name, name.encode() * 25, 10)
    f.remove("c")

    assert gone == ["b"]
    assert (f.get("a"), f.get("c"), len(f), f.weighted_size()) == (b"a" * 25, None, 1, 25)


def test_what_has_expired_goes_when_it_is_looked_for():
    """From the eldest on: one that lives longer holds back those behind it, for no longer than that."""
    now, gone = [0.0], []
    f = fifo(left=gone.append, clock=lambda: now[0])
    for name, ttl in (("a", 10), ("b", 30), ("c", 20)):
        f.set(name, b"x", ttl)

    seen = []
    for now[0] in (9.9, 10, 20, 30):
        f.run_pending_tasks()
        seen.append("".join(gone))

    assert seen == ["", "a", "a", "abc"]
    assert f.weighted_size() == 0


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(-1, 60)), max_size=60))
def test_it_does_as_a_plain_model_does(steps):
    """Sets and removals, sizes from nothing to more than there is room for."""
    f, model = fifo(), OrderedDict()
    for key, size in steps:
        model.pop(key, None)
        if size < 0:
            f.remove(key)
            continue
        f.set(key, bytes(size * 2), 10)
        model[key] = bytes(size * 2)
        while sum(map(len, model.values())) > 100:
            model.popitem(last=False)

    assert {key: f.get(key) for key in "abcdef"} == {key: model.get(key) for key in "abcdef"}
    assert f.weighted_size() == sum(map(len, model.values()))
