"""Clients and a receiver that go on whatever is killed beneath them, and write down what they see."""

import contextlib
import hashlib
import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError

from support.history import TERMINAL, Log

SECRET = "whsec_" + "aW1hZ2VtaWxsLWRyaWxsLXNlY3JldC0wMTIzNDU2Nzg5"
_GIVE_UP_S = 120.0


class Receiver:
    """Verifies callbacks by the official library and writes them down; `refuses` says how many it answers 500 first."""

    def __init__(self, log: Log, secret: str = SECRET) -> None:
        self.is_gone = False
        """Whether it wants no more: 410."""
        self.refuses: Callable[[dict[str, Any]], bool] = lambda _message: False
        self.before_answer: Callable[[dict[str, Any]], None] = lambda _message: None
        self.log = log
        webhook, outer = Webhook(secret), self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                message = json.loads(body)
                data = message["data"]
                try:
                    webhook.verify(body, dict(self.headers))
                    valid = True
                except WebhookVerificationError:
                    valid = False
                refused = outer.refuses(message)
                outer.log.add(
                    "refused" if refused else "told", job=data["id"], id=self.headers["webhook-id"],
                    type=message["type"], rendition=data.get("rendition", ""), valid=valid,
                )  # fmt: skip
                outer.before_answer(message)
                with contextlib.suppress(OSError):
                    self.send_response(410 if outer.is_gone else 500 if refused else 204)
                    self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    def settings(self) -> dict[str, Any]:
        """The ``[callbacks]`` table that lets a node call it."""
        return {
            "allow_http": True, "ports": [443, self.port], "allow_networks": ["127.0.0.0/8"],
            "secrets": {"drill": [SECRET]},
        }  # fmt: skip

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def call(port: int, method: str, target: str, body: Any = None, headers: Mapping[str, str] | None = None,
         timeout_s: float = 10.0) -> tuple[int, dict[str, str], Any]:  # fmt: skip
    """One request; the answer's body as JSON."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
    with contextlib.closing(connection):
        payload = None if body is None else json.dumps(body)
        given = {"content-type": "application/json"} if payload is not None else {}
        connection.request(method, target, payload, {**given, **(headers or {})})
        reply = connection.getresponse()
        content = reply.read()
        return reply.status, {k.lower(): v for k, v in reply.getheaders()}, json.loads(content) if content else None


class Clients:
    """Submits by key until it is answered, and reads every job until it has ended."""

    def __init__(self, log: Log, port: int, *, patience_s: float = _GIVE_UP_S) -> None:
        self._log, self._port, self._patience_s = log, port, patience_s
        self.over = threading.Event()
        """Set where there is no point in asking any longer."""
        self.jobs: dict[str, str] = {}
        """Key to job."""

    def submit(self, key: str, order: dict[str, Any]) -> str:
        """Ask until it is accepted, as a client does that may not lose the order; its job."""
        until = time.monotonic() + self._patience_s
        self._log.add("asked", key=key)
        while time.monotonic() < until and not self.over.is_set():
            with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
                status, headers, job = call(self._port, "POST", "/jobs", order, {"idempotency-key": key})
                if status == 202:
                    assert headers["location"] == f"/jobs/{job['id']}"
                    events = (order.get("callback") or {}).get("events", ["succeeded", "failed"])
                    tells = "callback" in order and {"succeeded", "failed"} <= set(events)
                    names = [r["name"] for r in order["renditions"]]
                    self._log.add("accepted", key=key, job=job["id"], renditions=names, tells=tells)
                    self.jobs[key] = job["id"]
                    return str(job["id"])
                assert status >= 500 or status == 429, (status, job)
            time.sleep(0.1)
        raise AssertionError(f"{key} was never accepted")

    def look(self, job_id: str) -> str | None:
        """Read one job and write down what is seen; its state, or None where nobody answers."""
        with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
            status, _, job = call(self._port, "GET", f"/jobs/{job_id}")
            if status == 200:
                results = {r["name"]: [r["key"], r["sha256"]] for r in job["renditions"] if r["state"] == "stored"}
                self._log.add(
                    "seen", job=job_id, state=job["state"], version=job["version"], results=results,
                    attempts=job["attempts"], error=job["error"],
                )  # fmt: skip
                return str(job["state"])
            if status == 404:
                self._log.add("missed", job=job_id)
            else:
                assert status >= 500, (status, job)
        return None

    def follow(self) -> None:
        """Read every job until it has ended, or patience has."""
        left, until = set(self.jobs.values()), time.monotonic() + self._patience_s
        while left and time.monotonic() < until:
            left -= {job for job in left if self.look(job) in TERMINAL}
            time.sleep(0.1)
        for job in self.jobs.values():  # an end is an end: look again
            self.look(job)


def find(log: Log, root: Path, prefix: str = "") -> None:
    """Write down every object below *prefix* of the store at *root*, that jobs wrote to as ``{job}/{name}.{ext}``."""
    for path in sorted((root / prefix).rglob("*")):
        if path.is_file():
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            key = str(path.relative_to(root))
            log.add("found", job=path.parent.name, name=path.stem, key=key, sha256=digest)


@contextlib.contextmanager
def receiving(log: Log) -> Iterator[Receiver]:
    receiver = Receiver(log)
    try:
        yield receiver
    finally:
        receiver.close()
