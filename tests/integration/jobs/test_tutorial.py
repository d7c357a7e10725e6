"""What the tutorial of jobs, the how-to on priorities and the reference tell people to type works as they say.

Ports are others than on the pages, as those may be taken; what a page kills by name is killed by its pid.
"""

import contextlib
import json
import os
import re
import shlex
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support import temporal
from support.node import SAMPLES, Answer, Node, serving
from support.pages import DOCS, blocks, curl
from support.ports import free_port
from support.redis import standalone

TUTORIAL = "tutorial/first-job.md"
RECEIVER = "how-to/receive-callbacks.md"
ROOT = DOCS.parent
CLEAN = {k: v for k, v in os.environ.items() if not k.startswith(("IMAGEMILL_", "XDG_"))}
OVER = {"succeeded", "failed", "cancelled", "expired"}
PATIENCE_S = 60.0


def until(condition: Callable[[], Any], says: str, seconds: float = PATIENCE_S) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(OSError, sqlite3.OperationalError):
            if found := condition():
                return found
        time.sleep(0.05)
    raise AssertionError(says)


class Learner:
    """Somebody at a terminal in a clone, who does what the page says."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "src" / "imagemill").mkdir(parents=True)
        (folder / "src" / "imagemill" / "samples").symlink_to(SAMPLES)
        (folder / ".venv" / "bin").mkdir(parents=True)
        for name, words in (("python", sys.executable), ("imagemill", f"{sys.executable} -m imagemill")):
            command = folder / ".venv" / "bin" / name
            command.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
            command.chmod(0o755)
        self.port, self.admin_port, self.hooks = free_port(), free_port(), free_port()
        home = folder / "home"
        home.mkdir()
        self.env = CLEAN | {"HOME": str(home), "IMAGEMILL_URL": f"http://127.0.0.1:{self.port}"}
        self.running: list[subprocess.Popen[bytes]] = []

    def localized(self, text: str) -> str:
        return text.replace("127.0.0.1:8080", f"127.0.0.1:{self.port}").replace("9000", str(self.hooks))

    def type(self, line: str) -> str:
        """What is printed; a line that fails is an error."""
        done = subprocess.run(
            ["bash", "-euc", self.localized(line)], cwd=self.folder, env=self.env, capture_output=True, text=True, timeout=90
        )  # fmt: skip
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        return done.stdout

    def leave(self, line: str, more: str = "") -> subprocess.Popen[bytes]:
        """Type a line that does not come back."""
        with (self.folder / "log").open("ab") as log:
            words = ["bash", "-c", f"exec env {self.localized(line)} {more}"]
            self.running.append(
                subprocess.Popen(words, cwd=self.folder, env=self.env, stdout=subprocess.PIPE, stderr=log)
            )
        return self.running[-1]

    def serve(self, line: str) -> Node:
        process = self.leave(line, f"--port {self.port} --admin-port {self.admin_port}")
        node = Node(process, self.port, self.admin_port, self.folder / "log")
        until(lambda: node.admin("/readyz").status == 200, (self.folder / "log").read_text)
        return node

    def curl(self, line: str) -> Answer:
        asked = curl(self.localized(line), self.folder)
        return ask(Node(self.running[0], self.port, self.admin_port, self.folder / "log"), *asked)

    def jobs(self) -> list[dict[str, Any]]:
        return json.loads(self.type(".venv/bin/imagemill jobs list --json"))


def ask(node: Node, method: str, url: str, headers: dict[str, str], body: bytes | None) -> Answer:
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", node.port, timeout=30)
    with contextlib.closing(connection):
        connection.request(method, url.partition(str(node.port))[2], body, headers)
        reply = connection.getresponse()
        return Answer(reply.status, reply.getheaders(), reply.read())


@pytest.fixture
def learner(tmp_path: Path) -> Iterator[Learner]:
    at_work = Learner(tmp_path)
    yield at_work
    for process in at_work.running:
        process.terminate()
    for process in at_work.running:
        try:
            process.communicate(timeout=40)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def lines(block: str) -> list[str]:
    return block.strip().splitlines()


def alike(shown: str, told: str) -> bool:
    """Whether *told* has each line of *shown*, whatever the ids and the sizes."""
    worn = [re.sub(r"\b[0-9a-f]{32}\b", "ID", re.sub(r"\d+ bytes", "N bytes", text)) for text in (shown, told)]
    return set(lines(worn[0])) <= set(lines(worn[1]))


def job_process(serve: subprocess.Popen[bytes], pattern: str) -> int:
    """The one child of *serve* that ``pkill -f`` would find by *pattern*; 0 = none just now."""
    children = Path(f"/proc/{serve.pid}/task/{serve.pid}/children").read_text().split()
    commands = {pid: Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode() for pid in children}
    found = [int(pid) for pid, words in commands.items() if pattern in words]
    assert len(found) <= 1, commands
    return found[0] if found else 0


def pkill(line: str) -> str:
    """The pattern of ``pkill -9 -f 'pattern'``."""
    found = re.search(r"pkill -9 -f '([^']+)'", line)
    assert found, line
    return found[1]


def test_the_tutorial_before_any_settings(learner: Learner) -> None:
    """A first run, one command, and what it prints; the log names the folder where the results are."""
    first, *_ = blocks(TUTORIAL, "sh")
    assert first in (ROOT / "README.md").read_text()
    shown, _ = blocks(TUTORIAL, "text")

    learner.serve(".venv/bin/imagemill serve --unsigned --sample")  # as `make serve` does
    told = learner.type(f"{first.strip()} 2>&1")

    assert alike("\n".join(line for line in lines(shown) if " running " not in line), told), told.encode()
    (out,) = (Path(learner.env["HOME"]) / ".local/state/imagemill/out/flowers").glob("*")
    assert {file.name for file in out.iterdir()} == {"small.webp", "large.avif"}
    log = [json.loads(line) for line in (learner.folder / "log").read_text().splitlines()]
    (on,) = [line for line in log if line["event"] == "jobs are on"]
    assert str(out.parents[1]) in on["results"]


@pytest.mark.timeout(240)
def test_the_tutorial_from_settings_to_a_pulled_plug(learner: Learner) -> None:
    """Every block in its order: the service, the receiver, one job, its repeat, its callback; then what is killed."""
    (settings,), (order,) = blocks(TUTORIAL, "toml"), blocks(TUTORIAL, "json")
    _, begin, receive, submit, watch, plug = blocks(TUTORIAL, "sh")
    _, printed = blocks(TUTORIAL, "text")
    for name, text in (("jobs.toml", settings), ("order.json", order), ("receiver.py", blocks(RECEIVER, "python")[0])):
        (learner.folder / name).write_text(learner.localized(text))

    make, serve = lines(begin)
    learner.type(make)
    node = learner.serve(serve)
    install, listen = lines(receive)
    assert install.endswith("install standardwebhooks")  # which the tests have
    receiver = learner.leave(listen)
    first, again = learner.curl(submit), learner.curl(submit)

    assert (first.status, again.status) == (202, 202)
    job = first.headers["location"].removeprefix("/jobs/")
    assert again.headers["location"] == first.headers["location"]

    told = learner.type(watch.replace("ID", job))
    assert f"{job}  succeeded  2/2 renditions" in told
    assert "callback: delivered" in told
    view = json.loads(learner.type(f".venv/bin/imagemill jobs watch --json {job} | tail -n 1"))
    assert view["metadata"] == {"article": 4711}
    results = learner.folder / "results" / "flowers" / job
    assert {f.name: f.stat().st_size for f in results.iterdir()} == {
        r["key"].rpartition("/")[2]: r["bytes"] for r in view["renditions"]
    }

    more, kill, look = lines(plug)
    ids = set(learner.type(more).split())
    assert len(ids) == 6  # and three more below
    os.kill(until(lambda: job_process(node.process, pkill(kill)), "no job process"), signal.SIGKILL)
    learner.type(look)
    until(lambda: {j["state"] for j in learner.jobs()} == {"succeeded"}, "not all succeeded after the job process died")

    ids |= set(learner.type(more.replace("1 2 3 4 5 6", "1 2 3")).split())
    whole = pkill((DOCS / TUTORIAL).read_text().rpartition("whole service")[2])
    assert whole in Path(f"/proc/{node.process.pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    node.process.kill()
    node.process.communicate()
    learner.serve(serve)
    until(lambda: {j["state"] for j in learner.jobs()} == {"succeeded"}, "not all succeeded after the service died")

    assert {j["id"] for j in learner.jobs()} == ids | {job}
    folders = list((learner.folder / "results" / "flowers").iterdir())
    assert {f.name for f in folders} == ids | {job}
    assert all(len(list(f.iterdir())) == 2 for f in folders)
    receiver.terminate()
    words = receiver.communicate(timeout=60)[0].decode().split("\n")
    assert sorted(re.sub(r"msg_\w{32}", "MSG", line) for line in words if line) == sorted(
        re.sub(r"msg_\w{32}", "MSG", printed.strip()).replace("ID", i) for i in ids | {job}
    )


@pytest.mark.timeout(240)
def test_temporal_on_a_laptop(learner: Learner, tmp_path: Path) -> None:
    """The same settings and the same order as the tutorial's, with the page's two commands and a server of its kind."""
    (settings,), (order,) = blocks(TUTORIAL, "toml"), blocks(TUTORIAL, "json")
    (start, serve, work) = lines(blocks("how-to/temporal.md", "sh")[0].replace("\\\n", ""))
    body = {name: value for name, value in json.loads(order).items() if name != "callback"}
    (learner.folder / "jobs.toml").write_text(settings)
    (learner.folder / "order.json").write_text(json.dumps(body))
    (learner.folder / "results").mkdir()
    assert all(f"--dynamic-config-value {pair}" in start for pair in temporal.PRIORITIES)

    with temporal.serving(tmp_path / "temporal") as server:
        learner.env["IMAGEMILL_TEMPORAL__ADDRESS"] = server.address
        learner.serve(serve.replace(" imagemill", " .venv/bin/imagemill"))
        learner.leave(work.replace(" imagemill", " .venv/bin/imagemill"), f"--admin-port {free_port()}")
        told = learner.type(".venv/bin/imagemill jobs submit --file order.json --wait")
        for process in learner.running:
            process.terminate()
            process.wait(40)

    assert "succeeded  2/2 renditions" in told
    assert len(list((learner.folder / "results" / "flowers").glob("*/*"))) == 2


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A node with all that the examples of the pages name: stores, a secret, a second cache level."""
    folder = tmp_path_factory.mktemp("examples")
    (folder / "results").mkdir()
    photos = {"kind": "file", "root": str(SAMPLES)}
    with (
        standalone(folder) as redis,
        serving(
            folder,
            storage={"photos": photos, "results": {"kind": "file", "root": str(folder / "results"), "write": True}},
            jobs={"data": str(folder / "state")},
            callbacks={"secrets": {"main": ["whsec_c2VjcmV0LWZvci10aGUtZG9jcy0zMi1ieXRlcyEhISE="]},
                       "allow_networks": ["127.0.0.0/8"], "allow_http": True, "ports": [9000]},
            l2={"url": f"redis://127.0.0.1:{redis.port}"},
        ) as running,
    ):  # fmt: skip
        yield running


def here(text: str, node: Node) -> str:
    """An example with sources and receivers that are on this machine."""
    text = re.sub(r"https://img\.example\.com/\w+\.jpg|local:photos/\w+\.jpg", "local:photos/dandelion.jpg", text)
    text = text.replace("https://hooks.example.com/in", "http://127.0.0.1:9000/in")
    return text.replace("127.0.0.1:8080", f"127.0.0.1:{node.port}")


def post(node: Node, method: str, path: str, body: str = "") -> Answer:
    headers = {"content-type": "application/json"} if body else {}
    return ask(node, method, f"http://127.0.0.1:{node.port}{path}", headers, body.encode() if body else None)


def test_priorities_are_said_as_the_page_says(node: Node, tmp_path: Path) -> None:
    """Its fields are taken; its schedule is kept, paused and resumed."""
    page = "how-to/priorities.md"
    fields, order = json.loads(blocks(page, "json")[0]), json.loads(here(blocks("reference/jobs.md", "json")[0], node))
    job = json.loads(post(node, "POST", "/jobs", json.dumps(order | fields)).body)
    assert (job["priority"], job["state"]) == (fields["priority"], "scheduled")

    command, schedule, rest = (here(block, node) for block in blocks(page, "sh"))
    words = [*shlex.split(command), "--url", f"http://127.0.0.1:{node.port}", "--json"]
    made = subprocess.run([sys.executable, "-m", *words], env=CLEAN, capture_output=True, text=True, timeout=60)
    assert made.returncode == 0, made.stderr
    assert {k: json.loads(made.stdout)[k] for k in ("priority", "state")} == {"priority": 9, "state": "scheduled"}
    kept = ask(node, *curl(schedule, tmp_path))
    assert (kept.status, json.loads(kept.body)["timezone"]) == (200, "Europe/Berlin"), kept.body
    assert [json.loads(ask(node, *curl(line, tmp_path)).body)["paused"] for line in lines(rest)] == [True, False]


def test_a_warmed_picture_is_a_hit(node: Node) -> None:
    """What the schedule of the page is for: its job puts the picture where the URL finds it."""
    (order,) = json.loads(re.findall(r"-d '(\{.*?\})'", blocks("how-to/priorities.md", "sh")[1], re.DOTALL)[0])["jobs"]
    job = json.loads(post(node, "POST", "/jobs", here(json.dumps(order), node)).body)
    until(lambda: json.loads(post(node, "GET", f"/jobs/{job['id']}").body)["state"] == "succeeded", "not warmed")

    answer = node.get(f"/image?source=local:photos/dandelion.jpg&{order['renditions'][0]['params']}")

    assert (answer.status, answer.headers["x-cache"]) == (200, "L2")


def test_the_bodies_of_the_reference_are_accepted(node: Node) -> None:
    """One job, a batch, a schedule."""
    job, batch, schedule = [here(text, node) for text in blocks("reference/jobs.md", "json")]

    one = post(node, "POST", "/jobs", job)
    many = post(node, "POST", "/jobs/batch", batch)
    again = post(node, "PUT", "/schedules/quarter", schedule)

    assert (one.status, many.status, again.status) == (202, 202, 200), (one.body, many.body, again.body)
    assert json.loads(many.body)["total"] == 2
    until(lambda: json.loads(post(node, "GET", one.headers["location"]).body)["state"] == "succeeded", "not made")


def test_an_address_is_a_source_where_its_store_may_be_read(node: Node) -> None:
    """As the reference says: not of a store that is only written to."""
    job, *_ = [json.loads(here(text, node)) for text in blocks("reference/jobs.md", "json")]
    made = json.loads(post(node, "POST", "/jobs", json.dumps(job)).body)
    view = until(
        lambda: (v := json.loads(post(node, "GET", f"/jobs/{made['id']}").body))["state"] in OVER and v, "not made"
    )

    address = view["renditions"][0]["address"]
    refused = post(node, "POST", "/jobs", json.dumps(job | {"source": address}))

    assert address.startswith("local:results/cats/")
    assert (refused.status, refused.problem["code"]) == (403, "source_forbidden")
