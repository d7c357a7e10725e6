"""O05: what a confined process can no longer do, tried in a process of its own."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
import os, resource, signal
from imagemill.engines import sandbox
sandbox.enter(sandbox.Confinement(512 << 20, 1 << 20, os.getppid()))
{}
"""


def confined(program, **options):
    return subprocess.run(
        [sys.executable, "-c", PROGRAM.format(program)], capture_output=True, text=True, timeout=100, **options
    )


@pytest.mark.parametrize(
    "program",
    [
        "bytearray(600 << 20)", "[os.dup(0) for _ in range(100)]", "resource.setrlimit(resource.RLIMIT_AS, (1 << 40, 1 << 40))",
        "resource.setrlimit(resource.RLIMIT_CORE, (1, 1))", "open('/etc/shadow').read()", "os.setuid(0)",
        "open('/etc/imagemill-was-here', 'w')",
    ],
)  # fmt: skip
def test_cannot(program):
    """Memory, descriptors, limits, other people's files, its old self: out of reach."""
    assert confined("print('confined')").stdout == "confined\n"
    done = confined(program)
    assert done.returncode == 1
    assert any(e in done.stderr for e in ("MemoryError", "OSError", "ValueError", "PermissionError"))


def test_starts_nowhere_in_particular(tmp_path):
    """No folder of ours is its own, and what it might write is nobody else's to read."""
    assert confined("print(os.getcwd(), oct(os.umask(0)))", cwd=tmp_path).stdout == "/ 0o77\n"


def test_the_first_to_go():
    """L21: when memory runs out the kernel takes a worker before the front."""
    with open("/proc/self/oom_score_adj") as file:  # noqa: PTH123 - one line of /proc
        if int(file.read()) >= 500:
            pytest.skip("everything started here is among the first already")
    assert confined("print(open('/proc/self/oom_score_adj').read().strip())").stdout == "500\n"


def test_cannot_write_a_large_file():
    """File size is bounded by what an output may be."""
    done = confined("fd = os.memfd_create('x'); os.write(fd, bytes(1 << 20)); os.write(fd, b'1')")
    assert done.returncode != 0


def test_cpu_budget_is_renewed():
    """A worker's CPU limit counts from now, and its end is a signal of its own."""
    program = """
sandbox.budget_cpu(0)
soft = resource.getrlimit(resource.RLIMIT_CPU)[0]
assert 1 <= soft <= 3
sandbox.budget_cpu(100)
assert resource.getrlimit(resource.RLIMIT_CPU)[0] >= 100
sandbox.budget_cpu(0)
while True: pass
"""
    assert confined(program).returncode == -24


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_not_root():
    """Root becomes nobody, for good and with all its ids."""
    who = "print(os.getresuid(), os.getresgid(), os.getgroups())"
    assert confined(who, extra_groups=[1, 2]).stdout == ("(65534, 65534, 65534) (65534, 65534, 65534) []\n")


def test_an_orphan_ends_itself():
    """A worker whose parent died before it could ask to be told does not stay."""
    program = PROGRAM.replace("os.getppid()", "1234567")
    done = subprocess.run([sys.executable, "-c", program.format("print('here')")], capture_output=True, timeout=100)
    assert (done.returncode, done.stdout) == (0, b"")
