"""How names and values of the native dialect are read, whatever they mean.

Errors   `BadOption` names the parameter.
"""

import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import TypeVar
from urllib.parse import unquote_to_bytes

from msgspec import Struct

from imagemill.model.errors import BadOption, BadRequest, TargetTooLong
from imagemill.model.media import Format
from imagemill.model.recipe import Operation, Recipe, SourceRef
from imagemill.settings import Limits

MAX_DIGITS = 7
_MAX_PARAMETERS = 64
_MAX_QUERY_BYTES = 32 * 1024
_HEX = frozenset("0123456789abcdefABCDEF")
_DIGITS = frozenset("0123456789")
_BAD_ESCAPE = re.compile(rb"%(?![0-9a-fA-F]{2})")  # looks two bytes ahead, never back
_CONTROL = re.compile("[\0-\x1f\x7f]")
_OF_LINES = frozenset({"text"})
"""Parameters in which a line may end."""
E = TypeVar("E", bound=StrEnum)


class Parameter(Struct, frozen=True):
    """One name a URL may use."""

    name: str
    alias: str
    values: str
    meaning: str


Given = Mapping[str, str]
"""Long names to values, decoded once."""


class Terms(Struct, frozen=True):
    """What values are read by, but themselves."""

    limits: Limits
    source: Callable[[str], SourceRef]
    """The source that a value names, or `BadOption`."""
    ops: "Callable[[str, Terms], Recipe] | None" = None
    """What is done to a layer whose own ``ops`` is that text."""
    depth: int = 0
    """How many layers deep they stand."""


class Reader(Struct, frozen=True):
    """One operation: the parameters that say it, and what they say."""

    name: str
    """What it is called in ``ops=``."""
    parameters: tuple[str, ...]
    """Long names; in ``ops=`` the first of them needs none. Several operations may share some."""
    read: Callable[[Given, Terms], Operation | None]
    """The operation that is asked for; None where it is not."""


def decoded(name: str, value: bytes) -> str:
    """*value*, percent-decoded once."""
    if _BAD_ESCAPE.search(value):
        raise BadOption(f"{name}: ill-formed percent escape")
    try:
        text = unquote_to_bytes(value).decode("utf-8")
    except UnicodeDecodeError as e:
        raise BadOption(f"{name}: not UTF-8") from e
    if _CONTROL.search(text.replace("\n", "") if name in _OF_LINES else text):
        raise BadOption(f"{name}: control characters are refused")
    return text


def cut(query: bytes, long: Mapping[str, str]) -> dict[str, str]:
    """Cut a raw query into names, each the *long* one of what stands there, and once-decoded values."""
    if len(query) > _MAX_QUERY_BYTES:
        raise TargetTooLong(f"query: {len(query)} > {_MAX_QUERY_BYTES} bytes")
    given: dict[str, str] = {}
    parts = query.split(b"&") if query else []
    if len(parts) > _MAX_PARAMETERS:
        raise BadRequest(f"{len(parts)} parameters; {_MAX_PARAMETERS} at most")
    for part in parts:
        raw, equals, value = part.partition(b"=")
        name = long.get(raw.decode("latin-1"))
        if name is None:
            raise BadOption(f"{_shown(raw)}: unknown parameter")
        if not equals:
            raise BadOption(f"{name}: a value is wanted")
        if name in given:
            raise BadOption(f"{name}: given twice")
        given[name] = decoded(name, value)
    return given


def _shown(raw: bytes) -> str:
    return repr(raw[:40])[2:-1] or "(empty)"


def number(name: str, text: str, digits: int = MAX_DIGITS) -> int:
    """A whole number, 0 or more."""
    if not text or len(text) > digits or not set(text) <= _DIGITS:
        raise BadOption(f"{name}: a whole number of at most {digits} digits is wanted")
    return int(text)


def integer(given: Given, name: str, least: int, most: int, digits: int = MAX_DIGITS) -> int:
    """A whole number within bounds."""
    value = number(name, given[name], digits)
    if not least <= value <= most:
        raise BadOption(f"{name}: {value} is not within {least} to {most}")
    return value


def scaled(name: str, text: str, places: int) -> int:
    """A plain decimal as an integer of ``10**places`` parts."""
    whole, point, part = text.partition(".")
    if (
        not 1 <= len(whole) <= MAX_DIGITS
        or (point and not part)
        or len(part) > places
        or not set(whole + part) <= _DIGITS
    ):
        raise BadOption(f"{name}: a decimal with at most {MAX_DIGITS} digits and {places} places is wanted")
    return int(whole) * int(10**places) + int((part + "0" * places)[:places])


def signed(given: Given, name: str, least: int, most: int) -> int:
    """A whole number within bounds that may be negative."""
    text = given[name]
    value = -number(name, text[1:]) if text.startswith("-") else number(name, text)
    if not least <= value <= most:
        raise BadOption(f"{name}: {value} is not within {least} to {most}")
    return value


def decimal(given: Given, name: str, places: int) -> int:
    """A plain decimal above zero, as an integer of ``10**places`` parts."""
    value = scaled(name, given[name], places)
    if not value:
        raise BadOption(f"{name}: zero has no effect")
    return value


def flag(given: Given, name: str, *, default: bool = False) -> bool:
    """Yes or no."""
    text = given.get(name, "1" if default else "0")
    if text not in {"0", "1"}:
        raise BadOption(f"{name}: 0 or 1")
    return text == "1"


def choice(given: Given, name: str, kind: type[E], default: E) -> E:
    """One of a few words."""
    text = given.get(name, default.value)
    if text == "jpg" and kind is Format:
        text = "jpeg"
    try:
        return kind(text)
    except ValueError as e:
        raise BadOption(f"{name}: one of {', '.join(kind)}") from e


def colour(name: str, text: str) -> int:
    """A colour, opaque unless it says otherwise."""
    if len(text) == 3:  # noqa: PLR2004 - short form, RGB
        text = "".join(c * 2 for c in text)
    if len(text) not in {6, 8} or not set(text) <= _HEX:
        raise BadOption(f"{name}: RGB, RRGGBB or RRGGBBAA in hex digits, without #")
    return int(text, 16) if len(text) == 8 else int(text, 16) << 8 | 0xFF  # noqa: PLR2004
