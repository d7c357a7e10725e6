"""A real Temporal server for tests: the CLI's development server on free loopback ports, with its file in a folder.

The program is looked for on the path and where ``.ci/servers`` puts it. Where it is missing the test is skipped by
name, and fails where the environment says ``CI``.
"""

import http.client
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.ports import free_port

READY_S = 30.0
PRIORITIES = ("matching.useNewMatcher=true", "matching.enableFairness=true")


def program() -> str:
    """The server's program, or skip."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    built = cache / "imagemill" / "servers" / "temporal"
    found = str(built) if built.exists() else shutil.which("temporal")
    if found is None:
        words = "the Temporal server (temporal) is not installed"
        pytest.fail(words) if os.environ.get("CI") else pytest.skip(words)
    return found


class Server:
    """One process, which keeps all it knows in one file."""

    def __init__(self, folder: Path, *dynamic: str) -> None:
        self._program = program()
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._dynamic = dynamic or PRIORITIES
        self.port = free_port()
        self._ports = (free_port(), free_port())
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> "Server":
        web, metrics = self._ports
        command = [
            self._program, "server", "start-dev", "--headless", "--ip", "127.0.0.1", "--port", str(self.port),
            "--http-port", str(web), "--metrics-port", str(metrics), "--log-level", "error",
            "--db-filename", str(self._folder / "temporal.db"),
        ]  # fmt: skip
        for pair in self._dynamic:
            command += ["--dynamic-config-value", pair]
        with (self._folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        self._wait()
        return self

    def _wait(self) -> None:
        end = time.monotonic() + READY_S
        while not self._answers():
            assert self.process is not None
            if self.process.poll() is not None or time.monotonic() > end:
                raise TimeoutError((self._folder / "log").read_text()[-2000:])
            time.sleep(0.05)

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self._ports[0], timeout=2)
        try:
            connection.request("GET", "/api/v1/namespaces/default")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def kill(self) -> None:
        """As a power cut of the process."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.process = None

    def stop(self) -> None:
        if self.process is not None:
            self.kill()


@contextmanager
def serving(folder: Path, *dynamic: str) -> Iterator[Server]:
    server = Server(folder, *dynamic)
    try:
        yield server.start()
    finally:
        server.stop()
