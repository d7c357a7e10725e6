"""Counts as lines and JSON."""

import json

from imagemill.folder.report import MOST_LISTED, Failure, Report, as_json, bar, failure_line, summary


def some():
    report = Report()
    report.made, report.kept, report.not_pictures, report.links, report.bytes_in, report.bytes_out = 6, 2, 1, 3, 900, 90
    report.fail(Failure("a/b.jpg", "image_corrupt", "it breaks off"))
    return report


def test_summary():
    """What is nothing is not told."""
    assert summary(some(), 1.25) == [
        "made 6 pictures in 1.2 s, 90 bytes from 900",
        "kept 2 that were there (--overwrite makes them anew)",
        "left aside: 1 not pictures, 3 links, not followed",
        "failed 1: 1 image_corrupt",
    ]
    assert summary(Report(), 0) == ["made 0 pictures in 0.0 s, 0 bytes from 0"]


def test_well():
    """A failure never is; files that are no pictures are, unless that is strict; what was there is."""
    report = Report()
    report.kept = 1
    assert report.is_well(strict=True)
    report.not_pictures = 1
    assert (report.is_well(strict=False), report.is_well(strict=True)) == (True, False)
    report.stopped = "no space left"
    assert not report.is_well(strict=False)
    assert summary(report, 0)[-1] == "stopped before its end: no space left"
    assert not some().is_well(strict=False)


def test_bar():
    """Where the whole is known, how much of it and how long still; never wider than the terminal, nor in vain."""
    assert bar(some(), 20, counted=True, seconds=10, columns=99) == (
        "████████████░░░░░░░░░░░░ 10/20, 6 made, 2 kept, 1 failed, 0:10 left"
    )
    assert bar(some(), 12, counted=False, seconds=1, columns=99).startswith("░░░░░░░░░░░░░░░░░░░░░░░░ 10/12+, 6 made")
    assert len(bar(some(), 20, counted=True, seconds=10, columns=40)) == 39
    assert bar(Report(), 0, counted=True, seconds=0, columns=99) == f"{'░' * 24} 0/0, 0 made"


def test_memory_for_failures_is_bounded():
    """All are counted, the first ones are listed, and how many are not."""
    report = Report()
    for n in range(MOST_LISTED + 5):
        report.fail(Failure(str(n), "unreadable", "why"))

    told = as_json(report, 1)

    assert (told["failed"], len(told["failures"]), told["failures_not_listed"]) == (MOST_LISTED + 5, MOST_LISTED, 5)


def test_names_do_not_speak_to_the_terminal():
    """Control characters, and bytes that are no UTF-8."""
    failure = Failure("a\x1b[2J\udcff.jpg", "image_corrupt", "b\r")

    assert failure_line(failure) == "failed: a�[2J�.jpg: image_corrupt: b�"
    report = Report()
    report.fail(failure)
    assert "\x1b" not in json.dumps(as_json(report, 0), ensure_ascii=False).encode().decode()
