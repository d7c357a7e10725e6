"""`imagemill` with a probe in its loop: the file named by ``LAGS`` gets (Unix time, lag in seconds) pairs at the end."""

import asyncio
import json
import os
import sys
import time
from pathlib import Path

from imagemill import cli

STEP_S = 0.005
serving = cli._serving


async def probe(lags: list[tuple[float, float]]) -> None:
    while True:
        begun = time.monotonic()
        await asyncio.sleep(STEP_S)
        lags.append((time.time(), time.monotonic() - begun - STEP_S))


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
