"""Presets: parameters under a name, which those of a URL override.

Names    several may be asked for, as ``preset=a,b``: what a later one says counts.
Only     where nothing but presets may be asked for, a URL has `BESIDE` and ``preset``, and no other parameter.
Errors   `BadOption` for a name that is none; `SettingsError` for a preset that could never be asked for.
"""

import re
from collections.abc import Mapping

from imagemill.dialects.native import hints, order
from imagemill.dialects.native.reading import Given, Parameter, Terms, cut
from imagemill.model.client import ANYONE
from imagemill.model.errors import BadOption, ImagemillError, SettingsError
from imagemill.settings import Presets

PARAMETER = Parameter(
    "preset", "pr", "name,name,…", "Parameters that the server has under these names; those of the URL override them."
)
BESIDE = frozenset({"source", "ttl", "tags", "expires", "filename", "attachment"})
"""What says nothing of pixels."""
_EITHER = ({"gravity", "focus"}, {"trim_color", "trim_corner"})
"""One thing in two ways: whichever is said later overrides the other."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_MOST = 8


class Named:
    """The presets of this server."""

    def __init__(self, settings: Presets, terms: Terms, *, client_hints: bool = False) -> None:
        self._only = settings.only
        self._presets: Mapping[str, Given] = {
            name: _checked(name, text, terms, client_hints=client_hints) for name, text in settings.named.items()
        }
        if settings.only and not self._presets:
            raise SettingsError("presets.only: there is no preset in presets.named that could be asked for")

    def applied(self, given: Given) -> Given:
        """*given*, and what the presets that it names say beside it."""
        if self._only and (more := sorted(given.keys() - BESIDE - {PARAMETER.name})):
            raise BadOption(f"{more[0]}: only presets may be asked for here")
        if PARAMETER.name not in given:
            if self._only:
                raise BadOption("preset: one is wanted here")
            return given
        made: dict[str, str] = {}
        for name in self._asked(given[PARAMETER.name]):
            made = _overridden(made, self._presets[name])
        return _overridden(made, {name: value for name, value in given.items() if name != PARAMETER.name})

    def _asked(self, text: str) -> list[str]:
        names = text.split(",", _MOST)
        if len(names) > _MOST:
            raise BadOption(f"preset: {_MOST} at most")
        for name in names:
            if name not in self._presets:
                raise BadOption(f"preset: {name[:64]!r} is none here")
        return names


def _overridden(given: Given, by: Given) -> dict[str, str]:
    over = {name for either in _EITHER if either & by.keys() for name in either}
    return {name: value for name, value in given.items() if name not in over} | dict(by)


def _checked(name: str, text: str, terms: Terms, *, client_hints: bool) -> Given:
    where = f"presets.named.{name}"
    if not _NAME.fullmatch(name):
        raise SettingsError(f"{where}: a name is 1 to 64 of A-Z a-z 0-9 _ . -, the first a letter or a digit")
    try:
        given = cut(text.encode(), order.LONG)
        order.recipe(hints.followed(given, ANYONE, enabled=client_hints)[0], terms)
    except ImagemillError as e:
        raise SettingsError(f"{where}: {e}") from e
    return given
