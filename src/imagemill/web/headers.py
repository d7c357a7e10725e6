"""From a finished rendition to an answer: validators, lifetimes, timings; values in, headers out.

Source   RFC 9110 (ETag, conditional requests and their order in 13.2.2, ranges, Vary), RFC 9111 (Cache-Control, Age),
         Server-Timing (W3C, 2023).
Units    seconds; ``_ms`` milliseconds.
"""

from collections.abc import Mapping
from datetime import UTC
from email.utils import formatdate, parsedate_to_datetime

from msgspec import Struct, field

from imagemill.model.errors import PreconditionFailed
from imagemill.web.cors import VARY, Fields
from imagemill.web.problems import Reply
from imagemill.web.ranges import part

CONDITIONS = frozenset(
    {b"if-match", b"if-unmodified-since", b"if-none-match", b"if-modified-since", b"if-range", b"range"}
)
"""Header fields of a request that decide what of a rendition is answered."""
_POLICY = b"sandbox; default-src 'none'"
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
    disposition: bytes = b""
    """A ``Content-Disposition`` value; empty = none."""
    sharing: Fields = ()
    """Fields that let pages of other origins read the answer; without ``Vary``."""


def respond(
    delivery: Delivery,
    *,
    if_none_match: bytes,
    if_modified_since: bytes,
    now_s: float,
    if_match: bytes = b"",
    if_unmodified_since: bytes = b"",
    wanted_range: bytes = b"",
    if_range: bytes = b"",
) -> Reply:
    """200 with the body, 206 with the part of it that is wanted, or 304 where the client has it already.

    Args:
        delivery: What there is.
        if_none_match: Header of that name; empty = none, as for all that follow.
        if_modified_since: Header of that name.
        now_s: Unix time.
        if_match: Header of that name.
        if_unmodified_since: Header of that name.
        wanted_range: The header ``Range`` of a GET; of other methods there are no ranges.
        if_range: Header of that name.

    Raises:
        PreconditionFailed: the client wants this of another picture only.
        RangeNotSatisfiable: there are no such bytes.
    """
    if (if_match or if_unmodified_since) and is_another(delivery, if_match, if_unmodified_since):
        raise PreconditionFailed("this picture is not the one that is wanted")
    common = _common(delivery, now_s)
    if not_modified(delivery, if_none_match, if_modified_since):
        return Reply(304, common, b"")
    if wanted_range and (not if_range or range_holds(delivery, if_range, now_s)):
        cut = part(wanted_range, len(delivery.body))
        if cut:
            body = cut.of(delivery.body)
            return Reply(206, (*common, *_content(delivery, body), (b"content-range", cut.content_range)), body)
    return Reply(200, common + _content(delivery, delivery.body), delivery.body)


def common_of_bodies(vary: tuple[str, ...], resource_policy: str, disposition: bytes) -> Fields:
    """What every picture is sent with, whatever it stands for."""
    return (
        (b"x-content-type-options", b"nosniff"),
        (b"content-security-policy", _POLICY),
        *(((b"vary", ", ".join(vary).encode()),) if vary else ()),
        *(((b"cross-origin-resource-policy", resource_policy.encode()),) if resource_policy else ()),
        *(((b"content-disposition", disposition),) if disposition else ()),
    )


def _content(delivery: Delivery, body: bytes) -> Fields:
    """What is said of a body only where there is one."""
    fields = (
        (b"content-type", delivery.media_type.encode()),
        (b"content-length", b"%d" % len(body)),
        (b"accept-ranges", b"bytes"),
        (b"content-security-policy", _POLICY),
    )
    return (*fields, (b"content-disposition", delivery.disposition)) if delivery.disposition else fields


def is_another(delivery: Delivery, if_match: bytes, if_unmodified_since: bytes) -> bool:
    """Whether this is not what the client makes a condition of; the date counts only where no tag was given."""
    if if_match:
        return not etag_matches(if_match, delivery.etag, strongly=True)
    since_s = unix_time(if_unmodified_since)
    return since_s is not None and delivery.last_modified_s > since_s


def range_holds(delivery: Delivery, if_range: bytes, now_s: float) -> bool:
    """Whether a part of this goes with the parts that the client has.

    A tag says so. A date does where it is this picture's to the second, that second was over when its source was asked
    (section 8.8.2.2), and every client gets the same bytes.
    """
    if if_range.endswith(b'"'):
        return if_range == b'"%b"' % delivery.etag.encode()
    born_s = int(now_s) - delivery.age_s
    alike = all(name == VARY for name in delivery.vary)
    return alike and 0 < delivery.last_modified_s < born_s and unix_time(if_range) == delivery.last_modified_s


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


def etag_matches(condition: bytes, etag: str, *, strongly: bool = False) -> bool:
    """Comparison with a list of tags, or ``*``; a weak tag counts unless it is to be *strongly* the same."""
    if len(condition) > _MOST_CONDITION_BYTES:
        return False
    if condition.strip() == b"*":
        return True
    wanted = b'"%b"' % etag.encode()
    tags = (tag.strip() for tag in condition.split(b","))
    return any((tag if strongly else tag.removeprefix(b"W/")) == wanted for tag in tags)


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


def _common(delivery: Delivery, now_s: float) -> Fields:
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
    return (*headers, *delivery.sharing)
