"""Every failure this service names. Messages are for people; `code` is for programs.

ImagemillError
├─ BadRequest               the request itself is ill-formed
│  ├─ BadOption             one option is unknown, repeated or ill-formed
│  └─ TargetTooLong         the request target is longer than any we would ever sign
├─ PreconditionFailed       the picture is not the one that the caller made a condition of
├─ RangeNotSatisfiable      the picture has no such bytes
├─ Refused                  well-formed, and not allowed
│  ├─ SignatureInvalid      missing, wrong, truncated or by an unknown key: always the same words
│  ├─ SourceForbidden       policy, address table, port or name: always the same words
│  ├─ OriginRefused         a browser asked where only programs may
│  ├─ UrlExpired            ``expires`` has passed
│  ├─ Unauthorized          no token, or none that is known here: always the same words
│  └─ ScopeMissing          the token is known, and may not do this
├─ NoRoute                  no such path on this port
├─ NotFound                 no such job, batch or schedule, or one of another tenant: always the same words
├─ JobFinished              it is over, so this cannot be done to it any more
├─ JobUnfinished            it is not over yet, so this cannot be done to it
├─ IdempotencyMismatch      the key was used with another body
├─ QuotaExceeded            too many jobs of this tenant wait
├─ NotSupported             the configured engine or store does not do this; the message says what does
├─ Superseded               the work went to another worker meanwhile; what this one found does not count
├─ MethodNotAllowed         the path exists, the verb does not
├─ SourceError              the source, and not the caller, is at fault
│  ├─ SourceNotFound        404 or 410 from the source, or no such key
│  ├─ SourceTooLarge        more bytes than the limit
│  ├─ SourceBadResponse     anything but a plain 200 with a body
│  ├─ SourceTruncated       the body ended early
│  ├─ SourceTimeout         connect, first byte, rate or total time
│  └─ UnsupportedSourceType the magic bytes are of no accepted format
├─ ImageCorrupt             the decoder said no, or died
├─ PageMissing              the file has no such page or frame; the message says how many it has
├─ LimitExceeded            a named limit was met; the message has the numbers
├─ ProcessingTimeout        the deadline killed the work
├─ Overloaded               the queue is full or too slow; try again later
├─ DependencyDown           a dependency is known to be failing; try again later
├─ StoreRefused             the destination does not let us write there
├─ StoreCorrupt             what was written is not what lies there; it is written again
├─ JobCrashed               the process that did it died, again and again
├─ DeadlinePassed           the job's own ``deadline`` came before it was done
└─ SettingsError            a setting is wrong; the service does not start
"""

from typing import ClassVar


class ImagemillError(Exception):
    """Root of the tree; catch it at the edge, never in the middle."""

    code: ClassVar[str] = "internal"
    retryable: ClassVar[bool] = False
    found_s: float = 0.0
    """Unix time at which it was found, where it is told from memory."""
    layer: str = ""
    """The layer at fault, as messages call it; empty = the picture itself, or what is asked of it."""


class BadRequest(ImagemillError):
    """The request itself is ill-formed; the message says where."""

    code = "bad_request"


class BadOption(BadRequest):
    """One option is unknown, repeated or ill-formed; the message names it."""

    code = "bad_option"


class TargetTooLong(BadRequest):
    """The request target is longer than the limit."""

    code = "target_too_long"


class PreconditionFailed(ImagemillError):
    """``If-Match`` or ``If-Unmodified-Since`` does not hold for the picture as it is now."""

    code = "precondition_failed"


class RangeNotSatisfiable(ImagemillError):
    """``Range`` begins behind the picture's last byte; the whole can be asked for."""

    code = "range_not_satisfiable"

    def __init__(self, size_bytes: int) -> None:
        super().__init__(f"range: nothing of it lies within the {size_bytes} bytes of this picture")
        self.size_bytes = size_bytes


class Refused(ImagemillError):
    """Well-formed, and not allowed."""

    code = "source_forbidden"


class SignatureInvalid(Refused):
    """No valid signature. Says nothing more: the same words for every reason."""

    code = "signature_invalid"

    def __init__(self) -> None:
        super().__init__("the URL is not validly signed")


class SourceForbidden(Refused):
    """The source may not be fetched. Says nothing more: no oracle for port scans.

    The reason is kept for the log only; *unreachable*, that nobody answered there, for whoever has an old answer.
    """

    def __init__(self, reason: str = "", *, unreachable: bool = False) -> None:
        super().__init__("the source address is not allowed")
        self.reason = reason
        self.unreachable = unreachable


class OriginRefused(Refused):
    """A page in a browser asked for what only programs may ask for."""

    code = "origin_refused"


class UrlExpired(Refused):
    """The URL's own ``expires`` has passed."""

    code = "url_expired"


class NoRoute(ImagemillError):
    """No such path on this port."""

    code = "not_found"


class MethodNotAllowed(ImagemillError):
    """The path exists, the verb does not."""

    code = "method_not_allowed"


class SourceError(ImagemillError):
    """The source is at fault, not the caller."""


class SourceNotFound(SourceError):
    """The source says it has no such object."""

    code = "source_not_found"


class SourceTooLarge(SourceError):
    """The source is larger than the limit; the message has the bytes."""

    code = "source_too_large"
    limit: ClassVar[str] = "source_bytes"


class SourceBadResponse(SourceError):
    """The source answered with something other than a plain 200 and a body."""

    code = "source_bad_response"
    retryable = True


class SourceTruncated(SourceError):
    """The source's body ended before its announced length."""

    code = "source_truncated"
    retryable = True


class SourceTimeout(SourceError):
    """The source was too slow to connect, to begin, or to go on."""

    code = "source_timeout"
    retryable = True


class UnsupportedSourceType(SourceError):
    """The source's first bytes are of no accepted format."""

    code = "unsupported_source_type"


class PageMissing(ImagemillError):
    """The file has no such page or frame; the message says how many it has."""

    code = "page_missing"


class ImageCorrupt(ImagemillError):
    """The picture cannot be decoded as what its first bytes say it is."""

    code = "image_corrupt"


class LimitExceeded(ImagemillError):
    """A limit was met; `limit` names it, the message has the numbers."""

    code = "limit_exceeded"

    def __init__(self, limit: str, message: str) -> None:
        super().__init__(message)
        self.limit = limit


class ProcessingTimeout(ImagemillError):
    """The work did not end within its deadline and was killed."""

    code = "processing_timeout"


class Overloaded(ImagemillError):
    """Too much is waiting already."""

    code = "overloaded"
    retryable = True

    def __init__(self, message: str, retry_after_s: int = 1) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class DependencyDown(ImagemillError):
    """A dependency is known to be failing, and is not being asked just now."""

    code = "dependency_down"
    retryable = True

    def __init__(self, message: str, retry_after_s: int = 1) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Unauthorized(Refused):
    """No token, or none that is known. Says nothing more: the same words for every reason."""

    code = "unauthorized"

    def __init__(self) -> None:
        super().__init__("a bearer token is needed")


class ScopeMissing(Refused):
    """The token is known and lacks a scope; the message names it."""

    code = "scope_missing"


class NotFound(ImagemillError):
    """No such job, batch or schedule, or one of another tenant: the same words for both."""

    code = "not_found"

    def __init__(self, what: str = "job") -> None:
        super().__init__(f"no such {what}")


class JobFinished(ImagemillError):
    """It is over, so this cannot be done to it any more."""

    code = "job_finished"


class JobUnfinished(ImagemillError):
    """It is not over yet, so this cannot be done to it."""

    code = "job_unfinished"


class IdempotencyMismatch(ImagemillError):
    """The ``Idempotency-Key`` was used with another body."""

    code = "idempotency_mismatch"


class QuotaExceeded(ImagemillError):
    """Too many jobs of this tenant, or of all, wait."""

    code = "quota_exceeded"
    retryable = True

    def __init__(self, message: str, retry_after_s: int = 5) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class NotSupported(ImagemillError):
    """The configured engine or store does not do this; the message says what does."""

    code = "not_supported"


class Superseded(ImagemillError):
    """The work went to another worker meanwhile; what this one found does not count."""

    code = "superseded"


class StoreRefused(ImagemillError):
    """The destination does not let us write there."""

    code = "store_refused"


class StoreCorrupt(ImagemillError):
    """What was written is not what lies there."""

    code = "store_corrupt"
    retryable = True


class JobCrashed(ImagemillError):
    """The process that did the job died, again and again."""

    code = "job_crashed"


class DeadlinePassed(ImagemillError):
    """The job's own ``deadline`` came before it was done."""

    code = "deadline_passed"


class SettingsError(ImagemillError):
    """A setting is wrong; the message names it and what would be right."""

    code = "settings"


def of_layer(error: ImagemillError, name: str) -> ImagemillError:
    """*error* as one of the layer *name*; of the innermost, where one layer lies in another.

    A new one: others, of whom the same picture is no layer, may be given *error* itself.
    """
    if error.layer:
        return error
    made = type(error).__new__(type(error))
    made.__dict__.update(error.__dict__)
    made.layer = name
    made.args = (f"layer {name}: {error}",)
    return made
