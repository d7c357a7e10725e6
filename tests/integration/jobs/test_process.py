"""The process that does the jobs, beside a real node: whatever is killed, jobs end and pictures are answered."""

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from support.node import Node, restart, serving
from support.ports import free_port
from support.vitals import alive

pytestmark = pytest.mark.timeout(300)  # far more than any of it takes, also on a busy machine

PICTURE = "/image?source=local%3Asample%2Fdandelion.jpg&width=64&format=webp"
CLEAN = {k: v for k, v in os.environ.items() if not k.startswith("IMAGEMILL_")}


def run(node, *words, env=None, check=None):
    """``imagemill jobs …`` against *node*: exit status, output, complaints."""
    command = [sys.executable, "-m", "imagemill", "jobs", *words, "--url", f"http://127.0.0.1:{node.port}"]
    done = subprocess.run(command, capture_output=True, text=True, env=CLEAN | (env or {}), timeout=60)
    if check is not None:
        assert done.returncode == check, done.stdout + done.stderr
    return done.returncode, done.stdout, done.stderr


def submit(node, source="local:sample/dandelion.jpg", *words):
    return run(node, "submit", source, "-r", "s:width=64,format=webp", "--to", "out", *words, check=0)[1].strip()


def state(node, job):
    return json.loads(node.get(f"/jobs/{job}").body)


def until(condition, seconds=80.0, says=""):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(OSError, http.client.HTTPException):
            if found := condition():
                return found
        time.sleep(0.05)
    raise AssertionError(says or "it did not come to pass")


def ended(node, job, seconds=80.0):
    def over():
        found = state(node, job)
        return found if found["state"] in {"succeeded", "failed", "cancelled", "expired"} else None

    return until(over, seconds, f"job {job} did not end: {node.log.read_text()[-1500:]}")


def child(node: Node):
    """The pid of the job process of *node*, or None."""
    for pid in node.workers():
        with contextlib.suppress(OSError):
            if b"--supervised" in Path(f"/proc/{pid}/cmdline").read_bytes():
                return pid
    return None


def kin(pid):
    """Processes that *pid* has started."""
    return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.fixture
def gate(source):
    """Until it is set, a job with ``/slow.jpg`` runs."""
    with source.holding("/slow") as opened:
        yield opened


@pytest.fixture
def tables(tmp_path, source):
    """Settings of a node that does jobs, into ``out``, from a source whose ``/slow.jpg`` waits for `gate`."""
    (tmp_path / "out").mkdir()
    source.bodies["/slow.jpg"] = source.bodies["/photo.jpg"]
    return {
        "storage": {"out": {"kind": "file", "root": str(tmp_path / "out"), "write": True}},
        "jobs": {"data": str(tmp_path / "data")},
        "sources": source.allowed(),
    }


@pytest.fixture
def node(tmp_path, tables):
    with serving(tmp_path, **tables) as running:
        until(lambda: running.metric("imagemill_job_process_up") == 1)
        yield running


def test_a_job_has_more_patience_than_a_request(tmp_path, tables):
    """What a busy machine has no time to answer with at once is made all the same, by the same bound of CPU."""
    with serving(tmp_path, **tables, engine={"deadline_s": 0.001}) as node:
        assert node.get(PICTURE).status == 504
        assert ended(node, submit(node))["state"] == "succeeded"


def test_a_job_from_the_command_line(node, tmp_path):
    """Submitted, watched to its end, listed, counted; its file is there; the exit status says how it ended."""
    _, shown, _ = run(
        node, "submit", "local:sample/dandelion.jpg", "-r", "s:width=64,format=webp", "-r", "m:crop=100,80,format=png",
        "--to", "out/cats", "--key", "{name}.{ext}", "--tag", "cat", "--wait", check=0,
    )  # fmt: skip
    failed = run(node, "submit", "local:sample/nothing.jpg", "-r", "s:width=64,format=webp", "--to", "out", "--wait")
    refused = run(node, "submit", "local:sample/dandelion.jpg", "-r", "s:widht=64", "--to", "out")
    listed = json.loads(run(node, "list", "--json", "--tag", "cat", check=0)[1])
    job = listed[0]["id"]

    assert (tmp_path / "out" / "cats" / "s.webp").read_bytes()[8:12] == b"WEBP"
    assert (tmp_path / "out" / "cats" / "m.png").read_bytes()[1:4] == b"PNG"
    assert f"{job}  succeeded  2/2 renditions\n" in shown
    assert "  s: local:out/cats/s.webp (64x43, " in shown
    assert (failed[0], "source_not_found" in failed[1]) == (1, True)
    assert (refused[0], "widht: unknown parameter" in refused[2]) == (3, True)
    assert [(one["id"], one["state"]) for one in listed] == [(job, "succeeded")]
    assert job in run(node, "list", "--state", "succeeded", check=0)[1]
    assert run(node, "watch", job, check=0)[1] == shown.removeprefix(shown[: shown.rindex(job)])
    assert run(node, "cancel", job)[0] == 3
    again = run(node, "retry", job, check=0)[1].strip()
    assert ended(node, again)["retry_of"] == job
    until(lambda: node.metric('imagemill_jobs_finished_total{priority="0",state="succeeded"}') == 2)
    until(lambda: node.metric("imagemill_jobs{") == 3)


def test_a_terminal_sees_a_bar(node, source, gate):
    """Drawn in place while the job runs, gone once it is over."""
    ours, theirs = os.openpty()
    command = [sys.executable, "-m", "imagemill", "jobs", "submit", source.url("/slow.jpg"), "-r", "s:width=64,format=webp",
               "--to", "out", "--wait", "--url", f"http://127.0.0.1:{node.port}"]  # fmt: skip
    process = subprocess.Popen(command, stdout=theirs, stderr=subprocess.DEVNULL, env=CLEAN)
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):  # a terminal's end
        while part := os.read(ours, 65536):
            shown += part
            if b"0/1 running" in shown:
                gate.set()
    os.close(ours)

    assert process.wait(60) == 0
    assert "\r\x1b[K░░░".encode() in shown
    assert b"0/1 running" in shown
    assert shown.rpartition(b"\x1b[K")[2].splitlines()[0].endswith(b"succeeded  1/1 renditions")


def test_nobody_answers(tmp_path):
    gone = Node(None, free_port(), 0, tmp_path / "log")

    status, shown, complaint = run(gone, "list")

    assert (status, shown) == (3, "")
    assert complaint.startswith(f"imagemill: no imagemill answers at http://127.0.0.1:{gone.port}")


def test_a_token_is_read_from_a_file_or_the_environment(node, tmp_path):
    """Never from the command line. Without one, once there are any, nobody is answered."""
    token = subprocess.run(
        [sys.executable, "-m", "imagemill", "token", "new", "--name", "n", "--tenant", "t", "--scope", "read",
         "--config", str(node.config)], capture_output=True, text=True, env=CLEAN, check=True,
    ).stdout.strip()  # fmt: skip
    file = tmp_path / "token"
    file.write_text(token + "\n")

    until(lambda: run(node, "list")[0] == 3)

    assert run(node, "list", "--token-file", str(file), check=0)
    assert run(node, "list", env={"IMAGEMILL_TOKEN": token}, check=0)
    assert (
        "scope" in run(node, "submit", "local:a/b", "-r", "s:width=1", "--to", "out", env={"IMAGEMILL_TOKEN": token})[2]
    )


def test_the_job_process_is_killed_in_the_middle(node, source, gate, tmp_path):
    """kill -9: another does the job; it is counted; pictures are answered all the while."""
    job = submit(node, source.url("/slow.jpg"))
    until(lambda: state(node, job)["state"] == "running")
    killed = child(node)

    os.kill(killed, signal.SIGKILL)
    until(lambda: child(node) not in {killed, None})
    gate.set()

    assert node.get(PICTURE).status == 200
    assert ended(node, job)["state"] == "succeeded"
    assert len(list((tmp_path / "out" / job).iterdir())) == 1
    assert child(node) not in {killed, None}
    assert node.metric('imagemill_job_process_restarts_total{reason="crash"}') == 1
    assert [line["reason"] for line in node.lines() if line["event"] == "the job process ended"] == ["crash"]


def test_a_job_process_that_stands_still_holds_nobody_up(node):
    """SIGSTOP: pictures are answered and jobs accepted; they are done once it goes on, or is replaced."""
    stuck = child(node)
    os.kill(stuck, signal.SIGSTOP)
    try:
        assert node.get(PICTURE).status == 200
        job = submit(node)
        assert state(node, job)["state"] == "queued"
        assert node.admin("/readyz").status == 200
    finally:
        os.kill(stuck, signal.SIGCONT)
    assert ended(node, job)["state"] == "succeeded"


def test_serve_is_killed(node, source, gate):
    """kill -9 of `serve`: the job process and its engine workers go with it, and the next one finds the job."""
    submit_and_end = submit(node)
    ended(node, submit_and_end)  # so that there are engine workers
    job = submit(node, source.url("/slow.jpg"))
    until(lambda: state(node, job)["state"] == "running")
    process = child(node)
    family = [process, *kin(process)]
    assert len(family) > 1

    node.process.kill()
    node.process.wait()

    until(lambda: not any(map(alive, family)))
    gate.set()
    restart(node)
    assert ended(node, job)["state"] == "succeeded"


def test_a_stop_lets_jobs_finish(node, source, gate):
    """SIGTERM: what runs is finished, once; then all of it ends, with status 0."""
    job = submit(node, source.url("/slow.jpg"))
    until(lambda: state(node, job)["state"] == "running")
    process = child(node)

    node.process.send_signal(signal.SIGTERM)
    until(lambda: any(line["event"] == "stopping" for line in node.lines()))
    gate.set()
    assert node.stop() == 0

    assert not alive(process)
    restart(node)
    found = state(node, job)
    assert (found["state"], found["attempts"]) == ("succeeded", 1)


def test_two_nodes_on_one_directory(node, tmp_path, tables):
    """Only one of them does the jobs; both accept them; the other takes over once the first is gone."""
    (tmp_path / "second").mkdir()
    with serving(tmp_path / "second", **tables) as second:
        until(lambda: any("another process does the jobs" in line["event"] for line in second.lines()))
        assert second.metric("imagemill_job_process_up") == 0
        assert second.metric("imagemill_job_process_restarts_total") == 0
        job = submit(second)
        assert ended(second, job)["state"] == "succeeded"
        assert child(second) is None

        node.stop()

        later = submit(second)
        assert ended(second, later)["state"] == "succeeded"
        until(lambda: second.metric("imagemill_job_process_up") == 1)


def worker(config, log, *words):
    command = [sys.executable, "-m", "imagemill", "worker", "--config", str(config), *words]
    with log.open("wb") as out:
        return subprocess.Popen(command, stdout=out, stderr=out, env=CLEAN)


def test_a_worker_of_its_own(node, tmp_path):
    """Refused while `serve` has one; in its place once that is gone, with health and metrics on a port of its own."""
    log, port = tmp_path / "worker.log", free_port()
    assert worker(node.config, log, "--admin-port", "0").wait(20) == 3
    assert "in use by another job process" in log.read_text()
    node.stop()
    alone = worker(node.config, log, "--admin-port", str(port))
    try:
        until(lambda: node.get("/readyz", port=port).status == 200)
        assert b"imagemill_job_workers" in node.get("/metrics", port=port).body
        restart(node)

        job = submit(node)

        assert ended(node, job)["state"] == "succeeded"
        until(lambda: child(node) is None)
    finally:
        alone.terminate()
        assert alone.wait(30) == 0
    until(lambda: node.metric("imagemill_job_process_up") == 1)


@pytest.mark.parametrize("home", ["/proc/nowhere", None])
def test_evaluation_where_nothing_can_be_written(tmp_path, home):
    """No home, no settings: pictures are served, jobs are off, and the log says why."""
    port, admin_port, log = free_port(), free_port(), tmp_path / "node.log"
    environ = {k: v for k, v in CLEAN.items() if k not in {"HOME", "XDG_STATE_HOME"}} | ({"HOME": home} if home else {})
    command = [sys.executable, "-m", "imagemill", "serve", "--port", str(port), "--admin-port", str(admin_port)]
    with log.open("wb") as out:
        node = Node(subprocess.Popen(command, stdout=out, stderr=out, env=environ), port, admin_port, log)
    try:
        until(lambda: node.admin("/readyz").status == 200)
        assert node.get(PICTURE).status == 200
        assert node.get("/jobs").status == 404
        (off,) = (line for line in node.lines() if line["event"] == "jobs are off")
        assert "jobs.data" in off["reason"]
        assert child(node) is None
    finally:
        node.stop()
