"""What a node's processes hold: memory, descriptors, threads."""

import contextlib
from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from statistics import median

from msgspec import Struct


class Vitals(Struct, frozen=True):
    """Of one kind of process, all of them together."""

    processes: int = 0
    rss_kb: int = 0
    descriptors: int = 0
    threads: int = 0


def alive(pid: int) -> bool:
    """Whether a process runs still; one that ended, and that nobody has waited for, does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def vitals(pid: int) -> dict[str, Vitals]:
    """Of *pid*, which serves, and all below it, by kind: ``front``, ``workers``, ``jobs``, ``job workers``; and those ``ended``."""
    found: dict[str, list[tuple[int, int, int]]] = defaultdict(list)
    _look(pid, "front", found)
    return {kind: Vitals(len(all_of), *map(sum, zip(*all_of, strict=True))) for kind, all_of in found.items()}


def _look(pid: int, kind: str, found: dict[str, list[tuple[int, int, int]]]) -> None:
    at = Path(f"/proc/{pid}")
    with contextlib.suppress(OSError, KeyError):  # it is gone
        words = dict(line.split(":", 1) for line in (at / "status").read_text().splitlines())
        if words["State"].strip().startswith("Z"):  # it has ended, and nobody has asked how
            found["ended"].append((0, 0, 0))
            return
        found[kind].append((int(words["VmRSS"].split()[0]), len(list((at / "fd").iterdir())), int(words["Threads"])))
        for child in (at / f"task/{pid}/children").read_text().split():
            _look(int(child), _kind(int(child), kind), found)


def _kind(pid: int, parent: str) -> str:
    if b"--supervised" in Path(f"/proc/{pid}/cmdline").read_bytes():
        return "jobs"
    return "job workers" if parent == "jobs" else "workers"


def slope(points: Sequence[tuple[float, float]]) -> float:
    """How fast the second grows with the first: the median over all pairs, which no single odd point moves."""
    return median((y2 - y1) / (x2 - x1) for (x1, y1), (x2, y2) in combinations(points, 2))
