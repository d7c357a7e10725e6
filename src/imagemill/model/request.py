"""What is asked for: a source, a recipe, and the terms of delivery."""

from msgspec import Struct

from imagemill.model.media import Format
from imagemill.model.recipe import Recipe


class SourceRef(Struct, frozen=True):
    """Where a picture comes from: ``scheme`` picks the store, ``address`` is all that store needs.

    ``http``/``https``: the canonical URL. ``local``: ``<store>/<key>``.
    """

    scheme: str
    address: str


class ImageRequest(Struct, frozen=True):
    """One call, whatever dialect it came in."""

    source: SourceRef
    recipe: Recipe
    ttl_s: int | None = None
    """Lifetime the caller asks for; not part of the key."""
    tags: tuple[str, ...] = ()
    """Names the rendition can be purged by, sorted; not part of the key."""
    expires_at_s: int | None = None
    """Unix time after which this URL is refused."""


class Plan(Struct, frozen=True):
    """An `ImageRequest` with policy applied: all that is known before the source is read."""

    key: str
    """Result key: 64 hex digits."""
    source: SourceRef
    source_key: str
    recipe: Recipe
    candidates: tuple[Format, ...] = ()
    """For `Format.AUTO`: what this client accepts, best first; part of the key."""
    vary: tuple[str, ...] = ()
    ttl_s: int | None = None
    """The lifetime that the caller is given; None = none was asked for."""
    asked_ttl_s: int | None = None
    """The one that was asked for, where that is another."""
    tags: tuple[str, ...] = ()
    expires_at_s: int | None = None
