"""What stands behind the ``?`` of a job interface's target: names and values, strict, and told by name where wrong.

Errors   `BadOption`: unknown, repeated or ill-formed.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any
from urllib.parse import unquote_to_bytes

from imagemill.jobs.base import Query
from imagemill.model.errors import BadOption
from imagemill.model.job import State, is_id
from imagemill.model.request import is_tag
from imagemill.model.token import is_name
from imagemill.service.bodies import fields, read

MAX_LIMIT = 200
_REPEATABLE = "states"
_MAX_CURSOR_CHARS = 1024
_MAX_S = 253_402_300_799  # the last second of the year 9999


def query_of(raw: bytes, own_tenant: str, *, admin: bool) -> Query:
    """Which jobs ``GET /jobs`` asks for; only an admin may name another tenant than *own_tenant*."""
    given: dict[str, Any] = pairs(raw)
    tenant = given.pop("tenant", None)
    if not admin and tenant not in {None, own_tenant}:
        raise BadOption("tenant: only an admin token may name another one")
    return Query(tenant=tenant if admin else own_tenant, **given)


def before_of(body: bytes) -> float:
    """The moment before which ``POST /jobs/prune`` forgets: ``{"before": …}``, RFC 3339 or Unix seconds."""
    given = fields(body, "", ("before",))
    if "before" not in given:
        raise BadOption("before: missing")
    before = read(given["before"], "before", str | int | float)
    try:
        return moment(before if isinstance(before, str) else repr(before))
    except ValueError as e:
        raise BadOption(f"before: {e}") from e


def pairs(raw: bytes) -> dict[str, Any]:
    """The parameters of *raw*, read and named as `Query` has them; percent-decoded once, a plus is a plus."""
    given: dict[str, Any] = {}
    for part in filter(None, raw.split(b"&")):
        name, _, value = part.partition(b"=")
        shown = name[:40].decode("ascii", "backslashreplace")
        if shown not in _FIELDS:
            raise BadOption(f"{shown}: unknown; one of {', '.join(_FIELDS)}")
        target, read = _FIELDS[shown]
        try:
            found = read(unquote_to_bytes(value).decode())
        except ValueError as e:
            raise BadOption(f"{shown}: {'not UTF-8' if isinstance(e, UnicodeDecodeError) else e}") from e
        if target in given and target != _REPEATABLE:
            raise BadOption(f"{shown}: given twice")
        given[target] = found | given.get(target, frozenset()) if target == _REPEATABLE else found
    return given


def moment(text: str) -> float:
    """A time as RFC 3339 or in Unix seconds, as such; or `ValueError`."""
    if text.isascii() and text.replace(".", "", 1).isdigit():
        unix_s = float(text)
    else:
        try:
            read = datetime.fromisoformat(text)
        except ValueError:
            raise ValueError("a moment is RFC 3339 or Unix seconds") from None
        if read.tzinfo is None:
            raise ValueError("a moment needs its offset, such as Z")
        unix_s = read.timestamp()
    if not 0 <= unix_s <= _MAX_S:
        raise ValueError("no moment from 1970 to 9999")
    return unix_s


def _states(text: str) -> frozenset[State]:
    names = text.split(",")
    if not set(names) <= set(State):
        raise ValueError(f"one or more of {', '.join(State)}, with commas between")
    return frozenset(map(State, names))


def _tag(text: str) -> str:
    return _checked(text, is_tag, "a tag")


def _batch(text: str) -> str:
    return _checked(text, is_id, "an id of a batch")


def _tenant(text: str) -> str:
    return _checked(text, is_name, "a tenant")


def _cursor(text: str) -> str:
    return _checked(text, lambda t: 0 < len(t) <= _MAX_CURSOR_CHARS, "a cursor of an earlier page")


def _checked(text: str, holds: Callable[[str], bool], what: str) -> str:
    if not holds(text):
        raise ValueError(f"not {what}")
    return text


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(MAX_LIMIT)) and 1 <= int(text) <= MAX_LIMIT):
        raise ValueError(f"1 to {MAX_LIMIT}")
    return int(text)


_FIELDS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "state": ("states", _states),
    "tag": ("tag", _tag),
    "batch": ("batch", _batch),
    "since": ("since_s", moment),
    "until": ("until_s", moment),
    "tenant": ("tenant", _tenant),
    "cursor": ("cursor", _cursor),
    "limit": ("limit", _limit),
}
