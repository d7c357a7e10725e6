"""deploy/nginx/imagemill.conf is what nginx understands, and what it says of itself happens before real nodes."""

import http.client
import io
import json
import os
import re
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from imagemill.model.signing import sign
from imagemill.settings import Jobs, Server
from support.mill import until
from support.nginx import in_front, judged, told, written
from support.node import Answer, Node, SourceServer, serving
from support.nodes import image, picture

KEY = "k" * 32
SAMPLE = "/image?source=local:sample/dandelion.jpg&format=webp"


def ask(port: int, target: str, headers: dict[str, str] | None = None, body: bytes | None = None) -> Answer:
    """As a client that knows only nginx; a POST where there is a *body*."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=90)) as connection:
        connection.request("GET" if body is None else "POST", target, body, headers or {})
        reply = connection.getresponse()
        return Answer(reply.status, reply.getheaders(), reply.read())


def _pair(folder: Path, stack: ExitStack, **more: dict[str, Any]) -> list[Node]:
    """Two nodes, of which each may have jobs."""
    nodes = []
    for name in ("a", "b"):
        (folder / name).mkdir()
        out = {"kind": "file", "root": str(folder / name), "write": True}
        tables = {"storage": {"out": out}, "jobs": {"data": str(folder / name / "data")}, "engine": {"workers": 1},
                  "gate": {"wait_s": 20}}  # a busy machine may be slow  # fmt: skip
        nodes.append(stack.enter_context(serving(folder / name, signing={"keys": {"k1": KEY}}, **tables, **more)))
    return nodes


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory, source: SourceServer) -> Iterator[list[Node]]:
    with ExitStack() as stack:
        trusting = {"trusted_proxies": ["127.0.0.0/8"]}
        yield _pair(tmp_path_factory.mktemp("nodes"), stack, sources=source.allowed(), server=trusting)


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory, nodes: list[Node]) -> Iterator[int]:
    with in_front(tmp_path_factory.mktemp("nginx"), [node.port for node in nodes]) as port:
        yield port


@pytest.mark.parametrize("cache", [False, True], ids=["plain", "with its cache"])
def test_nginx_understands_it(tmp_path: Path, cache: bool) -> None:
    """`nginx -t`, as it is and with the lines of the cache."""
    made = judged(written(tmp_path, 10_080, [10_081, 10_082], "server 127.0.0.1:10081;", cache=cache, changes={}))

    assert (made.returncode, made.stderr) == (0, "")


def test_its_times_and_sizes_fit_the_defaults() -> None:
    """nginx waits longer than a node takes to say that it is late, and drops idle connections before the node does."""
    read_s, kept_s, size = (re.findall(r"\d+", told(n)[0])[0] for n in ("proxy_read_timeout", "keepalive_timeout", "client_max_body_size"))  # fmt: skip

    assert float(read_s) > Server().request_timeout_s
    assert float(kept_s) < Server().keep_alive_s
    assert int(size) * 1024 * 1024 == Jobs().batch_bytes


def test_a_picture_goes_through(front: int) -> None:
    answer = ask(front, f"{SAMPLE}&width=40")

    assert (answer.status, answer.headers["content-type"]) == (200, "image/webp")
    assert Image.open(io.BytesIO(answer.body)).width == 40


def test_what_is_told_of_a_picture_goes_through(front: int, nodes: list[Node]) -> None:
    """/info as a node has it, signed or refused by it."""
    target = "/info?source=local:sample/dandelion.jpg&phash=1"
    signed = sign(target.encode(), "k1", KEY.encode()).decode()
    answer = ask(front, signed)

    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert (json.loads(answer.body)["width"], answer.body) == (3000, nodes[0].get(signed).body)
    assert ask(front, signed.replace("phash", "blurhash")).problem["code"] == "signature_invalid"


def test_a_url_stays_with_one_node(front: int, nodes: list[Node]) -> None:
    """Asked for ten times, made once; of many URLs each node gets some."""
    before = [node.metric("imagemill_renders_total") for node in nodes]
    for _ in range(10):
        assert ask(front, f"{SAMPLE}&width=41").status == 200
    once = [node.metric("imagemill_renders_total") - was for node, was in zip(nodes, before, strict=True)]
    for width in range(50, 80):
        assert ask(front, f"{SAMPLE}&width={width}").status == 200
    many = [node.metric("imagemill_renders_total") - was for node, was in zip(nodes, before, strict=True)]

    assert sorted(once) == [0, 1]
    assert (min(many) > 1, sum(many)) == (True, 31)


@pytest.mark.parametrize("written_as", ["local%3Asample%2Fdandelion.jpg", "local:sample//dandelion.jpg", "local:sample/%64andelion.jpg"])  # fmt: skip
def test_what_is_signed_arrives_byte_for_byte(front: int, nodes: list[Node], written_as: str) -> None:
    """Slashes and percent signs that a proxy might tidy up are under the signature."""
    target = sign(f"/image?source={written_as}&width=42".encode(), "k1", KEY.encode()).decode()
    direct, through = nodes[0].get(target), ask(front, target)

    assert through.status == direct.status
    assert through.status != 403
    assert ask(front, target.replace("/image", "/%69mage")).status == nodes[0].get("/%69mage").status == 404
    other = target.replace("width=42", "width=43")
    assert (ask(front, other).status, ask(front, other).problem["code"]) == (403, "signature_invalid")


def test_a_long_url_is_judged_by_the_node(front: int) -> None:
    """nginx's own limit is above ours: the answer is a problem of ours, and no page of nginx's."""
    long = f"{SAMPLE}&width=5&tags={'x' * 7900}"
    longer = f"{SAMPLE}&width=5&tags={'x' * 8300}"

    assert ask(front, long).problem["code"] != "target_too_long"
    assert ask(front, longer).problem["code"] == "target_too_long"


@pytest.mark.parametrize(
    "path",
    [
        "/metrics",
        "/healthz",
        "/readyz",
        "/purge",
        "/version",
        "/explain?source=x",
        "/explain/info?source=x",
        "/infos",
        "/",
    ],
)
def test_nothing_else_is_passed_on(front: int, path: str) -> None:
    """Least of all what an admin port would answer."""
    answer = ask(front, path)

    assert (answer.status, answer.headers["content-type"]) == (404, "text/html")


def test_who_comes_through_needs_a_token_for_jobs(front: int, nodes: list[Node]) -> None:
    """The node takes nobody behind nginx for someone on its own machine, whatever name they call it by."""
    order = {"source": "local:sample/dandelion.jpg", "renditions": [{"name": "a", "params": {"width": 8}}],
             "destination": {"store": "out", "prefix": "x/"}}  # fmt: skip
    for host in ("localhost", "127.0.0.1"):
        headers = {"host": host, "content-type": "application/json"}
        through = ask(front, "/jobs", headers, json.dumps(order).encode())
        direct = ask(nodes[0].port, "/jobs", headers, json.dumps(order).encode())

        assert (through.status, through.problem["code"], direct.status) == (401, "unauthorized", 202)


def test_a_trusting_node_believes_nginx_and_not_its_clients(front: int, nodes: list[Node]) -> None:
    """The id of a request is nginx's; an address that a client gives itself reaches no log."""
    told = {"x-forwarded-for": "203.0.113.9", "forwarded": "for=203.0.113.9", "x-request-id": "of-the-client"}
    answer = ask(front, f"{SAMPLE}&width=45", told)
    request_id = answer.headers["x-request-id"]

    def clients() -> list[str]:
        return [line["client"] for node in nodes for line in node.lines() if line.get("request_id") == request_id]

    assert re.fullmatch(r"[0-9a-f]{32}", request_id)
    until(clients, "the line of the request")  # a thread writes it
    assert clients() == ["127.0.0.1"]


def test_bodies_are_bounded(front: int) -> None:
    """A batch may be large, /image and /info take nothing; all are refused before a node sees them."""
    for path, size in (("/jobs/batch", 16 * 1024 * 1024 + 1), ("/image", 2048), ("/info", 2048)):
        with closing(http.client.HTTPConnection("127.0.0.1", front, timeout=60)) as connection:
            connection.putrequest("POST", path)
            connection.putheader("content-length", str(size))
            connection.endheaders()
            reply = connection.getresponse()
            assert (reply.status, reply.getheader("content-type")) == (413, "text/html")


def test_the_cache_keeps_formats_apart_and_answers_ranges(tmp_path: Path, nodes: list[Node]) -> None:
    """Made once; `Vary: Accept` holds; a range comes from the whole; a refusal is not kept."""
    auto = SAMPLE.replace("webp", "auto") + "&width=144"
    with in_front(tmp_path, [node.port for node in nodes], cache=True) as port:
        answers = [ask(port, auto, {"accept": accept}) for accept in ("image/webp", "image/avif", "image/webp", "*/*")]
        part = ask(port, auto, {"accept": "image/webp", "range": "bytes=0-3"})
        refused = [ask(port, f"{SAMPLE}&width=0") for _ in range(2)]

    assert [a.headers["x-proxy-cache"] for a in answers] == ["MISS", "MISS", "HIT", "MISS"]
    assert [a.headers["content-type"] for a in answers] == ["image/webp", "image/avif", "image/webp", "image/jpeg"]
    assert answers[0].body == answers[2].body
    assert (part.status, part.body) == (206, answers[0].body[:4])
    assert [a.headers.get("x-proxy-cache") for a in refused] == [None, None]  # nginx adds it to good answers only


def test_the_cache_keeps_nothing_private(tmp_path: Path, nodes: list[Node], source: SourceServer) -> None:
    """What its source calls private is asked of a node each time; what it calls nothing, or public, is not."""
    tiers = {}
    with in_front(tmp_path, [node.port for node in nodes], cache=True) as port:
        for shade, word in enumerate(("private", "no-store", "public, max-age=99999", ""), 1):
            path = f"/{shade}.jpg"
            source.bodies[path] = picture(shade)
            source.headers = {"cache-control": word} if word else {}
            tiers[word] = [ask(port, image(source, path)).headers["x-proxy-cache"] for _ in range(2)]
    source.headers = {}

    assert tiers == {"private": ["MISS", "MISS"], "no-store": ["MISS", "MISS"],
                     "public, max-age=99999": ["MISS", "HIT"], "": ["MISS", "HIT"]}  # fmt: skip


def _at(port: int) -> int:
    """Connections to that loopback port."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return sum(line.split()[2] == f"0100007F:{port:04X}" and line.split()[3] == "01" for line in lines)


def test_a_node_that_dies_costs_no_picture(tmp_path: Path) -> None:
    """Requests that lay in a node killed in their midst are answered by the other, and so is all that comes later.

    It is stopped first, so that they lie there for certain; how long a busy machine takes for it must not matter.
    """
    with ExitStack() as stack:
        alive, dying = _pair(tmp_path, stack)
        jobs = f"server 127.0.0.1:{dying.port}; server 127.0.0.1:{alive.port} backup;"
        patient = {"proxy_next_upstream_timeout 5s": "proxy_next_upstream_timeout 0"}
        port = stack.enter_context(in_front(tmp_path, [alive.port, dying.port], jobs=jobs, changes=patient))
        pool = stack.enter_context(ThreadPoolExecutor(24))
        os.kill(dying.process.pid, signal.SIGSTOP)

        posted = pool.submit(ask, port, "/jobs", {"content-type": "application/json"}, b"{}")
        until(lambda: _at(dying.port) >= 1, "the submission lies in the node that is stopped", 60)
        asked = [pool.submit(ask, port, f"{SAMPLE}&width={width}") for width in range(20, 43)]
        until(lambda: _at(dying.port) >= 2, "requests lie there, too", 60)
        os.kill(dying.process.pid, signal.SIGKILL)
        dying.process.wait()

        assert {one.result().status for one in asked} == {200}
        assert {ask(port, f"{SAMPLE}&width={width}").status for width in range(20, 60)} == {200}
        assert posted.result().status == 502  # it may have begun: to repeat it is for whoever sent its Idempotency-Key
