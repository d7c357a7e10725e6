"""What `doctor` looks at of jobs: where they are kept, who may order them, and whom they call. Nothing is changed."""

import os
import sqlite3
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from imagemill import wiring_jobs
from imagemill.configuration import data_directory, tokens_file
from imagemill.finding import Finding
from imagemill.jobs import tokens
from imagemill.jobs.webhook import parse_secrets
from imagemill.model.errors import ImagemillError, SettingsError
from imagemill.settings import Settings
from imagemill.wiring_port import kind

_EXTRAS = (("s3", "opendal"), ("temporal", "temporalio"))
_OLDEST_SQLITE = (3, 37, 0)


async def examine(settings: Settings) -> list[Finding]:
    """Everything about jobs that can be known without doing one."""
    engine = kind(settings)
    if engine == "off":
        return [Finding("jobs", "ok", f"off; {wiring_jobs.why_off(settings, evaluating=False)}")]
    kept = [await _temporal(settings)] if engine == "temporal" else [_data(settings), _sqlite()]
    found = [Finding("jobs", "ok", f"{engine}; {_installed()}"), *kept]
    return [*found, _tokens(settings), _secrets(settings), *_destinations(settings)]


def _installed() -> str:
    return ", ".join(f"{package} {_version(package)}" for _, package in _EXTRAS)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _data(settings: Settings) -> Finding:
    try:
        directory = data_directory(settings.jobs)
    except SettingsError as e:
        return Finding("job data", "fail", str(e))
    there = next(folder for folder in (directory, *directory.parents) if folder.exists())
    if not (there.is_dir() and os.access(there, os.W_OK | os.X_OK)):
        return Finding("job data", "fail", f"{directory}: {there} cannot be written")
    if there != directory:
        return Finding("job data", "ok", f"{directory} will be made")
    if (mode := directory.stat().st_mode & 0o077) != 0:
        return Finding("job data", "warn", f"{directory}: others have rights to it ({mode:03o}); chmod 700")
    held = "a job process is at work there" if wiring_jobs.taken(settings) else "no job process is running"
    return Finding("job data", "ok", f"{directory}; {held}")


def _sqlite() -> Finding:
    new = sqlite3.sqlite_version_info >= _OLDEST_SQLITE
    return Finding("sqlite", "ok" if new else "fail", f"{sqlite3.sqlite_version}; 3.37 at least")


def _tokens(settings: Settings) -> Finding:
    try:
        path: Path = tokens_file(settings.jobs)
        known = tokens.load(path)
    except SettingsError as e:
        return Finding("tokens", "fail", f"{e}; nobody is let in to jobs")
    if not known:
        return Finding("tokens", "ok", "none; jobs are answered on this machine only")
    if (mode := path.stat().st_mode & 0o077) != 0:
        return Finding("tokens", "warn", f"{path}: others have rights to it ({mode:03o}); chmod 600")
    return Finding("tokens", "ok", f"{len(known)} in {path}")


def _secrets(settings: Settings) -> Finding:
    try:
        named = parse_secrets(settings.callbacks.secrets)
    except SettingsError as e:
        return Finding("callback secrets", "fail", str(e))
    return Finding("callback secrets", "ok", ", ".join(named) or "none; jobs cannot name a callback")


def _destinations(settings: Settings) -> list[Finding]:
    """A word where there are none; whether each one answers is told under its name."""
    if any(raw.get("write") is True for raw in settings.storage.values()):
        return []
    return [Finding("destinations", "warn", "no store has write = true; jobs can only warm the cache")]


async def _temporal(settings: Settings) -> Finding:
    own = settings.temporal
    try:
        await wiring_jobs.reach_temporal(settings)
    except ImagemillError as e:
        return Finding("temporal", "fail", f"{own.address}: {e}")
    return Finding("temporal", "ok", f"{own.address} answers; namespace {own.namespace}")
