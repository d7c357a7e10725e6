"""Purging running nodes: by HTTP, by command, and from Python; alone and through Redis."""

import asyncio
import http.client
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from imagemill.configuration import load
from imagemill.model.errors import BadRequest, DependencyDown, SettingsError
from imagemill.purge import Order, purge
from support.node import Answer, Node, serving
from support.nodes import L2, l2_events
from support.ports import free_port
from support.redis import standalone

ROWS = [
    {"source": "local:sample/dandelion.jpg"},
    {"tag": "cats"},
    {"target": "/image?source=local:sample/dandelion.jpg&width=9&format=auto"},
]
JSON = {"content-type": "application/json"}


def post(node: Node, path: str, body: bytes, headers=JSON, port: int = 0) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", port or node.admin_port, timeout=30)
    try:
        connection.request("POST", path, body, headers)
        reply = connection.getresponse()
        return Answer(reply.status, reply.getheaders(), reply.read())
    finally:
        connection.close()


def run(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("IMAGEMILL_")}
    return subprocess.run(
        [sys.executable, "-m", "imagemill", *words], capture_output=True, text=True, env=clean | env, timeout=60
    )


def config_of(node: Node) -> Path:
    return node.log.with_suffix(".toml")


def until(true, within_s: float = 30.0) -> None:
    end = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.02)


@pytest.mark.timed
@pytest.mark.parametrize("order", ROWS)
def test_a_node_alone(node: Node, order: dict[str, str]) -> None:
    """200, what was done and when; counted by kind."""
    before = node.metric("imagemill_purges_total")
    answer = post(node, "/purge", json.dumps(order).encode())

    told = json.loads(answer.body)
    assert (answer.status, told["purged"]) == (200, order)
    assert told["names"] == (4 if "target" in order else 1)
    assert abs(told["at_ms"] / 1000 - time.time()) < 5
    assert node.metric("imagemill_purges_total") - before == told["names"]
    assert node.metric("imagemill_purge_feed_reading ") == 0


def test_the_public_port_changes_nothing(node: Node) -> None:
    """No purge there, and no POST, with a body or without."""
    for path, status in (("/purge", 404), ("/image?source=local:sample/dandelion.jpg", 405)):
        for body in (b"", b'{"tag":"a"}', b"x" * 60_000):
            answer = post(node, path, body, port=node.port)
            assert answer.status == status
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS"


def test_what_is_refused(node: Node) -> None:
    """400 for what is no order, 405 for what is no POST, 403 for browsers; each a problem."""
    for body in (
        b"",
        b"{}",
        b'{"tag":"a","source":"b"}',
        b'{"tag":"a b"}',
        b'{"source":"ftp://a/b"}',
        b'{"tag":"' + b"a" * 17_000 + b'"}',
    ):
        assert post(node, "/purge", body).problem["status"] == 400
    assert post(node, "/purge", b'{"tag":"a"}', {"origin": "http://127.0.0.1"}).problem["code"] == "origin_refused"
    answer = node.admin("/purge")
    assert (answer.problem["status"], answer.headers["allow"]) == (405, "POST, OPTIONS")
    assert post(node, "/metrics", b"{}").headers["allow"] == "GET, HEAD, OPTIONS"


def test_by_command_and_from_python(node: Node) -> None:
    """Without Redis, the node on this machine is asked."""
    done = run("cache", "purge", "--tag", "cats", "--config", str(config_of(node)))
    assert (done.returncode, done.stdout) == (0, "purged on the node on this machine: cats\n"), done.stderr

    url = f"http://127.0.0.1:{node.admin_port}"
    told = asyncio.run(purge(url, target=ROWS[2]["target"]))
    assert (told.purged, told.names) == (Order(target=ROWS[2]["target"]), 4)
    with pytest.raises(BadRequest, match="tag"):
        asyncio.run(purge(url, tag="a b"))


def test_commands_that_cannot_do_it(tmp_path: Path) -> None:
    """They say why, and which setting would help."""
    alone = {"IMAGEMILL_SERVER__ADMIN_PORT": str(free_port())}
    nobody = run("cache", "purge", "--tag", "cats", **alone)
    assert (nobody.returncode, nobody.stdout) == (1, "")
    assert "no node answers at 127.0.0.1" in nobody.stderr
    for name in ("stats", "sweep"):
        done = run("cache", name)
        assert done.returncode == 2
        assert "[l2].url" in done.stderr
        assert "[l2].url" in run("cache", name, "--help").stdout
    away = run("cache", "purge", "--tag", "cats", IMAGEMILL_L2__URL=f"redis://127.0.0.1:{free_port()}")
    assert away.returncode == 1
    assert "Redis did not take the purge" in away.stderr
    assert run("cache", "purge").returncode == 2
    assert run("cache", "purge", "--tag", "a", "--source", "b").returncode == 2


async def test_where_is_nowhere() -> None:
    for where in ("", "nonsense", "http://host", "http://:80", "https://host:1", "ftp://x:1"):
        with pytest.raises(SettingsError):
            await purge(where, tag="a")
    with pytest.raises(BadRequest):
        await purge("redis://127.0.0.1", tag="a", source="b")


async def test_what_answers_may_be_no_node() -> None:
    """Another service on that port is not believed."""
    for answer in (
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n[]",
        b"no\r\n\r\n",
        b"",
    ):

        async def speak(reader, writer, answer=answer):
            await reader.read(100)
            writer.write(answer)
            writer.close()

        server = await asyncio.start_server(speak, "127.0.0.1", 0)
        async with server:
            with pytest.raises(DependencyDown):
                await purge(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", tag="a")


def test_nodes_that_share_a_redis(tmp_path: Path, source) -> None:
    """What one is told, all know; the command and Python tell Redis; without it they say so."""
    with standalone(tmp_path / "redis") as redis:
        shared = {"url": redis.url, "secret": "s" * 40}
        with serving(tmp_path, l2=shared) as one, serving(tmp_path, l2=shared) as other:
            until(
                lambda: one.metric("imagemill_purge_feed_reading") == other.metric("imagemill_purge_feed_reading") == 1
            )
            for order in ROWS:
                before = other.metric("imagemill_purges_total")
                answer = post(one, "/purge", json.dumps(order).encode())
                names = json.loads(answer.body)["names"]
                until(lambda before=before, names=names: other.metric("imagemill_purges_total") == before + names)

            before = one.metric("imagemill_purges_total")
            done = run("cache", "purge", "--tag", "cats", "--config", str(config_of(one)))
            assert (done.returncode, done.stdout) == (0, "purged on all nodes: cats\n"), done.stderr
            settings = load(config_of(one), {})
            asyncio.run(purge(settings, source="local:sample/dandelion.jpg"))
            until(lambda: one.metric("imagemill_purges_total") == before + 2)
            assert other.metric("imagemill_purge_bad_events_total") == 0
            asyncio.run(purge(redis.url, tag="cats"))
            until(lambda: other.metric("imagemill_purge_bad_events_total") == 1)

            stats = run("cache", "stats", "--json", "--config", str(config_of(one)))
            assert stats.returncode == 0, stats.stderr
            assert json.loads(stats.stdout)["entries"] == 0
            assert run("cache", "stats", IMAGEMILL_L2__URL=redis.url).stdout.startswith("entries")
            swept = run("cache", "sweep", "--idle", "1", "--config", str(config_of(one)))
            assert (swept.returncode, swept.stdout) == (0, "removed 0 entries, 0 bytes\n"), swept.stderr
            assert redis.admin.exists("imagemill:purges"), "purges are not swept"

            redis.stop()
            assert run("cache", "stats", "--config", str(config_of(one))).returncode == 1
            refused = post(one, "/purge", b'{"tag":"cats"}')
            assert (refused.status, refused.problem["code"]) == (503, "dependency_down")
            assert "on this node" in refused.problem["detail"]
            until(lambda: other.metric("imagemill_purge_feed_reading") == 0)
            assert other.metric("imagemill_purge_silence_seconds") < 60
            assert other.get("/image?source=local:sample/dandelion.jpg&width=9&tags=cats").status == 200
            assert run("cache", "purge", "--tag", "cats", "--config", str(config_of(one))).returncode == 1
        text = one.log.read_text()
        assert redis.url not in text
        assert "s" * 40 not in text


def tier(node: Node, target: str, accept: str = "") -> str:
    answer = node.get(target, {"accept": accept})
    assert answer.status == 200, answer.body
    return answer.headers["x-cache"]


def of_what(source, path: str, by: str) -> tuple[str, dict[str, str]]:
    """A target, and the order that purges it."""
    source.bodies[path] = source.bodies["/photo.jpg"]
    target = f"/image?source={source.url(path)}&width=9&format=auto"
    if by == "tag":
        return f"{target}&tags=other,purged-{path[1:]}", {"tag": f"purged-{path[1:]}"}
    return target, {"source": source.url(path)} if by == "source" else {"target": target}


@pytest.mark.parametrize("by", ["source", "tag", "target"])
def test_what_was_purged_is_made_anew(node: Node, source, by: str) -> None:
    """On a node alone: in every format, from a source that is fetched again, once; and nothing else is."""
    target, order = of_what(source, f"/alone-{by}.jpg", by)
    other = f"/image?source={source.url('/photo.jpg')}&width=9&tags=other"
    accepts = ("", "image/webp", "image/avif")
    for accept in accepts:
        tier(node, target, accept)
        assert tier(node, target, accept) == "L1"
    tier(node, other)
    fetched = len(source.requests)
    time.sleep(0.01)

    assert post(node, "/purge", json.dumps(order).encode()).status == 200
    time.sleep(0.01)
    assert [tier(node, target, accept) for accept in accepts] == ["MISS"] * 3
    assert [tier(node, target, accept) for accept in accepts] == ["L1"] * 3
    assert tier(node, other) == "L1"
    assert len(source.requests) == fetched + 1


def test_a_failure_is_purged_too(node: Node, source) -> None:
    """A source that was not there is asked again at once."""
    target = f"/image?source={source.url('/late.jpg')}&width=9"
    assert node.get(target).status == 404
    source.bodies["/late.jpg"] = source.bodies["/photo.jpg"]
    assert node.get(target).status == 404, "remembered"
    time.sleep(0.01)

    assert post(node, "/purge", json.dumps({"source": source.url("/late.jpg")}).encode()).status == 200
    time.sleep(0.01)
    assert node.get(target).status == 200


@pytest.mark.timed
@pytest.mark.parametrize("by", ["source", "tag", "target"])
def test_what_was_purged_is_made_anew_once_for_all_nodes(tmp_path: Path, source, by: str) -> None:
    """From L1 and L2 of every node, also of one that starts later."""
    target, order = of_what(source, f"/shared-{by}.jpg", by)
    with standalone(tmp_path / "redis") as redis:
        tables = {"l2": {"url": redis.url} | L2, "sources": source.allowed()}
        with serving(tmp_path, **tables) as one, serving(tmp_path, **tables) as other:
            stored = l2_events(one, "stored")
            assert tier(one, target) == "MISS"
            until(lambda: l2_events(one, "stored") > stored)
            assert tier(other, target) == "L2"
            assert tier(other, target) == "L1"
            fetched = len(source.requests)

            begun = time.monotonic()
            assert post(one, "/purge", json.dumps(order).encode()).status == 200
            until(lambda: other.metric("imagemill_purges_total") > 1)
            assert time.monotonic() - begun < 2
            with serving(tmp_path, **tables) as late:
                stored = l2_events(late, "stored")
                assert tier(late, target) == "MISS"
                until(lambda: l2_events(late, "stored") > stored)
                assert tier(other, target) == "L2"
                assert tier(one, target) == "L2"
                assert len(source.requests) == fetched + 1
