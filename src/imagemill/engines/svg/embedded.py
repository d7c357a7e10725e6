"""Pictures of pixels within a vector picture: ``data:`` URIs of PNG, JPEG, WebP or GIF, judged as sources are.

librsvg draws PNG and JPEG; WebP and GIF (its first frame) are brought to PNG before.

Errors   `LimitExceeded` as for sources, and ``total_pixels`` for all of them together; `ImageCorrupt` for what is no
         picture of these.
Source   RFC 2397, RFC 4648.
"""

import base64
import binascii
import re
from urllib.parse import unquote_to_bytes

from imagemill.engines.decoded import open_source, pyvips
from imagemill.engines.headers import probe, sniff
from imagemill.model.errors import ImageCorrupt, LimitExceeded, UnsupportedSourceType
from imagemill.model.media import Format
from imagemill.plan.policy import check_source
from imagemill.settings import Limits

_URI = re.compile(r"data:[\w.+/-]*(?:;[\w.+-]+=[\w.+-]*)*(;base64)?,", re.IGNORECASE)
_SPACE = re.compile(r"\s+")
_DRAWN = frozenset({Format.PNG, Format.JPEG})
_TAKEN = _DRAWN | {Format.WEBP, Format.GIF}


class Embedded:
    """The pictures in one file, counted together."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.pixels = 0
        """Of all so far."""

    def __call__(self, uri: str) -> str:
        """*uri* as it may be drawn; empty where it holds none of these formats."""
        begin = _URI.match(uri)
        if begin is None:
            return ""
        body = _decoded(uri[begin.end() :], is_base64=bool(begin[1]))
        try:
            is_taken = sniff(body) in _TAKEN
        except UnsupportedSourceType:
            is_taken = False
        if not is_taken:
            return ""
        info = probe(body)
        check_source(info, self._limits)
        self.pixels += info.width_px * info.height_px
        if self.pixels > self._limits.total_pixels:
            raise LimitExceeded("total_pixels", f"svg: embeds {self.pixels} > {self._limits.total_pixels} px")
        format_ = info.format
        if format_ not in _DRAWN:
            body, format_ = _as_png(body, format_), Format.PNG
        return f"data:image/{format_.value};base64,{base64.b64encode(body).decode()}"


def _decoded(text: str, *, is_base64: bool) -> bytes:
    plain = unquote_to_bytes(text)
    if not is_base64:
        return plain
    try:
        return base64.b64decode(_SPACE.sub("", plain.decode("ascii")), validate=True)
    except (binascii.Error, UnicodeDecodeError) as e:
        raise ImageCorrupt("svg: embeds what is no base64") from e


def _as_png(body: bytes, format_: Format) -> bytes:
    try:
        return bytes(open_source(memoryview(body), format_).pngsave_buffer(compression=1, keep="none"))
    except pyvips.Error as e:
        raise ImageCorrupt(f"svg: embeds a {format_} that the decoder refused") from e
