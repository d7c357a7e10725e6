"""The command line as a person meets it: help, settings, sign, explain; what needs a worker is in e2e."""

import json
import os
import re
import sys
import time

import pytest

from imagemill.cli import main, parser
from imagemill.model.signing import verify

KEY = "k" * 32
TARGET = "/image?source=local:photos/a.jpg&width=5"


@pytest.fixture(autouse=True)
def environ(monkeypatch, tmp_path):
    """No setting, and no directory, of whoever runs the tests."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    for name in [n for n in os.environ if n.startswith("IMAGEMILL_")]:
        monkeypatch.delenv(name)
    return monkeypatch


@pytest.fixture
def key(environ):
    environ.setenv("IMAGEMILL_SIGNING__KEYS__k1", KEY)


def run(capsys, *arguments):
    """Exit status, what was printed, what was complained of."""
    try:
        status = main(arguments)
    except SystemExit as e:
        status = e.code
    return status, *capsys.readouterr()


@pytest.mark.parametrize("command", ["serve", "worker", "render", "info", "sign", "explain", "health", "doctor"])
def test_help_says_what_each_option_is_for(capsys, command):
    """Each command is in the list, says what it does, and each option what it is for."""
    _, overview, _ = run(capsys, "--help")
    status, shown, _ = run(capsys, command, "--help")

    assert status == 0
    assert "--config FILE" in shown
    assert re.search(rf"\n    {command} +\S", overview)
    (commands,) = (a for a in parser()._actions if a.choices)
    assert [a.dest for a in commands.choices[command]._actions if not a.help] == []


def test_the_first_run(capsys):
    """With nothing said: unsigned, on loopback, the sample picture; nothing of it once anything is said."""
    status, shown, _ = run(capsys, "serve", "--print-config")
    settings = json.loads(shown)

    assert status == 0
    assert (settings["signing"]["mode"], settings["server"]["host"]) == ("unsigned", "127.0.0.1")
    assert settings["storage"]["sample"]["kind"] == "file"
    for arguments in (["--host", "0.0.0.0"], ["--host", "::"], ["--host", ""], ["--sample"], ["--config", "/dev/null"]):
        assert run(capsys, "serve", "--check", *arguments)[0] == 2, arguments


def test_flags_lie_over_everything(capsys, key):
    flags = ["--host", "::1", "--port", "1", "--admin-port", "2", "--unsigned", "--sample"]

    settings = json.loads(run(capsys, "serve", "--print-config", *flags)[1])

    assert settings["server"] | {"host": "::1", "port": 1, "admin_port": 2} == settings["server"]
    assert settings["signing"] == {"mode": "unsigned", "keys": {"k1": "***"}}
    assert list(settings["storage"]) == ["sample", "out"]


def test_check_starts_nothing_and_says_what_is_wrong(capsys, environ, key):
    """O04: exit status 0 or 2, one line, no trace, no secret."""
    assert run(capsys, "serve", "--check") == (0, "the settings are valid\n", "")
    environ.setenv("IMAGEMILL_SERVER__PROT", "1")
    assert run(capsys, "serve", "--check") == (
        2, "", "imagemill: settings: unknown setting server.prot; did you mean port?\n"
    )  # fmt: skip


def test_sign(capsys, key):
    """What is printed verifies, with its expiry; a URL keeps its scheme and host."""
    before = int(time.time())

    status, shown, _ = run(capsys, "sign", f"https://cdn.example{TARGET}", "--expires-in", "60")

    assert status == 0
    signed = verify(shown.strip().removeprefix("https://cdn.example").encode(), {"k1": KEY.encode()}).decode()
    assert signed.startswith(f"{TARGET}&expires=")
    assert before + 60 <= int(signed.rpartition("=")[2]) <= time.time() + 60


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["/image?source=local:a/b&widht=5"], 1, "widht: unknown parameter"),
        (["/other?source=local:a/b"], 2, "a target is"),
        ([f"{TARGET}&signature=k1.abc"], 2, "a signature already"),
        ([TARGET, "--key-id", "k2"], 2, "--key-id: one of k1"),
        ([TARGET, "--expires-in", "0"], 2, "1 or more"),
        ([TARGET, "--expires-in=-5"], 2, "1 or more"),
        ([f"{TARGET}&expires=99", "--expires-in", "5"], 1, "given twice"),
    ],
)
def test_what_would_not_be_served_is_not_signed(capsys, key, arguments, status, words):
    got, shown, complaint = run(capsys, "sign", *arguments)

    assert (got, shown) == (status, "")
    assert words in complaint
    assert KEY not in complaint


def test_a_worker_without_jobs_is_wrong_use(capsys):
    """Nothing is started where no store is written to, or nobody wants jobs."""
    status, shown, complaint = run(capsys, "worker")

    assert (status, shown) == (2, "")
    assert complaint == "imagemill: settings: there are no jobs to do: no [storage.<name>] has write = true\n"


@pytest.mark.parametrize("before", ["", "http://127.0.0.1:8080", "https://cdn.example"])
def test_explain(capsys, before):
    """Recipe, key, cost and tier, in words and as JSON, for a URL with or without host and signature."""
    url = f"{before}{TARGET}&format=auto&signature=k1.abc"

    words = run(capsys, "explain", url, "--accept", "image/webp")
    facts = run(capsys, "explain", url, "--accept", "image/webp", "--json")

    assert (words[0], facts[0]) == (0, 0)
    told = json.loads(facts[1])
    assert [op["type"] for op in told["recipe"]] == ["auto_orient", "resize", "encode"]
    assert told["estimate"]["format"] == "webp"
    assert told["estimate"]["cpu_ms"] > 0
    assert told["tier"].startswith("MISS")
    assert len(told["key"]) == 64
    assert all(word in words[1] for word in ("2. resize: width_px=5", told["key"], "cpu_ms="))


def test_explain_and_sign_what_is_told(capsys, key):
    """/info has its own parameters; a signature of it is of its path, too."""
    target = "/info?source=local:a/b&palette=3"

    status, shown, _ = run(capsys, "explain", target, "--json")
    assert (status, [op["type"] for op in json.loads(shown)["recipe"]]) == (0, ["auto_orient", "describe"])
    status, shown, _ = run(capsys, "sign", target)
    assert (status, verify(shown.strip().encode(), {"k1": KEY.encode()}).decode()) == (0, target)
    for command in ("explain", "sign"):
        status, _, complaint = run(capsys, command, f"{target}&format=webp")
        assert (status, "format: unknown parameter" in complaint) == (1, True)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("nonsense", "not_found"),
        ("/other?source=local:a/b", "not_found"),
        ("http://h/x/image?source=local:a/b", "not_found"),
        ("/image", "source is missing"),
        ("/image?source=local:a/b&widht=5", "widht: unknown parameter"),
        ("/image?source=file:///etc/passwd", "bad_request"),
        ("/image?source=local:a/é", "bad_request"),
    ],
)
def test_explain_says_what_the_port_would_refuse(capsys, url, words):
    status, shown, complaint = run(capsys, "explain", url)

    assert (status, shown) == (1, "")
    assert words in complaint


def test_a_file_that_never_ends_is_not_read_to_its_end(capsys, environ, tmp_path):
    """One byte over the limit is refused, and no more of it is read."""
    environ.setenv("IMAGEMILL_LIMITS__SOURCE_BYTES", "1000")

    status, _, complaint = run(capsys, "render", "/dev/zero", "-o", str(tmp_path / "a.webp"))

    assert (status, "source_too_large: /dev/zero: more than" in complaint) == (1, True)
    assert not (tmp_path / "a.webp").exists()


@pytest.mark.parametrize(
    ("variables", "words"),
    [({}, "no [storage.<name>] has write = true"), ({"IMAGEMILL_JOBS__ENGINE": "off"}, "jobs.engine says so")],
)
def test_a_worker_without_jobs_says_why(capsys, environ, variables, words):
    for name, value in variables.items():
        environ.setenv(name, value)

    status, _, complaint = run(capsys, "worker")

    assert (status, complaint) == (2, f"imagemill: settings: there are no jobs to do: {words}\n")


def test_what_serve_alone_may_say_is_refused(capsys):
    status, _, complaint = run(capsys, "worker", "--supervised", "999")

    assert (status, complaint.count("\n"), "--supervised is for `serve`" in complaint) == (2, 1, True)


@pytest.mark.parametrize(
    "arguments", [("jobs", "list", "--state", "gone"), ("token", "new", "--name", "a", "--tenant", "a", "--scope", "x")]
)
def test_choices_are_told_in_words(capsys, arguments):
    """As they are typed, not as Python shows them."""
    status, _, complaint = run(capsys, *arguments)

    assert status == 2
    assert "choose from" in complaint
    assert "<" not in complaint


def test_a_missing_package_is_found_by_check(capsys, environ):
    """Not only once the service starts."""
    environ.setenv("IMAGEMILL_SIGNING__MODE", "unsigned")
    environ.setenv("IMAGEMILL_JOBS__ENGINE", "temporal")
    for name in {"temporalio", *(n for n in sys.modules if n.startswith("temporalio."))}:
        environ.setitem(sys.modules, name, None)
    for name in [n for n in sys.modules if n.startswith("imagemill.jobs.temporal")]:
        environ.delitem(sys.modules, name)

    status, _, complaint = run(capsys, "serve", "--check")

    assert (status, complaint) == (
        2, "imagemill: settings: jobs.engine = 'temporal' needs: pip install 'imagemill[temporal]'\n"
    )  # fmt: skip


@pytest.mark.parametrize("option", ["--file", "--token-file"])
def test_a_file_that_cannot_be_read_is_named_once(capsys, tmp_path, option):
    """With the reason in words."""
    (tmp_path / "binary").write_bytes(b"\xff")
    submit = ("jobs", "submit", "local:a/b", "-r", "s:width=5")
    arguments = ("jobs", "submit") if option == "--file" else submit

    for name, words in (("absent", "No such file or directory"), ("binary", "it is not UTF-8")):
        status, _, complaint = run(capsys, *arguments, option, str(tmp_path / name))
        assert (status, complaint) == (2, f"imagemill: settings: {option} {tmp_path / name}: {words}\n")
