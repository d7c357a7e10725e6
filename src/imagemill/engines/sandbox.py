"""Give rights up, once, before the first foreign byte is read. The one place where a worker is confined.

Done     limits (address space, files, file size, core, CPU), no_new_privs, death with the parent, uid ≠ 0.
Not yet  Landlock and seccomp: they belong at the end of `enter`, after everything is imported (threat D12).
Source   prctl(2), setrlimit(2), proc(5).
"""

import ctypes
import os
import resource
import signal

from msgspec import Struct

_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38
_NOBODY = 65_534
_MAX_FILES = 64


class Confinement(Struct, frozen=True):
    """How far a worker is confined."""

    address_space_bytes: int
    file_bytes: int
    parent_pid: int


def enter(confinement: Confinement) -> None:
    """Confine this process; from here on it can only do less."""
    os.chdir("/")
    os.umask(0o077)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_AS, confinement.address_space_bytes)
    _limit(resource.RLIMIT_NOFILE, _MAX_FILES)
    _limit(resource.RLIMIT_FSIZE, confinement.file_bytes)
    _prefer_for_oom()
    _become_nobody()
    libc = ctypes.CDLL(None, use_errno=True)
    for option, value in ((_PR_SET_NO_NEW_PRIVS, 1), (_PR_SET_PDEATHSIG, signal.SIGKILL)):
        if libc.prctl(option, value, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl")
    if os.getppid() != confinement.parent_pid:  # it died before the kernel could be told to tell us
        raise SystemExit(0)


def budget_cpu(seconds: float) -> None:
    """Allow *seconds* of CPU from now on: a worker is reused, and the kernel counts its whole life."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(used.ru_utime + used.ru_stime + seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.RLIM_INFINITY))


def _limit(which: int, value: int) -> None:
    _, hard = resource.getrlimit(which)
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(which, (value, value))


def _prefer_for_oom() -> None:
    """A worker is the one to go when memory runs out, never the front (threat L21)."""
    try:
        with open("/proc/self/oom_score_adj", "w") as file:  # noqa: PTH123 - no pathlib needed in a worker
            file.write("500")
    except OSError:
        pass  # not every container lets a process say so


def _become_nobody() -> None:
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(_NOBODY, _NOBODY, _NOBODY)
        os.setresuid(_NOBODY, _NOBODY, _NOBODY)
