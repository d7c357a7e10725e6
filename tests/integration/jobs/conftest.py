"""One Temporal server for all tests of a run that do not kill it; each has task queues of its own."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from imagemill.jobs.temporal.engine import TemporalEngine
from imagemill.jobs.temporal.worker import TemporalRunner
from imagemill.settings import Settings
from support.temporal import Server, serving
from support.temporal_jobs import Seen, Steps, settings


@pytest.fixture(scope="session")
def temporal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("temporal")) as server:
        yield server


class Setting:
    """An engine, and a runner beside it as long as one is wanted."""

    def __init__(self, given: Settings, log: Path) -> None:
        self.settings = given
        self.log = log
        self.engine = TemporalEngine(given)
        self.steps = Steps(log)
        self.seen = Seen()

    @property
    def queue(self) -> str:
        return self.settings.temporal.task_queue

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        stop = asyncio.Event()
        run = asyncio.create_task(TemporalRunner(self.settings, self.steps, self.seen).run(stop))
        try:
            yield
        finally:
            stop.set()
            await run


@pytest.fixture
async def setting(temporal: Server, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Setting]:
    """Without a runner; ``@pytest.mark.parametrize("setting", [{…}], indirect=True)`` gives settings of jobs."""
    given = settings(temporal.address, **getattr(request, "param", {"grace_s": 5.0}))
    prepared = Setting(given, tmp_path / "log")
    await prepared.engine.start()
    yield prepared
    await prepared.engine.close()
