"""What it costs to write a picture in ways that are priced by themselves: by level, effort, palette or depth.

Units    nanoseconds of CPU a pixel, as in `plan.cost`; areas in pixels of one frame.
Source   measured with ``bench/cost.py``, as `plan.cost`.
"""

from imagemill.model.media import Format
from imagemill.model.operations.encoding import EIGHT_BITS
from imagemill.model.recipe import Space
from imagemill.plan.profiles import Profile
from imagemill.plan.steps import Steps

_LEVEL_NS = (12.0, 55.0, 65.0, 95.0, 95.0, 150.0, 330.0, 500.0, 900.0, 1100.0)
"""zlib's levels, as Python has them."""
_JXL_NS = (0.0, 60.0, 90.0, 90.0, 120.0, 330.0, 480.0, 540.0, 2700.0, 3600.0)
_JXL_LOSSLESS_NS = (0.0, 20.0, 80.0, 150.0, 500.0, 680.0, 900.0, 1900.0, 5500.0, 9000.0)
_WEBP_LOSSLESS_NS = (150.0, 350.0, 450.0, 600.0, 600.0, 800.0, 2000.0)
_AVIF_LOSSLESS = 1.5
_PALETTE_NS = ((2, 400.0), (16, 1000.0), (256, 3200.0))
"""To find so many colours and dither with them."""
_SMALL, _SMALL_PX = 1.5, 100_000
"""The first pixels cost so much more."""
_DEEP = 3.0
"""Sixteen bits beside eight: half of each sample is noise."""
_PROFILE_NS, _PROFILE_SETUP_NS = 45.0, 3e6
_PROGRESSIVE = {Format.JPEG: 2.0, Format.PNG: 1.3, Format.GIF: 1.2}


def own_ns(steps: Steps, area: int, profile: Profile) -> float | None:
    """Price of all of a picture; None where `plan.cost` has it by format."""
    asked = steps.encode
    match steps.format:
        case Format.APNG:
            each = _LEVEL_NS[profile.png_compression]
        case Format.TIFF:
            each = _LEVEL_NS[profile.tiff_level] * (_DEEP if asked.bits > EIGHT_BITS else 1.0)
        case Format.JXL:
            each = (_JXL_LOSSLESS_NS if asked.lossless else _JXL_NS)[profile.jxl_effort]
        case Format.WEBP if asked.lossless:
            each = _WEBP_LOSSLESS_NS[profile.webp_effort]
        case Format.PNG if asked.colours:
            each = next(ns for most, ns in _PALETTE_NS if asked.colours <= most)
        case _:
            return None
    return each * (area + min(area, _SMALL_PX) * _SMALL)


def colours_ns(steps: Steps, area: int) -> float:
    """Price of bringing a frame to colours other than sRGB; the way there is set up once."""
    if steps.encode.space is Space.SRGB:
        return 0.0
    return area * _PROFILE_NS + _PROFILE_SETUP_NS / steps.frames


def factor(steps: Steps) -> float:
    """How much dearer than usual the choices beside format, quality and speed make a picture."""
    asked = steps.encode
    dearer = _PROGRESSIVE.get(steps.format, 1.0) if asked.progressive else 1.0
    if asked.bits > EIGHT_BITS:
        dearer *= _DEEP
    return dearer * (_AVIF_LOSSLESS if asked.lossless else 1.0)
