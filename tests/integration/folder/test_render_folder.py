"""``imagemill render`` on folders, as a person runs it: real workers, real signals, real kills."""

import contextlib
import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from support.node import PHOTO
from support.vitals import alive

CLEAN = {k: v for k, v in os.environ.items() if not k.startswith("IMAGEMILL_")}
# whoever started the tests may have had SIGINT ignored, which children inherit
PROGRAM = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from imagemill.cli import main; raise SystemExit(main())"
)


def command(*words):
    return [sys.executable, "-c", PROGRAM, "render", *map(str, words)]


def render(*words, **env):
    return subprocess.run(command(*words), capture_output=True, text=True, env=CLEAN | env, timeout=100)


def picture(kind, size=(60, 40)):
    out = BytesIO()
    Image.linear_gradient("L").resize(size).convert("RGB").save(out, kind)
    return out.getvalue()


@pytest.fixture
def tree(tmp_path):
    """Four pictures of three formats in three folders, and what is none."""
    files = {
        "photo.jpg": PHOTO, "sub/b.PNG": picture("PNG"), "sub/deep/c.gif": picture("GIF"), "sub/d.webp": picture("WEBP"),
        "cut.jpg": PHOTO[:30_000], "page.png": b"<html>", "notes.txt": b"no picture", ".hidden.jpg": PHOTO,
    }  # fmt: skip
    for name, body in files.items():
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_bytes(body)
    (tmp_path / "in/sub/loop").symlink_to("..")
    return tmp_path


def made(folder):
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if not p.is_dir()}


def whole(folder):
    """That each file which has its name is a picture to its last pixel."""
    for path in folder.rglob("[!.]*.*"):
        if path.is_file():
            Image.open(path).load()


GOOD = {"photo.webp", "sub/b.webp", "sub/deep/c.webp", "sub/d.webp"}


def test_a_folder(tree):
    """The tree is kept; bad files are named with their reasons and cost nothing else; the status says it; then go on."""
    words = (tree / "in", "-o", tree / "out", "--width", "32", "--format", "webp")

    first = render(*words, "--json")
    (tree / "out/photo.webp").unlink()
    times = {p: p.stat().st_mtime_ns for p in (tree / "out").rglob("*.webp")}
    again = render(*words)

    told = json.loads(first.stdout)
    assert first.returncode == 1, first.stderr
    assert {k: told[k] for k in ("made", "kept", "failed", "not_pictures", "links", "hidden", "stopped")} == {
        "made": 4, "kept": 0, "failed": 2, "not_pictures": 1, "links": 1, "hidden": 1, "stopped": None,
    }  # fmt: skip
    assert {f["file"]: f["code"] for f in told["failures"]} == {
        "cut.jpg": "image_corrupt", "page.png": "unsupported_source_type"
    }  # fmt: skip
    assert sorted(first.stderr.splitlines()) == sorted(
        f"failed: {f['file']}: {f['code']}: {f['reason']}" for f in told["failures"]
    )
    assert made(tree / "out") == GOOD
    whole(tree / "out")
    assert Image.open(tree / "out/sub/b.webp").size == (32, 21)
    assert told["bytes_out"] == sum((tree / "out" / name).stat().st_size for name in GOOD)
    assert (again.returncode, again.stdout.splitlines()[0].split(" in ")[0]) == (1, "made 1 pictures")
    assert "kept 3 that were there" in again.stdout
    assert {p: p.stat().st_mtime_ns for p in times} == times


def test_status_zero_and_strict(tree):
    """All there is 0, with nothing on standard error; a file that is no picture is a failure only if that is said."""
    for bad in ("cut.jpg", "page.png"):
        (tree / "in" / bad).unlink()

    well = render(tree / "in", "-o", tree / "out", "-w", "32")
    strict = render(tree / "in", "-o", tree / "out", "-w", "32", "--strict")

    assert (well.returncode, well.stderr) == (0, "")
    assert made(tree / "out") == {"photo.jpg", "sub/b.PNG", "sub/deep/c.gif", "sub/d.webp"}
    assert (strict.returncode, strict.stderr) == (1, "no picture: notes.txt\n")


def test_overwrite_and_names(tree):
    """Nothing is overwritten unless told so; names are as the template says."""
    (tree / "out").mkdir()
    (tree / "out/photo-s.webp").write_bytes(b"mine")
    words = (tree / "in", "-o", tree / "out", "-w", "32", "-f", "webp", "--name", "{stem}-s.{ext}")

    render(*words)
    kept = (tree / "out/photo-s.webp").read_bytes()
    render(*words, "--overwrite")

    assert kept == b"mine"
    whole(tree / "out")
    assert made(tree / "out") == {name.replace(".webp", "-s.webp") for name in GOOD}


def test_an_output_folder_within_the_sources_is_no_source(tree):
    """However often it runs."""
    words = (tree / "in", "-o", tree / "in/small", "-w", "32", "-f", "webp")
    for _ in range(2):
        render(*words)

    assert made(tree / "in/small") == GOOD


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ((), "-o names another one"),
        (("-o", "in"), "this is the folder of the sources"),
        (("-o", "in/../in/"), "this is the folder of the sources"),
        (("-o", "in/notes.txt"), "File exists"),
        (("-o", "out", "--name", "{stem}"), "--name {stem}: a file's name"),
        (("-o", "out", "--format", "auto"), "name the one that is wanted"),
    ],
)
def test_wrong_use(tree, words, complaint):
    """Status 2, one line, and nothing is done."""
    run = subprocess.run(command("in", *words), cwd=tree, capture_output=True, text=True, env=CLEAN)

    assert (run.returncode, run.stdout, run.stderr.count("\n")) == (2, "", 1)
    assert complaint in run.stderr


def test_options_of_folders_are_refused_for_files(tree):
    run = render(tree / "in/photo.jpg", "-o", tree / "a.webp", "--strict")

    assert (run.returncode, "--strict is for folders" in run.stderr) == (2, True)
    assert not (tree / "a.webp").exists()


def many(tree, count=40):
    shutil.rmtree(tree / "in")
    for n in range(count):
        (tree / f"in/{n % 3}").mkdir(parents=True, exist_ok=True)
        (tree / f"in/{n % 3}/{n}.jpg").write_bytes(PHOTO)
    return count


def started(tree, *words):
    """A run whose second file is there, and whose last is far."""
    run = subprocess.Popen(
        command(tree / "in", "-o", tree / "out", "-w", "900", "-f", "webp", *words),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=CLEAN,
    )  # fmt: skip
    end = time.monotonic() + 60
    while sum(1 for _ in (tree / "out").rglob("*.webp")) < 2:
        assert run.poll() is None
        assert time.monotonic() < end
        time.sleep(0.005)
    return run


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_interrupted(tree, how):
    """Status 130, a summary that says so, no half file, no worker left; the next run does the rest."""
    count = many(tree)
    run = started(tree)
    workers = [int(pid) for pid in Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split()]
    run.send_signal(how)
    shown, complaints = run.communicate(timeout=60)

    assert (run.returncode, complaints) == (130, "")
    assert "stopped before its end: interrupted" in shown
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers)
    before = made(tree / "out")
    assert 2 <= len(before) < count
    assert all(name.endswith(".webp") for name in before)
    whole(tree / "out")
    rest = json.loads(render(tree / "in", "-o", tree / "out", "-w", "900", "-f", "webp", "--json").stdout)
    assert (rest["made"], rest["kept"]) == (count - len(before), len(before))


KILLED_AT = {
    "a half": "write, os.write = os.write, lambda f, b: (write(f, b[: len(b) // 2]), die()) if len(b) > 99 else write(f, b)",
    "not flushed": "os.fsync = lambda *_: die()",
    "not named": "os.link = lambda *_, **__: die()",
    "named twice": "link, os.link = os.link, lambda *a, **k: (link(*a, **k), die())",
}


@pytest.mark.parametrize("step", KILLED_AT)
def test_kill_9_while_a_file_is_written(tree, step):
    """Whatever step it is killed at: no half file under a picture's name; the next run completes it, and sweeps."""
    deadly = f"import os; die = lambda: os.kill(os.getpid(), 9); {KILLED_AT[step]}; {PROGRAM}"
    words = ["-o", str(tree / "out"), "-w", "32", "-f", "webp"]

    killed = subprocess.run([sys.executable, "-c", deadly, "render", str(tree / "in"), *words], env=CLEAN, timeout=100)
    before = made(tree / "out")
    render(tree / "in", *words)

    assert killed.returncode == -signal.SIGKILL
    assert [name for name in before if ".imagemill-" in name]  # it was at it
    assert {name for name in before if ".imagemill-" not in name} <= GOOD
    assert made(tree / "out") == GOOD
    whole(tree / "out")


def test_kill_9_at_some_moment(tree):
    """What has a name is whole; the next run completes it; no worker outlives the run."""
    count = many(tree)
    run = started(tree)
    workers = [int(pid) for pid in Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split()]
    run.kill()
    run.communicate(timeout=60)
    before = {name for name in made(tree / "out") if ".imagemill-" not in name}
    whole(tree / "out")
    done = render(tree / "in", "-o", tree / "out", "-w", "900", "-f", "webp", "--json")

    assert 2 <= len(before) < count
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["kept"] == len(before)
    assert made(tree / "out") == {f"{n % 3}/{n}.webp" for n in range(count)}
    whole(tree / "out")
    assert not any(map(alive, workers))


def test_without_standard_error(tree):
    """As under a cron line that closes it: nobody is told of failures, and all else is as ever."""
    run = subprocess.run(
        ["sh", "-c", '"$@" 2>&-', "sh", *command(tree / "in", "-o", tree / "out", "-w", "32", "-f", "webp")],
        stdout=subprocess.PIPE, text=True, env=CLEAN, timeout=100,
    )  # fmt: skip

    assert (run.returncode, made(tree / "out")) == (1, GOOD)
    assert run.stdout.startswith("made 4 pictures")


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_nobody_reads(tree, stream, unbuffered):
    """What is piped to a reader that has left: all that can be made is, and the status is the true one."""
    reading, writing = os.pipe()
    os.close(reading)
    streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, stream: writing}
    words = command(tree / "in", "-o", tree / "out", "-w", "32", "-f", "webp")
    try:
        bad = subprocess.run(words, env=CLEAN | {"PYTHONUNBUFFERED": unbuffered}, timeout=100, **streams)
        for name in ("cut.jpg", "page.png"):
            (tree / "in" / name).unlink()
        good = subprocess.run(words, env=CLEAN | {"PYTHONUNBUFFERED": unbuffered}, timeout=100, **streams)
    finally:
        os.close(writing)

    assert (bad.returncode, good.returncode) == (1, 0)
    assert made(tree / "out") == GOOD


@pytest.mark.parametrize("as_link", [False, True])
def test_a_file_that_comes_meanwhile_is_not_overwritten(tree, as_link):
    """A single picture: what was not there when it was begun, or a link to nowhere."""
    out = tree / "a.webp"
    meanwhile = f"""
from pathlib import Path
from imagemill import render_commands
render = render_commands._render_one
async def slow(*given):
    if not {as_link}:
        Path({str(out)!r}).write_bytes(b"mine")
    return await render(*given)
render_commands._render_one = slow
"""
    if as_link:
        out.symlink_to("elsewhere")
    words = ["render", str(tree / "in/photo.jpg"), "-o", str(out), "-w", "32"]

    run = subprocess.run(
        [sys.executable, "-c", meanwhile + PROGRAM, *words], capture_output=True, text=True, env=CLEAN, timeout=100
    )

    assert (run.returncode, run.stderr) == (1, f"imagemill: {out} exists; --overwrite writes over it\n")
    assert out.is_symlink() if as_link else out.read_bytes() == b"mine"
    assert not (tree / "elsewhere").exists()


def test_a_worker_that_is_killed_costs_nothing(tree):
    """Workers are replaced, and what they were at is done again."""
    count = many(tree)
    run = started(tree)
    for pid in Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split():
        os.kill(int(pid), signal.SIGKILL)
    _, complaints = run.communicate(timeout=100)

    assert (run.returncode, complaints) == (0, "")
    assert len(made(tree / "out")) == count


def test_progress_on_a_terminal(tree):
    """A line drawn in place, that is gone at the end; failures stand above it. (Piped, there is none: see above.)"""
    master, slave = pty.openpty()
    run = subprocess.Popen(
        command(tree / "in", "-o", tree / "out", "-w", "32", "-f", "webp"),
        stdout=subprocess.PIPE, stderr=slave, text=True, env=CLEAN,
    )  # fmt: skip
    os.close(slave)
    shown = b""
    with contextlib.suppress(OSError):  # so a terminal ends
        while select.select([master], [], [], 60)[0] and (some := os.read(master, 4096)):
            shown += some
    os.close(master)
    assert run.wait(60) == 1
    run.stdout.close()

    text = shown.decode()
    assert re.search(r"\r\x1b\[K[█░]{24} \d/\d\+?, \d made", text)
    assert "failed: cut.jpg: image_corrupt" in text
    assert "\r\x1b[K" in text[max(text.rfind("█"), text.rfind("░")) :]
