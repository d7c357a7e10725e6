"""What is asked for: a source, a recipe, and the terms of delivery."""

import re

from msgspec import Struct

from imagemill.model.media import Format
from imagemill.model.recipe import Recipe
from imagemill.model.source import SourceRef

__all__ = ["MAX_TAGS", "ImageRequest", "Plan", "SourceRef", "is_tag"]

MAX_TAGS = 16
_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}")


def is_tag(text: str) -> bool:
    """Whether *text* may be a tag: 1 to 64 of ``A-Z a-z 0-9 _ . : -``, the first of them a letter or a digit."""
    return _TAG.fullmatch(text) is not None


class ImageRequest(Struct, frozen=True):
    """One call, whatever dialect it came in."""

    source: SourceRef
    recipe: Recipe
    ttl_s: int | None = None
    """Lifetime the caller asks for; not part of the key."""
    expires_at_s: int | None = None
    """Unix time after which this URL is refused."""
    tags: tuple[str, ...] = ()
    """Names the result can be purged by, sorted; not part of the key."""
    filename: str = ""
    """What it is to be saved as, see `model.filename`; not part of the key, nor is `attachment`."""
    attachment: bool = False
    """Whether it is to be saved instead of shown."""
    vary: tuple[str, ...] = ()
    """Header fields of the request that the recipe owes something to."""


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
    expires_at_s: int | None = None
    tags: tuple[str, ...] = ()
    """Sorted; not part of the key. Those of the sources of layers are among them, see `model.keys.layer_tags`."""
    filename: str = ""
    attachment: bool = False
