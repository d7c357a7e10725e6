"""Who watches a node learns what it is at: `imagemill health`, and systemd by its socket."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from support.mill import until
from support.node import Node, serving
from support.ports import free_port

CLEAN = {k: v for k, v in os.environ.items() if not k.startswith("IMAGEMILL_")}
ALONE, COMMAND = ("imagemill.health",), ("imagemill", "health")


def health(node: Node, command: tuple[str, ...] = ALONE, *more: str) -> tuple[int, str]:
    asked = subprocess.run(
        [sys.executable, "-m", *command, "--config", str(node.config), *more], env=CLEAN, capture_output=True, text=True
    )
    return asked.returncode, asked.stdout + asked.stderr


@pytest.mark.parametrize("command", [ALONE, COMMAND])
def test_health_follows_readiness(tmp_path: Path, command: tuple[str, ...]) -> None:
    """Ready, then draining, then gone."""
    with serving(tmp_path, server={"drain_s": 600}) as node:
        assert health(node, command) == (0, "ready\n")

        node.process.terminate()

        until(lambda: health(node, command) == (1, "not ready: draining\n"), "the node drains")
        node.process.kill()
        node.process.wait()
        status, words = health(node, command)
    assert (status, "no node answers" in words) == (1, True)


def test_systemd_hears_of_readiness_of_life_and_of_the_end(tmp_path: Path) -> None:
    """READY once requests are answered, signs of life meanwhile, STOPPING before the ports close; of no child a word."""
    name = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.bind(str(name))
        line.settimeout(60)
        out = {"kind": "file", "root": str(tmp_path), "write": True}
        asked = {"NOTIFY_SOCKET": str(name), "WATCHDOG_USEC": "60000"}
        with serving(tmp_path, env=asked, storage={"out": out}, jobs={"data": str(tmp_path / "data")}) as node:
            assert line.recv(100) == b"READY=1"
            assert node.get("/image?source=local:sample/dandelion.jpg&width=20").status == 200
            while node.metric("imagemill_job_process_up") == 0:
                assert line.recv(100) == b"WATCHDOG=1"

            node.process.terminate()

            words = iter(lambda: line.recv(100), b"STOPPING=1")
            assert set(words) <= {b"WATCHDOG=1"}
            assert node.stop() == 0


def test_a_worker_by_itself_tells_too(tmp_path: Path) -> None:
    """Its own readiness and end, and `health --worker` finds it."""
    name, admin = tmp_path / "notify", free_port()
    config = tmp_path / "jobs.toml"
    config.write_text(
        f'[storage.out]\nkind = "file"\nroot = "{tmp_path}"\nwrite = true\n'
        f'[jobs]\ndata = "{tmp_path}/data"\nadmin_port = {admin}\nworkers = 1\n'
    )
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line, (tmp_path / "log").open("wb") as log:
        line.bind(str(name))
        line.settimeout(60)
        worker = subprocess.Popen(
            [sys.executable, "-m", "imagemill", "worker", "--config", str(config)],
            env=CLEAN | {"NOTIFY_SOCKET": str(name)}, stdout=log, stderr=log,
        )  # fmt: skip
        try:
            assert line.recv(100) == b"READY=1"
            asked = [sys.executable, "-m", "imagemill.health", "--worker", "--config", str(config)]
            until(lambda: subprocess.run(asked, env=CLEAN, capture_output=True).returncode == 0, "it is ready", 60)

            worker.terminate()

            assert line.recv(100) == b"STOPPING=1"
        finally:
            worker.terminate()
            assert worker.wait(40) == 0
