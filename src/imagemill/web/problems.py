"""The only table from error class to status, and the RFC 9457 body made of it."""

import json
from collections.abc import AsyncGenerator, Callable

from msgspec import Struct

from imagemill.model import errors
from imagemill.obs.logs import mask

STATUS: dict[type[errors.ImagemillError], int] = {
    errors.BadRequest: 400,
    errors.BadOption: 400,
    errors.TargetTooLong: 414,
    errors.PreconditionFailed: 412,
    errors.RangeNotSatisfiable: 416,
    errors.SignatureInvalid: 403,
    errors.SourceForbidden: 403,
    errors.OriginRefused: 403,
    errors.UrlExpired: 410,
    errors.NoRoute: 404,
    errors.MethodNotAllowed: 405,
    errors.Unauthorized: 401,
    errors.ScopeMissing: 403,
    errors.NotFound: 404,
    errors.JobFinished: 409,
    errors.JobUnfinished: 409,
    errors.IdempotencyMismatch: 422,
    errors.QuotaExceeded: 429,
    errors.NotSupported: 501,
    errors.StoreRefused: 403,
    errors.SourceNotFound: 404,
    errors.SourceTooLarge: 413,
    errors.SourceBadResponse: 502,
    errors.SourceTruncated: 502,
    errors.SourceTimeout: 504,
    errors.UnsupportedSourceType: 415,
    errors.ImageCorrupt: 422,
    errors.LimitExceeded: 422,
    errors.ProcessingTimeout: 504,
    errors.Overloaded: 503,
    errors.DependencyDown: 503,
    errors.DeadlinePassed: 504,
}
_MOST = 300


class Reply(Struct, frozen=True):
    """A whole answer."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


class Stream(Struct, frozen=True):
    """An answer that comes in pieces, for as long as there are any and the client stays."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    pieces: AsyncGenerator[bytes, None]
    closed: Callable[[], None]
    """Called once it has ended, in whichever way, also where no piece was ever asked for."""


def json_reply(status: int, value: object) -> Reply:
    """A value for programs and people, kept by nobody."""
    headers = (
        (b"content-type", b"application/json"),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        (b"content-security-policy", b"sandbox; default-src 'none'"),
    )
    return Reply(status, headers, _no_markup(json.dumps(value, indent=2)))


def _no_markup(body: str) -> bytes:
    """JSON in which nothing can be taken for HTML, whoever ignores its type (threat R16)."""
    return body.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026").encode()


def status_of(error: BaseException) -> int:
    """The status of an error; 500 for what should not happen."""
    return STATUS.get(type(error), 500) if isinstance(error, errors.ImagemillError) else 500


def code_of(error: BaseException) -> str:
    """The stable code of an error."""
    return error.code if isinstance(error, errors.ImagemillError) and type(error) in STATUS else "internal"


def problem(error: BaseException, request_id: str) -> Reply:
    """The answer that *error* becomes; of an unforeseen one it says nothing."""
    status, code = status_of(error), code_of(error)
    known = code != "internal"
    body: dict[str, object] = {
        "type": f"urn:imagemill:problem:{code}",
        "title": code.replace("_", " "),
        "status": status,
        "detail": _plain(str(error)) if known else "something went wrong here; the log has the request id",
        "code": code,
        "request_id": request_id,
        "retryable": bool(getattr(error, "retryable", False)) if known else False,
    }
    if known and (limit := getattr(error, "limit", "")):
        body["limit"] = limit
    headers = (*HEADERS, *retry_after(error), *_challenge(error), *_size(error))
    return Reply(status, headers, _no_markup(json.dumps(body)))


HEADERS = (
    (b"content-type", b"application/problem+json"),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"sandbox; default-src 'none'"),
)


def retry_after(error: BaseException) -> tuple[tuple[bytes, bytes], ...]:
    """When to ask again, where *error* knows it."""
    after_s = getattr(error, "retry_after_s", None)
    return ((b"retry-after", b"%d" % after_s),) if isinstance(after_s, int) else ()


def _challenge(error: BaseException) -> tuple[tuple[bytes, bytes], ...]:
    """What RFC 6750, section 3, has a client be told that lacks a token or a scope."""
    match error:
        case errors.Unauthorized():
            return ((b"www-authenticate", b"Bearer"),)
        case errors.ScopeMissing():
            return ((b"www-authenticate", b'Bearer error="insufficient_scope"'),)
        case _:
            return ()


def _size(error: BaseException) -> tuple[tuple[bytes, bytes], ...]:
    """What RFC 9110, section 15.5.17, has a client be told that asked for bytes which are not there."""
    if isinstance(error, errors.RangeNotSatisfiable):
        return ((b"content-range", b"bytes */%d" % error.size_bytes),)
    return ()


def _plain(text: str) -> str:
    shown = mask(text[: 4 * _MOST])[:_MOST]
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in shown)
