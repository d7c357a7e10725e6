"""Watermarks on a running node: fetched by the guarded client, refused like a picture's own address, purged with it."""

import json
import subprocess
import sys
import time
from io import BytesIO
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
from PIL import Image

from imagemill.model.signing import sign
from support.node import Answer, Node, SourceServer, serving

KEY = "k" * 32


def flat(colour, size=(8, 6)) -> bytes:
    out = BytesIO()
    Image.new("RGB", size, colour).save(out, "PNG")
    return out.getvalue()


def middle(answer: Answer) -> tuple[int, ...]:
    assert answer.status == 200, answer.body
    pixels = np.asarray(Image.open(BytesIO(answer.body)).convert("RGB"))
    return tuple(pixels[pixels.shape[0] // 2, pixels.shape[1] // 2])


def target(source: str, watermark: str, more: str = "") -> str:
    return f"/image?source={quote(source)}&format=png&watermark={quote(watermark)}{more}"


@pytest.fixture
def logos(source: SourceServer) -> SourceServer:
    source.bodies |= {"/ground.png": flat((9, 9, 9), (40, 30)), "/red.png": flat((255, 0, 0)), "/bad.png": b"<html>"}
    source.headers = {}
    return source


def test_it_is_there_and_fetched_once(node: Node, logos: SourceServer) -> None:
    """A hit needs neither; another picture with the same logo needs the picture only."""
    ask = target(logos.url("/ground.png"), logos.url("/red.png"), "&width=20")
    before = logos.asked("/red.png")

    first, second = node.get(ask), node.get(ask)
    other = node.get(target(logos.url("/photo.jpg"), logos.url("/red.png"), "&width=32"))

    assert [middle(answer) for answer in (first, second, other)] == [(255, 0, 0)] * 3
    assert [first.headers["x-cache"], second.headers["x-cache"]] == ["MISS", "L1"]
    assert logos.asked("/red.png") - before == 1


REFUSED = [
    "http://169.254.169.254/latest/meta-data", "http://[::1]/x", "http://10.0.0.1/x", "http://127.0.0.1:9/x",
    "http://0x7f000001/x", "local:nowhere/x", "s3://bucket/x", "local:sample/../../etc/passwd", "local:sample/none.jpg",
    "file:///etc/passwd", "ftp://example.com/x", "http://user:word@example.com/x",
]  # fmt: skip


@pytest.mark.parametrize("address", REFUSED)
def test_refused_as_a_layer_exactly_like_a_picture(node: Node, address: str) -> None:
    """S20: one guard for both: the same status and code, and no more words than which layer it was."""
    picture = node.get(f"/image?source={quote(address)}&width=5")
    layer = node.get(target("local:sample/dandelion.jpg", address, "&width=5"))

    assert picture.status in {400, 403, 404}
    assert (layer.status, layer.problem["code"]) == (picture.status, picture.problem["code"])
    if picture.status == 403:
        assert picture.problem["detail"] == "the source address is not allowed"
        assert layer.problem["detail"].endswith(f": {picture.problem['detail']}")


@pytest.mark.parametrize("way", ["/away", "/far"])
def test_a_redirect_of_a_layer_is_judged(node: Node, logos: SourceServer, way: str) -> None:
    """S20: wherever a logo's server sends us, it is no further than a picture's could."""
    logos.statuses[way] = "302 Found"
    logos.headers = {"location": "http://169.254.169.254/" if way == "/away" else "file:///etc/passwd"}
    try:
        picture = node.get(f"/image?source={quote(logos.url(way))}&width=6")
        layer = node.get(target("local:sample/dandelion.jpg", logos.url(way), "&width=6"))
    finally:
        logos.headers = {}
        del logos.statuses[way]

    assert (layer.status, layer.problem["code"]) == (picture.status, picture.problem["code"])
    assert layer.status in {403, 502}


def test_one_that_is_no_picture(node: Node, logos: SourceServer) -> None:
    """Named, with the status that a source of its kind has; and the picture itself is served as before."""
    bad = node.get(target("local:sample/dandelion.jpg", logos.url("/bad.png"), "&width=7"))

    assert (bad.status, bad.problem["code"]) == (415, "unsupported_source_type")
    assert bad.problem["detail"].startswith(f"layer {logos.url('/bad.png')}: ")
    assert node.get("/image?source=local:sample/dandelion.jpg&width=7").status == 200


def test_purged_with_the_source_of_its_layer(node: Node, logos: SourceServer) -> None:
    """By address in any spelling, and at once; a picture without it stays."""
    logos.bodies["/changing.png"] = flat((0, 0, 255))
    ask = target(logos.url("/ground.png"), logos.url("/changing.png"), "&width=24")
    other = target(logos.url("/ground.png"), logos.url("/red.png"), "&width=24")
    assert [middle(node.get(url)) for url in (ask, other)] == [(0, 0, 255), (255, 0, 0)]
    logos.bodies["/changing.png"] = flat((0, 255, 0))
    time.sleep(0.005)  # purges are dated in whole milliseconds

    assert node.purge(source=logos.url("/changing.png").replace("http://", "HTTP://")).status == 200

    assert middle(node.get(ask)) == (0, 255, 0)
    assert node.get(other).headers["x-cache"] == "L1"


def test_terms_of_all(node: Node, logos: SourceServer) -> None:
    """No date of one of them, and private where the logo is."""
    logos.headers = {"last-modified": "Tue, 24 Nov 2020 15:22:30 GMT"}
    logos.bodies |= {f"/{name}.png": flat((1, 2, 3), (12, 12)) for name in ("dated", "own", "private")}
    plain = node.get(f"/image?source={quote(logos.url('/dated.png'))}&width=10")
    dated = node.get(target(logos.url("/dated.png"), logos.url("/own.png"), "&width=10"))
    logos.headers = {"cache-control": "private"}
    ask = target(logos.url("/ground.png"), logos.url("/private.png"), "&width=26")
    private = [node.get(ask) for _ in range(2)]

    assert "last-modified" in plain.headers
    assert "last-modified" not in dated.headers
    assert {(answer.headers["cache-control"], answer.headers["x-cache"]) for answer in private} == {
        ("private, no-store", "MISS")
    }


def test_explain_says_layers(node: Node) -> None:
    told = json.loads(node.get("/explain?" + target("local:sample/dandelion.jpg", "local:sample/x.png")[7:]).body)

    assert told["layers"][0]["address"] == "sample/x.png"
    assert told["tags"] == []


def test_a_signature_covers_it(tmp_path: Path) -> None:
    """S20: whoever may not sign cannot have another logo fetched, however the rest was signed."""
    with serving(tmp_path, signing={"mode": "required", "keys": {"a": KEY}}) as node:
        ask = "/image?source=local:sample/dandelion.jpg&width=20&watermark=local:sample/dandelion.jpg&wm_scale=0.3"
        signed = sign(ask.encode(), "a", KEY.encode()).decode()

        assert node.get(signed).status == 200
        for forged in (
            signed.replace("wm_scale=0.3", "wm_scale=0.4"),
            signed.replace("watermark=local", "watermark=http"),
        ):
            assert forged != signed
            assert (node.get(forged).status, node.get(forged).problem["code"]) == (403, "signature_invalid")


def run(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "imagemill", *words], capture_output=True, text=True, cwd=cwd, timeout=120
    )


class TestCommand:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        (tmp_path / "logos").mkdir()
        (tmp_path / "logos" / "red.png").write_bytes(flat((255, 0, 0)))
        (tmp_path / "in").mkdir()
        for name in "ab":
            (tmp_path / "in" / f"{name}.png").write_bytes(flat((9, 9, 9), (40, 30)))
        (tmp_path / "c.toml").write_text(
            f'[storage.logos]\nkind = "file"\nroot = {json.dumps(str(tmp_path / "logos"))}\n'
        )
        return tmp_path

    def test_a_file(self, folder: Path) -> None:
        """`imagemill render` reads layers from the stores that are configured."""
        done = run(
            "render", "in/a.png", "-o", "a.png", "--config", "c.toml", "--watermark", "local:logos/red.png", cwd=folder
        )

        assert done.returncode == 0, done.stderr
        pixels = np.asarray(Image.open(folder / "a.png").convert("RGB"))
        assert tuple(pixels[15, 20]) == (255, 0, 0)

    def test_a_folder(self, folder: Path) -> None:
        """Of all its pictures."""
        done = run("render", "in", "-o", "out", "--config", "c.toml", "--watermark", "local:logos/red.png", cwd=folder)

        assert done.returncode == 0, done.stderr
        for name in "ab":
            assert tuple(np.asarray(Image.open(folder / "out" / f"{name}.png").convert("RGB"))[15, 20]) == (255, 0, 0)

    @pytest.mark.parametrize(
        ("watermark", "words"),
        [
            (
                "local:elsewhere/x.png",
                "source_forbidden: layer local:elsewhere/x.png: the source address is not allowed",
            ),
            ("local:logos/none.png", "source_not_found: layer local:logos/none.png"),
            ("http://127.0.0.1/x.png", "source_forbidden: layer http://127.0.0.1/x.png"),
        ],
    )
    @pytest.mark.parametrize("what", ["in/a.png", "in"])
    def test_one_that_cannot_be_had(self, folder: Path, watermark: str, words: str, what: str) -> None:
        """Said once, and nothing is made without it."""
        done = run(
            "render", what, "-o", "made", "-f", "png", "--config", "c.toml", "--watermark", watermark, cwd=folder
        )

        assert done.returncode == 1
        assert words in done.stderr
        assert not list(folder.glob("made/*"))
        assert not (folder / "made").is_file()
