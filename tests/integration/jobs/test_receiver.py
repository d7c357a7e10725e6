"""Row J13: the receiver that the how-to shows is run against the courier, and what the page promises is so."""

import os
import re
import sqlite3
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from imagemill.configuration import load
from imagemill.jobs.base import Again, Delivered
from imagemill.jobs.courier import Courier
from imagemill.jobs.notices import Message, body, owed
from imagemill.jobs.retry import SCHEDULE_JITTER, SCHEDULE_S
from imagemill.jobs.webhook import parse_secrets
from imagemill.model.job import (
    Callback,
    Delivery,
    Event,
    Job,
    JobSpec,
    Result,
    ResultState,
    State,
    Timings,
    Wanted,
)
from imagemill.model.request import SourceRef
from imagemill.net.poster import Poster
from support.ports import free_port

PAGE = (Path(__file__).parents[3] / "docs" / "how-to" / "receive-callbacks.md").read_text()
OTHER = "whsec_" + "b3RoZXItc2VjcmV0LW9mLXRoaXJ0eS10d28tYnl0ZXM="


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


SETTINGS = load(None, {}, tomllib.loads(blocks("toml")[0]) | {"signing": {"mode": "unsigned"}}).callbacks


class Receiver:
    """The page's program, running."""

    def __init__(self, folder: Path, secret: str) -> None:
        self.port = free_port()
        self.db = folder / "messages.db"
        (folder / "receiver.py").write_text(blocks("python")[0])
        self.process = subprocess.Popen(
            [sys.executable, folder / "receiver.py", str(self.port), self.db],
            env=os.environ | {"WEBHOOK_SECRET": secret},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def kept(self) -> list[tuple[str, ...]]:
        with sqlite3.connect(self.db) as db:
            rows = db.execute("SELECT id, type, job, state FROM message ORDER BY rowid").fetchall()
        db.close()
        return rows

    def stop(self) -> str:
        self.process.terminate()
        return self.process.communicate(timeout=60)[0]


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    running = Receiver(tmp_path, SETTINGS.secrets["main"][0])
    yield running
    running.process.kill()
    running.process.communicate()


def job(state: State, port: int, stored: int = 0) -> Job:
    spec = JobSpec(
        SourceRef("https", "https://img.test/a.jpg"),
        tuple(Wanted(name, (), "{name}") for name in ("small", "large")),
        store="out",
        callback=Callback(f"http://127.0.0.1:{port}/", "main", tuple(Event)),
    )
    results = tuple(Result(w.name, ResultState.STORED, "out", w.name) for w in spec.renditions[:stored])
    return Job("a" * 32, "t", spec, state, Timings(1), outcome=state if state is State.SUCCEEDED else None, results=results)  # fmt: skip


async def deliver(courier: Courier, about: Job, delivery: Delivery, payload: bytes = b"") -> object:
    """One attempt; several while the receiver still starts."""
    end = time.monotonic() + 60
    while True:
        outcome = await courier.attempt(delivery, payload or body(delivery, about, {}))
        if isinstance(outcome, Delivered) or getattr(outcome, "status", 0) or time.monotonic() > end:
            return outcome
        time.sleep(0.05)


def couriers(poster: Poster, *secrets: str) -> Courier:
    settings = msgspec.structs.replace(SETTINGS, breaker_failures=1000)
    named = parse_secrets({"main": secrets})
    return Courier(poster, settings, named, time.time, lambda _outcome: None, monotonic=time.monotonic)


async def test_the_page_s_receiver(receiver):
    """It takes each message once, however often and in whatever order they come, and no forged one."""
    settings = msgspec.structs.replace(SETTINGS, ports=(receiver.port,))
    states = [job(State.QUEUED, receiver.port), job(State.RUNNING, receiver.port, 1), job(State.SUCCEEDED, receiver.port, 2)]  # fmt: skip
    befores = [None, *states[:-1]]
    messages = [(after, d) for before, after in zip(befores, states, strict=True) for d in owed(before, after, 1.0)]
    assert [d.event for _, d in messages] == ["accepted", "rendition", "progress", "rendition", "succeeded"]

    async with Poster(settings) as poster:
        courier = couriers(poster, SETTINGS.secrets["main"][0])
        for about, delivery in [*reversed(messages), *messages]:
            assert await deliver(courier, about, delivery) == Delivered(204)
        forged = await deliver(couriers(poster, OTHER), *messages[0])
        rotated = await deliver(couriers(poster, OTHER, SETTINGS.secrets["main"][0]), *messages[0])

    assert forged == Again("the receiver did not say 2xx", 400)
    assert rotated == Delivered(204)
    assert [row[0] for row in receiver.kept()] == [d.id for _, d in reversed(messages)]
    assert receiver.stop().split() == [messages[-1][1].id, "job.succeeded", "a" * 32, "succeeded"]


def test_the_page_s_schedule():
    """The table is the code's."""
    rows = re.findall(r"^\| (\d+) \| (at once|\d+ \w+) \|$", PAGE, re.MULTILINE)
    units = {"s": 1, "min": 60, "h": 3600}
    shown = [0 if text == "at once" else int(text.split()[0]) * units[text.split()[1]] for _, text in rows]

    assert [int(number) for number, _ in rows] == list(range(1, len(SCHEDULE_S) + 1))
    assert shown == list(SCHEDULE_S)
    assert sum(shown) > 24 * 3600
    assert SCHEDULE_JITTER == 1 / 5


def test_the_page_s_message():
    """It has the members that messages have, and every type is in the table."""
    message = msgspec.json.decode(blocks("json")[0], type=dict)
    example = job(State.SUCCEEDED, 1, 1)
    (*_, delivery) = owed(None, example, 1.0)
    made = msgspec.json.decode(body(delivery, example, {}))

    assert set(message) == set(made) == set(Message.__struct_fields__)
    assert set(made["data"]) <= set(message["data"])
    listed = re.findall(r"^\| `(\w+\.\w+)` \|", PAGE, re.MULTILINE)
    assert listed == ["batch.finished" if e is Event.FINISHED else f"job.{e}" for e in Event]


def test_the_page_s_way_to_make_a_secret():
    (line,) = [line for block in blocks("sh") for line in block.splitlines() if line.startswith("python3 -c")]
    made = subprocess.run(line.replace("python3", sys.executable, 1), shell=True, capture_output=True, text=True)

    assert len(parse_secrets({"main": [made.stdout.strip()]})["main"].keys[0]) == 32
