"""A real S3 server for tests: versitygw over a folder, on a free loopback port, with TLS where it is asked for.

``.ci/servers`` builds it. Where it is missing the test is skipped by name, and fails where the environment says ``CI``.
"""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from support.ports import free_port

ACCESS_KEY = "mill-access"
SECRET_KEY = "mill-secret-of-forty-characters-and-more"
BUCKET = "pictures"
REGION = "eu-test-1"
READY_S = 20.0


def program() -> str:
    """The server's program, or skip."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    found = cache / "imagemill" / "servers" / "versitygw"
    if not found.exists():
        words = "versitygw is not built: run .ci/servers versitygw"
        pytest.fail(words) if os.environ.get("CI") else pytest.skip(words)
    return str(found)


class S3Server:
    """One process over one folder; what is stored outlives it."""

    def __init__(self, folder: Path, *options: str, tls: tuple[Path, Path] | None = None) -> None:
        self.folder = folder
        self.port = free_port()
        self.scheme = "https" if tls else "http"
        self._options = [*options, *(("--cert", str(tls[0]), "--key", str(tls[1])) if tls else ())]
        self._program = program()
        self.process: subprocess.Popen[bytes] | None = None
        for name in ("objects", "metadata"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / "objects" / BUCKET).mkdir(exist_ok=True)

    @property
    def endpoint(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def settings(self, **more: Any) -> dict[str, Any]:
        """The ``[storage.<name>]`` table of a store on this server."""
        return {
            "kind": "s3", "bucket": BUCKET, "region": REGION, "endpoint": self.endpoint,
            "access_key_id": ACCESS_KEY, "secret_access_key": SECRET_KEY,
        } | more  # fmt: skip

    def object(self, key: str) -> Path:
        """Where the server keeps the bytes of *key*."""
        return self.folder / "objects" / BUCKET / key

    def start(self) -> "S3Server":
        # keys by environment: arguments are everybody's to read
        env = os.environ | {"ROOT_ACCESS_KEY": ACCESS_KEY, "ROOT_SECRET_KEY": SECRET_KEY}
        command = [
            self._program, "--port", f"127.0.0.1:{self.port}", "--region", REGION, "--keep-alive", *self._options,
            "posix", "--sidecar", str(self.folder / "metadata"), str(self.folder / "objects"),
        ]  # fmt: skip
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=env)
        self._wait()
        return self

    def _wait(self) -> None:
        end = time.monotonic() + READY_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                assert self.process is not None
                if self.process.poll() is not None or time.monotonic() > end:
                    words = (self.folder / "log").read_text()[-2000:]
                    raise AssertionError(f"versitygw did not come up: {words}") from None
            time.sleep(0.02)

    def kill(self) -> None:
        """End it as a power cut would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Let it hang for a while."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.process.pid, signal.SIGCONT)


@contextmanager
def serving(folder: Path, *options: str, tls: tuple[Path, Path] | None = None) -> Iterator[S3Server]:
    server = S3Server(folder, *options, tls=tls)
    try:
        yield server.start()
    finally:
        server.kill()


@contextmanager
def serving_tls(folder: Path) -> Iterator[tuple[S3Server, Path]]:
    """A server that speaks only TLS, and whom to trust."""
    import trustme

    folder.mkdir(parents=True, exist_ok=True)
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    cert = authority.issue_cert("localhost", "127.0.0.1")
    cert.private_key_pem.write_to_path(str(folder / "key.pem"))
    cert.cert_chain_pems[0].write_to_path(str(folder / "cert.pem"))
    with serving(folder, tls=(folder / "cert.pem", folder / "key.pem")) as server:
        yield server, folder / "ca.pem"
