"""Steps on sixteen bits a sample, for what is written with more than eight: pixels are moved and scaled, no more.

Takes    steps that `plan.operations.encoding.settle` let through.
Source   libvips 8.18: resize, premultiply and icc_transform keep the depth of what they are given, or are told it.
"""

from imagemill.engines.decoded import PROFILE, Image, pyvips
from imagemill.engines.operations import TABLE
from imagemill.engines.operations.base import Context
from imagemill.engines.operations.geometry import scaled
from imagemill.engines.pixels import GREY_ALPHA
from imagemill.model.media import Format
from imagemill.plan.steps import Scale, Steps

_MOST = 65_535
_GREYS = frozenset({"b-w", "grey16"})


def applied(image: Image, steps: Steps) -> Image:
    """*image* after *steps*: sRGB or grey of sixteen bits a sample, straight alpha."""
    image = _sixteen(image)
    for step in steps.steps:
        image = _scaled(image, step) if isinstance(step, Scale) else TABLE[type(step)].apply(image, step, Context())
    if steps.format is Format.TIFF and image.bands == GREY_ALPHA:  # few readers know grey of sixteen bits with alpha
        image = image.colourspace("rgb16")
    return image


def _sixteen(image: Image) -> Image:
    if image.get_typeof(PROFILE):
        try:
            image = image.icc_transform(
                "srgb", embedded=True, intent="perceptual", black_point_compensation=True, depth=16
            )
        except pyvips.Error:  # as for eight bits: a profile that does not fit its picture is as good as none
            image = image.copy()
        image = image.copy()
        image.remove(PROFILE)
    return image.colourspace("grey16" if image.interpretation in _GREYS else "rgb16").cast("ushort")


def _scaled(image: Image, step: Scale) -> Image:
    space, alpha = image.interpretation, image.hasalpha()
    if alpha:
        image = image.premultiply(max_alpha=_MOST)
    image = scaled(image, step.size)
    if alpha:
        image = image.unpremultiply(max_alpha=_MOST)
    return image.rint().cast("ushort").copy(interpretation=space)
