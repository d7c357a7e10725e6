"""The composition root of jobs beside a node: who keeps the process alive that does them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import structs

from imagemill import wiring, wiring_shared
from imagemill.configuration import data_directory
from imagemill.model.errors import SettingsError
from imagemill.obs.logs import LogPipe
from imagemill.settings import Settings
from imagemill.supervisor import Supervisor
from imagemill.wiring_port import kind


def why_off(settings: Settings, *, evaluating: bool) -> str:
    """Why there are no jobs, for an operator; a first run, *evaluating*, would have had them where it could write."""
    if settings.jobs.engine:
        return "jobs.engine says so"
    if not evaluating:
        return "no [storage.<name>] has write = true"
    try:
        return f"{data_directory(settings.jobs)} cannot be made or written; jobs.data names another directory"
    except SettingsError as e:
        return str(e)


def places(settings: Settings) -> dict[str, str]:
    """Where jobs and their results are kept, for an operator."""
    kept = {"data": str(data_directory(settings.jobs))} if kind(settings) == "embedded" else {}
    written = {name: raw for name, raw in settings.storage.items() if raw.get("write") is True}
    return kept | {"results": ", ".join(f"{name}: {_place(raw)}" for name, raw in written.items())}


def _place(raw: Mapping[str, Any]) -> str:
    return str(Path(raw["root"]).absolute()) if "root" in raw else str(raw.get("bucket", ""))


def taken(settings: Settings) -> bool:
    """Whether a process does the jobs of this data directory just now."""
    from imagemill.jobs.embedded import lock  # noqa: PLC0415 - an engine is opened when it is asked for

    return kind(settings) == "embedded" and lock.is_held(data_directory(settings.jobs))


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


async def reach_temporal(settings: Settings) -> None:
    """Raise `DependencyDown` or `SettingsError` where the configured Temporal service is not to be had."""
    with wiring_shared.needing("jobs.engine = 'temporal'", "temporal"):
        from imagemill.jobs.temporal.connection import connect  # noqa: PLC0415 - vendors are opened when asked for
    await connect(settings.temporal)
