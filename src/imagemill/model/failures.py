"""From an error to what a cache can hold of it, and back: no frame, no source, nothing that a traceback holds."""

from imagemill.model import errors
from imagemill.model.entry import Failure
from imagemill.model.errors import ImagemillError, LimitExceeded, SourceForbidden, of_layer

MAX_MESSAGE_CHARS = 300
_KINDS: dict[str, type[ImagemillError]] = {
    kind.code: kind
    for kind in (
        errors.SourceForbidden,
        errors.SourceNotFound,
        errors.SourceTooLarge,
        errors.SourceBadResponse,
        errors.SourceTruncated,
        errors.SourceTimeout,
        errors.UnsupportedSourceType,
        errors.ImageCorrupt,
        errors.LimitExceeded,
        errors.ProcessingTimeout,
    )
}
OF_SOURCE = frozenset(kind.code for kind in _KINDS.values() if issubclass(kind, errors.SourceError | SourceForbidden))
"""Whatever is asked of that source would end in it, too."""
SHARED = frozenset(
    kind.code
    for kind in (
        errors.SourceNotFound,
        errors.SourceTooLarge,
        errors.UnsupportedSourceType,
        errors.ImageCorrupt,
        errors.LimitExceeded,
        errors.ProcessingTimeout,
    )
)
"""What any node would find: not what this one's network, or this moment, is at fault for."""
_PASSING = (
    errors.SourceBadResponse,
    errors.SourceTruncated,
    errors.SourceTimeout,
    errors.ProcessingTimeout,
    errors.Overloaded,
    errors.DependencyDown,
)


def is_passing(error: ImagemillError) -> bool:
    """Whether it says nothing against the source: an old answer is better than this (RFC 5861 section 4)."""
    return isinstance(error, _PASSING) or (isinstance(error, SourceForbidden) and error.unreachable)


def is_remembered(error: ImagemillError) -> bool:
    """Whether asking again at once would be in vain."""
    return error.code in _KINDS


def as_failure(error: ImagemillError, source_key: str, born_s: float, asked_ms: int) -> Failure:
    """What to keep of *error*, found at *born_s* unless it is told from memory itself."""
    forbidden = error if isinstance(error, SourceForbidden) else None
    return Failure(
        error.code,
        (forbidden.reason if forbidden else str(error))[:MAX_MESSAGE_CHARS],
        error.found_s or born_s,
        source_key,
        limit=error.limit if isinstance(error, LimitExceeded) else "",
        asked_ms=asked_ms,
        unreachable=forbidden is not None and forbidden.unreachable,
        layer=error.layer,
    )


def as_error(failure: Failure) -> ImagemillError:
    """The error that *failure* was, and when; one of a code that nobody keeps is a broken picture."""
    error = _error(_KINDS.get(failure.code, errors.ImageCorrupt), failure)
    error.found_s = failure.born_s
    if failure.layer and isinstance(error, SourceForbidden):
        return of_layer(error, failure.layer)  # what it says is always the same, and was not kept
    error.layer = failure.layer
    return error


def _error(kind: type[ImagemillError], failure: Failure) -> ImagemillError:
    if kind is LimitExceeded:
        return LimitExceeded(failure.limit, failure.message)
    if kind is SourceForbidden:
        return SourceForbidden(failure.message, unreachable=failure.unreachable)
    return kind(failure.message)
