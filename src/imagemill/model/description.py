"""What is told of a picture: the JSON object that ``GET /info`` answers with.

Units    pixels, milliseconds, bytes; shares of one.
"""

from typing import Any

from msgspec import UNSET, Struct, UnsetType


class Sides(Struct, frozen=True):
    """How large a picture is."""

    width: int
    height: int


class Share(Struct, frozen=True):
    """A colour, and how much of what shows it stands for."""

    color: str
    """``#rrggbb``, sRGB."""
    share: float
    """0 to 1."""


class Metadata(Struct, frozen=True):
    """What was written into a file beside its pixels."""

    exif: dict[str, Any] | None
    """Tables ``image``, ``exif``, ``gps``, ``interoperability``: tags by name; numbers, texts, of bytes how many."""
    xmp: dict[str, Any] | None
    """Properties as ``prefix:name``: texts, lists, objects; of texts in several languages the first."""
    iptc: dict[str, Any] | None
    """The application record by the names of IIM, in ``snake_case``; lists where there may be several."""
    truncated: bool
    """Whether something was left out: it is broken, or longer than the room there is for all (32,768 characters)."""


class Description(Struct, frozen=True, kw_only=True):
    """A picture in facts; what was not asked for is not there."""

    format: str
    """As ``format=`` names it."""
    bytes: int
    """Of the file."""
    width: int
    """Of the upright picture; of the largest frame."""
    height: int
    """As `width`."""
    stored_width: int
    """Before it is turned upright."""
    stored_height: int
    """As `stored_width`."""
    orientation: int
    """As EXIF counts, 1 to 8; 1 = upright. Of AVIF, HEIC and JPEG XL what their own means say, whatever EXIF does."""
    frames: int
    """Of an animation; 1 for all others."""
    pages: int
    """Of a TIFF, or the sizes of an icon; 1 for all others."""
    duration_ms: int | None
    """Of all frames together, as the file says; null where nothing moves."""
    loops: int | None
    """How often it is played in all, 0 = for ever; null where nothing moves."""
    alpha: bool
    """Whether pixels may be transparent."""
    color_space: str
    """``rgb``, ``gray``, ``cmyk``, ``lab`` or ``xyz``."""
    bits: int
    """A sample."""
    icc_profile: str | None
    """What the colour profile calls itself; null where there is none, or it says nothing."""
    rendition: Sides | UnsetType = UNSET
    """How large the picture is after its operations; only where any are asked for."""
    metadata: Metadata | UnsetType = UNSET
    """For ``metadata=1``."""
    dominant_color: str | UnsetType | None = UNSET
    """For ``palette=``: the first of it; null where nothing shows."""
    palette: tuple[Share, ...] | UnsetType = UNSET
    """For ``palette=``: at most so many, the largest share first."""
    blurhash: str | UnsetType = UNSET
    """For ``blurhash=1``; transparency is laid on white."""
    thumbhash: str | UnsetType = UNSET
    """For ``thumbhash=1``: base64."""
    phash: str | UnsetType = UNSET
    """For ``phash=1``: 16 hex digits. Pictures that look alike differ in few of its 64 bits."""
    placeholder: str | UnsetType = UNSET
    """For ``placeholder=1``: a ``data:`` URI of a WebP of at most 32 pixels a side and 512 bytes."""
