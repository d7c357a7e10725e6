"""Decode APNG: each frame is a PNG for libvips, and laid over the ones before as the specification has it.

Kept     what says how colours are meant, for each frame. What only viewers without APNG would see is no frame.
Units    delays in milliseconds; loops count showings, 0 = for ever.
Errors   `ImageCorrupt` for frames out of order, outside the canvas, broken on the way, or fewer than promised.
Source   PNG 3rd edition, 11.3.6: acTL, fcTL, fdAT.
"""

import zlib
from collections.abc import Iterator
from itertools import islice
from struct import pack, unpack_from
from typing import Any

import numpy as np
from msgspec import Struct

from imagemill.engines.decoders.base import PROFILE, Image, from_rows, noted, pyvips, told
from imagemill.engines.png_parts import SIGNATURE, chunk
from imagemill.model.errors import ImageCorrupt
from imagemill.model.media import MediaInfo

_SHARED = frozenset({b"PLTE", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"sBIT", b"cICP", b"eXIf"})
_CLEARED, _PUT_BACK = 1, 2
_OVER = 1
_USUAL_DENOMINATOR = 100
_RGB, _RGBA = 3, 4
_AT_ONCE_PX = 1 << 18


class _Frame(Struct):
    """One frame, as its control chunk describes it."""

    width: int
    height: int
    left: int
    top: int
    delay_ms: int
    disposal: int
    blending: int
    parts: list[bytes] = []


class _File(Struct):
    """An APNG, taken apart."""

    header: bytes
    shared: list[bytes] = []
    plays: int = 0
    frames: list[_Frame] = []


def decoded(source: memoryview, info: MediaInfo, first: int, frames: int) -> Image:
    """Frames as they are seen, below one another, with the delays of all."""
    file = _taken_apart(source)
    if len(file.frames) != info.frames:
        raise ImageCorrupt(f"apng: {len(file.frames)} of {info.frames} frames")
    begin = file.frames[0]
    partial = (begin.width, begin.height) != (info.width_px, info.height_px)  # the canvas is clear before it
    alpha = info.has_alpha or partial or any(frame.disposal for frame in file.frames)
    seen = list(islice(_seen(file, info, first), frames))
    shown = [rows if alpha else rows[..., :_RGB] for rows, _ in seen]
    image = seen[0][1]
    profile = image.get(PROFILE) if image.get_typeof(PROFILE) else b""
    orientation = image.get("orientation") if image.get_typeof("orientation") else 1
    delays_ms = tuple(frame.delay_ms for frame in file.frames)
    made = told(from_rows(np.concatenate(shown), profile), info.frames, delays_ms, file.plays, orientation)
    return noted(made, image.get("exif-data") if image.get_typeof("exif-data") else None, None)


def _seen(file: _File, info: MediaInfo, first: int) -> Iterator[tuple[Any, Image]]:
    """The canvas with each frame on it, from *first* on, and the frame itself as libvips has it."""
    canvas: Any = np.zeros((info.height_px, info.width_px, _RGBA), np.uint8)
    for n, frame in enumerate(file.frames):
        if frame.left + frame.width > info.width_px or frame.top + frame.height > info.height_px:
            raise ImageCorrupt("apng: a frame outside its canvas")
        image = pyvips.Image.pngload_buffer(_as_png(file, frame), fail_on="error")
        spot = canvas[frame.top : frame.top + frame.height, frame.left : frame.left + frame.width]
        before = spot.copy() if frame.disposal == _PUT_BACK else None
        if frame.blending == _OVER:
            _lay_over(_rows(image), spot)
        else:
            spot[:] = _rows(image)
        if n >= first:
            yield canvas.copy(), image
        if frame.disposal == _CLEARED or (frame.disposal == _PUT_BACK and n == 0):
            spot[:] = 0
        elif frame.disposal == _PUT_BACK:
            spot[:] = before


def _lay_over(top: Any, low: Any) -> None:
    """Blend *top* into *low*, some rows at a time: it takes forty times the memory that they do."""
    rows = max(1, _AT_ONCE_PX // top.shape[1])
    for begin in range(0, len(top), rows):
        part = slice(begin, begin + rows)
        low[part] = _blended(top[part], low[part])


def _blended(top: Any, low: Any) -> Any:
    """*top* over *low*, straight alpha."""
    of_top = top[..., 3:].astype(np.float32) / 255
    of_low = low[..., 3:].astype(np.float32) / 255 * (1 - of_top)
    alpha = of_top + of_low
    colours = (top[..., :3] * of_top + low[..., :3] * of_low) / np.maximum(alpha, 1e-9)
    return np.concatenate([colours, alpha * 255], axis=2).round().astype(np.uint8)


def _rows(image: Image) -> Any:
    """RGBA of eight bits, in the file's own colours."""
    if image.format == "ushort":
        image = image.cast("uchar", shift=True)
    if image.bands < _RGB:
        grey = image.extract_band(0)
        image = grey.bandjoin([grey, grey, *([image.extract_band(1)] if image.bands > 1 else [])])
    if image.bands == _RGB:
        image = image.bandjoin(255)
    return np.frombuffer(image.write_to_memory(), np.uint8).reshape(image.height, image.width, _RGBA)


def _as_png(file: _File, frame: _Frame) -> bytes:
    header = pack(">II", frame.width, frame.height) + file.header[8:]
    parts = [
        chunk(b"IHDR", header),
        *file.shared,
        *(chunk(b"IDAT", part) for part in frame.parts),
        chunk(b"IEND", b""),
    ]
    return SIGNATURE + b"".join(parts)


def _taken_apart(source: memoryview) -> _File:
    file, begun, number = _File(bytes(source[16:29])), False, 0
    for name, at, end in _chunks(source):
        if name == b"acTL":
            (file.plays,) = unpack_from(">I", source, at + 4)
        elif name in {b"fcTL", b"fdAT"}:
            _check(source, at, end, number)
            number += 1
            if name == b"fcTL":
                file.frames.append(_control(source, at))
            elif file.frames:
                file.frames[-1].parts.append(bytes(source[at + 4 : end]))
        elif name == b"IDAT":
            begun = True
            if file.frames:  # else it is the picture for those who know no APNG
                file.frames[-1].parts.append(_sound(source, at, end))
        elif name in _SHARED and not begun:
            file.shared.append(bytes(source[at - 8 : end + 4]))
    return file


def _chunks(source: memoryview) -> Iterator[tuple[bytes, int, int]]:
    at = 33
    while at + 12 <= len(source):
        (length,) = unpack_from(">I", source, at)
        name, end = bytes(source[at + 4 : at + 8]), at + 8 + length
        if end + 4 > len(source):
            raise ImageCorrupt("apng: the file breaks off")
        yield name, at + 8, end
        if name == b"IEND":  # what follows is no part of it, as with any PNG
            return
        at = end + 4


def _sound(source: memoryview, at: int, end: int) -> bytes:
    """What a chunk holds, once its sum is found right: libvips will see another's."""
    if zlib.crc32(source[at - 4 : end]) != unpack_from(">I", source, end)[0]:
        raise ImageCorrupt("apng: a chunk is damaged")
    return bytes(source[at:end])


def _check(source: memoryview, at: int, end: int, number: int) -> None:
    if unpack_from(">I", _sound(source, at, end))[0] != number:
        raise ImageCorrupt("apng: frames out of order")


def _control(source: memoryview, at: int) -> _Frame:
    width, height, left, top, over, under, disposal, blending = unpack_from(">IIIIHHBB", source, at + 4)
    if not (width and height):
        raise ImageCorrupt("apng: a frame of nothing")
    return _Frame(width, height, left, top, round(1000 * over / (under or _USUAL_DENOMINATOR)), disposal, blending)
