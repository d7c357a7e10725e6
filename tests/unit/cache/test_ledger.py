"""What was stored is looked for when it could be gone, and memory is bounded."""

import random

from hypothesis import given
from hypothesis import strategies as st

from imagemill.cache.ledger import Ledger, swept


def ledger(most=100):
    return Ledger(random.Random(7).random, most)


def test_due_in_order_and_once():
    books = ledger()
    for key, due in (("b", 20), ("a", 10), ("c", 30)):
        books.note(key, 5, due, 100)

    assert [n.key for n in books.due(25)] == ["a", "b"]
    assert books.due(25) == []
    assert [n.key for n in books.due(30)] == ["c"]
    assert len(books) == 0


def test_what_is_alive_is_looked_for_again():
    books = ledger()
    books.note("a", 5, 10, 100)
    (note,) = books.due(10)

    books.seen(note, 50)

    assert books.due(49) == []
    assert [n.entry_bytes for n in books.due(50)] == [5]


def test_stored_anew():
    """The newest storing is the one that counts, before and after a look."""
    books = ledger()
    books.note("a", 5, 10, 100)
    books.note("a", 6, 20, 100)
    assert books.due(15) == []
    (note,) = books.due(20)
    assert note.entry_bytes == 6

    books.note("a", 7, 40, 100)
    books.seen(note, 30)

    assert [n.entry_bytes for n in books.due(50)] == [7]


def test_swept_or_ended():
    books = ledger()
    books.note("a", 5, 10, 100)
    (note,) = books.due(10)

    assert swept(note, 10)
    assert not swept(note, 99.5)


@given(st.integers(0, 2000))
def test_bounded_and_weighed(stored):
    """However much is stored, memory is bounded, and the weights still tell how much it was."""
    books = ledger(most=50)
    for n in range(stored):
        books.note(str(n), 1, n, 1e9)

    assert len(books) <= 50
    found = books.due(1e9)
    weight = sum(n.weight for n in found)
    assert weight == stored if stored <= 50 else 0.3 * stored <= weight <= 3 * stored


def test_the_heap_is_bounded_too():
    """Storing one key again and again leaves no trail."""
    books = ledger(most=10)
    for n in range(1000):
        books.note("a", 1, n, 1e9)

    assert len(books._heap) < 50
