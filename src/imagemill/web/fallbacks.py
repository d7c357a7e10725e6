"""A picture in place of an error: rendered as the one that was asked for, marked, short-lived, and never taken for it.

It is the rendition of another source, by the same recipe, and is cached as that and nothing else. It carries no
validator, and conditions and ranges, which are about the true picture, never select a part of it.
Errors   of the source and of its processing have one. Those of the request itself (400, 403 for its signature, 410,
         414) have none: they are for whoever wrote the URL. An overloaded node (503 `overloaded`) has none either: it
         would make more work.
Source   RFC 9110 section 13.2.1 (conditions are ignored where the answer without them would be no success).
"""

from collections.abc import Mapping

from msgspec.structs import replace

from imagemill.model import errors
from imagemill.model.errors import ImagemillError, PreconditionFailed
from imagemill.model.keys import layer_tags, result_key, source_key
from imagemill.model.request import Plan, SourceRef
from imagemill.service.transcode import Served
from imagemill.settings import DEFAULT_FALLBACK, Fallback
from imagemill.web.headers import common_of_bodies
from imagemill.web.problems import Reply, code_of, retry_after, status_of
from imagemill.web.request import Call

REPLACED = (
    errors.SourceError,
    errors.SourceForbidden,
    errors.ImageCorrupt,
    errors.LimitExceeded,
    errors.ProcessingTimeout,
    errors.DependencyDown,
)
"""The errors that may have one."""
_UNMET = frozenset({b"if-match", b"if-unmodified-since"})


class Fallbacks:
    """The pictures of ``[fallback]``, by the status that they stand for."""

    def __init__(self, sources: Mapping[str, SourceRef], settings: Fallback) -> None:
        self._sources = sources
        self._settings = settings

    def plan(self, plan: Plan, error: ImagemillError) -> Plan | None:
        """What to make in place of *plan*, which ended in *error*; None = there is nothing.

        Tags and lifetime are left out, but for the tags of layers: they are those of the picture that was asked for.
        """
        if not isinstance(error, REPLACED):
            return None
        source = self._sources.get(str(status_of(error))) or self._sources.get(DEFAULT_FALLBACK)
        if source is None or source == plan.source:
            return None
        return replace(
            plan, key=result_key(source, plan.recipe, plan.candidates), source=source, source_key=source_key(source),
            ttl_s=None, asked_ttl_s=None, tags=layer_tags(plan.recipe),
        )  # fmt: skip

    def reply(self, call: Call, plan: Plan, served: Served, error: ImagemillError, now_s: float, *,
              vary: tuple[str, ...], resource_policy: str, disposition: bytes) -> Reply:  # fmt: skip
        """The answer to *call* with *served*, which stands for *plan*.

        Raises:
            PreconditionFailed: it would be sent as a success, and the client wants one certain picture.
        """
        if self._settings.as_success and call.fields(_UNMET):
            raise PreconditionFailed("this picture is not the one that is wanted")
        rendition = served.entry.rendition
        life_s = self._settings.max_age_s
        if plan.expires_at_s is not None:
            life_s = min(life_s, max(0, plan.expires_at_s - int(now_s)))
        lifetime = b"public, max-age=%d" % life_s if served.entry.storable else b"private, no-store"
        headers = [
            (b"content-type", rendition.media_type.encode()),
            (b"content-length", b"%d" % len(rendition.body)),
            (b"cache-control", lifetime),
            (b"x-cache", served.tier.encode()),
            (b"x-fallback", b"%d; code=%b" % (status_of(error), code_of(error).encode())),
            *common_of_bodies(vary, resource_policy, disposition),
            *(() if self._settings.as_success else retry_after(error)),
            *call.sharing,
        ]
        return Reply(200 if self._settings.as_success else status_of(error), tuple(headers), rendition.body)
