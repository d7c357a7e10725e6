"""Strikes at named steps of the product, which knows nothing of it: Python imports this where the folder is on its path.

Functions are wrapped when their module is imported. Whoever comes to a step writes it down in ``trace``; where a file
of the step's name lies in the folder, the first to come takes it away and kills the victim that it names:

``self``    the process that is at the step
``child``   the job process that it supervises
``engine``  its engine workers
a number    that process; the step goes on when it is gone

Whoever begins a job after that waits for ``looked``: what a test sees of the kill is not yet made good by then.

Environment  ``CRASH_FOLDER``: where all this is; nothing is wrapped without it. ``CRASH_BREAKS``: promises to break.
"""

import asyncio
import contextlib
import functools
import importlib.machinery
import inspect
import json
import os
import signal
import sys
import time
from importlib.abc import MetaPathFinder
from pathlib import Path

FOLDER = os.environ.get("CRASH_FOLDER", "")
BROKEN = [name for name in os.environ.get("CRASH_BREAKS", "").split(",") if name]
_GONE_S = 5.0
_LOOK_S = 30.0

STEPS = {
    "imagemill.jobs.embedded.orders": {"submit": ("", "persisting")},  # written, and not yet committed
    "imagemill.jobs.embedded.engine": {"EmbeddedEngine.submit": ("", "persisted")},
    "imagemill.jobs.temporal.link": {"Link.start": ("persisting", "")},
    "imagemill.jobs.temporal.engine": {"TemporalEngine.submit": ("", "persisted")},
    "imagemill.service.steps": {"Steps.make": ("claimed", "made")},
    "imagemill.engines.process": {"Process.offer": ("", "decoding")},
    "imagemill.storage.file": {"FileStore.put": ("putting", "stored")},
    "imagemill.storage.staged": {"Unfinished.check": ("", "written")},  # beside its place
    "imagemill.storage.s3": {"S3Store.put": ("putting", "stored"), "S3Store._verified": ("written", "")},
    "imagemill.jobs.courier": {"Courier.attempt": ("telling", "told")},
}
"""Module to functions, and the steps before and after each."""


def _hasty(submit):
    """Answers before anything is durable."""

    async def at_once(self, job, claim=None):
        async def later():
            await asyncio.sleep(60)
            await submit(self, job, claim)

        self.later = asyncio.ensure_future(later())
        return job

    return at_once


def _nothing(_original):
    return lambda *_args, **_more: ()


def _none(_original):
    async def none(*_args):
        return None

    return none


def _renamed(sign):
    """Takes a new id for each attempt."""
    return lambda _id, *rest: sign(f"msg_{os.urandom(8).hex()}", *rest)


def _in_place(check):
    """Lets a file be seen before it is done."""

    def shown(self):
        digest = check(self)
        with contextlib.suppress(FileExistsError):
            os.link(self._name, self._names[-1], src_dir_fd=self._folder, dst_dir_fd=self._target)
        return digest

    return shown


BREAKS = {
    "hasty": {"imagemill.jobs.embedded.engine": {"EmbeddedEngine.submit": _hasty}},
    "unclaimed": {"imagemill.jobs.embedded.admission": {"remember": _nothing}},
    "unrecovered": {"imagemill.jobs.embedded.upkeep": {"recover": _nothing}},
    "untold": {
        "imagemill.jobs.embedded.orders": {"owed": _nothing},
        "imagemill.jobs.embedded.course": {"owes_final": lambda _: lambda *_args: False},
    },
    "in_place": {"imagemill.storage.staged": {"Unfinished.check": _in_place}},
    "unlooked": {"imagemill.service.steps": {"Steps._found": _none}},
    "renamed": {"imagemill.jobs.courier": {"sign": _renamed}},
}
"""Promise to modules, functions, and what makes the broken one of each."""


def reach(step, about=""):
    line = json.dumps({"step": step, "about": about, "pid": os.getpid(), "t": time.time()})
    armed, struck = Path(FOLDER, step), Path(FOLDER, f"{step}.struck")
    with Path(FOLDER, "trace").open("ab", buffering=0) as trace:
        trace.write(line.encode() + b"\n")
    if step == "claimed":
        _wait_until_looked()
    try:
        armed.rename(struck)
    except FileNotFoundError:
        return
    for pid in _pids(struck.read_text()):
        os.kill(pid, signal.SIGKILL)
        _wait_until_gone(pid)


def _wait_until_looked():
    until = time.monotonic() + _LOOK_S
    while any(Path(FOLDER).glob("*.struck")) and not Path(FOLDER, "looked").exists() and time.monotonic() < until:
        time.sleep(0.002)


def _pids(victim):
    if victim == "self":
        return [os.getpid()]
    if victim in {"child", "engine"}:
        word = b"--supervised" if victim == "child" else b"imagemill.engines.worker"
        children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
        return [int(pid) for pid in children if word in Path(f"/proc/{pid}/cmdline").read_bytes()]
    return [int(victim)]


def _wait_until_gone(pid):
    until = time.monotonic() + _GONE_S
    while time.monotonic() < until:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return
        except OSError:
            return
        time.sleep(0.002)


def _around(function, before, after):
    """*function* with a step on either side; a store's is told with its key."""

    def about(args):
        return args[1] if len(args) > 1 and isinstance(args[1], str) else ""

    @functools.wraps(function)
    def plain(*args, **more):
        if before:
            reach(before, about(args))
        result = function(*args, **more)
        if after:
            reach(after, about(args))
        return result

    @functools.wraps(function)
    async def awaited(*args, **more):
        if before:
            reach(before, about(args))
        result = await function(*args, **more)
        if after:
            reach(after, about(args))
        return result

    return awaited if inspect.iscoroutinefunction(function) else plain


def _replace(module, path, make):
    *outer, name = path.split(".")
    holder = functools.reduce(getattr, outer, module)
    setattr(holder, name, make(getattr(holder, name)))


def _change(module):
    for promise in BROKEN:
        for path, make in BREAKS[promise].get(module.__name__, {}).items():
            _replace(module, path, make)
    for path, (before, after) in STEPS.get(module.__name__, {}).items():
        _replace(module, path, lambda function, b=before, a=after: _around(function, b, a))


class _Finder(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name not in STEPS and not any(name in BREAKS[promise] for promise in BROKEN):
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        load = spec.loader.exec_module

        def exec_module(module):
            load(module)
            _change(module)

        spec.loader.exec_module = exec_module
        return spec


if FOLDER:
    sys.meta_path.insert(0, _Finder())
