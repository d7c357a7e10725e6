"""``make soak``: 20,000 mixed and bad requests; what memory, descriptors and processes a node is left with.

Exit status 0 where nothing grows and nothing is left, else 1.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from support.soak import HEAD, soak


def main() -> int:
    """Run it and print its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        report = soak(Path(folder), given.requests, seed=given.seed)
    print(f"{given.requests} requests in {report.seconds:.0f} s, workers recycled: {report.recycled}")
    for counts in (report.done, report.answered):
        print(", ".join(f"{name} {count}" for name, count in sorted(counts.items(), key=lambda one: -one[1])))
    rows = [HEAD, *report.rows()]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)))
    for complaint in report.complaints:
        print(f"  {complaint}")
    return bool(report.complaints)


if __name__ == "__main__":
    sys.exit(main())
