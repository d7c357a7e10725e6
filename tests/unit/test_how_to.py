"""The how-tos name settings, metrics, commands and files that exist."""

import os
import re
import shlex
from pathlib import Path

import pytest
from msgspec.structs import fields

from imagemill import cli
from imagemill.obs.metrics import DECLARED
from imagemill.settings import Settings
from support.pages import DOCS, blocks

ROOT = DOCS.parent
PAGES = sorted((DOCS / "how-to").glob("*.md"))
OURS = ("docker.md", "systemd.md", "behind-nginx.md", "tuning.md", "render-folders.md", "info.md", "fallback.md")
TABLES = {f.name: f.type for f in fields(Settings) if hasattr(f.type, "__struct_fields__")}


@pytest.fixture(params=PAGES, ids=lambda page: page.stem)
def page(request):
    return request.param


def test_settings_that_are_named_exist(page):
    """`table.name` in code, where *table* is one of the settings'."""
    named = set(re.findall(r"`(\w+)\.(\w+)(?:`| =)", page.read_text()))
    unknown = {
        (table, name) for table, name in named if table in TABLES and name not in TABLES[table].__struct_fields__
    }

    assert {(table, name) for table, name in unknown if name not in {"md", "toml"}} == set()


def test_variables_that_are_named_are_settings(page):
    """``IMAGEMILL_TABLE__NAME`` everywhere."""
    for table, name in re.findall(r"IMAGEMILL_([A-Z0-9]+)__([A-Z0-9_]*[A-Z0-9])", page.read_text()):
        if table != "STORAGE":  # its tables are named by whoever writes them
            assert name.lower() in TABLES[table.lower()].__struct_fields__, name


def test_metrics_that_are_named_exist(page):
    """``imagemill_…`` with or without labels that it has; a trailing * stands for several."""
    known = {m.name: m.labels for m in DECLARED}
    for name, star, label in re.findall(r"`(imagemill_\w+)(\*?)(?:\{(\w+)=)?", page.read_text()):
        if star:
            assert [n for n in known if n.startswith(name)]
        else:
            assert name in known, name
            assert not label or label in known[name], (name, label)


@pytest.mark.parametrize("name", OURS)
def test_commands_that_are_shown_are_understood(name, monkeypatch):
    """Each `imagemill …` of a shell block, or in code, by the parser itself; none is run."""
    monkeypatch.setenv("PATH", os.defpath)
    text = (DOCS / "how-to" / name).read_text()
    lines = [line for block in blocks(f"how-to/{name}", "sh") for line in block.replace("\\\n", " ").splitlines()]
    spoken = re.findall(r"`([^`\n]*\bimagemill [a-z][^`\n]*)`", text)
    shown = [
        match[1]
        for line in [*lines, *spoken]
        if (match := re.search(r"(?:^|/|[A-Z…] )imagemill ([a-z].*)$", line.strip()))
    ]

    for words in shown:
        cli.parser().parse_args(shlex.split(words))
    assert shown or name == "behind-nginx.md"


@pytest.mark.parametrize("name", OURS)
def test_files_of_the_repository_that_are_shown_exist(name):
    """`deploy/…` in shell blocks; links are tested elsewhere."""
    for path in re.findall(r"\bdeploy/[\w./-]+", (DOCS / "how-to" / name).read_text()):
        assert (ROOT / path).exists(), path


def test_the_tuning_page_names_what_can_be_tuned():
    """Every setting of the gate, and of the tables that a machine's size decides; so a new one gets its line."""
    text = (DOCS / "how-to" / "tuning.md").read_text()

    assert [f"gate.{n}" for n in TABLES["gate"].__struct_fields__ if f"`gate.{n}`" not in text] == []


def test_the_nginx_page_explains_lines_that_are_there():
    """Every directive of its table stands in the file, with that value."""
    text = (ROOT / "deploy" / "nginx" / "imagemill.conf").read_text()
    told = re.findall(r"^\| `([^`]+)` \|", (Path(DOCS) / "how-to" / "behind-nginx.md").read_text(), re.MULTILINE)

    assert len(told) >= 9
    assert [line for line in told if line not in text] == []


def test_the_systemd_page_says_what_the_unit_says():
    """Values that it repeats."""
    unit = (ROOT / "deploy" / "systemd" / "imagemill.service").read_text()
    page = (DOCS / "how-to" / "systemd.md").read_text()

    for line in ("Type=notify", "OOMPolicy=continue", "User=imagemill", "StateDirectory=imagemill", "DynamicUser=yes"):
        assert f"{line}\n" in unit
        assert line in page
    for name in ("TimeoutStopSec=", "WatchdogSec=", "@system-service", "@privileged"):
        assert name in unit
        assert name in page
