"""The contract of job engines, held by the Temporal engine against a real server."""

import asyncio
from contextlib import asynccontextmanager

import pytest

pytest.register_assert_rewrite("contract.test_jobs")

from contract.test_jobs import *  # noqa: E402, F403 - each of them is a test here too
from imagemill.jobs.temporal.engine import TemporalEngine  # noqa: E402
from imagemill.jobs.temporal.worker import TemporalRunner  # noqa: E402
from support.jobs import Unobserved  # noqa: E402
from support.temporal_jobs import settings  # noqa: E402


class InTemporal:
    """The Temporal engine on task queues of its own, as the contract wants it."""

    exact_order = False
    counts_quota_at_once = False
    prunes = False

    def __init__(self, address, **jobs):
        self.settings = settings(address, **({"grace_s": 0.5} | jobs))
        self.engine = TemporalEngine(self.settings)

    @asynccontextmanager
    async def run(self, steps):
        stop = asyncio.Event()
        running = asyncio.create_task(TemporalRunner(self.settings, steps, Unobserved()).run(stop))
        try:
            yield
        finally:
            stop.set()
            await running


@pytest.fixture
def kind(temporal):
    return lambda _folder, **jobs: InTemporal(temporal.address, **jobs)
