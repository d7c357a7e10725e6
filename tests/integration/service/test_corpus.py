"""The corpus of broken, hostile and odd pictures, through a real node over HTTP.

The corpus is not part of the project: it is looked for in ``IMAGEMILL_CORPUS``, else beside the checkout, and the
tests are skipped by name where it is not. `tests/integration/engines` has hostile files of the project's own.
"""

import asyncio
import fnmatch
import os
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from support.node import Answer, Node, fetch, serving

CORPUS = Path(os.environ.get("IMAGEMILL_CORPUS", Path(__file__).parents[4] / "shared" / "corpus"))
pytestmark = [
    pytest.mark.skipif(not CORPUS.is_dir(), reason="no corpus (IMAGEMILL_CORPUS)"),
    pytest.mark.timeout(600),
]
DOCUMENTED = {
    (200, "ok"), (413, "source_too_large"), (415, "unsupported_source_type"), (422, "image_corrupt"),
    (422, "limit_exceeded"),
}  # fmt: skip
MAY_TIME_OUT = ("*jpeg_progressive_3000_scans*",)
Key = tuple[str, str]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A node of two workers with the corpus as its store."""
    store = {"corpus": {"kind": "file", "root": str(CORPUS)}}
    with serving(tmp_path_factory.mktemp("corpus"), storage=store, engine={"workers": 2}) as running:
        yield running


@pytest.fixture(scope="module")
def answers(node: Node) -> dict[Key, Answer]:
    """What the node says to every file, as a 256 px PNG and as it is in WebP; memory and workers before and after."""
    names = sorted(p.relative_to(CORPUS).as_posix() for p in CORPUS.glob("*/*") if p.is_file())
    return asyncio.run(_ask(node.port, names))


async def _ask(port: int, names: list[str]) -> dict[Key, Answer]:
    found: dict[Key, Answer] = {}
    todo = iter([(name, more) for name in names for more in ("&width=256&format=png", "&format=webp")])

    async def some() -> None:
        for name, more in todo:
            found[name, more] = await fetch(port, f"/image?source=local:corpus/{quote(name)}{more}")

    await asyncio.gather(*(some() for _ in range(3)))
    return found


def outcome(answer: Answer) -> tuple[int, str]:
    return answer.status, "ok" if answer.status == 200 else answer.problem["code"]


def test_every_answer_is_a_documented_one(node: Node, answers: dict[Key, Answer]) -> None:
    """No file yields a 500, a crash or a hang; D07's CPU bomb alone may meet the deadline."""
    odd = {
        key: outcome(a)
        for key, a in answers.items()
        if outcome(a) not in DOCUMENTED and not any(fnmatch.fnmatch(key[0], p) for p in MAY_TIME_OUT)
    }

    assert len(answers) > 2_000
    assert odd == {}
    assert node.metric("imagemill_worker_crash_total") == 0


@pytest.mark.timed
def test_nothing_is_left_behind(node: Node, answers: dict[Key, Answer]) -> None:
    """I1-I3: afterwards the node is quick, its workers are two and idle, and its memory is bounded."""
    assert answers
    times = []
    for _ in range(5):
        begun = time.monotonic()
        assert node.admin("/healthz").status == 200
        times.append(time.monotonic() - begun)
    assert sorted(times)[2] < 0.1
    assert node.metric('imagemill_workers{state="idle"}') == 2
    assert len(node.workers()) == 2
    cached = node.metric("imagemill_cache_bytes")
    assert node.rss() - cached < 160 << 20
    for pid in node.workers():
        assert int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096 < 512 << 20


def test_answers_repeat(node: Node, answers: dict[Key, Answer]) -> None:
    """D11, D13: a bad file that was rendered gives the same bytes again, from whichever worker.

    A crop to more than the picture changes the key, and not the pixels.
    """
    bad = [name for (name, more), a in answers.items() if name.startswith("bad/") and a.status == 200 and "png" in more]
    for name in bad[::5]:
        target = f"/image?source=local:corpus/{quote(name)}&width=256&format=png&crop="
        bodies = {node.get(f"{target}99999,{height}").body for height in (99_997, 99_998, 99_999)}
        assert len(bodies) == 1, name
