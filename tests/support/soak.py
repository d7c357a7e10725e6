"""Thousands of mixed requests at one node; what its processes hold afterwards, beside what they held on the way.

Memory is looked at while nothing is under way, after each of `ROUNDS` parts. Caches are small, so that they are full long
before the second half: what grows there is kept by mistake.
"""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from msgspec import Struct

from support.drill import call
from support.mixture import SOURCE_BYTES, Mixture
from support.node import Node, SourceServer, fetch, serving
from support.vitals import Vitals, slope, vitals

ROUNDS = 12
CLIENTS = 8
WORKERS = 2
KINDS = ("front", "workers", "jobs")
"""Job workers come and go with the work."""
MOST_KB = 0.7
"""Growth of memory a request, over the second half, above which the front or the job process keeps something."""
_MOST_GROWN = 1.25
"""Workers come and go, and are of another age at every look: their median of the second half over that of the first."""
_MOST_THREADS = 8
"""Of one worker: those of a codec end with the call (threat D20)."""
_TARGETS = 8_000
"""As long as those of the mixture, and enough to fill what is remembered of targets, which no setting bounds lower."""
_SPARE_FILES = 8
"""Connections to the source that are kept for the next fetch come and go."""
_MAX_JOBS = 200


class Report(Struct, frozen=True):
    """What a soak has shown."""

    samples: Sequence[tuple[int, dict[str, Vitals]]]
    """After so many requests, while nothing was under way."""
    done: dict[str, int]
    answered: dict[str, int]
    recycled: int
    seconds: float
    complaints: list[str]

    def growth_kb(self, kind: str) -> float:
        """A request, over the second half."""
        later = self.samples[len(self.samples) // 2 :]
        return slope([(n, found[kind].rss_kb) for n, found in later])

    def rows(self) -> list[tuple[str, ...]]:
        """A kind of process a row, under `HEAD`."""
        (_, first), (_, middle), (_, last) = (self.samples[n] for n in (0, len(self.samples) // 2, -1))
        return [
            (kind, str(last[kind].processes), *(f"{at[kind].rss_kb / 1024:.1f}" for at in (first, middle, last)),
             f"{self.growth_kb(kind):+.3f}", f"{middle[kind].descriptors}/{last[kind].descriptors}",
             f"{middle[kind].threads}/{last[kind].threads}")
            for kind in KINDS
        ]  # fmt: skip


HEAD = ("process", "count", "MB first", "MB half", "MB last", "KB a request", "files", "threads")


def soak(folder: Path, requests: int, *, seed: int = 1, command: list[str] | None = None) -> Report:
    """Send so many *requests* to a node that *command* starts, and judge."""
    begun = time.monotonic()
    temporary = folder / "temporary"
    for name in ("out", "temporary"):
        (folder / name).mkdir()
    source = SourceServer()
    try:
        with serving(folder, command=command, env={"TMPDIR": str(temporary)}, **_settings(folder, source)) as node:
            mixture = Mixture(node.port, source, seed)
            samples = asyncio.run(_work(node, mixture, requests))
            recycled = int(node.metric('imagemill_worker_restarts_total{reason="recycled"}'))
            complaints = _complaints(node, mixture, samples, requests, recycled)
            left = [str(p.relative_to(temporary)) for p in temporary.rglob("*")]
            left += [p.name for p in (folder / "out" / "\\unfinished").iterdir()]
            complaints += [f"left behind: {left[:5]}"] if left else []
    finally:
        source.close()
    return Report(samples, dict(mixture.done), dict(mixture.answered), recycled, time.monotonic() - begun, complaints)


def _settings(folder: Path, source: SourceServer) -> dict[str, Any]:
    return {
        "sources": source.allowed(),
        "limits": {"source_bytes": SOURCE_BYTES},
        "cache": {"l1_bytes": 1 << 20, "source_bytes": 1 << 20, "negative_ttl_s": 1.0},
        "engine": {"workers": WORKERS, "max_jobs": _MAX_JOBS},
        "storage": {"out": {"kind": "file", "root": str(folder / "out"), "write": True}},
        "jobs": {"data": str(folder / "jobs"), "workers": 1, "retries": 0},
        "server": {"keep_alive_s": 1},
        "fetch": {"per_host": 8},
    }


async def _work(node: Node, mixture: Mixture, requests: int) -> list[tuple[int, dict[str, Vitals]]]:
    for begin in range(0, _TARGETS, 50):
        targets = [f"/explain?source=local:sample/{n:0100}.jpg&width=5" for n in range(begin, begin + 50)]
        await asyncio.gather(*(fetch(node.port, target) for target in targets))
    samples = []
    for n in range(ROUNDS):
        share = requests * (n + 1) // ROUNDS - requests * n // ROUNDS
        turns = iter(range(share))
        await asyncio.gather(*(_client(mixture, turns) for _ in range(CLIENTS)))
        await _quiet(node)
        samples.append((requests * (n + 1) // ROUNDS, vitals(node.process.pid)))
    return samples


async def _client(mixture: Mixture, turns: Any) -> None:
    for _ in turns:
        await mixture.one()


async def _quiet(node: Node) -> None:
    """Until nothing is under way, and what is given back after a moment has been."""
    for _ in range(600):
        if await asyncio.to_thread(_is_quiet, node):
            await asyncio.sleep(0.7)
            return
        await asyncio.sleep(0.1)
    raise AssertionError("it does not come to rest")


def _is_quiet(node: Node) -> bool:
    still = all(
        node.metric(f"imagemill_{name}") == 0 for name in ("requests_in_flight", "fetches_in_flight", "queue_length")
    )
    idle = node.metric('imagemill_workers{state="idle"}') == WORKERS
    waiting = call(node.port, "GET", "/jobs?state=queued,running,delivering&limit=1")[2]["jobs"]
    return still and idle and not waiting


def _complaints(
    node: Node, mixture: Mixture, samples: list[tuple[int, dict[str, Vitals]]], requests: int, recycled: int
) -> list[str]:
    found = list(mixture.wrong[:5])
    found += [f"{len(mixture.wrong) - 5} more"] if len(mixture.wrong) > 5 else []
    found += [f"never done: {kind}" for kind in mixture.kinds() - set(mixture.done)]
    found += [f"an error in the log: {line}" for line in node.lines() if line["level"] == "error"][:3]
    if not recycled:
        found.append("no worker was recycled")
    half, last = samples[len(samples) // 2][1], samples[-1][1]
    later = samples[len(samples) // 2 :]
    for kind in ("front", "jobs"):
        growth = slope([(n, at[kind].rss_kb) for n, at in later])
        if growth > MOST_KB:
            found.append(f"{kind}: {growth:.3f} KB more a request")
    before, after = (median(at["workers"].rss_kb for _, at in part) for part in (samples[: len(samples) // 2], later))
    if after > before * _MOST_GROWN:
        found.append(f"workers: {before} KB, then {after} KB")
    if (most := max(at["workers"].threads for _, at in samples)) > WORKERS * _MOST_THREADS:
        found.append(f"workers: {most} threads")
    if "ended" in last:
        found.append(f"{last['ended'].processes} processes ended, and nobody has asked how")
    for kind in KINDS:
        if last[kind].processes != half[kind].processes:
            found.append(f"{kind}: {half[kind].processes} processes, then {last[kind].processes}")
        if last[kind].descriptors > half[kind].descriptors + _SPARE_FILES:
            found.append(f"{kind}: {half[kind].descriptors} descriptors, then {last[kind].descriptors}")
        if kind != "workers" and last[kind].threads > half[kind].threads + CLIENTS:  # of many cores
            found.append(f"{kind}: {half[kind].threads} threads, then {last[kind].threads}")
    return found
