"""Encode what the steps have made, as the speed says: from rows of pixels where that is cheaper, else from an image.

Units    as in `plan.profiles`.
Errors   libvips' own, for its caller to translate.
Source   libvips 8.18 reference: the savers. Quantisation table 2 of mozjpeg (tuned for MS-SSIM on the Kodak pictures)
         needed 4 to 5 % fewer bytes than the standard's at the same SSIMULACRA2, on five photographs.
"""

from typing import Any

import numpy as np

from imagemill.engines import avif, jpeg_saver, webp
from imagemill.engines.decoded import Image, pyvips
from imagemill.model.media import Format
from imagemill.plan.profiles import Profile, chosen, encoder_quality
from imagemill.plan.steps import Steps
from imagemill.settings import Engine

_STANDARD, _TUNED = 0, 2
_RGBA = 4


def from_rows(rows: Any, steps: Steps, engine: Engine) -> bytes | None:
    """One finished picture, an array of rows; None where it takes libvips."""
    profile = chosen(engine, steps.speed)
    quality = encoder_quality(steps, engine, profile)
    match steps.format:
        case Format.JPEG if not profile.jpeg_trellis:
            return jpeg_saver.saved(rows, round(quality), optimize=profile.jpeg_optimize)
        case Format.WEBP:
            return webp.still(rows, quality, profile.webp_effort_of(1, alpha=rows.shape[2] == _RGBA))
        case Format.AVIF if profile.avif_lean:
            return avif.still(rows, round(quality), profile.avif_effort)
    return None


def from_image(image: Image, steps: Steps, engine: Engine) -> bytes:
    """The finished *image*; the frames of an animation lie below one another."""
    profile = chosen(engine, steps.speed)
    quality = encoder_quality(steps, engine, profile)
    match steps.format:
        case Format.JPEG:
            made = _jpeg(image, round(quality), profile)
        case Format.PNG:
            made = image.pngsave_buffer(compression=profile.png_compression, filter=profile.png_filter, keep="none")
        case Format.WEBP:
            effort = profile.webp_effort_of(steps.frames, alpha=image.bands == _RGBA)
            made = _webp(image, quality, effort, steps.frames)
        case Format.AVIF:
            made = _avif(image, round(quality), profile)
        case Format.GIF:
            effort = profile.gif_effort if steps.frames == 1 else profile.gif_animated_effort
            made = image.gifsave_buffer(effort=effort, keep="none")
        case _:
            raise AssertionError(steps.format)
    return bytes(made)


def _jpeg(image: Image, quality: int, profile: Profile) -> Any:
    return image.jpegsave_buffer(
        Q=quality, optimize_coding=profile.jpeg_optimize, trellis_quant=profile.jpeg_trellis,
        interlace=profile.jpeg_trellis, quant_table=_TUNED if profile.jpeg_trellis else _STANDARD, keep="none",
    )  # fmt: skip


def _avif(image: Image, quality: int, profile: Profile) -> Any:
    """By libaom with a lean search where the profile says so, else by libvips."""
    made = None
    if profile.avif_lean:
        pixels = np.frombuffer(image.write_to_memory(), np.uint8)
        made = avif.still(pixels.reshape(image.height, image.width, image.bands), quality, profile.avif_effort)
        image = image if made else _held(image, pixels)
    return made or image.heifsave_buffer(
        Q=quality, effort=profile.avif_effort, compression="av1", bitdepth=8, subsample_mode="off", keep="none"
    )


def _webp(image: Image, quality: float, effort: int, frames: int) -> Any:
    """By libwebp itself where it takes the picture, else by libvips."""
    pixels = np.frombuffer(image.write_to_memory(), np.uint8)
    rows = pixels.reshape(frames, image.height // frames, image.width, image.bands)
    if frames == 1:
        made = webp.still(rows[0], quality, effort)
    else:
        loops = image.get("loop") if image.get_typeof("loop") else 0
        delays_ms = image.get("delay") if image.get_typeof("delay") else ()
        made = webp.animation(rows, quality, effort, webp.Timing(tuple(delays_ms), loops))
    return made or _held(image, pixels).webpsave_buffer(Q=round(quality), effort=effort, keep="none")


def _held(image: Image, pixels: Any) -> Image:
    """*image* again, from its *pixels*: they can be asked for once only."""
    held = pyvips.Image.new_from_memory(pixels, image.width, image.height, image.bands, "uchar")
    held = held.copy(interpretation=image.interpretation)
    for name in ("delay", "loop", "page-height"):
        if kind := image.get_typeof(name):
            held.set_type(kind, name, image.get(name))
    return held
