"""A memo is bounded in bytes, and keeps what is used."""

from hypothesis import given, settings
from hypothesis import strategies as st

from imagemill.web.memo import Memo


def test_what_is_remembered():
    memo: Memo[str, int] = Memo(100)
    memo.put("a", 1, 10)
    memo.put("a", 2, 10)

    assert memo.get("a") == 2
    assert memo.get("b") is None


def test_what_is_used_outlives_what_is_not():
    """A flood of keys that come once drives none out that comes again and again."""
    memo: Memo[object, int] = Memo(1_000)
    memo.put("once", 0, 10)
    memo.put("often", 1, 10)
    for n in range(1_000):
        memo.put(n, n, 10)
        assert memo.get("often") == 1

    assert memo.get("once") is None


def test_what_is_too_large_is_not_kept():
    memo: Memo[str, int] = Memo(100)
    memo.put("a", 1, 51)

    assert memo.get("a") is None


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 60), st.booleans())))
def test_the_bound_holds(steps):
    """Whatever is put and asked for, all that is held weighs no more than allowed, and is what was put last."""
    memo: Memo[int, int] = Memo(100)
    last: dict[int, int] = {}
    for n, (key, size, asks) in enumerate(steps):
        if asks:
            assert memo.get(key) in {None, last.get(key)}
        elif size <= 50:
            memo.put(key, n, size)
            last[key] = n
        held = [*memo._young.values(), *memo._old.values()]
        assert sum(size for _, size in held) <= 100
