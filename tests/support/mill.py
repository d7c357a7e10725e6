"""A whole service of jobs in real processes, any of which may be killed: node, job process, workers, servers."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Literal

from support import s3, temporal
from support.drill import Receiver, call
from support.history import Log
from support.node import PHOTO, Node, SourceServer, restart, serving
from support.ports import free_port

Victim = Literal["api", "jobs", "engine", "s3", "worker", "temporal"]
_READY_S = 40.0


class _Sources(dict[str, bytes]):
    """Equal pictures at every path, and yet no two that are the same."""

    def get(self, path: str, _default: bytes | None = None) -> bytes:
        return PHOTO + path.encode()  # behind its end a JPEG may hold anything


class Mill:
    """One service, and what it lives on."""

    def __init__(self, folder: Path, source: SourceServer, receiver: Receiver, env: dict[str, str]) -> None:
        self.folder, self.source, self.receiver, self.env = folder, source, receiver, env
        source.bodies = _Sources()
        self.results = folder / "out"
        self._worker_port = free_port()
        self.node: Node
        self.s3: s3.S3Server | None = None
        self.temporal: temporal.Server | None = None
        self.worker: subprocess.Popen[bytes] | None = None

    @property
    def port(self) -> int:
        """Where clients ask."""
        return self.node.port

    def settings(self) -> dict[str, Any]:
        """The tables of its node and workers."""
        self.results.mkdir(exist_ok=True)
        out = {"kind": "file", "root": str(self.results), "write": True}
        tables: dict[str, Any] = {
            "storage": {"out": self.s3.settings(write=True) if self.s3 else out},
            # what is first in the queue may see more kills than an operator would call bad luck
            "jobs": {"data": str(self.folder / "data"), "workers": 1, "admin_port": self._worker_port, "crashes": 100},
            "sources": self.source.allowed(),
            "callbacks": self.receiver.settings(),
        }
        if self.temporal:
            tables["jobs"]["engine"] = "temporal"
            tables["temporal"] = {"address": self.temporal.address, "heartbeat_s": 2.0}
        return tables

    def order(self, key: str) -> dict[str, Any]:
        """Two renditions of a source of its own, below a prefix of its own; it comes back as metadata."""
        return {
            "source": self.source.url(f"/{key}.jpg"),
            "renditions": [
                {"name": "a", "params": {"width": 64, "format": "webp"}},
                {"name": "b", "params": {"width": 80, "format": "png"}},
            ],
            "destination": {"store": "out", "prefix": f"{key}/"},
            "callback": {"url": self.receiver.url, "secret": "drill"},
            "retries": 20,
            "tags": [key],
        }

    def pids(self, victim: Victim) -> list[int]:
        """The processes of that kind that live now."""
        match victim:
            case "api":
                return [self.node.process.pid]
            case "jobs":
                return _children(self.node.process.pid, b"--supervised")
            case "engine":
                return [pid for one in self._at_work() for pid in _children(one, b"imagemill.engines.worker")]
        process = {"s3": self.s3, "temporal": self.temporal}.get(victim)
        popen = self.worker if process is None else process.process
        return [] if popen is None else [popen.pid]

    def _at_work(self) -> list[int]:
        return [self.worker.pid] if self.worker else self.pids("jobs")

    def kill(self, victim: Victim) -> bool:
        """kill -9 one of that kind; whether there was one."""
        pids = self.pids(victim)
        if pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(random.choice(pids), signal.SIGKILL)
        return bool(pids)

    def revive(self, victim: Victim) -> None:
        """Begin anew whom nobody but an operator would."""
        match victim:
            case "api":
                restart(self.node)
            case "s3" | "temporal":
                server = self.s3 if victim == "s3" else self.temporal
                assert server is not None
                server.kill()
                server.start()
            case "worker":
                self.start_worker()

    def start_worker(self) -> None:
        """`imagemill worker`, in place of the last."""
        self.stop_worker()
        clean = {k: v for k, v in os.environ.items() if not k.startswith("IMAGEMILL_")}
        with (self.folder / "worker.log").open("ab") as log:
            command = [sys.executable, "-m", "imagemill", "worker", "--config", str(self.node.config)]
            self.worker = subprocess.Popen(command, stdout=log, stderr=log, env=clean | self.env)

    def stop_worker(self) -> None:
        if self.worker is not None:
            self.worker.kill()
            self.worker.wait()
            self.worker = None

    def wait_ready(self) -> None:
        """Until somebody takes jobs."""
        if self.temporal:
            until(lambda: self.node.get("/readyz", port=self._worker_port).status == 200, "a worker", _READY_S)
        else:
            until(lambda: self.node.metric("imagemill_job_process_up") == 1, "a job process", _READY_S)

    def jobs(self, key: str) -> list[dict[str, Any]]:
        """What was accepted under the tag *key*."""
        return list(call(self.port, "GET", f"/jobs?tag={key}")[2]["jobs"])


@contextmanager
def milling(
    folder: Path, log: Log, *, s3_store: bool = False, on_temporal: bool = False, env: dict[str, str] | None = None
) -> Iterator[Mill]:
    """A service that stores in files, or on S3; with the embedded engine, or Temporal and one worker."""
    folder.mkdir(exist_ok=True)
    with ExitStack() as open_now:
        source, receiver = SourceServer(), Receiver(log)
        open_now.callback(source.close)
        open_now.callback(receiver.close)
        mill = Mill(folder, source, receiver, env or {})
        if s3_store:
            mill.s3 = open_now.enter_context(s3.serving(folder / "s3"))
            mill.results = mill.s3.object("")
        if on_temporal:
            mill.temporal = open_now.enter_context(temporal.serving(folder / "temporal"))
        mill.node = open_now.enter_context(serving(folder, env=mill.env, **mill.settings()))
        if on_temporal:
            open_now.callback(mill.stop_worker)
            mill.start_worker()
        mill.wait_ready()
        yield mill


def until(condition: Callable[[], Any], what: str, seconds: float = 60.0) -> None:
    """Wait for *condition*; who does not answer meanwhile is asked again."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(OSError):
            if condition():
                return
        time.sleep(0.02)
    raise AssertionError(f"waited {seconds:g} s for {what}")


def _children(pid: int, word: bytes) -> list[int]:
    found = []
    with contextlib.suppress(OSError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            with contextlib.suppress(OSError):
                if word in Path(f"/proc/{child}/cmdline").read_bytes():
                    found.append(int(child))
    return found
