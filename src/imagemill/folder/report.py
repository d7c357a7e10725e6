"""What came of a folder: counts, failures by name, and both as lines or JSON.

Units    bytes; seconds of wall time.
Memory   the first `MOST_LISTED` failures are kept; all are counted, and told as they come.
"""

from collections import Counter
from typing import Any

from msgspec import Struct

from imagemill.job_screen import plain

MOST_LISTED = 1_000
_BAR_COLUMNS = 24


class Failure(Struct, frozen=True):
    """One file, or folder, that nothing came of."""

    file: str
    """Below the folder of the sources."""
    code: str
    reason: str


class Report:
    """The tally of one run; it only grows."""

    def __init__(self) -> None:
        self.made = 0
        self.kept = 0
        """Lay there already."""
        self.not_pictures = 0
        self.links = 0
        self.hidden = 0
        self.bytes_in = 0
        self.bytes_out = 0
        self.failures: list[Failure] = []
        self.codes: Counter[str] = Counter()
        self.stopped = ""
        """Why the run ended before its end, if it did."""

    @property
    def failed(self) -> int:
        """How many failed."""
        return self.codes.total()

    @property
    def seen(self) -> int:
        """How many files are done with."""
        return self.made + self.kept + self.not_pictures + self.failed

    def fail(self, failure: Failure) -> None:
        """Count a failure."""
        self.codes[failure.code] += 1
        if len(self.failures) < MOST_LISTED:
            self.failures.append(failure)

    def is_well(self, *, strict: bool) -> bool:
        """Whether all is there that should be; *strict*: and all files were pictures."""
        return not (self.failed or self.stopped or (strict and self.not_pictures))


def failure_line(failure: Failure) -> str:
    """One failure, as it is told when it comes."""
    return f"failed: {plain(failure.file)}: {failure.code}: {plain(failure.reason)}"


def bar(report: Report, total: int, *, counted: bool, seconds: float, columns: int) -> str:
    """One line that is drawn again and again in place; *counted* = the *total* is the whole."""
    done = report.seen
    full = min(_BAR_COLUMNS, _BAR_COLUMNS * done // total) if counted and total else 0
    drawn = "█" * full + "░" * (_BAR_COLUMNS - full)
    parts = [f"{drawn} {done}/{total}{'' if counted else '+'}", f"{report.made} made"]
    parts += [f"{count} {word}" for count, word in ((report.kept, "kept"), (report.failed, "failed")) if count]
    if counted and report.made:
        left_s = max(0, total - done) * seconds / done
        parts.append(f"{left_s // 60:.0f}:{left_s % 60:02.0f} left")
    return ", ".join(parts)[: max(0, columns - 1)]


def summary(report: Report, seconds: float) -> list[str]:
    """The run in a few lines."""
    lines = [f"made {report.made} pictures in {seconds:.1f} s, {report.bytes_out} bytes from {report.bytes_in}"]
    if report.kept:
        lines.append(f"kept {report.kept} that were there (--overwrite makes them anew)")
    aside = (
        (report.not_pictures, "not pictures"),
        (report.links, "links, not followed"),
        (report.hidden, "hidden"),
    )
    if any(count for count, _ in aside):
        lines.append("left aside: " + ", ".join(f"{count} {words}" for count, words in aside if count))
    if report.failed:
        by_code = ", ".join(f"{count} {code}" for code, count in sorted(report.codes.items()))
        lines.append(f"failed {report.failed}: {by_code}")
    if report.stopped:
        lines.append(f"stopped before its end: {report.stopped}")
    return lines


def as_json(report: Report, seconds: float) -> dict[str, Any]:
    """The run for programs."""
    return {
        "made": report.made,
        "kept": report.kept,
        "failed": report.failed,
        "not_pictures": report.not_pictures,
        "links": report.links,
        "hidden": report.hidden,
        "bytes_in": report.bytes_in,
        "bytes_out": report.bytes_out,
        "seconds": round(seconds, 3),
        "stopped": report.stopped or None,
        "failures": [{"file": plain(f.file), "code": f.code, "reason": plain(f.reason)} for f in report.failures],
        "failures_not_listed": report.failed - len(report.failures),
    }
