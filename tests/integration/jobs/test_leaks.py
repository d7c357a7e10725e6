"""O02, O03, J15: a real node is used and misused with secrets in every place that has some; where they must not be."""

import http.client
import json
import os
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from support.drill import SECRET, receiving
from support.history import Log
from support.node import serving

CLEAN = {k: v for k, v in os.environ.items() if not k.startswith("IMAGEMILL_")}
IN_SOURCE, IN_HOOK, IN_ENVIRONMENT, IN_MISTAKE = "canarysource", "canaryhook", "canaryenvironment", "canarymistake"
TENANTS = [f"tenant{n}" for n in range(3)]


def token(config, tenant, *scopes):
    command = [sys.executable, "-m", "imagemill", "token", "new", "--config", str(config), "--name", tenant]
    words = ["--tenant", tenant, *(word for scope in scopes for word in ("--scope", scope))]
    return subprocess.run([*command, *words], capture_output=True, text=True, env=CLEAN, check=True).stdout.strip()


class Seen:
    """Asks a node, and keeps whatever it answers."""

    def __init__(self, node):
        self.node = node
        self.text = ""

    def ask(self, method, target, bearer, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.node.port, timeout=20)
        with closing(connection):
            payload = None if body is None else json.dumps(body)
            headers = {"authorization": f"Bearer {bearer}"} | ({"content-type": "application/json"} if body else {})
            connection.request(method, target, payload, headers)
            reply = connection.getresponse()
            content = reply.read().decode()
        self.text += f"{reply.getheaders()}\n{content}\n"
        return reply.status, content

    def ended(self, job, bearer):
        until_s = time.monotonic() + 80
        while time.monotonic() < until_s:
            found = json.loads(self.ask("GET", f"/jobs/{job}", bearer)[1])
            if found["state"] in {"succeeded", "failed"}:
                return found["state"]
            time.sleep(0.1)
        raise AssertionError(f"job {job} did not end")


@pytest.fixture
def receiver(tmp_path):
    with receiving(Log(tmp_path / "told.jsonl")) as receiver:
        receiver.messages = []
        receiver.before_answer = lambda message: receiver.messages.append(json.dumps(message))
        yield receiver


def test_no_secret_is_seen_where_it_does_not_belong(tmp_path, source, receiver):
    """Neither in answers, logs and metrics, nor in what the receiver or a process list is shown."""
    (tmp_path / "out").mkdir()
    source.bodies["/damaged.jpg"] = b"\xff\xd8 no picture"
    with serving(
        tmp_path,
        env={"IMAGEMILL_L2__SECRET": IN_ENVIRONMENT},
        storage={"out": {"kind": "file", "root": str(tmp_path / "out"), "write": True}},
        jobs={"data": str(tmp_path / "data"), "retries": 0},
        sources=source.allowed(),
        callbacks=receiver.settings(),
    ) as node:
        bearers = {tenant: token(node.config, tenant, "submit", "read") for tenant in TENANTS}
        seen = Seen(node)
        while seen.ask("GET", "/jobs", bearers[TENANTS[-1]])[0] != 200:
            time.sleep(0.1)  # a service may take a second to know them
        ended = []
        for tenant, bearer in bearers.items():
            jobs = []
            for path in ("/photo.jpg", "/missing.jpg", "/damaged.jpg"):
                status, answer = seen.ask("POST", "/jobs", bearer, order(source, receiver, path))
                assert status == 202, answer
                jobs.append(json.loads(answer)["id"])
            ended += [seen.ended(job, bearer) for job in jobs]
            for target in ("/jobs", f"/jobs/{jobs[0]}/events", f"/jobs/{jobs[1]}/deliveries"):
                assert seen.ask("GET", target, bearer)[0] == 200
            wrong = order(source, receiver, "/photo.jpg")
            wrong["callback"] |= {"secret": f"whsec_{IN_MISTAKE}"}
            assert seen.ask("POST", "/jobs", bearer, wrong)[0] == 400
            wrong["callback"] = {"url": f"https://u:{IN_MISTAKE}@hooks.example.com/?k={IN_MISTAKE}", "secret": "drill"}
            assert seen.ask("POST", "/jobs", bearer, wrong)[0] == 400
            assert seen.ask("GET", f"/jobs?token={IN_MISTAKE}", bearer)[0] == 400
            assert seen.ask("GET", "/jobs", f"{bearer[:13]}{IN_MISTAKE}")[0] == 401
            assert seen.ask("GET", f"/jobs/{jobs[0]}", next(b for t, b in bearers.items() if t != tenant))[0] == 404
        metrics = node.admin("/metrics").body.decode()
        processes = [Path(f"/proc/{pid}") for pid in node.workers()]
        shown = b"".join((p / "cmdline").read_bytes() + (p / "environ").read_bytes() for p in processes).decode()
        modes = {p.name: p.stat().st_mode & 0o777 for p in (tmp_path / "data").iterdir()}
    told, log = "\n".join(receiver.messages), node.log.read_text()

    assert ended == ["succeeded", "failed", "failed"] * len(TENANTS)
    assert len(receiver.messages) >= 3 * len(TENANTS)
    secrets = [IN_SOURCE, IN_HOOK, IN_ENVIRONMENT, IN_MISTAKE, SECRET, SECRET.removeprefix("whsec_"), *bearers.values()]
    for name, text in {"answers": seen.text, "log": log, "metrics": metrics, "processes": shown, "told": told}.items():
        assert [secret for secret in secrets if secret in text] == [], name
    assert all(json.loads(line) for line in log.splitlines())
    assert [tenant for tenant in TENANTS if tenant in metrics] == []  # O03: however many there are
    assert [word for word in (*TENANTS, f":{source.port}", "photo.jpg", "hook", str(tmp_path)) if word in told] == []
    assert "IMAGEMILL_" not in shown
    assert [name for name, mode in modes.items() if mode & 0o077] == []


def order(source, receiver, path):
    return {
        "source": f"{source.url(path)}?X-Amz-Signature={IN_SOURCE}&key={IN_SOURCE}",
        "renditions": [{"name": "s", "params": "width=32&format=webp"}],
        "destination": {"store": "out"},
        "callback": {"url": f"{receiver.url}?key={IN_HOOK}", "secret": "drill"},
    }
