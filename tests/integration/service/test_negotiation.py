"""What a client says of itself, on a real node: what it is answered with, `Vary`, what is shared, and what is not."""

import io
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from PIL import Image

from golden import pictures
from support.node import Node, SourceServer, serving

PHOTO = "/image?source=local:sample/dandelion.jpg"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, source: SourceServer) -> Iterator[Node]:
    source.bodies["/a.png"] = pictures.encoded(pictures.photo(60, 40), "PNG")
    with serving(
        tmp_path_factory.mktemp("negotiation"),
        sources={"allow_networks": ["127.0.0.0/8"], "ports": [source.port]},
        negotiation={"client_hints": True, "save_data_quality": 30},
        engine={"quality_auto": True},
        presets={"named": {"thumb": "width=60&format=webp"}},
        limits={"qualities": [30, 50, 80], "grid_outside": "round"},
    ) as one:
        yield one


def size(body: bytes) -> tuple[int, int]:
    return Image.open(io.BytesIO(body)).size


@pytest.mark.parametrize(
    ("target", "headers", "width"),
    [
        ("&width=100&dpr=auto&format=webp&quality=80", {"Sec-CH-DPR": "1.4"}, 150), ("&width=100&dpr=auto&format=webp&quality=80", {}, 100),
        ("&width=auto:200&format=webp&quality=80", {"Sec-CH-Width": "150"}, 160), ("&width=auto:200&format=webp&quality=80", {}, 200),
    ],
)  # fmt: skip
def test_hints(node: Node, target: str, headers: dict[str, str], width: int) -> None:
    """The picture is as wide as the client's screen asks; another screen has another one, and `Vary` says why."""
    answer = node.get(PHOTO + target, headers)
    assert (answer.status, size(answer.body)[0]) == (200, width)
    asked = "Sec-CH-DPR" if "dpr" in target else "Sec-CH-Width"
    assert answer.headers["vary"] == asked

    again = [node.get(PHOTO + target, {**headers, "X": str(n)}) for n in range(3)]  # also as a head that was met
    assert all(a.headers["x-cache"] == "L1" and a.body == answer.body and a.headers["vary"] == asked for a in again)


def test_early_hits_know_the_screen(node: Node) -> None:
    """Two screens that ask for one URL in turn each get their own, however often."""
    target = f"{PHOTO}&width=50&dpr=auto&format=webp&quality=80"
    for _ in range(4):
        for ratio, width in (("1", 50), ("2", 100), ("3", 150)):
            assert size(node.get(target, {"Sec-CH-DPR": ratio}).body)[0] == width


def test_save_data(node: Node, source: SourceServer) -> None:
    """Fewer bytes for who wants few; an own quality is an own quality; what has none does not vary."""
    plain, saving = (node.get(f"{PHOTO}&width=200&format=webp", h) for h in ({}, {"Save-Data": "on"}))
    assert len(saving.body) < len(plain.body)
    assert plain.headers["vary"] == saving.headers["vary"] == "Save-Data"
    own = node.get(f"{PHOTO}&width=200&format=webp&quality=80", {"Save-Data": "on"})
    assert "vary" not in own.headers
    assert "vary" not in node.get(f"{PHOTO}&width=20&format=png").headers
    kept = f"/image?source={quote(source.url('/a.png'), safe='')}"
    for headers in ({}, {"Save-Data": "on"}):  # a PNG that is kept has no quality, which is known only once it is there
        assert "vary" not in node.get(kept, headers).headers


def test_auto_varies(node: Node) -> None:
    """`Accept` is named where it counts, beside whatever else does."""
    answer = node.get(f"{PHOTO}&width=200&format=auto", {"Accept": "image/webp"})
    assert answer.headers["content-type"] == "image/webp"
    assert answer.headers["vary"] == "Accept, Save-Data"


def test_presets_and_grid(node: Node) -> None:
    """A preset is what it stands for; numbers beside the grid are brought onto it, and share what is there."""
    assert size(node.get(f"{PHOTO}&preset=thumb").body)[0] == 60
    assert node.get(f"{PHOTO}&preset=none").problem["code"] == "bad_option"
    first = node.get(f"{PHOTO}&width=70&format=webp&quality=41")
    assert node.get(f"{PHOTO}&width=70&format=webp&quality=50").headers["x-cache"] == "L1"
    assert node.get(f"{PHOTO}&width=70&format=webp&quality=44").headers["etag"] == first.headers["etag"]


def test_quality_auto(node: Node) -> None:
    """A score instead of a number, from confined workers; what one rendition found, the next one takes."""
    first = node.get(f"{PHOTO}&width=300&format=webp&quality=auto:60")
    better = node.get(f"{PHOTO}&width=300&format=webp&quality=auto:85")
    assert (first.status, better.status) == (200, 200), (first.body[:300], better.body[:300])
    assert len(first.body) < len(better.body)
    assert node.get(f"{PHOTO}&width=200&format=webp&quality=auto:60").status == 200


def test_quality_auto_where_it_is_off(tmp_path: Path) -> None:
    """501, and the setting is named."""
    with serving(tmp_path) as other:
        answer = other.get(f"{PHOTO}&width=30&format=webp&quality=auto")
    assert (answer.status, answer.problem["code"]) == (501, "not_supported")
    assert "engine.quality_auto" in answer.problem["detail"]
