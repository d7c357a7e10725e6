"""Which pages of other origins may read pictures: those that are set, and never with a user's cookies.

An origin is echoed only where it stands in the list, byte for byte, and every picture then says ``Vary: Origin``
(errors are stored by nobody).
``*`` is the same for all. ``Access-Control-Allow-Credentials`` is never sent (threat R21).
Source   Fetch standard, section 3.3 (CORS protocol); Resource Timing, section 4.4 (Timing-Allow-Origin).
"""

from collections.abc import Sequence

ANY = "*"
VARY = "Origin"
PREFLIGHT_S = 7_200
"""How long a browser may remember what it may ask for; Chromium takes no more."""
_METHODS = b"GET, HEAD"
_REQUEST_FIELDS = b"Range, If-Range, If-Match, If-None-Match, If-Modified-Since, If-Unmodified-Since"
_EXPOSED = (
    b"Accept-Ranges, Age, Content-Disposition, Content-Range, ETag, "
    b"Retry-After, Server-Timing, X-Cache, X-Fallback, X-Request-Id, X-TTL"
)
"""What a script may see of an answer beside the few that it always may."""

Fields = tuple[tuple[bytes, bytes], ...]


class Cors:
    """The origins of ``server.cors_origins``."""

    def __init__(self, origins: Sequence[str]) -> None:
        self._listed = {origin.encode(): _fields(origin.encode()) for origin in origins if origin != ANY}
        self._for_all = _fields(ANY.encode()) if ANY in origins else ()
        self.vary: tuple[str, ...] = (VARY,) if self._listed and not self._for_all else ()
        """For every answer, also to those who name no origin."""

    def fields(self, origin: bytes) -> Fields:
        """What lets a page of *origin* read an answer, error or not; none where it may not."""
        return self._for_all or self._listed.get(origin, ())

    def preflight(self, origin: bytes) -> Fields:
        """What answers ``OPTIONS``: that, and which requests are allowed."""
        fields = self.fields(origin)
        return (*fields, *_PREFLIGHT) if fields else ()


_PREFLIGHT = (
    (b"access-control-allow-methods", _METHODS),
    (b"access-control-allow-headers", _REQUEST_FIELDS),
    (b"access-control-max-age", b"%d" % PREFLIGHT_S),
)


def _fields(origin: bytes) -> Fields:
    return (
        (b"access-control-allow-origin", origin),
        (b"access-control-expose-headers", _EXPOSED),
        (b"timing-allow-origin", origin),
    )
