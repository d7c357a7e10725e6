"""`imagemill` with a probe in its loop: the file named by ``LAGS`` gets (Unix time, lag in seconds) pairs at the end.

The time in which the loop could run and no processor was free is no lag of its own, and is taken off where Linux tells it.
"""

import asyncio
import json
import os
import sys
import time
from pathlib import Path

from imagemill import cli

STEP_S = 0.005
serving = cli._serving


def waited_s() -> float:
    """For how long this thread has waited for a processor, ever (schedstat, Documentation/scheduler/sched-stats.rst)."""
    try:
        return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9
    except FileNotFoundError:
        return 0.0


async def probe(lags: list[tuple[float, float]]) -> None:
    while True:
        waited, begun = waited_s(), time.monotonic()
        await asyncio.sleep(STEP_S)
        late_s = time.monotonic() - begun - STEP_S
        lags.append((time.time(), late_s - (waited_s() - waited)))


async def probed(settings, **how):
    lags: list[tuple[float, float]] = []
    probing = asyncio.create_task(probe(lags))
    try:
        return await serving(settings, **how)
    finally:
        probing.cancel()
        Path(os.environ["LAGS"]).write_text(json.dumps(lags))


cli._serving = probed
sys.exit(cli.main())
