"""What is told of a picture: what its header says, and on request its metadata, colours and hashes.

Takes    the header as libvips read it, or None where our own reader has found all there is; a sample as rows of eight
         bits, grey or RGB, with alpha or without.
Errors   none of its own: whatever metadata holds, there is an answer.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
from msgspec.structs import replace

from imagemill.engines import placeholder
from imagemill.engines.decoded import PROFILE, Image
from imagemill.engines.description import colours, exif, hashes, iptc, profile, xmp
from imagemill.engines.description.words import Room
from imagemill.model.description import Description, Metadata, Share
from imagemill.model.media import MediaInfo
from imagemill.model.recipe import Describe

_SPACES: Mapping[str, str] = {
    "b-w": "gray", "grey16": "gray", "cmyk": "cmyk", "lab": "lab", "labs": "lab", "labq": "lab", "xyz": "xyz",
}  # fmt: skip
"""What libvips calls a space, and we do; all others are RGB of some kind."""
_METADATA = (("exif", "exif-data", exif.told), ("xmp", "xmp-data", xmp.told), ("iptc", "iptc-data", iptc.told))
_GREY_BANDS, _CMYK_BANDS = 2, 4
_LAST_UPRIGHT = 4
"""EXIF orientations above it lie on their side."""
_RGB, _RGBA = 3, 4
_OPAQUE = 0xFF


def seen(size_bytes: int, info: MediaInfo, header: Image | None) -> Description:
    """What the header says; *size_bytes* is the length of the file."""
    delays_ms = (_of(header, "delay") or ()) if info.frames > 1 else ()
    sides = (info.width_px, info.height_px)
    stored = sides if info.turned <= _LAST_UPRIGHT else sides[::-1]
    width, height = sides if info.orientation <= _LAST_UPRIGHT else sides[::-1]
    return Description(
        format=info.format,
        bytes=size_bytes,
        width=width,
        height=height,
        stored_width=stored[0],
        stored_height=stored[1],
        orientation=info.orientation if info.turned == 1 else info.turned,
        frames=info.frames,
        pages=info.pages,
        duration_ms=sum(delays_ms) if delays_ms else None,
        loops=_of(header, "loop") if delays_ms else None,
        alpha=info.has_alpha,
        color_space=_space(info, header),
        bits=_of(header, "heif-bitdepth") or info.bits,
        icc_profile=profile.name(_blob(header, PROFILE)) or None,
    )


def metadata(header: Image | None) -> Metadata:
    """EXIF, XMP and IPTC; of what is longer than the room for all, the rest is left out."""
    room = Room()
    found: dict[str, Any] = {}
    for name, field, read in _METADATA:
        raw = _blob(header, field)
        found[name] = (read(raw, room) or None) if raw else None
    return Metadata(**found, truncated=room.was_short)


def looked_at(description: Description, describe: Describe, sample: Any) -> Description:
    """*description* with what *describe* asks of the pixels of *sample*."""
    rows = _rgba(sample)
    found: dict[str, Any] = {}
    if describe.colours:
        shares = colours.palette(rows, describe.colours)
        found["dominant_color"] = shares[0][0] if shares else None
        found["palette"] = tuple(Share(*one) for one in shares)
    for wanted, name, make in (
        (describe.blurhash, "blurhash", hashes.blurhash),
        (describe.thumbhash, "thumbhash", hashes.thumbhash),
        (describe.phash, "phash", hashes.phash),
        (describe.placeholder, "placeholder", _placeholder),
    ):
        if wanted:
            found[name] = make(rows)
    return replace(description, **found)


def written(description: Description) -> bytes:
    """*description* as it is answered: nothing in it can be taken for HTML, whoever ignores its type (threat R16)."""
    body = msgspec.json.format(msgspec.json.encode(description), indent=1) + b"\n"
    for mark in (b"<", b">", b"&"):  # they stand in texts alone
        body = body.replace(mark, b"\\u%04x" % ord(mark))
    return body


def _placeholder(rows: Any) -> str:
    return placeholder.data_uri(rows if (rows[..., -1] != _OPAQUE).any() else rows[..., :_RGB])


def _of(header: Image | None, name: str) -> Any:
    return header.get(name) if header is not None and header.get_typeof(name) else None


def _blob(header: Image | None, name: str) -> bytes:
    return bytes(_of(header, name) or b"")


def _space(info: MediaInfo, header: Image | None) -> str:
    if header is not None:
        return _SPACES.get(header.interpretation, "rgb")
    if info.channels <= _GREY_BANDS:
        return "gray"
    return "cmyk" if info.channels - info.has_alpha == _CMYK_BANDS else "rgb"


def _rgba(rows: Any) -> Any:
    """Rows of grey or RGB, with alpha or without, as RGBA."""
    height, width, bands = rows.shape
    colour = rows[..., :_RGB] if bands >= _RGB else np.repeat(rows[..., :1], _RGB, axis=2)
    has_alpha = bands in {_GREY_BANDS, _RGBA}
    alpha = rows[..., -1:] if has_alpha else np.full((height, width, 1), _OPAQUE, np.uint8)
    return np.concatenate([colour, alpha], axis=2)
