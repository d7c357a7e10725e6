"""Random kills of one kind of process, while clients and a receiver go on; what came of it as one row of a table."""

import random
import threading
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from msgspec import Struct

from support.drill import Clients, find
from support.history import TERMINAL, Log, Record, complaints
from support.mill import Mill, Victim, milling, until

CLIENTS = 3
_PAUSES_S = (0.1, 0.6)
"""Between two submissions of a client."""
_MOST_OPEN = 24
"""Jobs under way: what is measured is recovery, and not how long a queue of what was submitted meanwhile is."""
_LIVES_S = (0.05, 2.0)
"""Between a victim's being there and its death."""
_DOWN_S = (0.0, 0.5)
"""Until an operator has noticed."""
_REFUSED = 25
"""Of 256 jobs, whose receiver answers 500 at first."""


class Report(Struct, frozen=True):
    """What a drill has shown."""

    victim: str
    kills: int
    jobs: int
    failed: int
    lost: int
    twice: int
    repeated: int
    """Callbacks that came again, under the same id."""
    longest_s: float
    """From a job's acceptance until a client saw that it had ended."""
    seconds: float
    complaints: list[str]

    @property
    def is_well(self) -> bool:
        """Nothing to complain of, and no job failed; but a source over which two workers die counts as hostile."""
        return not self.complaints and (not self.failed or self.victim == "engine")

    @property
    def row(self) -> tuple[str, ...]:
        """For people."""
        counts = (self.kills, self.jobs, self.failed, self.lost, self.twice, self.repeated, len(self.complaints))
        return (self.victim, *map(str, counts), f"{self.longest_s:.1f}", f"{self.seconds:.0f}")


HEAD = ("victim", "kills", "jobs", "failed", "lost", "twice", "told again", "complaints", "longest s", "seconds")


def drill(folder: Path, victim: Victim, kills: int, seconds: float) -> Report:
    """Kill *victim* so often, or as often as there is time in *seconds*; then let everything end, and judge."""
    begun, log = time.monotonic(), Log(folder / "history")
    on_temporal = victim in {"worker", "temporal"}
    with (
        milling(folder / "mill", log, s3_store=victim == "s3", on_temporal=on_temporal) as mill,
        ThreadPoolExecutor(CLIENTS + 1) as others,
    ):
        clients, stop = Clients(log, mill.port, patience_s=seconds), threading.Event()
        mill.receiver.refuses = _Moody()
        ended: set[str] = set()
        busy: list[Future[None]] = [others.submit(_submit, clients, mill, n, ended, stop) for n in range(CLIENTS)]
        busy.append(others.submit(_watch, clients, ended, stop))
        try:
            done = _kill(mill, victim, kills, begun + seconds, busy)
        except BaseException:
            clients.over.set()
            raise
        finally:
            stop.set()
        for one in busy:
            one.result()
        clients.follow()
        find(log, mill.results, "drill")
    return _report(victim, done, log.read(), time.monotonic() - begun)


class _Moody:
    """Refuses some jobs' first message."""

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def __call__(self, message: dict[str, Any]) -> bool:
        job = message["data"]["id"]
        new = job not in self._seen
        self._seen.add(job)
        return new and int(job[:2], 16) < _REFUSED


def _submit(clients: Clients, mill: Mill, number: int, ended: set[str], stop: threading.Event) -> None:
    count = 0
    while not stop.wait(random.uniform(*_PAUSES_S)):
        if len(clients.jobs) - len(ended) >= _MOST_OPEN:
            continue
        count += 1
        order = mill.order(f"{number}-{count}")
        order["destination"]["prefix"] = "drill/"
        clients.submit(f"{number}-{count}", order)


def _watch(clients: Clients, ended: set[str], stop: threading.Event) -> None:
    """Look at whatever has not *ended*, again and again."""
    while not stop.wait(0.1):
        ended |= {job for job in list(clients.jobs.values()) if job not in ended and clients.look(job) in TERMINAL}


def _kill(mill: Mill, victim: Victim, kills: int, until_s: float, busy: Iterable[Future[None]]) -> int:
    done = 0
    while done < kills and time.monotonic() < until_s and not any(one.done() for one in busy):
        mill.wait_ready()  # else a victim would die before anybody is at work, again and again
        until(lambda: mill.pids(victim), f"a process to kill: {victim}", 60)
        time.sleep(random.uniform(*_LIVES_S))
        if mill.kill(victim):
            done += 1
            time.sleep(random.uniform(*_DOWN_S))
            mill.revive(victim)
    return done


def _report(victim: str, kills: int, history: list[Record], seconds: float) -> Report:
    accepted = {r["job"]: r["t"] for r in history if r["op"] == "accepted"}
    ends: dict[str, Record] = {}
    for record in history:
        if record["op"] == "seen" and record["state"] in TERMINAL:
            ends.setdefault(record["job"], record)
    told = Counter(r["id"] for r in history if r["op"] == "told")
    wrong = complaints(history)
    return Report(
        victim, kills, len(accepted),
        failed=sum(end["state"] != "succeeded" for end in ends.values()),
        lost=len(accepted.keys() - ends.keys()),
        twice=sum(" objects for " in complaint for complaint in wrong),
        repeated=sum(told.values()) - len(told),
        longest_s=max((end["t"] - accepted[job] for job, end in ends.items() if job in accepted), default=0.0),
        seconds=seconds, complaints=wrong,
    )  # fmt: skip
