"""What an operator sees of a node: every metric moves, lost log lines are counted, a start can be stopped."""

import asyncio
import http.client
import itertools
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from imagemill.obs.metrics import DECLARED
from support.drill import call, receiving
from support.history import Log
from support.node import Node, SourceServer, fetch, serving
from support.ports import free_port
from support.redis import standalone

SAMPLE = "/image?source=local:sample/dandelion.jpg"
ELSEWHERE = {"imagemill_poison_refused_total", "imagemill_log_dropped_total"}  # in test_wiring, and below


async def until(true, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not await asyncio.to_thread(true):
        assert time.monotonic() < end, "it did not come true"
        await asyncio.sleep(0.02)


OF_SHARING = {m.name for m in DECLARED if m.name.startswith(("imagemill_l2_", "imagemill_purge_"))}
OF_JOBS = {m.name for m in DECLARED if m.name.startswith(("imagemill_job", "imagemill_callbacks_"))}


async def test_every_metric_moves(tmp_path: Path) -> None:
    """Each declared metric is fed by what it is about: none is there for show; those of L2 where nodes share one."""
    source = SourceServer()
    quick = {"gate": {"queue": 1}, "engine": {"workers": 1}, "server": {"max_head_bytes": 9000}}
    with serving(tmp_path, sources=source.allowed(), **quick) as node:
        moved: set[str] = set()

        def look() -> None:
            moved.update(moving(node))

        assert node.purge(tag="a").status == 200
        assert node.get(f"{SAMPLE}&w=9").headers["x-cache"] == "MISS"
        etag = node.get(f"{SAMPLE}&w=9").headers["etag"]
        assert node.get(f"{SAMPLE}&w=9", {"If-None-Match": etag}).status == 304
        with source.holding("/photo"):
            slow = asyncio.create_task(fetch(node.port, f"/image?source={source.url('/photo.jpg')}&w=7"))
            await until(lambda: node.metric("imagemill_fetches_in_flight") == 1)
            look()
        assert (await slow).status == 200
        (worker,) = node.workers()
        os.kill(worker, signal.SIGSTOP)
        working = [asyncio.create_task(fetch(node.port, f"{SAMPLE}&w={600 + n}")) for n in range(4)]
        await until(lambda: node.metric("imagemill_queue_length") == 1)
        look()
        os.kill(worker, signal.SIGCONT)
        assert max(a.status for a in await asyncio.gather(*working)) == 503
        with socket.create_connection(("127.0.0.1", node.port)) as s:
            s.sendall(b"GET / HTTP/1.1\r\nx: " + b"x" * 12_000 + b"\r\n\r\n")
            assert s.recv(99)
        os.kill(node.workers()[0], signal.SIGKILL)
        await until(lambda: node.metric("imagemill_worker_crash_total") > 0)
        await until(lambda: node.admin("/readyz").status == 200)
        look()

        assert {m.name for m in DECLARED} - moved == ELSEWHERE | OF_SHARING | OF_JOBS
        for outcome in ("ok", "not_modified", "overloaded"):
            assert node.metric(f'imagemill_requests_total{{outcome="{outcome}"') > 0
        for stage in ("fetch", "queue", "handover", "probe", "render"):
            assert node.metric(f'imagemill_stage_seconds_count{{stage="{stage}"') > 0
        for cache in ("l1", "source", "negative"):
            assert node.metric(f'imagemill_cache_events_total{{cache="{cache}"') > 0
        for tier in ("L1", "MISS", "none"):
            assert node.metric(f'imagemill_request_seconds_count{{cache="{tier}"') > 0
    source.close()


async def test_every_metric_of_sharing_moves(tmp_path: Path) -> None:
    """As above: those that only nodes with a second level have."""
    with standalone(tmp_path / "redis") as redis, serving(tmp_path, l2={"url": redis.url, "idle_s": 1}) as node:
        moved: set[str] = set()
        widths = itertools.count(9)

        def look() -> bool:
            assert node.get(f"{SAMPLE}&w={next(widths)}").status == 200  # one may miss Redis on a busy machine
            moved.update(moving(node))
            return moved >= OF_SHARING

        redis.admin.xadd("imagemill:purges", {"e": "nonsense"})
        await until(look)


async def test_every_metric_of_jobs_moves(tmp_path: Path) -> None:
    """As above: those that only nodes with jobs have."""
    (tmp_path / "results").mkdir()
    tables = {
        "storage": {"results": {"kind": "file", "root": str(tmp_path / "results"), "write": True}},
        "jobs": {"data": str(tmp_path / "state")},
    }
    order = {
        "source": "local:sample/dandelion.jpg", "destination": {"store": "results"},
        "renditions": [{"name": "a", "params": "width=40&format=webp"}], "callback": {"secret": "drill"},
    }  # fmt: skip
    with (
        receiving(Log(tmp_path / "history")) as receiver,
        serving(tmp_path, callbacks=receiver.settings(), **tables) as node,
    ):
        order["callback"]["url"] = receiver.url
        receiver.is_gone = True
        moved: set[str] = set()

        def look() -> bool:
            moved.update(moving(node))
            return moved >= OF_JOBS

        _, _, later = await asyncio.to_thread(call, node.port, "POST", "/jobs", {**order, "delay": 600})
        watching = http.client.HTTPConnection("127.0.0.1", node.port)
        watching.request("GET", f"/jobs/{later['id']}/events")
        await asyncio.to_thread(call, node.port, "POST", "/jobs", order)
        await until(lambda: moving(node) >= OF_JOBS - {"imagemill_job_process_restarts_total"})
        look()
        os.kill(_job_process(node), signal.SIGKILL)
        await until(look)
        watching.close()


def _job_process(node: Node) -> int:
    return next(pid for pid in node.workers() if b"--supervised" in Path(f"/proc/{pid}/cmdline").read_bytes())


def moving(node: Node) -> set[str]:
    return {m.name for m in DECLARED if node.metric(f"{m.name}_count" if m.kind == "histogram" else m.name) > 0}


async def test_lines_that_nobody_takes_are_counted(tmp_path: Path) -> None:
    """L19: the log's reader is gone: requests are answered as before, and the metric tells what was lost."""
    read, write = os.pipe()
    port, admin = free_port(), free_port()
    command = [sys.executable, "-m", "imagemill", "serve", "--unsigned", "--sample", "--port", str(port)]
    alone = os.environ | {"IMAGEMILL_JOBS__ENGINE": "off"}  # a job process has a log, too
    process = subprocess.Popen(
        [*command, "--admin-port", str(admin)], stderr=write, stdout=subprocess.DEVNULL, env=alone
    )
    os.close(write)
    node = Node(process, port, admin, tmp_path)
    try:
        assert b"serving" in b"".join(iter_until(read, b"serving"))
        os.close(read)

        assert [node.get(f"{SAMPLE}&w={n}").status for n in range(5, 10)] == [200] * 5
        await until(lambda: node.metric("imagemill_log_dropped_total") >= 5)  # a thread drops them

        assert node.metric("imagemill_log_dropped_total") == 5
    finally:
        assert node.stop() == 0


def iter_until(read: int, word: bytes):
    """What comes out of *read*, until *word* has come."""
    while chunk := os.read(read, 4096):
        yield chunk
        if word in chunk:
            return


def test_the_log_tells_of_beginning_and_end(tmp_path: Path) -> None:
    """Where it serves, what is in force, what it was stopped in."""
    with serving(tmp_path) as node:
        assert node.stop() == 0
        off, first, begun, *_, ended = node.lines()

    assert first["event"].startswith("unsigned mode")
    assert (off["event"], off["reason"]) == ("jobs are off", "no [storage.<name>] has write = true")
    assert (begun["event"], begun["url"], begun["libvips"][:2]) == ("serving", f"http://127.0.0.1:{node.port}", "8.")
    assert (ended["event"], ended["in_flight"]) == ("stopping", 0)


async def test_a_start_can_be_stopped(tmp_path: Path) -> None:
    """SIGTERM at any moment of the start ends it soon, with status 0 or by the signal, and leaves no worker."""
    for wait_s in (0.1, 0.3, 0.5, 0.7, 0.9):
        command = [sys.executable, "-m", "imagemill", "serve", "--unsigned", "--sample", "--port", str(free_port())]
        process = subprocess.Popen(
            [*command, "--admin-port", str(free_port())], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
        )
        time.sleep(wait_s)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        workers = children.read_text().split()
        process.terminate()
        _, told = process.communicate(timeout=60)

        assert process.returncode in {0, -signal.SIGTERM}, told
        assert b"Traceback" not in told
        await until(lambda: not [pid for pid in workers if Path(f"/proc/{pid}").exists()])  # noqa: B023 - awaited here
