"""The composition root of submission: which engine keeps the jobs, and who may order what of it."""

from typing import Literal

from msgspec import Struct

from imagemill.configuration import data_directory, tokens_file
from imagemill.dialects.base import Dialect
from imagemill.jobs.base import JobEngine, Observed
from imagemill.jobs.tokens import TokenFile
from imagemill.jobs.webhook import parse_secrets
from imagemill.model.errors import SettingsError
from imagemill.net.client import Client
from imagemill.net.poster import Poster
from imagemill.service.admission import Admission, Places
from imagemill.service.jobs import Jobs
from imagemill.settings import Settings
from imagemill.stores import Stores
from imagemill.web.jobs import JobPort

Kind = Literal["embedded", "temporal", "off"]


def kind(settings: Settings) -> Kind:
    """Which engine keeps the jobs: as set, else the embedded one where any store is written to."""
    if settings.jobs.engine:
        return settings.jobs.engine
    return "embedded" if any(raw.get("write") is True for raw in settings.storage.values()) else "off"


def job_engine(settings: Settings, observed: Observed | None = None) -> JobEngine:
    """The engine that is set, not started.

    Raises:
        SettingsError: it needs what is not installed.
    """
    if kind(settings) == "embedded":
        from imagemill.jobs.embedded.engine import EmbeddedEngine  # noqa: PLC0415 - vendors are opened when asked for

        return EmbeddedEngine(settings.jobs, data_directory(settings.jobs), observed)
    try:
        from imagemill.jobs.temporal.engine import TemporalEngine  # noqa: PLC0415 - as above
    except ModuleNotFoundError as e:
        raise SettingsError("jobs.engine = 'temporal' needs: pip install 'imagemill[temporal]'") from e
    return TemporalEngine(settings)


class Submission(Struct, frozen=True):
    """The job interface of a node, and what it lives on."""

    engine: JobEngine
    client: Client
    """Judges sources, and fetches none: names that take long to look up are not in the way of pictures."""
    poster: Poster
    port: JobPort

    async def close(self) -> None:
        """Let go of what it holds."""
        await self.engine.close()
        await self.client.close()
        await self.poster.close()


def submission(settings: Settings, stores: Stores, dialect: Dialect, observed: Observed) -> Submission | None:
    """What a node answers about jobs with; None where there are none.

    Raises:
        SettingsError: a setting that only jobs need is wrong.
    """
    if kind(settings) == "off":
        return None
    parse_secrets(settings.callbacks.secrets)
    engine = job_engine(settings, observed)
    client, poster = Client(settings.sources, settings.fetch), Poster(settings.callbacks)
    admission = Admission(settings, places(stores), client.judge, poster.judge)
    jobs = Jobs(engine, dialect, admission, stores.writable, settings)
    return Submission(engine, client, poster, JobPort(jobs, TokenFile(tokens_file(settings.jobs)).read, settings))


def places(stores: Stores) -> Places:
    """What jobs may name of *stores*."""
    names = {id(store): name for name, store in stores.sources.items()}
    buckets = {place: names[id(store)] for place, store in stores.buckets.items() if id(store) in names}
    return Places(frozenset(stores.sources), frozenset(stores.writable), buckets)
