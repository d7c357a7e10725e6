"""Encode what the steps have made, as the speed says: from rows of pixels where that is cheaper, else from an image.

Units    as in `plan.profiles`.
Errors   libvips' own, for its caller to translate; `NotSupported` where an encoder is not installed.
Source   libvips 8.18 reference: the savers. Quantisation table 2 of mozjpeg (tuned for MS-SSIM on the Kodak pictures)
         needed 4 to 5 % fewer bytes than the standard's at the same SSIMULACRA2, on five photographs.
"""

from typing import Any

import numpy as np

from imagemill.engines import apng, avif, jpeg_saver, jxl, palette, tiff, webp
from imagemill.engines.decoded import PROFILE, Image, pyvips
from imagemill.engines.extras import NONE, Extras, put_into
from imagemill.engines.timing import timing_of
from imagemill.model.errors import NotSupported
from imagemill.model.media import Format
from imagemill.model.operations.encoding import EIGHT_BITS
from imagemill.model.recipe import Subsampling
from imagemill.plan.profiles import Profile, encoder_quality, profile_of
from imagemill.plan.steps import Steps
from imagemill.settings import Engine

_STANDARD, _TUNED = 0, 2
_RGBA = 4
_PALETTE_EFFORT = 7
_SUBSAMPLE = {Subsampling.AUTO: "auto", Subsampling.HALF: "on", Subsampling.NONE: "off"}


def from_rows(rows: Any, steps: Steps, engine: Engine, extras: Extras = NONE) -> bytes | None:
    """One finished picture, an array of rows; None where it takes libvips."""
    profile, asked = profile_of(steps, engine), steps.encode
    quality = encoder_quality(steps, engine, profile)
    made: bytes | None = None
    match steps.format:
        case Format.JPEG if not profile.jpeg_trellis:
            made = jpeg_saver.saved(
                rows, round(quality), optimize=profile.jpeg_optimize, progressive=bool(asked.progressive),
                full_colours=_full_colours(steps),
            )  # fmt: skip
        case Format.WEBP:
            effort = profile.webp_effort_of(1, alpha=rows.shape[2] == _RGBA)
            made = webp.still(rows, quality, effort, lossless=asked.lossless)
        case Format.AVIF if _by_libaom(profile, steps, extras):
            full = _full_colours(steps) is not False
            return avif.still(rows, round(quality), profile.avif_effort, full_colours=full, extras=extras)
        case Format.TIFF:
            return tiff.still(rows, profile.tiff_level, extras)
        case Format.JXL:
            return jxl.still(rows, round(quality), profile.jxl_effort, extras, lossless=asked.lossless)
    return put_into(made, steps.format, extras) if made else None


def from_image(image: Image, steps: Steps, engine: Engine, extras: Extras = NONE) -> bytes:
    """The finished *image*; the frames of an animation lie below one another."""
    profile = profile_of(steps, engine)
    quality = encoder_quality(steps, engine, profile)
    match steps.format:
        case Format.JPEG:
            made = _jpeg(image, round(quality), profile, steps)
        case Format.PNG:
            made = _png(image, profile, steps)
        case Format.WEBP:
            made = _webp(image, quality, profile, steps)
        case Format.AVIF:
            return _avif(image, round(quality), profile, steps, extras)
        case Format.GIF:
            made = _gif(image, profile, steps)
        case Format.APNG:
            made = apng.animation(_frames(image, steps), profile.png_compression, timing_of(image, steps.frames))
        case Format.TIFF:
            return tiff.still(_rows(image), profile.tiff_level, extras)
        case Format.JXL:
            return jxl.still(
                _rows(image), round(quality), profile.jxl_effort, extras, lossless=steps.encode.lossless
            )  # fmt: skip
        case _:
            raise AssertionError(steps.format)
    return put_into(bytes(made), steps.format, extras)


def _full_colours(steps: Steps) -> bool | None:
    """Whether colours are as fine as lightness; None = as the format's encoder has it."""
    asked = steps.encode.subsampling
    return None if asked is Subsampling.AUTO else asked is Subsampling.NONE


def _jpeg(image: Image, quality: int, profile: Profile, steps: Steps) -> Any:
    asked = steps.encode
    interlace = profile.jpeg_trellis if asked.progressive is None else asked.progressive
    return image.jpegsave_buffer(
        Q=quality, optimize_coding=profile.jpeg_optimize, trellis_quant=profile.jpeg_trellis, interlace=interlace,
        quant_table=_TUNED if profile.jpeg_trellis else _STANDARD, subsample_mode=_SUBSAMPLE[asked.subsampling],
        keep="none",
    )  # fmt: skip


def _png(image: Image, profile: Profile, steps: Steps) -> Any:
    asked = steps.encode
    how: dict[str, Any] = {"filter": profile.png_filter}
    if asked.colours:
        image = palette.reduced(image, asked.colours, asked.dither_percent, _PALETTE_EFFORT)
        how = {"palette": True, "bitdepth": palette.bits_for(asked.colours), "dither": 0}
    elif asked.bits > EIGHT_BITS:
        how["bitdepth"] = asked.bits
    return image.pngsave_buffer(
        compression=profile.png_compression, interlace=bool(asked.progressive), keep="none", **how
    )  # fmt: skip


def _gif(image: Image, profile: Profile, steps: Steps) -> Any:
    asked = steps.encode
    effort = profile.gif_effort if steps.frames == 1 else profile.gif_animated_effort
    how: dict[str, Any] = {"dither": asked.dither_percent / 100, "interlace": bool(asked.progressive)}
    if asked.colours:  # a palette of a GIF is a power of two: of those, the largest that is not too many
        how["bitdepth"] = asked.colours.bit_length() - 1
    return image.gifsave_buffer(effort=effort, keep="none", **how)


def _avif(image: Image, quality: int, profile: Profile, steps: Steps, extras: Extras) -> bytes:
    """By libaom with a lean search where the profile says so, else by libvips."""
    asked, full = steps.encode, _full_colours(steps) is not False
    if steps.frames > 1:
        return avif.animation(
            _frames(image, steps), quality, profile.avif_effort, timing_of(image, steps.frames), full_colours=full,
            extras=extras,
        )  # fmt: skip
    if _by_libaom(profile, steps, extras):
        rows = _rows(image)
        made = avif.still(rows, quality, profile.avif_effort, full_colours=full, extras=extras)
        if made:
            return made
        image = _held(image, rows)
    if extras.exif or extras.xmp:
        raise NotSupported("metadata: in AVIF it needs a Pillow that writes that")
    saved = _with_profile(_without_turn(image), extras.icc).heifsave_buffer(
        Q=quality, effort=profile.avif_effort, compression="av1", bitdepth=asked.bits, lossless=asked.lossless,
        subsample_mode="off" if full else "on", keep="icc" if extras.icc else "none",
    )  # fmt: skip
    return bytes(saved)


def _without_turn(image: Image) -> Image:
    """*image* as it lies: of an EXIF orientation, done or not wanted, libvips would make an ``irot`` of the AVIF."""
    if not image.get_typeof("orientation"):
        return image
    image = image.copy()
    image.remove("orientation")
    return image


def _by_libaom(profile: Profile, steps: Steps, extras: Extras) -> bool:
    """Whether a still AVIF is Pillow's to write: it can be told of a lean search, and leaves EXIF as it is given."""
    asked = steps.encode
    return (profile.avif_lean or bool(extras)) and not asked.lossless and asked.bits == EIGHT_BITS


def _webp(image: Image, quality: float, profile: Profile, steps: Steps) -> Any:
    """By libwebp itself where it takes the picture, else by libvips."""
    frames, lossless = _frames(image, steps), steps.encode.lossless
    effort = profile.webp_effort_of(steps.frames, alpha=image.bands == _RGBA)
    if steps.frames == 1:
        made = webp.still(frames[0], quality, effort, lossless=lossless)
    else:
        made = webp.animation(frames, quality, effort, timing_of(image, steps.frames), lossless=lossless)
    return made or _held(image, frames).webpsave_buffer(
        Q=round(quality), effort=effort, lossless=lossless, keep="none"
    )  # fmt: skip


def _rows(image: Image) -> Any:
    """The pixels of *image*: rows, columns, bands."""
    kind = np.uint16 if image.format == "ushort" else np.uint8
    return np.frombuffer(image.write_to_memory(), kind).reshape(image.height, image.width, image.bands)


def _frames(image: Image, steps: Steps) -> Any:
    """The pixels of *image*: frames, rows, columns, bands."""
    return _rows(image).reshape(steps.frames, image.height // steps.frames, image.width, image.bands)


def _held(image: Image, pixels: Any) -> Image:
    """*image* again, from its *pixels*: they can be asked for once only."""
    held = pyvips.Image.new_from_memory(pixels, image.width, image.height, image.bands, "uchar")
    held = held.copy(interpretation=image.interpretation)
    for name in ("delay", "loop", "page-height"):
        if kind := image.get_typeof(name):
            held.set_type(kind, name, image.get(name))
    return held


def _with_profile(image: Image, icc: bytes) -> Image:
    """*image* with a profile where libvips' savers look for it, or with none."""
    image = image.copy()
    if icc:
        image.set_type(pyvips.GValue.blob_type, PROFILE, icc)
    elif image.get_typeof(PROFILE):
        image.remove(PROFILE)
    return image
