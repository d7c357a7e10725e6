"""A real nginx with the snippet of deploy/nginx, on a free loopback port, in front of nodes that tests run."""

import os
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.ports import free_port
from support.programs import program

SNIPPET = Path(__file__).parents[2] / "deploy" / "nginx" / "imagemill.conf"
_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def told(name: str) -> list[str]:
    """The values of a directive of the snippet, in their order."""
    return re.findall(rf"^ *{name} (.*?);", SNIPPET.read_text(), re.MULTILINE)


def written(folder: Path, port: int, nodes: list[int], jobs: str, *, cache: bool, changes: dict[str, str]) -> Path:
    """The snippet with these ports, *jobs* as its second upstream, and the rest that nginx needs; its main file."""
    text = SNIPPET.read_text()
    old = re.findall(r"^ +server (127\.0\.0\.1:\d+)[ ;]", text, re.MULTILINE)
    assert len(old) == 3
    text = text.replace(f"    server {old[2]};\n    keepalive 16", f"    {jobs}\n    keepalive 16")
    for before, after in zip(old[:2], nodes, strict=True):
        text = text.replace(f"server {before} ", f"server 127.0.0.1:{after} ")
    edits = {"listen 80;": f"listen 127.0.0.1:{port};", "/var/cache/nginx/imagemill": str(folder / "cache")} | changes
    for before, after in edits.items():
        assert before in text
        text = text.replace(before, after)
    (folder / "imagemill.conf").write_text(re.sub("#cache ", "", text) if cache else text)
    paths = "\n".join(f"  {name}_temp_path {folder / name};" for name in _TEMPORARY)
    main = folder / "nginx.conf"
    main.write_text(
        f"{'user root;' if os.geteuid() == 0 else ''}\ndaemon off;\npid {folder / 'pid'};\nworker_processes 1;\n"
        f"error_log {folder / 'error.log'};\nevents {{ worker_connections 512; }}\n"
        f"http {{\n  access_log off;\n{paths}\n  include {folder / 'imagemill.conf'};\n}}\n"
    )
    return main


def judged(main: Path) -> subprocess.CompletedProcess[str]:
    """`nginx -t`."""
    command = [
        program("nginx"),
        "-t",
        "-q",
        "-c",
        str(main),
        "-p",
        str(main.parent),
        "-e",
        str(main.parent / "error.log"),
    ]
    return subprocess.run(command, capture_output=True, text=True)


@contextmanager
def in_front(
    folder: Path, nodes: list[int], *, jobs: str = "", cache: bool = False, changes: dict[str, str] | None = None
) -> Iterator[int]:
    """nginx before *nodes*, by their ports; its own."""
    port = free_port()
    main = written(
        folder, port, nodes, jobs or f"server 127.0.0.1:{nodes[0]};", cache=cache, changes=changes or {}
    )  # fmt: skip
    log = folder / "error.log"
    process = subprocess.Popen([program("nginx"), "-c", str(main), "-p", str(folder), "-e", str(log)])
    try:
        _until_it_listens(process, port, log)
        yield port
    finally:
        process.terminate()
        process.wait(30)


def _until_it_listens(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    for _ in range(1000):
        with socket.socket() as tried:
            if tried.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert process.poll() is None, log.read_text()
        time.sleep(0.02)
    raise AssertionError(f"nginx does not listen: {log.read_text()}")
