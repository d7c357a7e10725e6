"""GET /info and fallback pictures on a real node: what a client sees."""

import io
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from PIL import Image

from imagemill.model.signing import sign
from support.node import PHOTO, SAMPLES, Node, SourceServer, serving

SAMPLE = "source=local:sample/dandelion.jpg"
KEY = "a-key-of-at-least-thirty-two-bytes-or-more"
FACTS = {
    "format", "bytes", "width", "height", "stored_width", "stored_height", "orientation", "frames", "pages",
    "duration_ms", "loops", "alpha", "color_space", "bits", "icc_profile",
}  # fmt: skip


def test_facts(node: Node) -> None:
    """What the header says, as JSON that nobody takes for a page."""
    answer = node.get(f"/info?{SAMPLE}")

    found = json.loads(answer.body)
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert "sandbox" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert found.keys() == FACTS
    assert (found["format"], found["width"], found["height"], found["bytes"]) == ("jpeg", 3000, 2000, len(PHOTO))


def test_it_is_kept_as_a_rendition_is(node: Node) -> None:
    """MISS, then L1; a tag, 304 by it, a part of it, HEAD; Last-Modified of the source."""
    target = f"/info?{SAMPLE}&palette=3&blurhash=1"
    miss, hit = node.get(target), node.get(target)

    assert (miss.headers["x-cache"], hit.headers["x-cache"], miss.body) == ("MISS", "L1", hit.body)
    assert hit.headers["last-modified"].endswith("GMT")
    assert node.get(target, {"If-None-Match": hit.headers["etag"]}).status == 304
    part = node.get(target, {"Range": "bytes=0-9"})
    assert (part.status, part.body) == (206, hit.body[:10])
    head = node.get(target, method="HEAD")
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", str(len(hit.body)))


def test_it_is_purged_by_its_address(node: Node) -> None:
    """As a picture is, and with its source."""
    target = f"/info?{SAMPLE}&phash=1"
    node.get(target)

    assert node.purge(target=target).status == 200
    assert node.get(target).headers["x-cache"] == "MISS"
    assert node.purge(source="local:sample/dandelion.jpg").status == 200
    assert node.get(target).headers["x-cache"] == "MISS"


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("", 400, "bad_option"), (f"{SAMPLE}&format=webp", 400, "bad_option"), (f"{SAMPLE}&palette=99", 400, "bad_option"),
        ("source=local:sample/none.jpg", 404, "source_not_found"),
    ],
)  # fmt: skip
def test_problems(node: Node, query: str, status: int, code: str) -> None:
    """As everywhere."""
    answer = node.get(f"/info?{query}")

    assert (answer.status, answer.problem["code"]) == (status, code)


def test_no_picture(node: Node, source: SourceServer) -> None:
    """Nothing is told of what is none."""
    source.bodies["/text.jpg"] = b"no picture at all"

    assert (
        node.get(f"/info?source={quote(source.url('/text.jpg'), safe='')}").problem["code"] == "unsupported_source_type"
    )


def test_explain(node: Node) -> None:
    """On either port; the header alone costs next to nothing."""
    for answer in (node.get(f"/explain/info?{SAMPLE}"), node.admin(f"/explain/info?{SAMPLE}")):
        told = json.loads(answer.body)
        assert [op["type"] for op in told["recipe"]] == ["auto_orient", "describe"]
        assert told["estimate"]["cpu_ms"] < 5
    assert node.get(f"/explain/info?{SAMPLE}&format=webp").status == 400


def test_metrics(node: Node) -> None:
    """Counted as renders are, under a format of its own."""
    before = node.metric('imagemill_renders_total{format="json"')
    node.get(f"/info?{SAMPLE}&thumbhash=1")

    assert node.metric('imagemill_renders_total{format="json"') == before + 1


def test_signed(tmp_path: Path) -> None:
    """A signature for a picture is none for what is told of it."""
    with serving(tmp_path, signing={"mode": "required", "keys": {"k1": KEY}}) as node:
        target = sign(f"/info?{SAMPLE}".encode(), "k1", KEY.encode()).decode()
        assert node.get(target).status == 200
        assert node.get(target.replace("/info", "/image")).status == 403
        assert node.get(f"/info?{SAMPLE}").status == 403
        assert node.get("/explain/info?x").status == 404


def test_of_a_file(tmp_path: Path) -> None:
    """`imagemill info` says the same, and why not."""
    command = [sys.executable, "-m", "imagemill", "info"]
    made = subprocess.run(
        [*command, SAMPLES / "dandelion.jpg", "--palette", "2", "--width", "30"], capture_output=True, check=True
    )
    told = json.loads(made.stdout)
    missing = subprocess.run([*command, tmp_path / "none.jpg"], capture_output=True, check=False)

    assert (told["width"], told["rendition"], len(told["palette"])) == (3000, {"width": 30, "height": 20}, 2)
    assert (missing.returncode, missing.stdout, b"No such file" in missing.stderr) == (1, b"", True)


# fallbacks


@pytest.fixture(scope="module")
def fallen(tmp_path_factory: pytest.TempPathFactory, source: SourceServer) -> Iterator[Node]:
    """A node with pictures for what is not there and for all else; one of them cannot be read."""
    folder = tmp_path_factory.mktemp("assets")
    Image.new("RGB", (90, 60), (200, 10, 10)).save(folder / "missing.png")
    images = {"404": "local:assets/missing.png", "default": "local:assets/nowhere.png"}
    with serving(
        folder, storage={"assets": {"kind": "file", "root": str(folder)}}, sources=source.allowed(),
        fallback={"images": images, "max_age_s": 30}, cache={"negative_ttl_s": 0.5},
    ) as running:  # fmt: skip
        yield running


def test_a_picture_in_place_of_an_error(fallen: Node) -> None:
    """In the size and format that were asked for, under the status of the error, marked, for half a minute."""
    answer = fallen.get("/image?source=local:sample/none.jpg&width=45&format=auto", {"Accept": "image/webp"})

    picture = Image.open(io.BytesIO(answer.body))
    assert (answer.status, picture.format, picture.size) == (404, "WEBP", (45, 30))
    assert answer.headers["x-fallback"] == "404; code=source_not_found"
    assert answer.headers["cache-control"] == "public, max-age=30"
    assert answer.headers["vary"] == "Accept"
    assert "etag" not in answer.headers
    head = fallen.get("/image?source=local:sample/none.jpg&width=45&format=auto", {"Accept": "image/webp"}, "HEAD")
    assert (head.status, head.body, head.headers["content-length"]) == (404, b"", str(len(answer.body)))


def test_the_picture_once_it_is_there(fallen: Node, source: SourceServer) -> None:
    """It is answered as soon as the failure is forgotten, and before that it was never kept under its name."""
    target = f"/image?source={quote(source.url('/late.png'), safe='')}&width=20&format=png"
    source.bodies.pop("/late.png", None)
    assert {fallen.get(target).status for _ in range(3)} == {404}

    body = io.BytesIO()
    Image.new("RGB", (40, 40), (0, 0, 255)).save(body, "PNG")
    source.bodies["/late.png"] = body.getvalue()
    until = time.monotonic() + 30
    while (answer := fallen.get(target)).status == 404:
        assert time.monotonic() < until

    assert answer.status == 200
    assert "x-fallback" not in answer.headers
    assert Image.open(io.BytesIO(answer.body)).getpixel((5, 5)) == (0, 0, 255)


def test_one_that_cannot_be_read(fallen: Node, source: SourceServer) -> None:
    """The problem is told as without it; the log has said at the start that it cannot be shown."""
    source.bodies["/text.jpg"] = b"no picture at all"

    answer = fallen.get(f"/image?source={quote(source.url('/text.jpg'), safe='')}&width=5")

    assert (answer.status, answer.problem["code"]) == (415, "unsupported_source_type")
    until = time.monotonic() + 60
    while not (said := [line for line in fallen.lines() if line.get("setting") == "fallback.images.default"]):
        assert time.monotonic() < until
    assert said[0]["code"] == "source_not_found"
    assert not [line for line in fallen.lines() if line.get("setting") == "fallback.images.404"]


def test_what_is_told_is_never_of_it(fallen: Node) -> None:
    """/info of what is not there is a problem: it would tell of another picture."""
    assert fallen.get("/info?source=local:sample/none.jpg").problem["code"] == "source_not_found"


def test_the_log_has_the_error(fallen: Node) -> None:
    """The line of a request that a fallback answered says what was wrong."""
    fallen.get("/image?source=local:sample/none-of-it.jpg&width=5")

    until = time.monotonic() + 60
    while not (said := [line for line in fallen.lines() if "none-of-it" in line.get("target", "")]):
        assert time.monotonic() < until
    assert (said[0]["code"], said[0]["status"]) == ("source_not_found", 404)
