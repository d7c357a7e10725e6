"""``make drill``: kill -9 at random, 20 times each kind of process, while clients go on; a table of what came of it.

Exit status 0 where nobody has anything to complain of, and all kills were done; else 1.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import get_args

from support.killing import HEAD, drill
from support.mill import Victim


def main() -> int:
    """Drill one victim, or all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("victim", choices=[*get_args(Victim), "all"])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=600.0, help="for one victim, at most")
    given = parser.parse_args()
    well = True
    _print(HEAD)
    for victim in get_args(Victim) if given.victim == "all" else [given.victim]:
        with tempfile.TemporaryDirectory(prefix="drill-") as folder:
            report = drill(Path(folder), victim, given.kills, given.seconds)
        _print(report.row)
        for complaint in report.complaints:
            print(f"  {complaint}", flush=True)
        well &= not report.complaints and report.kills == given.kills
    return not well


def _print(cells: tuple[str, ...]) -> None:
    print("  ".join(cell.rjust(len(head)) for cell, head in zip(cells, HEAD, strict=True)), flush=True)


if __name__ == "__main__":
    sys.exit(main())
