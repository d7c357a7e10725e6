"""The composition root of jobs: which engine, the process that does them, and who keeps that process alive."""

import os
from pathlib import Path
from typing import Literal

from msgspec import structs

from imagemill import wiring
from imagemill.configuration import data_directory
from imagemill.jobs import lock
from imagemill.model.errors import SettingsError
from imagemill.obs import logs
from imagemill.settings import Settings
from imagemill.supervisor import Supervisor

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
    if not os.access(above, os.W_OK | os.X_OK):
        return f"{data} cannot be made or written; jobs.data names another directory"
    return "no [storage.<name>] has write = true"


def data(settings: Settings) -> Path:
    """The data directory of this node."""
    return data_directory(settings.jobs)


def taken(settings: Settings) -> bool:
    """Whether a process does the jobs of this data directory just now."""
    return kind(settings) == "embedded" and lock.taken(data(settings))


def beside(service: wiring.Service, pipe: logs.LogPipe) -> Supervisor | None:
    """Who keeps the job process of a node alive, with its metrics among the node's; None where the node has none."""
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
