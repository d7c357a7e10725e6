"""Encode what the steps have made, as the speed says.

Units    as in `plan.profiles`.
Errors   libvips' own, for its caller to translate.
Source   libvips 8.18 reference: the savers. Quantisation table 2 of mozjpeg (tuned for MS-SSIM on the Kodak pictures)
         needs 4 to 5 % fewer bytes than the standard's at the same SSIMULACRA2 (``bench/knees.py``).
"""

from typing import Any

from imagemill.engines import webp
from imagemill.model.media import Format
from imagemill.plan.profiles import Profile, chosen, encoder_quality
from imagemill.plan.resolve import Steps
from imagemill.settings import Engine

Image = Any  # pyvips carries no types of its own that mypy could follow
_QUANT_TABLE = 2


def encode(image: Image, steps: Steps, engine: Engine) -> bytes:
    """The finished *image* in the format of *steps*; frames of an animation lie below one another."""
    profile = chosen(engine, steps.speed)
    quality = encoder_quality(steps, engine, profile)
    match steps.format:
        case Format.JPEG:
            return _jpeg(image, round(quality), profile)
        case Format.PNG:
            return bytes(
                image.pngsave_buffer(compression=profile.png_compression, filter=profile.png_filter, keep="none")
            )
        case Format.WEBP:
            effort = profile.webp_effort if steps.frames == 1 else profile.webp_animated_effort
            return _webp(image, quality, effort, steps.frames)
        case Format.AVIF:
            return bytes(
                image.heifsave_buffer(
                    Q=round(quality), effort=profile.avif_effort, compression="av1", bitdepth=8,
                    subsample_mode="off", keep="none",
                )
            )  # fmt: skip
        case Format.GIF:
            effort = profile.gif_effort if steps.frames == 1 else profile.gif_animated_effort
            return bytes(image.gifsave_buffer(effort=effort, keep="none"))
        case _:
            raise AssertionError(steps.format)


def _jpeg(image: Image, quality: int, profile: Profile) -> bytes:
    return bytes(
        image.jpegsave_buffer(
            Q=quality, optimize_coding=profile.jpeg_optimize, quant_table=_QUANT_TABLE,
            trellis_quant=profile.jpeg_trellis, interlace=profile.jpeg_trellis, keep="none",
        )
    )  # fmt: skip


def _webp(image: Image, quality: float, effort: int, frames: int) -> bytes:
    """By libwebp itself where it takes the picture, else by libvips."""
    made = webp.encode(image, quality, effort) if frames == 1 else webp.animate(image, quality, effort, frames)
    return made or bytes(image.webpsave_buffer(Q=round(quality), effort=effort, keep="none"))
