"""Jobs as lines on a terminal: pure. Nothing that a service or a job's owner wrote can speak to the terminal itself.

Units    widths in columns; times as the service tells them, RFC 3339.
"""

from collections.abc import Iterable, Sequence
from typing import Any

TERMINAL = frozenset({"succeeded", "failed", "cancelled", "expired"})
SUCCEEDED = "succeeded"
_BAR_COLUMNS = 24
_SHARES = {"stored": 1.0, "storing": 0.5}
_NO_VALUE = "-"
View = dict[str, Any]


def plain(value: object) -> str:
    """*value* without line breaks and control characters, so also without escapes."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(value))


def progress(job: View) -> tuple[float, int]:
    """How many renditions are there, one that is being stored as a half, and how many are wanted."""
    states = [rendition.get("state") for rendition in job.get("renditions", [])]
    return sum(_SHARES.get(str(state), 0.0) for state in states), len(states)


def change(job: View) -> str:
    """One line on where a job is."""
    done, total = progress(job)
    parts = [plain(job.get("id")), plain(job.get("state")), f"{int(done)}/{total} renditions"]
    if job.get("attempts", 0) > 1:
        parts.append(f"attempt {job['attempts']}")
    if fault := job.get("error"):
        parts.append(f"{plain(fault.get('code'))}: {plain(fault.get('message'))}")
    return "  ".join(parts)


def bar(job: View, columns: int) -> str:
    """One line that is drawn again and again in place, never wider than *columns*."""
    done, total = progress(job)
    full = int(_BAR_COLUMNS * done / total) if total else 0
    drawn = "█" * full + "░" * (_BAR_COLUMNS - full)
    again = f", attempt {job['attempts']}" if job.get("attempts", 0) > 1 else ""
    line = f"{drawn} {int(done)}/{total} {plain(job.get('state'))}{again}"
    return line[: max(0, columns - 1)]


def outcome(job: View) -> list[str]:
    """What came of a job: where each rendition lies, or why there is none."""
    lines = [change(job)]
    for rendition in job.get("renditions", []):
        if rendition.get("state") == "stored":
            where = rendition.get("url") or rendition.get("address") or rendition.get("key") or "warmed"
            facts = f"{rendition.get('width_px')}x{rendition.get('height_px')}, {rendition.get('bytes')} bytes"
            lines.append(f"  {plain(rendition.get('name'))}: {plain(where)} ({plain(facts)})")
    callback = job.get("callback") or {}
    if callback.get("state"):
        lines.append(f"  callback: {plain(callback['state'])}")
    return lines


COLUMNS = ("ID", "STATE", "PRIORITY", "CREATED", "RENDITIONS", "SOURCE")


def rows(jobs: Iterable[View]) -> list[tuple[str, ...]]:
    """A job a row, under `COLUMNS`."""
    return [_row(job) for job in jobs]


def _row(job: View) -> tuple[str, ...]:
    done, total = progress(job)
    created = (job.get("times") or {}).get("created") or _NO_VALUE
    cells = (job.get("id"), job.get("state"), job.get("priority"), created, f"{int(done)}/{total}", job.get("source"))
    return tuple(plain(_NO_VALUE if cell is None else cell) for cell in cells)


def table(head: Sequence[str], body: Sequence[Sequence[str]]) -> list[str]:
    """Lines with their columns under each other."""
    widths = [max(map(len, column)) for column in zip(head, *body, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
            for line in (head, *body)]  # fmt: skip
