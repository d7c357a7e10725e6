"""Judge what clients saw of jobs: nothing lost, one end, one result a rendition, one id a message.

A history is a list of records, in the order in which their writer saw them, whichever process that was:
``asked``     key, t                                  a submission was sent
``accepted``  key, job, renditions, tells, t          it was answered 202
``seen``      job, state, version, results, t         a client read the job; results: name to (key, sha256)
``missed``    job, t                              a client was told that there is no such job
``told``      job, id, type, rendition, valid, t      a receiver got a callback
``found``     job, name, key, sha256                  what lay in the destination at the end
"""

import json
import os
import threading
import time
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

TERMINAL = {"succeeded", "failed", "cancelled", "expired"}
Record = dict[str, Any]


class Log:
    """Records, appended to a file as they come, so that a killed writer loses none that it had written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def add(self, op: str, **fields: Any) -> None:
        line = json.dumps({"op": op, "t": time.time(), **fields}).encode() + b"\n"
        with self._lock:
            os.write(self._file, line)

    def read(self) -> list[Record]:
        return [json.loads(line) for line in self.path.read_text().splitlines()]

    def close(self) -> None:
        os.close(self._file)


def complaints(history: Iterable[Record]) -> list[str]:
    """What must not have happened; empty = all is well."""
    by_op: dict[str, list[Record]] = defaultdict(list)
    for record in history:
        by_op[record["op"]].append(record)
    accepted = {r["job"]: r for r in by_op["accepted"]}
    ends, wrong = _ends(by_op["seen"])
    wrong += _keys(by_op["accepted"])
    wrong += [f"{r['job']}: accepted, and then not there" for r in by_op["missed"] if r["job"] in accepted]
    strange = {r["job"] for op in ("told", "found") for r in by_op[op]} - accepted.keys()
    wrong += [f"{job}: done, and nobody was told that it is accepted" for job in sorted(strange)]
    for job, order in accepted.items():
        if job not in ends:
            wrong.append(f"{job}: accepted, and never seen to end")
            continue
        wrong += _results(job, order, ends[job], [r for r in by_op["found"] if r["job"] == job])
        wrong += _told(job, order, ends[job], [r for r in by_op["told"] if r["job"] == job])
    wrong += [f"{r['job']}: a callback that is not validly signed" for r in by_op["told"] if not r["valid"]]
    return wrong


def _ends(seen: list[Record]) -> tuple[dict[str, Record], list[str]]:
    """The terminal record of each job, and where one was left, or time ran backwards."""
    ends: dict[str, Record] = {}
    versions: dict[str, int] = {}
    wrong = []
    for record in seen:
        job, state = record["job"], record["state"]
        if job in ends and ends[job]["state"] != state:
            wrong.append(f"{job}: {ends[job]['state']}, and then {state}")
        if record["version"] < versions.get(job, -1):
            wrong.append(f"{job}: version {versions[job]}, and then {record['version']}")
        versions[job] = record["version"]
        if state in TERMINAL:
            ends.setdefault(job, record)
    return ends, wrong


def _keys(accepted: list[Record]) -> list[str]:
    jobs: dict[str, set[str]] = defaultdict(set)
    for record in accepted:
        if record.get("key"):
            jobs[record["key"]].add(record["job"])
    return [f"key {key}: {len(ids)} jobs" for key, ids in jobs.items() if len(ids) > 1]


def _results(job: str, order: Record, end: Record, found: list[Record]) -> list[str]:
    if end["state"] != "succeeded":
        return []
    wrong = []
    for name in order["renditions"]:
        there = [r for r in found if r["name"] == name]
        said = end["results"].get(name)
        if said is None:
            wrong.append(f"{job}: succeeded without {name}")
        elif len(there) != 1:
            wrong.append(f"{job}: {len(there)} objects for {name}")
        elif [there[0]["key"], there[0]["sha256"]] != list(said):
            wrong.append(f"{job}: {name} is not what the job says")
    return wrong


def _told(job: str, order: Record, end: Record, told: list[Record]) -> list[str]:
    wrong = []
    ids: dict[tuple[str, str], set[str]] = defaultdict(set)
    for record in told:
        ids[record["type"], record["rendition"]].add(record["id"])
    wrong += [f"{job}: {len(seen)} ids for {kind} {name}" for (kind, name), seen in ids.items() if len(seen) > 1]
    every = [one for seen in ids.values() for one in seen]
    if len(set(every)) < len(every):
        wrong.append(f"{job}: one id for several messages")
    finals = {kind for kind, _ in ids if kind in {"job.succeeded", "job.failed"}}
    wanted = "job.succeeded" if end["state"] == "succeeded" else "job.failed"
    if order["tells"] and wanted not in finals:
        wrong.append(f"{job}: {end['state']}, and nobody was told")
    if finals - {wanted}:
        wrong.append(f"{job}: {end['state']}, and told as {', '.join(sorted(finals - {wanted}))}")
    return wrong
