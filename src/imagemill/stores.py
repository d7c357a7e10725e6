"""The stores of ``[storage.<name>]``: from their tables to live objects, and what each may be used for."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from imagemill.configuration import refuse_unknown
from imagemill.model.errors import SettingsError
from imagemill.settings import Secret, Settings
from imagemill.storage.base import Get, Store, is_source
from imagemill.storage.layers import Attempts, Metrics, Observe, Retry, Timeout

S = TypeVar("S", bound=Struct)
_NAME = re.compile(r"[A-Za-z0-9._-]{1,40}")


class Stores(Struct, frozen=True):
    """Stores by name, and by what they may be used for."""

    all: dict[str, Store]
    sources: dict[str, Get]
    """That ``local:<name>/<key>`` may read."""
    buckets: dict[str, Get]
    """The same by ``<bucket>`` or ``<bucket>/<prefix>``, for ``s3://<bucket>/<key>``."""
    writable: dict[str, Store]
    """That results may be stored in."""


class _Opened(Struct, frozen=True):
    store: Store
    readable: bool
    writable: bool
    place: str = ""


def open_all(settings: Settings, observe: Observe = lambda *_: None) -> Stores:
    """Every store of *settings*; *observe* is told of each attempt at one. Asks none of them anything.

    Raises:
        SettingsError: a table is wrong; the message names it.
    """
    opened = {name: _open(name, raw, observe) for name, raw in settings.storage.items()}
    return Stores(
        all={name: one.store for name, one in opened.items()},
        sources={name: one.store for name, one in opened.items() if one.readable},
        buckets=_buckets(opened),
        writable={name: one.store for name, one in opened.items() if one.writable},
    )


def _buckets(opened: Mapping[str, _Opened]) -> dict[str, Get]:
    buckets: dict[str, Get] = {}
    for name, one in opened.items():
        if one.place and one.readable:
            if one.place in buckets:
                raise SettingsError(
                    f"storage.{name}: s3://{one.place} is read through another store; set sources = false"
                )
            buckets[one.place] = one.store
    return buckets


def _open(name: str, raw: Mapping[str, Any], observe: Observe) -> _Opened:
    if not _NAME.fullmatch(name):
        raise SettingsError(f"storage.{name}: a store's name is 1 to 40 of a-z A-Z 0-9 . - _")
    kind = _KINDS.get(str(raw.get("kind")))
    if kind is None:
        raise SettingsError(f"storage.{name}.kind: one of {', '.join(_KINDS)}")
    try:
        return kind(name, raw, observe)
    except ModuleNotFoundError as e:
        raise SettingsError(
            f"storage.{name}: kind '{raw['kind']}' needs: pip install 'imagemill[{raw['kind']}]'"
        ) from e


def _file(name: str, raw: Mapping[str, Any], observe: Observe) -> _Opened:
    from imagemill.storage import file  # noqa: PLC0415 - vendors are opened one by one, when they are asked for

    def opened(settings: file.Settings) -> _Opened:
        store = Metrics(file.FileStore(settings, name), observe)
        return _Opened(store, is_source(settings.sources, write=settings.write), settings.write)

    return _made(name, raw, file.Settings, opened)


def _s3(name: str, raw: Mapping[str, Any], observe: Observe) -> _Opened:
    from imagemill.storage import s3  # noqa: PLC0415 - as above

    def opened(settings: s3.Settings) -> _Opened:
        once = Metrics(Timeout(s3.S3Store(settings), settings.timeout_s), observe)
        store = Retry(once, Attempts(settings.attempts))
        return _Opened(store, is_source(settings.sources, write=settings.write), settings.write, s3.place(settings))

    return _made(name, raw, s3.Settings, opened)


_KINDS: dict[str, Callable[[str, Mapping[str, Any], Observe], _Opened]] = {"file": _file, "s3": _s3}


def _made(name: str, raw: Mapping[str, Any], kind: type[S], make: Callable[[S], _Opened]) -> _Opened:
    refuse_unknown(raw, kind, f"storage.{name}.")
    try:
        return make(msgspec.convert(raw, kind, dec_hook=_typed))
    except (msgspec.ValidationError, SettingsError) as e:
        cause = e.__cause__ if isinstance(e.__cause__, SettingsError) else e
        raise SettingsError(f"storage.{name}: {cause}") from e


def _typed(kind: type, value: object) -> object:
    """What msgspec does not convert by itself."""
    if kind is Secret and isinstance(value, str):
        return Secret(value)
    if kind is Path and isinstance(value, str) and value:  # Path("") would be the current folder
        return Path(value)
    wanted = "a path" if kind is Path else "a string"
    shown = f"`{value!r}`" if kind is Path else f"`{type(value).__name__}`"
    raise TypeError(f"Expected {wanted}, got {shown}")
