"""What `serve` lays over file and environment: its flags, and a first run's settings where nobody said any.

A first run is for evaluation: unsigned, on loopback, with a sample picture to read and a folder for jobs to write to.
"""

import argparse
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from imagemill.configuration import CONFIG, NO_SETTINGS, PREFIX, data_directory, load
from imagemill.model.errors import SettingsError

_FLAGS = ("host", "port", "admin_port")
_LOOPBACK = frozenset({None, "127.0.0.1", "::1", "localhost"})
OUT = "out"
"""Name of the store that jobs may write to, and of its folder in the data directory."""
Absent = Literal["make", "name", "omit"]


def overlay(
    arguments: argparse.Namespace, path: Path | None, samples: Path, environ: Mapping[str, str], absent: Absent = "omit"
) -> dict[str, Any]:
    """The overlay; where the folder for results is *absent*, make it, name it all the same, or do without it."""
    flags = {name: getattr(arguments, name) for name in _FLAGS}
    laid: dict[str, Any] = {"server": {name: value for name, value in flags.items() if value is not None}}
    evaluation = nothing_said(arguments, path, environ)
    if arguments.unsigned or evaluation:
        laid["signing"] = {"mode": "unsigned"}
    if arguments.sample or evaluation:
        laid["storage"] = {"sample": {"kind": "file", "root": str(samples)}}
        if (root := _results(path, environ, laid)) and _there(root, absent):
            laid["storage"][OUT] = {"kind": "file", "root": str(root), "write": True}
    return laid


def nothing_said(arguments: argparse.Namespace, path: Path | None, environ: Mapping[str, str]) -> bool:
    """Whether nobody has configured anything, and only this machine will be answered."""
    settings = any(name.startswith(PREFIX) and (name == CONFIG or name not in NO_SETTINGS) for name in environ)
    return not (path or arguments.unsigned or arguments.sample or settings) and arguments.host in _LOOPBACK


def _results(path: Path | None, environ: Mapping[str, str], laid: Mapping[str, Any]) -> Path | None:
    """The folder for results; None where jobs are off, or there is a store of that name already."""
    try:
        settings = load(path, environ, laid)
        wanted = settings.jobs.engine != "off" and OUT not in settings.storage
        return data_directory(settings.jobs, environ) / OUT if wanted else None
    except SettingsError:  # whoever loads them for good will say so, or there is no home to write to
        return None


def _there(root: Path, absent: Absent) -> bool:
    if root.is_dir() or absent == "omit":
        return root.is_dir() and os.access(root, os.W_OK | os.X_OK)
    if absent == "make":
        return _made(root)
    above = next(folder for folder in root.parents if folder.exists())
    return above.is_dir() and os.access(above, os.W_OK | os.X_OK)


def _made(root: Path) -> bool:
    try:
        root.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        root.mkdir(mode=0o700, exist_ok=True)
    except OSError:
        return False
    return os.access(root, os.W_OK | os.X_OK)
