"""Texts over HTTP, on a real node: what a client sees of what it wrote, and that none of it is ever a page (V13, R16)."""

import io
import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from PIL import Image

from imagemill.engines import typefaces
from support.node import Node, serving

PICTURE = "/image?source=local:sample/dandelion.jpg&width=320&format=png"
PAYLOADS = [
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", '"><svg onload=alert(1)>', "'><script>alert(1)</script>", "</title><script>alert(1)</script>",
    "javascript:alert(1)", "<iframe src=javascript:alert(1)>", "<body onload=alert(1)>", "<a href='data:text/html,<script>alert(1)</script>'>x</a>",
    "{{7*7}}", "${7*7}", "<%= 7*7 %>", "#{7*7}", "<!--<script>-->", "]]><script>alert(1)</script>", "<math><mtext></p><img src=1 onerror=alert(1)>",
    "<details open ontoggle=alert(1)>", "<style>@import 'http://a/'</style>", "<meta http-equiv=refresh content=0>", "<base href=//a/>", "\\u003cscript\\u003e",
    "&lt;script&gt;alert(1)&lt;/script&gt;", "&#60;script&#62;", "<ScRiPt>alert(1)</sCrIpT>", "<<script>script>", "<script/src=//a>", "<object data=x>",
    "<link rel=import href=//a>", "\ufeff<script>", "\u00bcscript\u00be", "<x contenteditable onfocus=alert(1) autofocus>", "%3Cscript%3E",
]  # fmt: skip


@pytest.fixture(scope="module")
def fonts() -> Iterator[Path]:
    """A folder of one font that anybody may read: ours under another name."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    old, new = "DejaVu Sans".encode("utf-16-be"), "Quite Other".encode("utf-16-be")
    (folder / "other.ttf").write_bytes((typefaces.home() / "DejaVuSans.ttf").read_bytes().replace(old, new))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, fonts: Path) -> Iterator[Node]:
    """A node that knows one more font."""
    with serving(tmp_path_factory.mktemp("text"), text={"fonts": [str(fonts)]}) as running:
        yield running


def test_a_text(node: Node) -> None:
    """It is on the picture, which has the size it had, in a font that is named as it calls itself."""
    plain = node.get(PICTURE)
    written = node.get(f"{PICTURE}&text=Dandelion%0A%26%20more&text_size=40&text_font=Quite%20Other")

    assert (plain.status, written.status) == (200, 200)
    before, after = (Image.open(io.BytesIO(answer.body)).convert("RGB") for answer in (plain, written))
    assert before.size == after.size == (320, 213)
    white = sum(pixel == (255, 255, 255) for pixel in after.get_flattened_data())
    assert white > 500 + sum(pixel == (255, 255, 255) for pixel in before.get_flattened_data())


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ("text=%E6%97%A5", 400, "text: no configured font has U+65E5 (CJK UNIFIED IDEOGRAPH-65E5)"),
        ("text=a&text_font=Arial", 400, "text font: 'Arial' is none of Quite Other, DejaVu Sans Bold, DejaVu Sans"),
        ("text=a&text_font=/etc/passwd", 400, "text font: a name of at most"), ("text=a%00", 400, "text: control characters"),
        ("text=" + "a" * 513, 400, "text: 1 to 512 characters"), ("text=%E2%80%AEa", 400, "directions"), ("text=a" + "%CC%81" * 500, 400, "marks on one letter"),
        ("text=%E2%80%8B", 400, "nothing of it would be seen"), ("text=a&text_gravity=west&text_x=9000", 400, "outside a picture of 320 × 213"),
        ("text=a&text_width=9000", 422, "text width: 9000 > 8192 px"), ("text_size=9", 400, "text_size: needs text"),
        ("text=" + "a%0A" * 250 + "a&text_size=1000", 422, "too large|estimated CPU"),
    ],
)  # fmt: skip
def test_refused(node: Node, query: str, status: int, words: str) -> None:
    """V13: 400 or 422, in words that name what is wrong."""
    import re

    answer = node.get(f"{PICTURE}&{query}")

    assert answer.status == status
    assert answer.problem["detail"].startswith("text") or status != 400
    assert re.search(words if "|" in words else re.escape(words), answer.problem["detail"])


def test_what_is_shown_of_a_text_is_never_a_page(node: Node) -> None:
    """R16: 32 payloads, explained and refused: JSON that says so, sandboxed, without a bracket in it; and they come back whole."""
    for payload in PAYLOADS:
        text = quote(payload, safe="")
        targets = {
            f"/explain?{PICTURE[7:]}&text={text}": 200, f"{PICTURE}&text={text}&text_font={text}": 400,
            f"{PICTURE}&text=a&text_align={text}": 400, f"{PICTURE}&{text}=1": 400, f"{PICTURE}&ops=text:a/{text}": 400,
        }  # fmt: skip
        for target, status in targets.items():
            answer = node.get(target)
            assert answer.status == status, target
            assert answer.headers["content-type"] in {"application/json", "application/problem+json"}
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["content-security-policy"] == "sandbox; default-src 'none'"
            assert not set(answer.body) & set(b"<>&")
            assert answer.body.isascii()
            told = json.loads(answer.body)
            if status == 200:
                (found,) = (op for op in told["recipe"] if op["type"] == "text")
                assert found["text"] == payload
                assert node.admin(target).body == answer.body


def test_payloads_are_drawn_or_refused(node: Node) -> None:
    """V13: as pictures they are letters like any others."""
    for payload in PAYLOADS:
        answer = node.get(f"{PICTURE}&text={quote(payload, safe='')}&text_size=12")
        assert (answer.status, answer.headers["content-type"]) == (200, "image/png"), payload
