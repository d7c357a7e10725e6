"""From an error to what a cache can hold of it, and back: no frame, no source, nothing that a traceback holds."""

from imagemill.model import errors
from imagemill.model.entry import Failure
from imagemill.model.errors import ImagemillError, LimitExceeded, SourceForbidden

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


def is_remembered(error: ImagemillError) -> bool:
    """Whether asking again at once would be in vain."""
    return error.code in _KINDS


def as_failure(error: ImagemillError, source_key: str, born_s: float, asked_ms: int) -> Failure:
    """What to keep of *error*."""
    message = error.reason if isinstance(error, SourceForbidden) else str(error)
    limit = error.limit if isinstance(error, LimitExceeded) else ""
    return Failure(error.code, message[:MAX_MESSAGE_CHARS], born_s, source_key, limit=limit, asked_ms=asked_ms)


def as_error(failure: Failure) -> ImagemillError:
    """The error that *failure* was; one of a code that nobody keeps is a broken picture."""
    kind = _KINDS.get(failure.code, errors.ImageCorrupt)
    if kind is LimitExceeded:
        return LimitExceeded(failure.limit, failure.message)
    return kind(failure.message)
