"""kill -9 of every process at every step that it can be killed at: what was accepted ends, once, with what it promised.

A client submits by key until it is answered, and follows the job to its end. `support.history` judges what it and the
receiver saw. Beside that, each step has its own price: how often a repeat may fetch, make and store again.
"""

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest

from support import s3, temporal
from support.crash_points import Points
from support.drill import Clients, find
from support.history import Log, complaints
from support.mill import Mill, milling

pytestmark = pytest.mark.timeout(300)  # far more than any of it takes, also on a busy machine

ONCE = {"fetches": 1, "stores": (1, 1), "runs": 1, "tells": 1}
"""Nothing of what was killed had been begun, or all of it was done."""
FETCHED = ONCE | {"fetches": 2}
AT_WORK = FETCHED | {"runs": 2}
"""A source or a worker's work is lost with the process that had it."""
TOLD = ONCE | {"tells": 2}
"""Nobody knows whether it was told, so it is told again."""

JOBS = {
    "persisting": ONCE,
    "persisted": ONCE,
    "claimed": ONCE,
    "decoding": AT_WORK,
    "written": AT_WORK,
    "stored": AT_WORK,
    "made": ONCE,
    "telling": ONCE,
    "told": TOLD,
}
"""Whatever of it takes the work down with it, the API does too: the job process ends with `serve`."""
BOTH = {"a.webp", "b.png"}
VISIBLE = {"stored": {"a.webp"}, "made": BOTH, "telling": BOTH, "told": BOTH}
"""What a reader finds at the moment of the kill: nothing of what is written and not yet in its place."""
ENGINE = {"decoding": 2, "stored": 2, "made": 1, "told": 1}
"""Step to the most runs of a worker."""
S3 = ("putting", "written", "stored", "made", "telling")
WORKER = ("claimed", "decoding", "written", "stored", "made", "telling", "told")
SERVER = ("persisting", "persisted", "claimed", "decoding", "stored", "made", "telling", "told")


@pytest.fixture(scope="module")
def points(tmp_path_factory: pytest.TempPathFactory) -> Points:
    return Points(tmp_path_factory.mktemp("points") / "steps")


def served(points: Points, folder: Path, **kind: bool) -> Iterator[SimpleNamespace]:
    log = Log(folder / "history")
    with milling(folder, log, env=points.env(), **kind) as mill:
        yield SimpleNamespace(mill=mill, points=points)


@pytest.fixture(scope="module")
def on_files(points, tmp_path_factory):
    yield from served(points, tmp_path_factory.mktemp("files"))


@pytest.fixture(scope="module")
def on_s3(points, tmp_path_factory):
    s3.program()
    yield from served(points, tmp_path_factory.mktemp("s3"), s3_store=True)


@pytest.fixture(scope="module")
def on_temporal(points, tmp_path_factory):
    temporal.program()
    yield from served(points, tmp_path_factory.mktemp("temporal"), on_temporal=True)


class Story:
    """One job of one client, from its submission to its end."""

    def __init__(self, mill: Mill, points: Points, log: Log, key: str, patience_s: float = 90.0) -> None:
        self.mill, self.points, self.log, self.key = mill, points, log, key
        self.clients = Clients(log, mill.port, patience_s=patience_s)
        mill.receiver.log = log
        points.begin()

    def tell(self, step: str, armed: str, victim: str) -> None:
        """Submit, with *victim*, as the step is *armed* with, killed at *step*."""
        self.points.arm(step, armed)
        with ThreadPoolExecutor(1) as other:
            submitted = other.submit(self.clients.submit, self.key, self.mill.order(self.key))
            self.points.wait_for(step)
            self.visible = self.objects()
            self.points.looked()
            self.mill.revive(victim)
            submitted.result()
        self.end()

    def end(self) -> None:
        self.clients.follow()
        find(self.log, self.mill.results, self.key)

    def objects(self) -> set[str]:
        """What a reader of the destination sees now."""
        return {path.name for path in (self.mill.results / self.key).rglob("*") if path.is_file()}

    def complaints(self) -> list[str]:
        return complaints(self.log.read())

    def price(self) -> dict[str, object]:
        """How often what was done."""
        passed = self.points.passed()
        return {
            "fetches": self.mill.source.asked(f"/{self.key}.jpg"),
            "stores": (passed["stored a.webp"], passed["stored b.png"]),
            "runs": passed["decoding"],
            "tells": len([r for r in self.log.read() if r["op"] == "told"]),
        }


def story(setting: SimpleNamespace, tmp_path: Path, victim: str, step: str) -> Story:
    return Story(setting.mill, setting.points, Log(tmp_path / "history"), f"{victim}-{step}")


def holds(told: Story) -> None:
    """No complaint, and one job only."""
    assert told.complaints() == []
    assert [job["state"] for job in told.mill.jobs(told.key)] == ["succeeded"]


# In turns: a job process that dies again and again is begun more and more patiently, and a new node forgets that.
@pytest.mark.parametrize(
    ("victim", "step"), [(victim, step) for step in JOBS for victim in ("jobs", "api")], ids=lambda name: name
)
def test_killed_while_jobs_are_done(on_files, tmp_path, victim, step):
    """`serve`, and the process that does the jobs."""
    told = story(on_files, tmp_path, victim, step)
    submitting = step in {"persisting", "persisted"}
    armed = {"jobs": "child" if submitting else "self", "api": str(on_files.mill.node.process.pid)}[victim]
    if step == "persisted":  # a moment later it would have begun the job
        on_files.mill.wait_ready()
        (job_process,) = on_files.mill.pids("jobs")
        os.kill(job_process, signal.SIGSTOP)

    told.tell(step, armed, victim)

    holds(told)
    assert told.price() == JOBS[step]
    assert told.visible == VISIBLE.get(step, set())


def test_the_api_is_killed_after_its_answer(on_files, tmp_path):
    """A 202 is a promise from its first byte on."""
    told = story(on_files, tmp_path, "api", "answered")
    told.clients.submit(told.key, on_files.mill.order(told.key))

    os.kill(on_files.mill.node.process.pid, signal.SIGKILL)

    on_files.mill.revive("api")
    told.end()
    holds(told)


@pytest.mark.parametrize("step", ENGINE)
def test_an_engine_worker_is_killed(on_files, tmp_path, step):
    """It costs no attempt: the job process has the source, and another worker takes what is left to do."""
    told = story(on_files, tmp_path, "engine", step)

    told.tell(step, "engine", "engine")

    holds(told)
    assert (told.mill.jobs(told.key)[0]["attempts"], told.price()["fetches"]) == (1, 1)
    assert told.price()["stores"] == (1, 1)
    assert told.price()["runs"] <= ENGINE[step]


@pytest.mark.parametrize("step", S3)
def test_the_s3_server_is_killed(on_s3, tmp_path, step):
    """What cannot be stored just now is stored later; what lies there is what the job says, once."""
    told = story(on_s3, tmp_path, "s3", step)

    told.tell(step, str(on_s3.mill.s3.process.pid), "s3")

    holds(told)
    # what was written just before the server died may be found there by the repeat, though nobody heard that it was
    unheard = {(0, 1)} if step == "written" else set()
    assert told.price()["stores"] in {(1, 1)} | unheard
    assert told.price()["fetches"] <= 2


@pytest.mark.parametrize("step", WORKER)
def test_a_temporal_worker_is_killed(on_temporal, tmp_path, step):
    """Another finds what it had stored; nobody had to be asked anew."""
    told = story(on_temporal, tmp_path, "worker", step)

    told.tell(step, "self", "worker")

    holds(told)
    assert told.price() == JOBS[step]


@pytest.mark.parametrize("step", SERVER)
def test_the_temporal_server_is_killed(on_temporal, tmp_path, step):
    """It goes on from what it had persisted."""
    told = story(on_temporal, tmp_path, "temporal", step)

    told.tell(step, str(on_temporal.mill.temporal.process.pid), "temporal")

    holds(told)
    assert told.price()["stores"] == (1, 1)


@pytest.mark.parametrize("step", ["persisting", "persisted"])
def test_the_api_of_a_temporal_engine_is_killed(on_temporal, tmp_path, step):
    """A repeat under the same key finds the workflow that there is."""
    told = story(on_temporal, tmp_path, "api-temporal", step)

    told.tell(step, "self", "api")

    holds(told)
    assert told.price() == ONCE


@pytest.mark.parametrize(
    ("promise", "step", "armed", "words"),
    [
        ("hasty", "", "", "accepted, and then not there"),
        ("unclaimed", "persisted", "self", "nobody was told that it is accepted"),
        ("unrecovered", "claimed", "self", "never seen to end"),
        ("untold", "made", "self", "nobody was told"),
        ("renamed", "told", "self", "2 ids for job.succeeded"),
    ],
)
def test_a_broken_promise_is_complained_of(tmp_path, promise, step, armed, words):
    """The judge of all the above can judge: the same stories, told by a service that breaks one promise."""
    points, log = Points(tmp_path / "steps"), Log(tmp_path / "history")
    with milling(tmp_path / "mill", log, env=points.env(promise)) as mill:
        told = Story(mill, points, log, promise, patience_s=8.0 if promise in {"hasty", "unrecovered"} else 60.0)
        if step:
            told.tell(step, armed, "api" if step == "persisted" else "jobs")
        else:
            told.clients.submit(promise, mill.order(promise))
            mill.kill("api")
            mill.revive("api")
            told.end()

        assert any(words in complaint for complaint in told.complaints()), told.complaints()


def test_broken_thrift_is_seen(tmp_path):
    """As above: a file that is seen before it is done, and a repeat that looks at nothing."""
    points, log = Points(tmp_path / "steps"), Log(tmp_path / "history")
    with milling(tmp_path / "mill", log, env=points.env("in_place,unlooked")) as mill:
        early = Story(mill, points, log, "early")
        early.tell("written", "self", "jobs")
        repeated = Story(mill, points, log, "repeated")
        repeated.tell("stored", "self", "jobs")

        assert early.visible == {"a.webp"}
        assert repeated.price()["stores"] == (2, 1)
