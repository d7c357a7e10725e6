"""A real node for tests: `imagemill serve` in a process of its own, and a source server to feed it."""

import asyncio
import contextlib
import http.client
import json
import os
import signal
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from support.ports import free_port

SAMPLES = Path(__file__).parents[2] / "src" / "imagemill" / "samples"
PHOTO = (SAMPLES / "dandelion.jpg").read_bytes()
HELD_S = 100.0
"""The longest that a source holds an answer back."""


class Answer:
    """One HTTP answer."""

    def __init__(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.status = status
        self.pairs = [(k.lower(), v) for k, v in headers]
        self.headers = dict(self.pairs)
        self.body = body

    @property
    def problem(self) -> dict[str, Any]:
        assert self.headers["content-type"] == "application/problem+json", self.headers
        return json.loads(self.body)


class Node:
    """A running node."""

    def __init__(
        self, process: subprocess.Popen[bytes], port: int, admin_port: int, log: Path, env: dict[str, str] | None = None
    ) -> None:
        self.process, self.port, self.admin_port, self.log = process, port, admin_port, log
        self.env = env
        """Beside its own environment; also of whoever comes in its place."""

    def get(self, target: str, headers: dict[str, str] | None = None, method: str = "GET", port: int = 0) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=30)
        with contextlib.closing(connection):
            headers = {"Host": "127.0.0.1", **(headers or {})}
            connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
            for name, value in headers.items():
                connection.putheader(name, value)
            connection.endheaders()
            reply = connection.getresponse()
            return Answer(reply.status, reply.getheaders(), reply.read())

    def admin(self, target: str) -> Answer:
        return self.get(target, port=self.admin_port)

    def purge(self, **order: str) -> Answer:
        """Purge by ``source``, ``tag`` or ``target`` on this node's admin port."""
        connection = http.client.HTTPConnection("127.0.0.1", self.admin_port, timeout=30)
        with contextlib.closing(connection):
            connection.request("POST", "/purge", json.dumps(order), {"content-type": "application/json"})
            reply = connection.getresponse()
            return Answer(reply.status, reply.getheaders(), reply.read())

    def metric(self, name: str) -> float:
        """The sum of a metric over its labels that match *name* as a prefix of the line."""
        lines = self.admin("/metrics").body.decode().splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name))

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    @property
    def config(self) -> Path:
        """The file of its settings."""
        return self.log.with_suffix(".toml")

    def workers(self) -> list[int]:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [int(c) for c in children]

    def rss(self) -> int:
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * 4096

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(40)


@contextlib.contextmanager
def serving(tmp_path: Path, *, command: list[str] | None = None, env: dict[str, str] | None = None,
            **tables: dict[str, Any]) -> Iterator[Node]:  # fmt: skip
    """A node with *tables* as settings over: unsigned, the sample store, loopback sources allowed."""
    port, admin_port = free_port(), free_port()
    settings: dict[str, dict[str, Any]] = {
        "server": {"port": port, "admin_port": admin_port},
        "signing": {"mode": "unsigned"},
        "storage": {"sample": {"kind": "file", "root": str(SAMPLES)}},
        "log": {"format": "json"},
    }
    for name, table in tables.items():
        settings.setdefault(name, {}).update(table)
    config = tmp_path / f"node-{port}.toml"
    config.write_text(toml(settings))
    log = tmp_path / f"node-{port}.log"
    node = Node(_started(config, log, command, env), port, admin_port, log, env)
    try:
        _wait_ready(node)
        yield node
    finally:
        process = node.process
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(40)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def restart(node: Node) -> None:
    """Stop *node* as an operator does, and start another in its place: same settings, same ports."""
    node.stop()
    node.process = _started(node.config, node.log, env=node.env)
    _wait_ready(node)


def _started(
    config: Path, log: Path, command: list[str] | None = None, env: dict[str, str] | None = None
) -> subprocess.Popen[bytes]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("IMAGEMILL_")}
    with log.open("ab") as out:
        return subprocess.Popen(
            [*(command or [sys.executable, "-m", "imagemill"]), "serve", "--config", str(config)],
            stdout=out, stderr=out, env=clean | (env or {}),
        )  # fmt: skip


def _wait_ready(node: Node) -> None:
    for _ in range(2_000):  # under strace, on a busy machine
        if node.process.poll() is not None:
            break
        with contextlib.suppress(OSError):
            if node.admin("/readyz").status == 200:
                return
        time.sleep(0.05)
    raise AssertionError(f"the node did not come up: {node.log.read_text()[-2000:]}")


def toml(tables: dict[str, Any], prefix: str = "") -> str:
    """Enough of TOML for settings."""
    lines, inner = [], []
    for name, value in tables.items():
        if isinstance(value, dict):
            inner.append(f"[{prefix}{name}]\n{toml(value, f'{prefix}{name}.')}")
        else:
            lines.append(f"{name} = {json.dumps(value)}")
    return "\n".join([*lines, *inner]) + "\n"


class SourceServer:
    """Serves bodies by path, counts requests, and can be told to wait."""

    def __init__(self) -> None:
        self.bodies: dict[str, bytes] = {"/photo.jpg": PHOTO}
        self.headers: dict[str, str] = {}
        self.requests: list[str] = []
        self.heads: list[str] = []
        self.delay_s: dict[str, float] = {}
        self.held: dict[str, threading.Event] = {}
        self.etags: dict[str, str] = {}
        """By path; who asks with the same is answered 304."""
        self.statuses: dict[str, str] = {}
        """By path, in place of what would be answered, without a body."""
        outer = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                with contextlib.suppress(OSError, IndexError):
                    while line := self.rfile.readline():
                        head = line
                        while (more := self.rfile.readline()) not in {b"\r\n", b""}:
                            head += more
                        outer.answer(self.wfile, line.split()[1].decode(), head.decode("latin-1"))

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = daemon_threads = True
            request_queue_size = 256

            def handle_error(self, *_: object) -> None:
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, out: Any, target: str, head: str) -> None:
        self.requests.append(target)
        self.heads.append(head)
        path = target.partition("?")[0]
        body, etag = self.bodies.get(path), self.etags.get(path, "")  # as they are when it is asked, not after the wait
        for prefix, seconds in list(self.delay_s.items()):  # a test may add to it meanwhile
            if path.startswith(prefix):
                time.sleep(seconds)
        for prefix, released in list(self.held.items()):
            if path.startswith(prefix):
                released.wait(HELD_S)
        status = "200 OK" if body is not None else "404 Not Found"
        if etag and f"if-none-match: {etag}" in head.lower():
            status, body = "304 Not Modified", b""
        if path in self.statuses:
            status, body = self.statuses[path], b""
        headers = self.headers | ({"etag": etag} if etag else {})
        more = "".join(f"{k}: {v}\r\n" for k, v in headers.items())
        out.write(f"HTTP/1.1 {status}\r\ncontent-length: {len(body or b'')}\r\n{more}\r\n".encode() + (body or b""))

    @contextlib.contextmanager
    def holding(self, prefix: str) -> Iterator[threading.Event]:
        """Who asks for a path that begins with *prefix* is answered once the event is set, at the latest at the end."""
        released = self.held[prefix] = threading.Event()
        try:
            yield released
        finally:
            released.set()
            del self.held[prefix]

    def asked(self, path: str) -> int:
        """How often this path was asked for."""
        return sum(target.partition("?")[0] == path for target in self.requests)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def allowed(self) -> dict[str, Any]:
        """The ``[sources]`` table that lets a node reach this server."""
        return {"ports": [80, 443, self.port], "allow_networks": ["127.0.0.0/8"]}

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


async def fetch(port: int, target: str, headers: str = "") -> Answer:
    """One request on a connection of its own, for many at a time."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(f"GET {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n".encode())
        head, _, body = (await reader.read(-1)).partition(b"\r\n\r\n")
        first, *rest = head.decode("latin-1").split("\r\n")
        pairs = [(n, v.strip()) for n, _, v in (line.partition(":") for line in rest)]
        return Answer(int(first.split()[1]), pairs, body)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
