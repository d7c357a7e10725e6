"""The composition root of jobs, on the side of a node: what it answers of them, and who does them beside it."""

import os
from collections.abc import Iterable
from typing import Literal

from msgspec import structs

from imagemill import stores, wiring
from imagemill.configuration import data_directory, tokens_file
from imagemill.jobs.base import JobEngine, Observed
from imagemill.jobs.tokens import TokenFile
from imagemill.jobs.webhook import parse_secrets
from imagemill.model.errors import SettingsError
from imagemill.model.job import State
from imagemill.net.poster import Poster
from imagemill.obs.logs import LogPipe
from imagemill.obs.metrics import Metrics
from imagemill.service.admission import Admission, Places
from imagemill.service.jobs import Jobs
from imagemill.settings import Settings
from imagemill.supervisor import Supervisor
from imagemill.web.jobs import JobPort, body_limit
from imagemill.web.routes import Route

Kind = Literal["embedded", "temporal", "off"]


def kind(settings: Settings) -> Kind:
    """Which engine keeps the jobs: as set, else the embedded one where any store is written to."""
    if settings.jobs.engine:
        return settings.jobs.engine
    return "embedded" if any(raw.get("write") is True for raw in settings.storage.values()) else "off"


def why_off(settings: Settings) -> str:
    """Why there are no jobs, for an operator."""
    if settings.jobs.engine:
        return "jobs.engine says so"
    try:
        data = data_directory(settings.jobs)
    except SettingsError as e:
        return str(e)
    above = next(folder for folder in (data, *data.parents) if folder.exists())
    if not (above.is_dir() and os.access(above, os.W_OK | os.X_OK)):
        return f"{data} cannot be made or written; jobs.data names another directory"
    return "no [storage.<name>] has write = true"


def taken(settings: Settings) -> bool:
    """Whether a process does the jobs of this data directory just now."""
    from imagemill.jobs.embedded import lock  # noqa: PLC0415 - an engine is opened when it is asked for

    return kind(settings) == "embedded" and lock.is_held(data_directory(settings.jobs))


def engine(settings: Settings, observed: Observed | None = None) -> JobEngine:
    """The engine as whoever submits sees it, not started; `SettingsError` where there is none."""
    if kind(settings) == "temporal":
        with wiring.needing("jobs.engine = 'temporal'", "temporal"):
            from imagemill.jobs.temporal.engine import TemporalEngine  # noqa: PLC0415 - as above
        return TemporalEngine(settings)
    if kind(settings) == "off":
        raise SettingsError(f"there are no jobs here: {why_off(settings)}")
    from imagemill.jobs.embedded.engine import EmbeddedEngine  # noqa: PLC0415 - as above

    return EmbeddedEngine(settings.jobs, data_directory(settings.jobs), observed)


class Counting:
    """See `jobs.base.Observed`: into metrics."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def stage(self, stage: str, seconds: float) -> None:
        """See `jobs.base.Observed`."""
        self._metrics.observe("job_stage", stage, seconds)

    def job(self, state: State, priority: int) -> None:
        """See `jobs.base.Observed`."""
        self._metrics.count("jobs_finished", state, str(priority))

    def callback(self, outcome: str) -> None:
        """See `jobs.base.Observed`."""
        self._metrics.count("callbacks", outcome)


# what a node answers


class JobFace:
    """The job interface of a node, see `wiring.Face`: it accepts, tells and cancels, and does none of the work."""

    def __init__(self, service: wiring.Service) -> None:
        settings = service.settings
        self._engine = engine(settings, Counting(service.metrics))
        parse_secrets(settings.callbacks.secrets)
        self._poster = Poster(settings.callbacks)
        native = wiring.native(settings)
        admission = Admission(settings, _places(service.stores), service.client.judge, self._poster.judge)
        jobs = Jobs(self._engine, native, admission, service.stores.writable, settings)
        self._port = JobPort(jobs, TokenFile(tokens_file(settings.jobs)).read, settings)
        self.body_limit = body_limit(settings)
        service.metrics.mirror("job_watchers", lambda: self._port.streams.open)

    def routes(self) -> Iterable[Route]:
        """See `wiring.Face`."""
        return self._port.routes()

    async def start(self) -> None:
        """See `wiring.Face`."""
        await self._engine.start()

    def drain(self) -> None:
        """See `wiring.Face`."""
        self._port.streams.end()

    async def close(self) -> None:
        """See `wiring.Face`."""
        await self._engine.close()
        await self._poster.close()


def face(service: wiring.Service) -> JobFace | None:
    """The job interface of *service*; None where jobs are off."""
    return None if kind(service.settings) == "off" else JobFace(service)


def _places(opened: stores.Stores) -> Places:
    names = {id(store): name for name, store in opened.all.items()}
    return Places(
        readable=frozenset(opened.sources),
        writable=frozenset(opened.writable),
        buckets={place: names[id(store)] for place, store in opened.buckets.items()},
    )


def beside(service: wiring.Service, pipe: LogPipe) -> Supervisor | None:
    """Who keeps the job process of a node alive, with its metrics among the node's; None where it has none."""
    settings, metrics = service.settings, service.metrics
    if kind(settings) != "embedded":
        return None
    supervisor = Supervisor(
        structs.replace(settings, log=structs.replace(settings.log, format=pipe.form)),
        relay=pipe.relay,
        count=lambda reason: metrics.count("job_process_restarts", reason),
        free=lambda: not taken(settings),
    )
    metrics.mirror("job_process_up", lambda: supervisor.up)
    metrics.beside(supervisor.metrics)
    return supervisor
