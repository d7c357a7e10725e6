"""Two nodes on one port: both serve, and either may go."""

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.mill import until
from support.node import SAMPLES, Node, serving
from support.ports import free_port

TARGET = "/image?source=local:sample/dandelion.jpg&width=32&format=png"


@pytest.fixture
def fronts(tmp_path: Path) -> Iterator[list[Node]]:
    """Two, with one data directory for the jobs of both."""
    port = free_port()
    tables = {
        "server": {"port": port, "reuse_port": True},
        "engine": {"workers": 1},
        "jobs": {"data": str(tmp_path / "data"), "workers": 1},
        "storage": {
            "sample": {"kind": "file", "root": str(SAMPLES)},
            "out": {"kind": "file", "root": str(tmp_path), "write": True},
        },
    }
    with contextlib.ExitStack() as opened:
        nodes = [opened.enter_context(serving(tmp_path, **tables)) for _ in range(2)]
        for node in nodes:
            node.port = port
        yield nodes


def served(node: Node) -> float:
    return node.metric('imagemill_requests_total{outcome="ok"}')


def test_both_serve_and_one_may_go(fronts: list[Node]) -> None:
    """L18: connections are spread over both; one is stopped under load, and no request fails."""
    leaving, staying = fronts
    wrong: list[object] = []
    stop = threading.Event()
    until(lambda: leaving.metric("imagemill_job_process_up") == 1, "the job process of the first")

    def ask() -> None:
        while not stop.is_set():
            try:
                status = leaving.get(TARGET).status  # a connection of its own
            except OSError as e:
                wrong.append(e)
            else:
                if status != 200:
                    wrong.append(status)

    threads = [threading.Thread(target=ask, daemon=True) for _ in range(6)]
    for thread in threads:
        thread.start()
    try:
        until(lambda: served(leaving) > 20 and served(staying) > 20, "both to serve", 60)
        assert leaving.stop() == 0
        before = served(staying)
        until(lambda: served(staying) > before + 50, "the other to go on", 60)
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)
    assert wrong == []
    until(lambda: staying.metric("imagemill_job_process_up") == 1, "the other to take the jobs over", 60)


def test_each_has_an_l1_of_its_own(fronts: list[Node]) -> None:
    """What one has made the other makes again, and a purge is told to each."""
    for _ in range(60):
        fronts[0].get(TARGET)
    made = [node.metric("imagemill_renders_total") for node in fronts]
    assert made == [1, 1]

    for node in fronts:
        assert node.purge(source="local:sample/dandelion.jpg").status == 200
    for _ in range(60):
        fronts[0].get(TARGET)

    assert [node.metric("imagemill_renders_total") for node in fronts] == [2, 2]
