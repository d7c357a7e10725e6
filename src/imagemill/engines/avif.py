"""Encode AVIF with the libaom that Pillow's wheel brings, whose search can be told what to leave out; libvips cannot.

Left out are other transforms than the DCT, and prices of symbols that are renewed on the way: a quarter of the CPU
for 2 % more bytes at the same SSIMULACRA2.

Takes    rows of eight bits, RGB or RGBA. Where Pillow was built without AVIF, or refuses, the answer is None and
         libvips has to do it.
Units    quality 1 to 100; effort as libvips counts it, 9 less libaom's speed.
Source   libaom 3.14, aom/aomcx.h: AV1E_SET_INTRA_DCT_ONLY, AV1E_SET_COEFF_COST_UPD_FREQ, _MODE_COST_ (3 = never).
"""

from collections.abc import Iterator
from io import BytesIO
from typing import Any

from PIL import AvifImagePlugin, features

from imagemill.engines.extras import NONE, Extras
from imagemill.engines.pillow import picture, written
from imagemill.engines.timing import Timing
from imagemill.model.errors import NotSupported
from imagemill.plan.profiles import AVIF_LEAN_EFFORT

_BANDS = frozenset({3, 4})
_SPEED_OF_NO_EFFORT = 9
_LEAN = {"use-intra-dct-only": "1", "coeff-cost-upd-freq": "3", "mode-cost-upd-freq": "3"}
_SUBSAMPLING = {True: "4:4:4", False: "4:2:0"}
_CODEC = "aom"
_SAME: dict[str, Any] = {"range": "full", "max_threads": 1, "autotiling": False}
_DATED = frozenset({b"mvhd", b"tkhd", b"mdhd"})
_HOLDING = frozenset({b"moov", b"trak", b"mdia"})
_TIMES = 20
"""Bytes of version, flags and the two times of a header in its long form."""
_AVAILABLE = bool(features.check("avif"))  # also loads what is out of a worker's reach later on


def still(rows: Any, quality: int, effort: int, *, full_colours: bool = True, extras: Extras = NONE) -> bytes | None:
    """One picture: rows, columns, bands."""
    if not _AVAILABLE or rows.shape[2] not in _BANDS:
        return None
    try:
        return written(
            rows, AvifImagePlugin.AvifImageFile.format, quality=quality, speed=_SPEED_OF_NO_EFFORT - effort,
            subsampling=_SUBSAMPLING[full_colours], advanced=_left_out(effort), icc_profile=extras.icc,
            exif=extras.exif, xmp=extras.xmp, codec=_CODEC, **_SAME,
        )  # fmt: skip
    except (OSError, ValueError):
        return None


def _left_out(effort: int) -> dict[str, str] | None:
    return _LEAN if effort <= AVIF_LEAN_EFFORT else None


def animation(
    frames: Any, quality: int, effort: int, timing: Timing, *, full_colours: bool = True, extras: Extras = NONE
) -> bytes:
    """Pictures of one size: frames, rows, columns, bands; `NotSupported` where Pillow was built without AVIF."""
    if not _AVAILABLE:
        raise NotSupported("format: an animated AVIF needs a Pillow that writes AVIF")
    first, *others = [picture(rows) for rows in frames]
    out = BytesIO()
    first.save(
        out, AvifImagePlugin.AvifImageFile.format, save_all=True, append_images=others, duration=list(timing.delays_ms),
        quality=quality, speed=_SPEED_OF_NO_EFFORT - effort, subsampling=_SUBSAMPLING[full_colours],
        advanced=_left_out(effort), icc_profile=extras.icc, exif=extras.exif,
        xmp=extras.xmp, codec=_CODEC, **_SAME,
    )  # fmt: skip
    return _timed(bytearray(out.getvalue()), timing.loops)


def _timed(body: bytearray, loops: int) -> bytes:
    """*body*, which libavif lets play for ever and dates, played *loops* times and without a date.

    How often a sequence is played is the length of its tracks by that of their edit (ISO/IEC 14496-12, 8.6.6).
    """
    once = 0
    for kind, at in _headers(body, 0, len(body)):
        if kind == b"mdhd":
            once = int.from_bytes(body[at + _TIMES + 4 : at + _TIMES + 12], "big")
    for kind, at in _headers(body, 0, len(body)):
        if body[at] != 1:
            raise AssertionError("libavif writes these headers in their long form")
        body[at + 4 : at + _TIMES] = bytes(_TIMES - 4)
        length_at = {b"mvhd": at + _TIMES + 4, b"tkhd": at + _TIMES + 8}.get(kind)
        if loops and length_at:
            body[length_at : length_at + 8] = (once * loops).to_bytes(8, "big")
    return bytes(body)


def _headers(body: bytearray, at: int, end: int) -> Iterator[tuple[bytes, int]]:
    """Kind and payload of each header that holds times."""
    while at + 8 <= end:
        size, kind = int.from_bytes(body[at : at + 4], "big"), bytes(body[at + 4 : at + 8])
        if kind in _DATED:
            yield kind, at + 8
        elif kind in _HOLDING:
            yield from _headers(body, at + 8, at + size)
        at += max(size, 8)
