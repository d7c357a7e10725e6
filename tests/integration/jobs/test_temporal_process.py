"""The commands as an operator starts them: `serve` accepts, `worker` does, Temporal keeps."""

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

from support.drill import call
from support.node import serving

CLEAN = {k: v for k, v in os.environ.items() if not k.startswith("IMAGEMILL_")}
ORDER = {
    "source": "local:sample/dandelion.jpg",
    "renditions": [{"name": "s", "params": {"width": 64, "format": "webp"}}],
    "destination": {"store": "out", "prefix": "p/"},
}


@contextmanager
def working(node, log):
    """``imagemill worker`` with the settings of *node*."""
    command = [sys.executable, "-m", "imagemill", "worker", "--config", str(node.config), "--admin-port", "0"]
    with log.open("ab") as out:
        process = subprocess.Popen(command, env=CLEAN, stdout=out, stderr=out)
    try:
        yield process
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()


def test_a_picture_is_made_by_a_worker_of_its_own(temporal, tmp_path):
    """From the request to the file, with nothing but settings; the same key is the same job."""
    out = tmp_path / "out"
    out.mkdir()
    tables = {
        "jobs": {"engine": "temporal", "data": str(tmp_path / "data"), "grace_s": 5.0},
        "temporal": {"address": temporal.address, "task_queue": f"p{secrets.token_hex(4)}"},
        "storage": {"out": {"kind": "file", "root": str(out), "write": True}},
    }
    with serving(tmp_path, **tables) as node, working(node, tmp_path / "worker.log"):
        status, _, job = call(node.port, "POST", "/jobs", ORDER, {"idempotency-key": "k"})
        assert status == 202
        again = call(node.port, "POST", "/jobs", ORDER, {"idempotency-key": "k"})
        until_s = time.monotonic() + 60
        while (seen := call(node.port, "GET", f"/jobs/{job['id']}")[2])["state"] != "succeeded":
            assert time.monotonic() < until_s, (seen, (tmp_path / "worker.log").read_text()[-2000:])
            time.sleep(0.1)

    assert again[2]["id"] == job["id"]
    (made,) = out.rglob("*.webp")
    assert made.read_bytes()[8:12] == b"WEBP"
    assert job["id"] in str(made)
    log = (tmp_path / "worker.log").read_text()
    assert all(json.loads(line) for line in log.splitlines()), "every line is one of ours"
