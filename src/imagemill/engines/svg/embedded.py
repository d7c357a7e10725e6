"""Pictures of pixels within a vector picture: ``data:`` URIs of PNG, JPEG, WebP or GIF, judged as sources are.

librsvg draws PNG and JPEG; WebP and GIF (its first frame) are brought to PNG before.

Errors   `LimitExceeded` as for sources; `ImageCorrupt` for one that is damaged.
Source   RFC 2397, RFC 4648.
"""

import base64
import binascii
import re
from urllib.parse import unquote_to_bytes

from imagemill.engines import decoders
from imagemill.engines.decoded import pyvips
from imagemill.engines.decoders.base import refusals
from imagemill.engines.headers import probe, sniff
from imagemill.model.errors import ImageCorrupt, LimitExceeded, UnsupportedSourceType
from imagemill.model.media import Format, MediaInfo
from imagemill.plan.policy import check_source
from imagemill.settings import Limits

_URI = re.compile(r"data:[\w.+/-]*(?:;[\w.+-]+=[\w.+-]*)*(;base64)?,", re.IGNORECASE)
_SPACE = re.compile(r"\s+")
_MOST_BYTES = 7_000_000
"""In base64 not above the ten millions that libxml2 takes for an attribute."""
_DRAWN = frozenset({Format.PNG, Format.JPEG})
_TAKEN = _DRAWN | {Format.WEBP, Format.GIF}


class Embedded:
    """The pictures in one file."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._pixels = 0

    def __call__(self, uri: str) -> tuple[str, int]:
        """*uri* as it may be drawn, and its pixels; empty where it holds none of these formats."""
        begin = _URI.match(uri)
        if begin is None:
            return "", 0
        body = _decoded(uri[begin.end() :], is_base64=bool(begin[1]))
        try:
            is_taken = sniff(body) in _TAKEN
        except UnsupportedSourceType:
            is_taken = False
        if not is_taken:
            return "", 0
        info = probe(body)
        check_source(info, self._limits)
        self._pixels += info.width_px * info.height_px
        if self._pixels > self._limits.total_pixels:  # before the next one is brought to PNG
            raise LimitExceeded("total_pixels", f"svg: embeds more than {self._limits.total_pixels} pixels")
        format_ = info.format
        if format_ not in _DRAWN:
            body, format_ = _as_png(body, info), Format.PNG
        if len(body) > _MOST_BYTES:
            raise LimitExceeded("svg_bytes", f"svg: embeds a picture of {len(body)} > {_MOST_BYTES} bytes as PNG")
        return f"data:image/{format_.value};base64,{base64.b64encode(body).decode()}", info.width_px * info.height_px


def _decoded(text: str, *, is_base64: bool) -> bytes:
    plain = unquote_to_bytes(text)
    if not is_base64:
        return plain
    try:
        return base64.b64decode(_SPACE.sub("", plain.decode("ascii")), validate=True)
    except (binascii.Error, UnicodeDecodeError) as e:
        raise ImageCorrupt("svg: embeds what is no base64") from e


def _as_png(body: bytes, info: MediaInfo) -> bytes:
    with refusals(f"svg: embeds a {info.format}", pyvips.Error):
        return bytes(decoders.opened(memoryview(body), info).pngsave_buffer(compression=1, keep="none"))
