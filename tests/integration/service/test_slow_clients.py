"""L06: 2,000 clients that send or read a byte now and then hold no worker, and cost the others nothing to speak of."""

from contextlib import closing
from itertools import count
from statistics import median

import pytest

from support.mill import until
from support.node import serving
from support.slow import Slow, many_files

SLOW = 2_000
LARGE = "/image?source=local:sample/dandelion.jpg&width=1600&format=png"
HIT = "/image?source=local:sample/dandelion.jpg&width=40&format=webp"
_serial = count(1)


class Good:
    """A client that asks for what is there and for what is not."""

    def __init__(self, node):
        self.node = node

    def times_ms(self):
        """The medians of the server's times for hits and for misses."""
        misses = [f"{HIT}&background={next(_serial):06x}" for _ in range(25)]
        asked_at = len(self.node.lines())
        answers = [self.node.get(target) for miss in misses for target in (HIT, miss, HIT)]
        assert {a.status for a in answers} == {200}
        until(lambda: len(self.node.lines()) >= asked_at + len(answers), "the log of all of them")
        lines = [line for line in self.node.lines()[asked_at:] if line.get("status") == 200]
        return [median(line["ms"] for line in lines if (line["cache"] == "L1") is hit) for hit in (True, False)]


@pytest.mark.timed
def test_thousands_of_slow_clients(tmp_path):
    """Heads, bodies and readers at once: all are held, no worker is, and good clients are as quick as without them."""
    (tmp_path / "out").mkdir()
    tables = {
        "server": {"max_connections": 2 * SLOW, "header_timeout_s": 300, "write_timeout_s": 300, "keep_alive_s": 300},
        "storage": {"out": {"kind": "file", "root": str(tmp_path / "out"), "write": True}},
        "jobs": {"data": str(tmp_path / "jobs")},
        "engine": {"workers": 2},
    }
    with many_files(SLOW), serving(tmp_path, **tables) as node:
        good = Good(node)
        assert len(node.get(LARGE).body) > 1_000_000  # more than lies in the buffers on the way
        node.get(HIT)
        before = good.times_ms()
        with closing(Slow(node.port, SLOW, LARGE)) as slow:
            until(lambda: node.metric("imagemill_connections ") >= SLOW, "all of them", 60)
            until(lambda: slow.turns >= 2, "a byte of each", 60)
            idle = node.metric('imagemill_workers{state="idle"}'), node.metric("imagemill_queue_length")
            during = good.times_ms()
            begun = slow.turns
            until(lambda: slow.turns > begun, "one byte more of each", 60)
            held, cut_off = node.metric("imagemill_connections "), slow.cut_off
        until(lambda: node.metric("imagemill_connections ") < 10, "their end", 60)
        after = good.times_ms()

    assert idle == (2, 0)
    assert held >= SLOW
    assert cut_off == 0
    for with_them, without in zip(during, map(max, before, after), strict=True):
        assert with_them <= 10 * without + 50, (before, during, after)


def test_they_are_cut_off_when_their_time_is_up(tmp_path):
    """With limits in force, who only drips is gone after a while, however steadily it drips."""
    tables = {"server": {"max_connections": 600, "header_timeout_s": 1.0, "write_timeout_s": 1.0, "keep_alive_s": 1}}
    (tmp_path / "out").mkdir()
    storage = {"out": {"kind": "file", "root": str(tmp_path / "out"), "write": True}}
    with serving(tmp_path, storage=storage, jobs={"data": str(tmp_path / "jobs")}, **tables) as node:
        node.get(LARGE)
        with closing(Slow(node.port, 300, LARGE)):
            until(lambda: node.metric("imagemill_connections ") < 10, "their end", 60)
            assert node.get(HIT).status == 200
