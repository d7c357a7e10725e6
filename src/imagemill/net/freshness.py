"""Read what a source says of its body's age and identity, trusting none of it: pure.

Units    seconds; `MAX_AGE_S` is a year.
Source   RFC 9110 (ETag, Last-Modified), RFC 9111 (Cache-Control, Expires).
"""

import re
from email.utils import parsedate_to_datetime

from msgspec import Struct

MAX_AGE_S = 31_536_000
MAX_ETAG_CHARS = 256
_VISIBLE = re.compile(r"[\x21-\x7e]+")


class Freshness(Struct, frozen=True):
    """What may be believed of ``Cache-Control`` and ``Expires``."""

    max_age_s: int | None
    """Clamped to a year; None = not said, or not in a way that can be read."""
    storable: bool


def freshness(cache_control: str, expires: str, now_s: int, age: str = "") -> Freshness:
    """Join the headers: ``s-maxage``, else ``max-age``, else ``Expires`` seen from *now_s*; less the ``Age``.

    What is said and cannot be read counts as over (RFC 9111 section 4.2.1).
    """
    said = _said(cache_control, expires, now_s)
    if said.max_age_s is None:
        return said
    return Freshness(max(0, said.max_age_s - _seconds(age)), said.storable)


def _said(cache_control: str, expires: str, now_s: int) -> Freshness:
    directives: dict[str, str] = {}
    for part in cache_control.split(","):
        name, _, value = part.partition("=")
        directives.setdefault(name.strip().lower(), value.strip().strip('"'))
    storable = not directives.keys() & {"private", "no-store"}
    if "no-cache" in directives:
        return Freshness(0, storable)
    for name in ("s-maxage", "max-age"):
        if name in directives:
            return Freshness(_seconds(directives[name]), storable)
    if not expires:
        return Freshness(None, storable)
    # RFC 9111 5.3: a date that cannot be read has passed
    return Freshness(min(max(unix_time(expires) - now_s, 0), MAX_AGE_S), storable)


def _seconds(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        return 0
    return min(int(text[:12]), MAX_AGE_S)


def unix_time(date: str) -> int:
    """Unix time of an HTTP date; 0 when it cannot be read."""
    try:
        return max(int(parsedate_to_datetime(date[:64]).timestamp()), 0)
    except (ValueError, TypeError, OverflowError, IndexError):
        return 0


def etag(text: str) -> str:
    """The validator when it is short visible ASCII, else ""."""
    return text if len(text) <= MAX_ETAG_CHARS and _VISIBLE.fullmatch(text) else ""
