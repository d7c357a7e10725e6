"""Pages of the docs as what they tell people to save and to type."""

import re
import shlex
from pathlib import Path
from typing import NamedTuple

DOCS = Path(__file__).parents[2] / "docs"


def blocks(page: str, language: str) -> list[str]:
    """The fenced blocks of *page*, a path below docs, in that language."""
    return re.findall(rf"^```{language}\n(.*?)^```", (DOCS / page).read_text(), re.DOTALL | re.MULTILINE)


class Curl(NamedTuple):
    """What a ``curl`` line asks for."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes | None


def curl(line: str, folder: Path) -> Curl:
    """Read a line; ``@file`` lies in *folder*. An option that is not known here is a `KeyError`."""
    words = iter(shlex.split(line)[1:])
    method, url, headers, body = "", "", {}, None
    for word in words:
        if word == "-X":
            method = next(words)
        elif word == "-H":
            name, _, value = next(words).partition(":")
            headers[name.strip().lower()] = value.strip()
        elif word == "-d":
            text = next(words)
            body = (folder / text[1:]).read_bytes() if text.startswith("@") else text.encode()
        elif word.startswith("-"):
            {"-i": "the head is shown", "-s": "no bar"}[word]
        else:
            url = word
    return Curl(method or ("GET" if body is None else "POST"), url, headers, body)
