"""A worker that dies in the very moment a job is offered costs nobody an answer."""

import os
import signal
import time
from contextlib import aclosing
from pathlib import Path

from imagemill.engines.base import Task
from imagemill.engines.pool import Pool
from imagemill.engines.process import Process
from imagemill.model.media import Format
from imagemill.model.recipe import Encode, Resize
from imagemill.settings import Engine, Limits
from support.node import PHOTO


async def test_death_between_the_look_and_the_offer(monkeypatch):
    """The job goes to another worker, and the dead one is not kept as idle."""
    pool = Pool(Engine(deadline_s=60), Limits(), workers=2)
    await pool.start()
    try:
        first = pool._idle[0]
        os.kill(first.pid, signal.SIGKILL)
        until = time.monotonic() + 60
        while Path(f"/proc/{first.pid}/stat").read_text().split()[2] != "Z" and time.monotonic() < until:
            pass  # not awaited: the pool must not have heard of it yet
        with monkeypatch.context() as blind:
            blind.setattr(Process, "dead", False)
            async with aclosing(pool.run(PHOTO, [Task((Resize(20, 0), Encode(Format.PNG)))])) as results:
                made = await anext(results)

        assert made.rendition.width_px == 20
        assert first not in pool._idle
    finally:
        await pool.close()
