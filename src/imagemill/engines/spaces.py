"""The colours that a rendition is written in, and the profile that says so.

Errors   none: a profile that is none, or that does not fit its picture, is dropped, and the picture taken as sRGB.
Source   ICC.1:2022 section 7.2 (header). sRGB and Display P3 are the profiles that libvips brings.
"""

from typing import Any

from imagemill.engines.decoded import PROFILE, Image, pyvips
from imagemill.engines.pixels import RGB, srgb
from imagemill.model.media import Format
from imagemill.model.recipe import Space
from imagemill.plan.steps import Steps

_HEADER_BYTES = 128
_RGB_SPACES = frozenset({"srgb", "rgb16", "rgb", "b-w", "grey16"})
_COLOURED = frozenset({Format.WEBP, Format.AVIF, Format.GIF})
"""Formats that hold no grey by itself."""
_HOW: dict[str, Any] = {"intent": "relative", "black_point_compensation": True}


def own_profile(image: Image) -> bytes:
    """The profile of a picture in RGB or grey; none where it has none, or one of something else."""
    if image is None or not image.get_typeof(PROFILE) or image.interpretation not in _RGB_SPACES:
        return b""
    icc = bytes(image.get(PROFILE))
    space = b"RGB " if image.bands >= RGB else b"GRAY"
    fits = icc[36:40] == b"acsp" and icc[16:20] == space and _HEADER_BYTES <= int.from_bytes(icc[:4], "big") <= len(icc)
    return icc if fits else b""


def finished(image: Image, steps: Steps, own: bytes) -> Image:
    """*image* in the colours that *steps* asks for, with their profile unless they are sRGB; *own* is the source's."""
    match steps.encode.space:
        case Space.P3:
            return _p3(image)
        case Space.KEEP if own:
            return _coloured(_back(image, own), steps, own)
    return _coloured(srgb(image), steps, b"")


def profile_for(image: Image, steps: Steps) -> bytes:
    """The profile that goes into the file."""
    if steps.encode.profile:
        return bytes(pyvips.Image.profile_load("srgb"))
    if steps.encode.space is Space.SRGB or not image.get_typeof(PROFILE):
        return b""
    return bytes(image.get(PROFILE))


def _coloured(image: Image, steps: Steps, own: bytes) -> Image:
    if steps.format not in _COLOURED or image.bands >= RGB:
        return image
    return (srgb(image) if own else image).colourspace("srgb")  # a profile for grey says nothing of three bands


def _p3(image: Image) -> Image:
    if not image.get_typeof(PROFILE):
        image = srgb(image)
    if image.bands < RGB and not image.get_typeof(PROFILE):
        image = image.colourspace("srgb")
    return _transformed(image, "p3")


def _transformed(image: Image, name: str) -> Image:
    try:
        given = {"embedded": True} if image.get_typeof(PROFILE) else {"input_profile": "srgb"}
        return image.icc_transform(name, **given, **_HOW).cast("uchar")
    except pyvips.Error:
        plain = srgb(image)
        plain = plain.colourspace("srgb") if plain.bands < RGB else plain
        return plain.icc_transform(name, input_profile="srgb", **_HOW).cast("uchar")


def _back(image: Image, own: bytes) -> Image:
    """*image* in the source's own colours, into which it is brought back where an operation took it to sRGB."""
    if image.get_typeof(PROFILE):
        return image
    grey = own[16:20] == b"GRAY"
    if grey and image.bands >= RGB:  # an operation gave it colours, which its own space does not have
        return srgb(image)
    image = image if grey or image.bands >= RGB else image.colourspace("srgb")
    try:
        made = (image.colourspace("srgb") if grey else image).icc_import(input_profile="srgb", **_HOW).copy()
        made.set_type(pyvips.GValue.blob_type, PROFILE, own)
        return made.icc_export(**_HOW).cast("uchar")
    except pyvips.Error:
        return srgb(image)
