"""Encode WebP with the libwebp that Pillow's wheel brings: the bytes that libvips would give, for a fifth less CPU.

Takes    whole rows of eight bits, RGB or RGBA; frames of an animation below one another. Where the library is not
         there, is of another ABI or refuses, the answer is None and libvips has to do it.
Units    quality 0 to 100, in fractions; effort 0 to 6; delays in milliseconds.
Source   libwebp 1.6: src/webp/encode.h, src/webp/mux.h. Both say the version of their structures and check it
         before they touch one.
"""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import POINTER, Structure, byref, c_float, c_int, c_size_t, c_uint32, c_void_p, cast
from importlib.metadata import PackageNotFoundError, files
from itertools import chain, repeat
from typing import Any

import numpy as np

from imagemill.engines.timing import SHORTEST_MS, USUAL_MS, Timing

_ENCODER_ABI, _MUX_ABI = 0x020F, 0x0109
_RGB, _RGBA = 3, 4
_LOSSLESS_SEARCH = 75.0
"""What libwebp reads as CPU for fewer bytes where nothing is lost; its own default."""
_NO_KEYFRAMES = (2**31 - 2, 2**31 - 1)
"""Distances of key frames, least and most, as libvips has them."""
_CHUNK, _FLAGS, _ALPHA_FLAG = slice(12, 16), 20, 0x10
"""Of a file: the name of its first chunk; in VP8X, its flags (RFC 9649, 2.7.1)."""


class _Config(Structure):
    _fields_ = [
        ("lossless", c_int), ("quality", c_float), ("method", c_int), ("image_hint", c_int), ("target_size", c_int),
        ("target_psnr", c_float), ("segments", c_int), ("sns_strength", c_int), ("filter_strength", c_int),
        ("filter_sharpness", c_int), ("filter_type", c_int), ("autofilter", c_int), ("alpha_compression", c_int),
        ("alpha_filtering", c_int), ("alpha_quality", c_int), ("passes", c_int), ("show_compressed", c_int),
        ("preprocessing", c_int), ("partitions", c_int), ("partition_limit", c_int), ("emulate_jpeg_size", c_int),
        ("thread_level", c_int), ("low_memory", c_int), ("near_lossless", c_int), ("exact", c_int),
        ("use_delta_palette", c_int), ("use_sharp_yuv", c_int), ("qmin", c_int), ("qmax", c_int),
    ]  # fmt: skip


class _Picture(Structure):
    _fields_ = [
        ("use_argb", c_int), ("colorspace", c_int), ("width", c_int), ("height", c_int), ("y", c_void_p),
        ("u", c_void_p), ("v", c_void_p), ("y_stride", c_int), ("uv_stride", c_int), ("a", c_void_p),
        ("a_stride", c_int), ("pad1", c_uint32 * 2), ("argb", c_void_p), ("argb_stride", c_int),
        ("pad2", c_uint32 * 3), ("writer", c_void_p), ("custom_ptr", c_void_p), ("extra_info_type", c_int),
        ("extra_info", c_void_p), ("stats", c_void_p), ("error_code", c_int), ("progress_hook", c_void_p),
        ("user_data", c_void_p), ("pad3", c_uint32 * 3), ("pad4", c_void_p), ("pad5", c_void_p),
        ("pad6", c_uint32 * 8), ("memory", c_void_p), ("memory_argb", c_void_p), ("pad7", c_void_p * 2),
    ]  # fmt: skip


class _Writer(Structure):
    _fields_ = [("mem", c_void_p), ("size", c_size_t), ("max_size", c_size_t), ("pad", c_uint32)]


class _Animation(Structure):
    _fields_ = [
        ("background", c_uint32), ("loop_count", c_int), ("minimize_size", c_int), ("kmin", c_int), ("kmax", c_int),
        ("allow_mixed", c_int), ("verbose", c_int), ("padding", c_uint32 * 4),
    ]  # fmt: skip


class _Bytes(Structure):
    _fields_ = [("start", c_void_p), ("size", c_size_t)]


def _library(name: str) -> Any:
    """The shared library *name* of Pillow's wheel; None where it brings none."""
    try:
        found = [file for file in files("pillow") or () if file.name.startswith(f"{name}-") and ".so" in file.name]
        return ctypes.CDLL(str(found[0].locate())) if found else None
    except (PackageNotFoundError, OSError):
        return None


_webp: Any = _library("libwebp")
_mux: Any = _library("libwebpmux") if _webp else None
if _webp and _mux:  # whatever takes or gives a pointer
    _webp.WebPFree.argtypes = [c_void_p]
    _mux.WebPAnimEncoderNewInternal.restype = c_void_p
    _mux.WebPAnimEncoderAdd.argtypes = [c_void_p, POINTER(_Picture), c_int, POINTER(_Config)]
    _mux.WebPAnimEncoderAssemble.argtypes = [c_void_p, POINTER(_Bytes)]
    _mux.WebPAnimEncoderDelete.argtypes = [c_void_p]


def still(rows: Any, quality: float, effort: int, *, lossless: bool = False) -> bytes | None:
    """One picture: rows, columns, bands."""
    config = _config(quality, effort, lossless=lossless)
    if config is None or rows.shape[2] not in {_RGB, _RGBA}:
        return None
    with _picture(rows, argb=lossless) as picture:
        if picture is None:
            return None
        writer = _Writer()
        _webp.WebPMemoryWriterInit(byref(writer))
        picture.writer, picture.custom_ptr = cast(_webp.WebPMemoryWrite, c_void_p).value, ctypes.addressof(writer)
        try:
            made = _webp.WebPEncode(byref(config), byref(picture))
            return ctypes.string_at(writer.mem, writer.size) if made else None
        finally:
            _webp.WebPMemoryWriterClear(byref(writer))


def animation(frames: Any, quality: float, effort: int, timing: Timing, *, lossless: bool = False) -> bytes | None:
    """Pictures of one size: frames, rows, columns, bands."""
    config, options = _config(quality, effort, lossless=lossless), _Animation()
    _, height, width, bands = frames.shape
    if config is None or bands not in {_RGB, _RGBA} or not _mux:
        return None
    if not _mux.WebPAnimEncoderOptionsInitInternal(byref(options), _MUX_ABI):
        return None
    options.loop_count, (options.kmin, options.kmax) = timing.loops, _NO_KEYFRAMES
    encoder = _mux.WebPAnimEncoderNewInternal(width, height, byref(options), _MUX_ABI)
    if not encoder:
        return None
    try:
        return _assembled(encoder, config, frames, timing)
    finally:
        _mux.WebPAnimEncoderDelete(encoder)


def _assembled(encoder: int, config: _Config, frames: Any, timing: Timing) -> bytes | None:
    at_ms = 0
    for rows, delay_ms in zip(frames, chain(timing.delays_ms, repeat(0)), strict=False):
        with _picture(rows, argb=True) as picture:
            if picture is None or not _mux.WebPAnimEncoderAdd(encoder, byref(picture), at_ms, byref(config)):
                return None
        at_ms += delay_ms if delay_ms > SHORTEST_MS else USUAL_MS
    made = _Bytes()
    if not _mux.WebPAnimEncoderAdd(encoder, None, at_ms, None):
        return None
    if not _mux.WebPAnimEncoderAssemble(encoder, byref(made)):
        return None
    try:
        body = ctypes.string_at(made.start, made.size)
        return _with_alpha(body) if frames.shape[3] == _RGBA else body
    finally:
        _webp.WebPFree(made.start)


def _with_alpha(body: bytes) -> bytes:
    """*body*, said to have transparency: libwebp forgets what lies around frames that are opaque themselves."""
    if body[_CHUNK] != b"VP8X":
        return body
    return body[:_FLAGS] + bytes([body[_FLAGS] | _ALPHA_FLAG]) + body[_FLAGS + 1 :]


def _config(quality: float, effort: int, *, lossless: bool) -> _Config | None:
    """The encoder's settings; None where its library is not there, or of another ABI."""
    config = _Config()
    if lossless:
        quality = _LOSSLESS_SEARCH
    if not _webp or not _webp.WebPConfigInitInternal(byref(config), 0, c_float(quality), _ENCODER_ABI):
        return None
    config.method, config.lossless = effort, lossless
    return config if _webp.WebPValidateConfig(byref(config)) else None


@contextmanager
def _picture(rows: Any, *, argb: bool) -> Iterator[_Picture | None]:
    """*rows* as the encoder wants them: in its own colours, or for animations as they are."""
    height, width, bands = rows.shape
    rows, picture = np.ascontiguousarray(rows), _Picture()
    if not _webp.WebPPictureInitInternal(byref(picture), _ENCODER_ABI):
        yield None
        return
    picture.use_argb, picture.width, picture.height = argb, width, height
    take = _webp.WebPPictureImportRGB if bands == _RGB else _webp.WebPPictureImportRGBA
    try:
        yield picture if take(byref(picture), c_void_p(rows.ctypes.data), width * bands) else None
    finally:
        _webp.WebPPictureFree(byref(picture))
