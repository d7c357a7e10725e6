"""What a terminal shows of jobs."""

from hypothesis import given
from hypothesis import strategies as st

from imagemill.job_screen import COLUMNS, bar, change, outcome, plain, rows, table

JOB = {
    "id": "0" * 32, "state": "running", "priority": 3, "attempts": 2, "source": "local:a/b.jpg", "error": None,
    "times": {"created": "2026-11-26T10:00:00.000Z"},
    "renditions": [
        {"name": "s", "state": "stored", "address": "local:out/s.webp", "width_px": 5, "height_px": 4, "bytes": 99},
        {"name": "m", "state": "storing"},
        {"name": "l", "state": "waiting"},
        {"name": "x", "state": "waiting"},
    ],
}  # fmt: skip


def test_a_change_in_a_line():
    assert change(JOB) == f"{'0' * 32}  running  1/4 renditions  attempt 2"
    failed = JOB | {"state": "failed", "attempts": 1, "error": {"code": "source_timeout", "message": "5 s"}}
    assert change(failed).endswith("failed  1/4 renditions  source_timeout: 5 s")


def test_a_bar_grows_and_never_breaks_the_line():
    """One and a half of four; cut to the terminal's width."""
    assert bar(JOB, 80) == "█" * 9 + "░" * 15 + " 1/4 running, attempt 2"
    assert all(len(bar(JOB, columns)) < max(columns, 1) for columns in range(60))


def test_an_outcome_says_where_things_lie():
    lines = outcome(JOB | {"callback": {"state": "delivered"}})

    assert lines[1:] == ["  s: local:out/s.webp (5x4, 99 bytes)", "  callback: delivered"]


def test_a_table():
    lines = table(COLUMNS, rows([JOB, {"id": "1", "state": "queued", "renditions": []}]))

    assert lines[0].split() == list(COLUMNS)
    assert lines[1].split() == ["0" * 32, "running", "3", "2026-11-26T10:00:00.000Z", "1/4", "local:a/b.jpg"]
    assert lines[2].split() == ["1", "queued", "-", "-", "0/0", "-"]
    assert table(COLUMNS, []) == ["ID  STATE  PRIORITY  CREATED  RENDITIONS  SOURCE"]


@given(st.text())
def test_nothing_speaks_to_the_terminal(text):
    """No escape, no line break, whatever a job's owner or its source put there."""
    shown = plain(text)

    assert shown.isprintable()
    assert len(shown) == len(text)
