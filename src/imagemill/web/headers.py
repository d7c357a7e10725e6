"""From a finished rendition to an answer: validators, lifetimes, timings; values in, headers out.

Source   RFC 9110 (ETag, conditional requests, Vary), RFC 9111 (Cache-Control, Age), Server-Timing (W3C, 2023).
Units    seconds; ``_ms`` milliseconds.
"""

from collections.abc import Mapping
from datetime import UTC
from email.utils import formatdate, parsedate_to_datetime

from msgspec import Struct, field

from imagemill.web.problems import Reply

_MOST_CONDITION_BYTES = 4_096
_MOST_DATE_BYTES = 40


class Delivery(Struct, frozen=True):
    """A finished rendition, and the terms it is delivered on."""

    body: bytes
    etag: str
    media_type: str
    lifetime_s: int
    age_s: int
    private: bool
    tier: str
    last_modified_s: int = 0
    expires_at_s: int | None = None
    vary: tuple[str, ...] = ()
    ttl: str = ""
    """The lifetime that was given in place of the one asked for."""
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    resource_policy: str = ""


def respond(delivery: Delivery, *, if_none_match: bytes, if_modified_since: bytes, now_s: float) -> Reply:
    """200 with the body, or 304 where the client has it already."""
    common = _common(delivery, now_s)
    if not_modified(delivery, if_none_match, if_modified_since):
        return Reply(304, common, b"")
    body = (
        (b"content-type", delivery.media_type.encode()),
        (b"content-length", b"%d" % len(delivery.body)),
        (b"accept-ranges", b"none"),
        (b"content-security-policy", b"sandbox; default-src 'none'"),
    )
    return Reply(200, common + body, delivery.body)


def not_modified(delivery: Delivery, if_none_match: bytes, if_modified_since: bytes) -> bool:
    """Whether the client's copy is the current one; the date counts only where no tag was given."""
    if if_none_match:
        return etag_matches(if_none_match, delivery.etag)
    if if_modified_since and delivery.last_modified_s:
        since_s = unix_time(if_modified_since)
        return since_s is not None and since_s >= delivery.last_modified_s
    return False


def unix_time(date: bytes) -> int | None:
    """Unix time of an HTTP date; None where it is none."""
    if len(date) > _MOST_DATE_BYTES:
        return None
    try:
        moment = parsedate_to_datetime(date.decode("ascii"))
        # asctime's form names no zone; RFC 9110 5.6.7 says that it is UTC
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError, TypeError, IndexError):
        return None


def etag_matches(if_none_match: bytes, etag: str) -> bool:
    """Weak comparison with a list of tags, or ``*``."""
    if len(if_none_match) > _MOST_CONDITION_BYTES:
        return False
    if if_none_match.strip() == b"*":
        return True
    wanted = b'"%b"' % etag.encode()
    tags = (tag.strip().removeprefix(b"W/") for tag in if_none_match.split(b","))
    return wanted in tags


def cache_control(delivery: Delivery, now_s: float) -> bytes:
    """How long the client and caches between may keep the answer, counted from the rendition's birth."""
    if delivery.private:
        return b"private, no-store"
    lifetime_s = delivery.lifetime_s
    if delivery.expires_at_s is not None:
        lifetime_s = min(lifetime_s, delivery.age_s + max(0, delivery.expires_at_s - int(now_s)))
    return b"public, max-age=%d" % lifetime_s


def server_timing(timings_ms: Mapping[str, float]) -> bytes:
    """Stages as a Server-Timing value."""
    return ", ".join(f"{name};dur={ms:.2f}" for name, ms in timings_ms.items()).encode()


def _common(delivery: Delivery, now_s: float) -> tuple[tuple[bytes, bytes], ...]:
    headers = [
        (b"etag", b'"%b"' % delivery.etag.encode()),
        (b"cache-control", cache_control(delivery, now_s)),
        (b"age", b"%d" % delivery.age_s),
        (b"x-cache", delivery.tier.encode()),
        (b"x-content-type-options", b"nosniff"),
    ]
    if delivery.last_modified_s:
        headers.append((b"last-modified", formatdate(delivery.last_modified_s, usegmt=True).encode()))
    if delivery.vary:
        headers.append((b"vary", ", ".join(delivery.vary).encode()))
    if delivery.ttl:
        headers.append((b"x-ttl", delivery.ttl.encode()))
    if delivery.timings_ms:
        headers.append((b"server-timing", server_timing(delivery.timings_ms)))
    if delivery.resource_policy:
        headers.append((b"cross-origin-resource-policy", delivery.resource_policy.encode()))
    return tuple(headers)
