"""``make drill``: kill -9 at random, 20 times each kind of process, while clients go on; a table of what came of it.

Exit status 0 where nobody has anything to complain of, no job failed, and all kills were done; else 1.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
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
    parser.add_argument("--folder", type=Path, help="a new one, in which logs and histories are kept")
    given = parser.parse_args()
    well = True
    _print(HEAD)
    for victim in get_args(Victim) if given.victim == "all" else [given.victim]:
        with _folder(given.folder, victim) as folder:
            report = drill(folder, victim, given.kills, given.seconds)
        _print(report.row)
        for complaint in report.complaints:
            print(f"  {complaint}", flush=True)
        well &= report.is_well and report.kills == given.kills
    return not well


@contextmanager
def _folder(kept: Path | None, victim: str) -> Iterator[Path]:
    if kept is None:
        with tempfile.TemporaryDirectory(prefix="drill-") as folder:
            yield Path(folder)
    else:
        (kept / victim).mkdir(parents=True)
        yield kept / victim


def _print(cells: tuple[str, ...]) -> None:
    print("  ".join(cell.rjust(len(head)) for cell, head in zip(cells, HEAD, strict=True)), flush=True)


if __name__ == "__main__":
    sys.exit(main())
