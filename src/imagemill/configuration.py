"""Read settings: one TOML file, then the environment over it; wrong ones stop the start.

Keys     ``IMAGEMILL_<TABLE>__<NAME>`` in the environment, e.g. ``IMAGEMILL_SERVER__PORT=9000``; values are TOML,
         anything that is not TOML is taken as a string, and so is every secret.
Errors   `SettingsError`, with the nearest valid name for an unknown key.
"""

import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args, get_origin

import msgspec
from msgspec import Struct
from msgspec.structs import fields

from imagemill.model.errors import SettingsError
from imagemill.settings import Jobs, Secret, Settings

PREFIX = "IMAGEMILL_"
CONFIG, TOKEN, URL = f"{PREFIX}CONFIG", f"{PREFIX}TOKEN", f"{PREFIX}URL"
NO_SETTINGS = frozenset({CONFIG, TOKEN, URL})
"""Variables of that form that say something else: which file, and what ``imagemill jobs`` calls."""


def load(path: Path | None, environ: Mapping[str, str], overlay: Mapping[str, Any] | None = None) -> Settings:
    """Read *path* (if any), lay ``IMAGEMILL_`` variables over it, then *overlay*; or raise `SettingsError`."""
    raw = _read(path) if path else {}
    for source in (_from_environment(environ), overlay or {}):
        _merge(raw, source)
    refuse_unknown(raw, Settings, "")
    try:
        return msgspec.convert(raw, Settings, dec_hook=_decode)
    except msgspec.ValidationError as e:
        cause = e.__cause__
        raise (cause if isinstance(cause, SettingsError) else SettingsError(str(e))) from e


def as_bytes(settings: Settings) -> bytes:
    """*settings* for a process of our own, secrets and all: for a pipe, never for an argument, a variable or a log."""
    return msgspec.json.encode(settings, enc_hook=str)


def of_bytes(raw: bytes) -> Settings:
    """The settings of `as_bytes`; `SettingsError` for anything else."""
    try:
        return msgspec.json.decode(raw, type=Settings, dec_hook=_decode)
    except msgspec.MsgspecError as e:
        raise SettingsError(f"what was handed over is no settings: {e}") from e


def masked(settings: Settings) -> dict[str, Any]:
    """The effective configuration as plain values, every secret masked."""
    shown: dict[str, Any] = _masked(msgspec.to_builtins(settings, enc_hook=_encode))
    return shown


_SECRET_NAME = re.compile(r"secret|passw|token|credential|signature|(?:^|_|api|access)keys?(?:_|$)", re.IGNORECASE)
_USERINFO = re.compile(r"//[^/\s]*@")


def _masked(value: Any, name: str = "") -> Any:
    """*value* without what its name or its form calls a secret: no type says it of a plugin's table."""
    secret = _SECRET_NAME.search(name)
    if isinstance(value, dict):
        return {k: _masked(v, name if secret else k) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_masked(v, name) for v in value)
    if secret and value:
        return "***"
    return _USERINFO.sub("//***@", value) if isinstance(value, str) else value


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as e:
        raise SettingsError(f"{path}: {e.strerror}") from e
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as e:
        raise SettingsError(f"{path}: {e}") from e


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    raw: dict[str, Any] = {}
    for name, text in environ.items():
        if name.startswith(PREFIX) and name not in NO_SETTINGS:
            *tables, last = name.removeprefix(PREFIX).split("__")
            key_id = [t.lower() for t in tables] == ["signing", "keys"]
            spot = raw
            for table in tables:
                spot = spot.setdefault(table.lower(), {})
                if not isinstance(spot, dict):
                    raise SettingsError(f"{name}: {table.lower()} is given as a value too")
            as_it_is = key_id or _is_secret(tables, last)  # one of digits alone is no number
            spot[last if key_id else last.lower()] = text if as_it_is else _value(text)
    return raw


def _is_secret(tables: Sequence[str], last: str) -> bool:
    if [t.lower() for t in tables[:1]] == ["storage"]:  # read by its plugin: no type says it here
        return bool(_SECRET_NAME.search(last))
    kind: object = Settings
    for name in (*tables, last):
        if not (isinstance(kind, type) and issubclass(kind, Struct)):
            return False
        kind = next((f.type for f in fields(kind) if f.name == name.lower()), None)
    return kind is Secret


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"v = {text}")["v"]
    except (tomllib.TOMLDecodeError, KeyError):
        return text


def _merge(into: dict[str, Any], over: Mapping[str, Any]) -> None:
    for name, value in over.items():
        if isinstance(value, Mapping) and isinstance(into.get(name), dict):
            _merge(into[name], value)
        else:
            into[name] = dict(value) if isinstance(value, Mapping) else value


def refuse_unknown(raw: Mapping[str, Any], kind: type[Struct], at: str) -> None:
    """Raise `SettingsError` for a name below *at* that *kind* does not have, with the nearest that it has."""
    known = {f.name: f.type for f in fields(kind)}
    for name, value in raw.items():
        if name not in known:
            near = get_close_matches(name, known, 1, 0.6) or _elsewhere(name)
            raise SettingsError(f"unknown setting {at}{name}" + (f"; did you mean {near[0]}?" if near else ""))
        inner = known[name]
        if get_origin(inner) is None and not get_args(inner) and isinstance(inner, type) and issubclass(inner, Struct):
            if not isinstance(value, Mapping):
                raise SettingsError(f"{at}{name} is a table")
            refuse_unknown(value, inner, f"{at}{name}.")


def _elsewhere(name: str) -> list[str]:
    tables = [f for f in fields(Settings) if isinstance(f.type, type) and issubclass(f.type, Struct)]
    paths = {f"{t.name}.{f.name}": f.name for t in tables for f in fields(t.type)}
    near = get_close_matches(name, paths.values(), 1, 0.7)
    return [path for path, last in paths.items() if near and last == near[0]]


def _decode(kind: type, value: Any) -> Any:
    if kind is Secret and isinstance(value, str):
        return Secret(value)
    raise TypeError(f"Expected `str`, got `{type(value).__name__}`")


def _encode(value: Any) -> Any:
    return "***" if isinstance(value, Secret) else str(value)


def config_path(environ: Mapping[str, str] = os.environ) -> Path | None:
    """The file named by ``IMAGEMILL_CONFIG``, if any."""
    name = environ.get(CONFIG)
    return Path(name) if name else None


def data_directory(jobs: Jobs, environ: Mapping[str, str] = os.environ) -> Path:
    """Where jobs and tokens are kept: as set, else the user's directory for state; it need not exist yet.

    Source: XDG Base Directory Specification 0.8; a relative ``XDG_STATE_HOME`` does not count.

    Raises:
        SettingsError: nothing says where.
    """
    if jobs.data:
        return Path(jobs.data).absolute()
    state = Path(environ.get("XDG_STATE_HOME", ""))
    if state.is_absolute():
        return state / "imagemill"
    home = Path(environ.get("HOME", ""))
    if not home.is_absolute():
        raise SettingsError("jobs.data: set it, as neither XDG_STATE_HOME nor HOME names a directory")
    return home / ".local" / "state" / "imagemill"


def tokens_file(jobs: Jobs, environ: Mapping[str, str] = os.environ) -> Path:
    """The file of the bearer tokens; see `data_directory`."""
    return Path(jobs.tokens).absolute() if jobs.tokens else data_directory(jobs, environ) / "tokens.json"
