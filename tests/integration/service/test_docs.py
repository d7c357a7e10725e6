"""What the README and the tutorial tell people to type works, and answers what they say."""

import io
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from support.node import PHOTO, Node, serving

ROOT = Path(__file__).parents[3]
README = (ROOT / "README.md").read_text()
TUTORIAL = (ROOT / "docs" / "tutorial" / "first-image.md").read_text()
ADDRESS = "http://127.0.0.1:8080"


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)


def curls(page: str) -> list[list[str]]:
    lines = [line for block in blocks(page, "sh") for line in block.splitlines()]
    return [shlex.split(line) for line in lines if line.startswith("curl ")]


CURLS = curls(README) + curls(TUTORIAL)


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A node with the tutorial's settings over those of the first run."""
    (text,) = blocks(TUTORIAL, "toml")
    tables = tomllib.loads(text)
    folder = tmp_path_factory.mktemp("photos")
    (folder / "2024").mkdir()
    (folder / "2024" / "a.jpg").write_bytes(PHOTO)
    assert tables["storage"]["photos"]["root"] == "/srv/photos"
    tables["storage"]["photos"]["root"] = str(folder)
    with serving(tmp_path_factory.mktemp("node"), **tables) as node:
        yield node


def test_there_are_commands_to_try() -> None:
    assert len(CURLS) >= 6
    assert all(ADDRESS in url for *_, url in CURLS)


@pytest.mark.parametrize("command", CURLS, ids=lambda command: command[-1].rpartition(":8080")[2])
def test_each_curl_answers_as_told(taught: Node, command: list[str]) -> None:
    """A picture of the kind that its file is called after; else JSON, and a problem where a mistake is shown."""
    answer = taught.get(command[-1].removeprefix(ADDRESS))

    if "-o" in command:
        name = command[command.index("-o") + 1]
        assert answer.status == 200
        picture = Image.open(io.BytesIO(answer.body))
        assert picture.format == {"webp": "WEBP", "jpg": "JPEG", "avif": "AVIF"}[name.rpartition(".")[2]]
        assert f"width={picture.width}" in command[-1]
    elif "widht" in command[-1]:
        assert (answer.status, answer.problem["code"]) == (400, "bad_option")
    else:
        assert (answer.status, answer.headers["content-type"]) == (200, "application/json")


def test_the_readme_shows_the_headers_that_come(taught: Node) -> None:
    """Their names, and those values that no clock and no codec changes."""
    (shown,) = blocks(README, "console")
    command, _, *lines = shown.strip().splitlines()
    told = dict(line.split(": ", 1) for line in lines)
    target = shlex.split(command)[-1].removeprefix(ADDRESS)

    taught.get(target)
    answer = taught.get(target, method="HEAD")

    assert list(told) == [name for name, _ in answer.pairs]
    for name in ("cache-control", "x-cache", "content-type", "accept-ranges", "content-security-policy"):
        assert told[name] == answer.headers[name]


def test_the_tutorial_s_render(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(PHOTO)
    (line,) = [line for block in blocks(TUTORIAL, "sh") for line in block.splitlines() if " render " in line]

    command = line.removeprefix(".venv/bin/imagemill ").split()
    subprocess.run([sys.executable, "-m", "imagemill", *command], cwd=tmp_path, check=True)

    assert Image.open(tmp_path / "small.webp").width == 800
