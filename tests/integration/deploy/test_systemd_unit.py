"""deploy/systemd/imagemill.service is what systemd understands, and no stricter than the service bears."""

import ctypes
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from imagemill.settings import Jobs, Server
from support.mill import until
from support.node import Node, serving
from support.programs import program

UNIT = Path(__file__).parents[3] / "deploy" / "systemd" / "imagemill.service"
PHOTO = "/image?source=local:sample/dandelion.jpg&width=64"
FORMATS = ("jpeg", "png", "webp", "avif", "gif")
PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN = 65, 1


def told(name: str) -> list[str]:
    """The values of that name, in their order."""
    return re.findall(rf"^{name}=(.*)$", UNIT.read_text(), re.MULTILINE)


def analyze(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([program("systemd-analyze"), "--no-pager", *words], capture_output=True, text=True)


@pytest.fixture(scope="module")
def unit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unit, with a program that is there on this machine in place of ours; skip where systemd is too old to judge it."""
    version = int(re.findall(r"systemd (\d+)", analyze("--version").stdout)[0])
    if version < 250:
        pytest.skip(f"systemd {version} judges no files")
    (command,) = told("ExecStart")
    copy = tmp_path_factory.mktemp("unit") / UNIT.name
    copy.write_text(UNIT.read_text().replace(command.split()[0], sys.executable))
    return copy


def test_systemd_knows_every_line(unit: Path) -> None:
    """Neither an unknown name nor a value that would be ignored."""
    made = analyze("verify", "--man=no", "--recursive-errors=no", str(unit))

    ours = [line for line in made.stderr.splitlines() if unit.name in line]
    assert (made.returncode, ours) == (0, []), made.stderr


def test_systemd_calls_it_hardened(unit: Path) -> None:
    """An exposure of at most 1.5 of 10, as `systemd-analyze security` counts."""
    made = analyze("security", "--offline=true", "--threshold=15", str(unit))

    assert made.returncode == 0, made.stdout


def test_a_stop_has_the_time_that_it_may_take() -> None:
    """systemd kills later than the slowest stop ends: requests first, then what is left of the jobs' grace."""
    longest_s = Server().drain_s + Server().grace_s + Jobs().grace_s

    (seconds,) = told("TimeoutStopSec")

    assert float(seconds) > longest_s + 5


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> tuple[set[str], set[str]]:
    """System calls, and families of sockets, that a node uses from start to stop: all formats, and a job process."""
    folder = tmp_path_factory.mktemp("traced")
    log, out = folder / "strace", {"kind": "file", "root": str(folder), "write": True}
    strace = program("strace")
    if subprocess.run([strace, "-f", "-o", log, "true"], capture_output=True).returncode != 0:
        pytest.skip("strace is not allowed here")
    command = [strace, "-f", "-qq", "-o", str(log), sys.executable, "-m", "imagemill"]
    with serving(folder, command=command, storage={"out": out}, jobs={"data": str(folder / "data"), "workers": 1},
                 engine={"workers": 1}) as node:  # fmt: skip
        for format_name in FORMATS:
            assert node.get(f"{PHOTO}&format={format_name}").status == 200
        until(lambda: node.metric("imagemill_job_process_up") == 1, "a job process", 90)
        _end(node)
    text = log.read_text(errors="replace")
    return set(re.findall(r"^\d+ +(\w+)\(", text, re.MULTILINE)), set(re.findall(r"\bsocket\((AF_\w+)", text))


def _end(node: Node) -> None:
    """Stop what strace started, as it does not pass signals on."""
    (child,) = node.workers()
    subprocess.run(["kill", "-TERM", str(child)], check=True)
    assert node.process.wait(60) == 0


def test_the_filter_lets_through_what_is_called(calls: tuple[set[str], set[str]]) -> None:
    """Every system call that was made is one that the unit allows, so that none fails in production alone."""
    allowed: set[str] = set()
    for line in told("SystemCallFilter"):
        words = [word for group in line.removeprefix("~").split() for word in _members(group)]
        allowed = allowed - set(words) if line.startswith("~") else allowed | set(words)
    # where tests run as root: a worker becomes nobody, and SQLite gives its files to the owner of the database
    as_root = {"setgroups", "setresgid", "setresuid", "fchown"}

    assert {"memfd_create", "execve", "setrlimit", "prlimit64"} & calls[0]
    assert calls[0] - allowed - as_root == set()


def _members(group: str) -> Iterator[str]:
    """System calls of a group of systemd's, or the one that it is."""
    if not group.startswith("@"):
        yield group
        return
    listed = analyze("syscall-filter", group)
    assert listed.returncode == 0, listed.stderr
    for line in listed.stdout.splitlines()[1:]:
        word = line.strip()
        if word and not word.startswith("#"):
            yield from _members(word)


def test_the_families_let_through_what_is_opened(calls: tuple[set[str], set[str]]) -> None:
    """Sockets of families that the unit allows; glibc asks AF_NETLINK which addresses there are, and does without."""
    (families,) = told("RestrictAddressFamilies")

    assert "AF_INET" in calls[1]
    assert calls[1] - set(families.split()) <= {"AF_NETLINK"}


def test_memory_is_never_both_written_and_run(tmp_path: Path) -> None:
    """With the kernel's own form of MemoryDenyWriteExecute, every format is made."""
    assert told("MemoryDenyWriteExecute") == ["yes"]
    libc = ctypes.CDLL(None)
    asked = libc.prctl(66, 0, 0, 0, 0)  # PR_GET_MDWE
    if asked < 0:
        pytest.skip("this kernel has no PR_SET_MDWE")
    boot = (
        "import ctypes, mmap, runpy\n"
        f"assert ctypes.CDLL(None).prctl({PR_SET_MDWE}, {PR_MDWE_REFUSE_EXEC_GAIN}, 0, 0, 0) == 0\n"
        "try: mmap.mmap(-1, 4096, prot=7)\n"
        "except PermissionError: pass\n"
        "else: raise SystemExit('the kernel lets it pass')\n"
        "runpy.run_module('imagemill', run_name='__main__', alter_sys=True)"
    )

    with serving(tmp_path, command=[sys.executable, "-c", boot]) as node:
        statuses = [node.get(f"{PHOTO}&format={name}").status for name in FORMATS]

    assert statuses == [200] * len(FORMATS)
