"""What a 202 costs: the job is on the disk, and not only in the kernel's memory, before anything is answered."""

import os
import re
import shutil
import signal
import subprocess
from typing import NoReturn

import pytest

from support.drill import call
from support.history import Log
from support.mill import milling, until

_CALLS = "fsync,fdatasync,pwrite64,write,writev,sendto,sendmsg"


@pytest.fixture
def strace() -> str:
    """The program, or skip."""
    return shutil.which("strace") or _missing("strace is not installed")


def _missing(words: str) -> NoReturn:
    pytest.fail(words) if os.environ.get("CI") else pytest.skip(words)


def test_a_202_comes_after_the_sync(strace, tmp_path):
    """The write-ahead log is synced between its last write and the first byte of the answer."""
    trace = tmp_path / "trace"
    with milling(tmp_path / "mill", Log(tmp_path / "history")) as mill:
        command = [
            strace,
            "-f",
            "-y",
            "-s",
            "16",
            "-e",
            f"trace={_CALLS}",
            "-o",
            str(trace),
            "-p",
            str(mill.node.process.pid),
        ]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as watching:
            assert watching.stderr is not None
            if "attached" not in (words := watching.stderr.readline()):
                pytest.skip(f"strace is not allowed here: {words}")
            status, _, _ = call(mill.port, "POST", "/jobs", mill.order("synced"))
            until(lambda: "HTTP/1.1 202" in trace.read_text(), "the answer to be seen")
            watching.send_signal(signal.SIGINT)

    assert status == 202
    before = trace.read_text().partition("HTTP/1.1 202")[0]
    wal = [re.search(r"\b(\w+)\(\d+<[^>]*jobs\.db-wal>", line) for line in before.splitlines()]
    calls = [found[1] for found in wal if found]
    assert calls
    assert calls[-1] in {"fsync", "fdatasync"}, calls
