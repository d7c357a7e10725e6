"""What is written about the project is true of it."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from imagemill import cli

ROOT = Path(__file__).parents[2]


def test_the_reference_is_what_the_code_says():
    """Parameters, settings, errors and metrics are generated, and not out of date."""
    made = subprocess.run([sys.executable, ROOT / "docs" / "generate.py", "--check"], capture_output=True, text=True)

    assert made.returncode == 0, made.stderr


def test_the_gallery_shows_every_operation():
    """A new operation needs an example, and its page is written anew."""
    script = ROOT / "docs" / "gallery.py"
    made = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True)

    assert made.returncode == 0, made.stderr


def test_links_lead_somewhere():
    """Every relative link in the README and the docs names a file that is there."""
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    dead = []
    for page in pages:
        for target in re.findall(r"\]\((?!https?://|#)([^)#\s]+)", page.read_text()):
            if not (page.parent / target).exists():
                dead.append(f"{page.name}: {target}")

    assert dead == []


def test_the_readme_names_every_command():
    """Each in its table, and nothing that is none."""
    table = re.findall(r"^\| `imagemill (\w+)[^`]*` \|", (ROOT / "README.md").read_text(), re.MULTILINE)
    (commands,) = (action for action in cli.parser()._actions if action.choices)

    assert sorted(table) == sorted(commands.choices)


def test_the_map_shows_the_layers_that_are_kept():
    """The picture in the explanation is the contract that import-linter holds."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layers,) = (contract["layers"] for contract in contracts if contract["type"] == "layers")

    shown = (ROOT / "docs" / "explanation" / "architecture.md").read_text()

    assert "```\n" + "\n".join(layers[1:]) + "\n```" in shown


def test_nothing_is_left_to_fill_in():
    """No placeholder in what people read."""
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]

    assert [p.name for p in pages if "@@" in p.read_text()] == []


def test_the_lock_and_its_exports_name_the_same_versions():
    """requirements/*.txt, for pip, are of uv.lock, for uv."""
    locked = set(re.findall(r'name = "([^"]+)"\nversion = "([^"]+)"', (ROOT / "uv.lock").read_text()))
    exports = sorted((ROOT / "requirements").glob("*.txt"))
    assert len(exports) == 11
    for export in exports:
        pins = re.findall(r"^([a-zA-Z0-9_.-]+)(?:\[\w+\])?==([^ ]+)", export.read_text(), re.MULTILINE)
        assert pins
        assert set(pins) - locked == set()


FORBIDDEN = {
    "requests",
    "httpx",
    "urllib3",
    "http.client",
    "urllib.request",
    "smtplib",
    "ftplib",
    "telnetlib",
    "xmlrpc",
}


@pytest.mark.parametrize("path", sorted((ROOT / "src" / "imagemill").rglob("*.py")), ids=lambda p: p.stem)
def test_only_one_file_goes_out(path: Path):
    """S20: no module but the guarded ones imports an HTTP client, and one of them alone looks names up."""
    tree = ast.parse(path.read_text())
    imported = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    for n in ast.walk(tree):
        if isinstance(n, ast.ImportFrom) and n.module:  # ``from http import client`` is http.client, too
            imported |= {n.module} | {f"{n.module}.{a.name}" for a in n.names}
    called = {
        n.func.attr
        for n in ast.walk(tree)
        if isinstance(n, ast.Call)
        and isinstance(n.func, ast.Attribute)
        and not (
            isinstance(n.func.value, ast.Name) and n.func.value.id in {"sqlite3", "schema", "Client"}
        )  # a file; Temporal
    }

    if path.parts[-2:] in {("net", "admin.py"), ("net", "jobs_api.py")}:  # the operator's own tools, to their own node
        imported.discard("http.client")
    assert not imported & FORBIDDEN
    if path.parts[-2:] not in {("net", "client.py"), ("net", "poster.py"), ("net", "connection.py")}:
        assert not {m for m in imported if m.split(".")[0] == "aiohttp"}
    if path.parts[-2:] != ("net", "connection.py"):
        assert not called & {
            "create_connection",
            "open_connection",
            "urlopen",
            "getaddrinfo",
            "sock_connect",
            "connect",
        }


def test_no_dynamic_code():
    """R07 and V-rows by construction: no eval, exec, pickle or shell anywhere in the package, save a worker's boot line."""
    words = re.compile(r"\b(?:eval|exec|compile)\(|import pickle|import marshal|shell=True|os\.system")
    found = [
        p.name
        for p in (ROOT / "src" / "imagemill").rglob("*.py")
        if words.search(p.read_text().replace("re.compile(", ""))
    ]

    assert found == []
