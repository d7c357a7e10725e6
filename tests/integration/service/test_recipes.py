"""The recipes of docs/how-to/sign.md, run as they stand there: each language makes the signatures that a node accepts.

Python and Node come with the test dependencies; PHP is a small package, and missing in CI it is a failure. Go and Java are
large: where there is none, its recipe is skipped by name, also in CI.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from imagemill.model.signing import sign as our_sign
from support.node import Node, serving

DOC = (Path(__file__).parents[3] / "docs" / "how-to" / "sign.md").read_text()
SHOWN_KEY = "correct horse battery staple, and more"
KEY = "a-first-key-of-thirty-two-bytes-or-more"
SERVED = f"/image?source=local:sample/dandelion.jpg&width=60&format=webp&filename={quote('été & co', safe='')}"
TARGETS = [
    SERVED, "/image?source=local:a/b", "/image?", "/", "/image?source=" + quote("https://user@example.com:8443/a b/ü?x=1&y=%20#z", safe=""),
    "/image?source=https://example.com/a.jpg&width=1&expires=1999999999", "/image?source=local:a/été", "/image?source=local:a/猫🐱&fn=%F0%9F%90%B1",
    "/image?a=%00%0d%0a%7F", "/image?a=+%2B%20", "/image?a='\"\\`$(x)${x}#{x}%s%d{0}<>|;", "/image?a=1&&b==&c", "/image?e\u0301=\u00e9", "/image?" + "a" * 8_000,
    *(f"/image?n={n}" for n in range(40)),  # so that every character of base64url comes, first and last
]  # fmt: skip
KEYS = [KEY, "\u00fc" * 20, "\U0001f511" * 20, "'\"\\ $key %s {0} " * 3, "k" * 64, "k" * 65, "k" * 500, " " * 32]
VECTORS = [(target, "k1", KEY) for target in TARGETS] + [(TARGETS[4], f"key-{n}_A", key) for n, key in enumerate(KEYS)]


def snippet(language: str) -> str:
    match = re.search(rf"<!-- test: {language} -->\n```\w+\n(.*?)```", DOC, re.DOTALL)
    assert match
    return match[1]


def program(name: str, *, in_ci: bool = False) -> str:
    """The path of a runtime, or skip; *in_ci* it has to be there."""
    found = shutil.which(name) or shutil.which(name, path=str(Path(sys.executable).parent))
    if not found:
        words = f"{name} is not installed"
        pytest.fail(words) if in_ci and os.environ.get("CI") else pytest.skip(words)
    return found


def python(folder: Path) -> list[str]:
    code = f"{snippet('python')}\nimport sys\nfor line in sys.stdin.buffer.read().decode().splitlines():\n    print(sign(*line.split('\\t')))\n"
    (folder / "main.py").write_text(code)
    return [sys.executable, "-X", "utf8", str(folder / "main.py")]


def node(folder: Path) -> list[str]:
    code = "\nfor (const line of require('node:fs').readFileSync(0, 'utf8').split('\\n').slice(0, -1)) console.log(sign(...line.split('\\t')));\n"
    (folder / "main.js").write_text(snippet("node") + code)
    return [program("node", in_ci=True), str(folder / "main.js")]


def php(folder: Path) -> list[str]:
    code = '\nwhile (($line = fgets(STDIN)) !== false) { echo sign(...explode("\\t", rtrim($line, "\\n"))), "\\n"; }\n'
    (folder / "main.php").write_text("<?php\n" + snippet("php") + code)
    return [program("php", in_ci=True), "-n", str(folder / "main.php")]


def go(folder: Path) -> list[str]:
    main = """package main

import (
	"bufio"
	"fmt"
	"os"
	"strings"
)

func main() {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		part := strings.Split(lines.Text(), "\\t")
		fmt.Println(sign(part[0], part[1], part[2]))
	}
}
"""
    (folder / "main.go").write_text(main)
    (folder / "sign.go").write_text("package main\n\n" + snippet("go"))
    return [program("go"), "run", str(folder / "main.go"), str(folder / "sign.go")]


def java(folder: Path) -> list[str]:
    compiler = program("javac")
    main = """import static java.nio.charset.StandardCharsets.UTF_8;
import java.io.*;

public class Main {
    public static void main(String[] none) throws Exception {
        var lines = new BufferedReader(new InputStreamReader(System.in, UTF_8));
        var out = new PrintStream(System.out, true, UTF_8);
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            String[] part = line.split("\\t");
            out.println(Signer.sign(part[0], part[1], part[2]));
        }
    }
}
"""
    (folder / "Main.java").write_text(main)
    (folder / "Signer.java").write_text(snippet("java"))
    sources = [str(folder / name) for name in ("Main.java", "Signer.java")]
    subprocess.run([compiler, "-encoding", "UTF-8", "-d", folder, *sources], capture_output=True, text=True, check=True)
    return [program("java"), "-cp", str(folder), "Main"]


LANGUAGES: dict[str, Callable[[Path], list[str]]] = {"python": python, "node": node, "go": go, "java": java, "php": php}


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with serving(tmp_path_factory.mktemp("signed"), signing={"mode": "required", "keys": {"k1": KEY}}) as running:
        yield running


def test_every_recipe_is_run() -> None:
    assert re.findall(r"<!-- test: (\w+) -->", DOC) == list(LANGUAGES)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_recipe(language: str, signed: Node, tmp_path: Path) -> None:
    """Odd characters, empty and long targets, keys of any length and script: byte for byte what our own code makes."""
    command = LANGUAGES[language](tmp_path)
    lines = "\n".join("\t".join(vector) for vector in VECTORS) + "\n"
    offline = os.environ | {"GOTOOLCHAIN": "local", "GOPROXY": "off", "GOFLAGS": "", "GO111MODULE": "off"}
    made = subprocess.run(command, input=lines.encode(), capture_output=True, env=offline)
    assert made.returncode == 0, made.stderr.decode()
    told = made.stdout.decode().split("\n")[:-1]

    assert told == [our_sign(target.encode(), key_id, key.encode()).decode() for target, key_id, key in VECTORS]
    assert signed.get(told[0]).status == 200
    assert signed.get(told[0][:-1]).status == 403


def test_the_signatures_that_are_shown() -> None:
    """For whoever writes it in another language."""
    shown = re.search(r"```text\n(/image.*?&signature=k1\..*?)```", DOC, re.DOTALL)
    assert shown
    lines = shown[1].strip().split("\n")

    assert f"the key `k1` is `{SHOWN_KEY}`" in DOC
    assert len(lines) == 2
    assert lines == [
        our_sign(line.partition("&signature=")[0].encode(), "k1", SHOWN_KEY.encode()).decode() for line in lines
    ]
