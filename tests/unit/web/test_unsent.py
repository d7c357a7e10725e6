"""L06: what slow readers leave in memory is bounded, and the slowest pays for it."""

from imagemill.web.unsent import LEAST_BYTES, Unsent

KIB = 1024


class Reader:
    def __init__(self) -> None:
        self.done = self.cut = False

    def has_taken_all(self) -> bool:
        return self.done

    def cut_off(self) -> None:
        self.cut = True


def body(size: int = 100 * KIB) -> bytes:
    return bytes(bytearray(size))  # never the same object twice


def test_past_the_bound_the_eldest_is_cut():
    """Three fit; the fourth ends the first, and nobody else."""
    cuts: list[int] = []
    unsent, readers = Unsent(300 * KIB, lambda: cuts.append(1)), [Reader() for _ in range(4)]
    for reader in readers:
        unsent.add(reader, body())

    assert [r.cut for r in readers] == [True, False, False, False]
    assert (unsent.bytes, cuts) == (300 * KIB, [1])


def test_whoever_has_read_is_not_cut():
    """Those who are done make room first, however long ago they began."""
    unsent, readers = Unsent(300 * KIB), [Reader() for _ in range(4)]
    for reader in readers[:3]:
        unsent.add(reader, body())
    readers[2].done = True
    unsent.add(readers[3], body())

    assert not any(r.cut for r in readers)
    assert unsent.bytes == 300 * KIB


def test_one_body_for_many_is_one_body():
    """A thousand slow readers of one picture hold one picture."""
    unsent, same, readers = Unsent(300 * KIB), body(), [Reader() for _ in range(1_000)]
    for reader in readers:
        unsent.add(reader, same)

    assert not any(r.cut for r in readers)
    assert unsent.bytes == 100 * KIB
    for reader in readers:
        unsent.drop(reader)
        unsent.drop(reader)
    assert (unsent.bytes, unsent._holders) == (0, {})


def test_a_reader_counts_with_its_last_answer():
    """The next answer on a connection takes the place of the one before, a small one too."""
    unsent, reader = Unsent(300 * KIB), Reader()
    for size in (100 * KIB, 200 * KIB, LEAST_BYTES - 1):
        unsent.add(reader, body(size))

        assert unsent.bytes == (size if size >= LEAST_BYTES else 0)


def test_one_alone_may_be_too_large():
    """An answer above the bound is given, to one at a time."""
    unsent, first, second = Unsent(KIB), Reader(), Reader()
    unsent.add(first, body())
    assert not first.cut
    unsent.add(second, body())

    assert (first.cut, second.cut) == (True, False)
