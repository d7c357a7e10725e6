"""A job process to kill: ``python -m support.job_process DIRECTORY SETTINGS-JSON``.

It notes each step as one line of ``notes`` beside the jobs, and stores a result as a file that appears whole.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path

import msgspec

import imagemill
from imagemill.jobs.base import Delivered, Work
from imagemill.jobs.embedded.runner import Runner
from imagemill.model.errors import SettingsError
from imagemill.model.job import ResultState
from imagemill.settings import Jobs
from support.jobs import Unobserved, stored


class Options(msgspec.Struct, forbid_unknown_fields=True):
    """What a test wants of this process."""

    work_s: float = 0.0
    held_by: str = ""
    """A file; work lasts until it is gone."""
    lock_wait_s: float = 0.0
    version: str = ""
    jobs: Jobs = Jobs(grace_s=1.0)


class Storing:
    """Steps that store one small file for each rendition, unless it is there."""

    def __init__(self, directory, options):
        self._results = directory / "results"
        self._results.mkdir(exist_ok=True)
        self._notes = os.open(directory / "notes", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._options = options

    def note(self, *words):
        os.write(self._notes, (" ".join(map(str, words)) + "\n").encode())

    async def make(self, job, report):
        self.note("begin", job.id, os.getpid(), job.spec.priority)
        if "poison" in job.spec.tags:
            os.kill(os.getpid(), signal.SIGKILL)
        await asyncio.sleep(self._options.work_s)
        while self._options.held_by and Path(self._options.held_by).exists():
            await asyncio.sleep(0.01)
        result = stored(job)
        await report(msgspec.structs.replace(result, state=ResultState.STORING))
        if not (self._results / job.id).exists():
            part = self._results / f"{job.id}.{os.getpid()}"
            part.write_text(job.id)
            part.rename(self._results / job.id)
            self.note("stored", job.id, os.getpid())
        await report(result)
        self.note("end", job.id, os.getpid())
        return Work((result,))

    async def deliver(self, delivery, about):
        self.note("told", delivery.job, delivery.id, getattr(about, "outcome", about.state))
        return Delivered(200)


async def main():
    directory = Path(sys.argv[1])
    options = msgspec.json.decode(sys.argv[2], type=Options)
    if options.version:
        imagemill.__version__ = options.version
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    runner = Runner(options.jobs, directory, Storing(directory, options), Unobserved(), lock_wait_s=options.lock_wait_s)
    try:
        await runner.run(stop)
    except SettingsError as e:
        sys.exit(f"{e.code}: {e}")


if __name__ == "__main__":
    asyncio.run(main())
