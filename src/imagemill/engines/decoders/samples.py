"""Bring samples of other kinds to those that colours are worked out from: eight or sixteen bits, or a space of its own.

Whole    of 32 bits, become sixteen.
Floating is linear light, 0 black and 1 white; what lies beyond is cut off, and what is no number is 0 (threat D19).
"""

from imagemill.engines.decoders.base import Image

_RGB_BANDS = 3
_MOST_U32, _MOST_U16 = 2**32 - 1, 2**16 - 1
_LINEAR = frozenset({"scrgb", "b-w", "srgb", "rgb", "multiband"})


def usual(image: Image) -> Image:
    """*image*, its samples of a usual kind."""
    if image.format == "uint":
        grey = image.bands < _RGB_BANDS
        small = (image / (_MOST_U32 / _MOST_U16)).rint().cast("ushort")
        return small.copy(interpretation="grey16" if grey else "rgb16")
    if image.format in {"float", "double"} and image.interpretation in _LINEAR:
        return _lit(image)
    return image


def within(image: Image) -> Image:
    """*image*, every sample of it a number from 0 to 1: in C, what any other is cast to is undefined."""
    return (image == image).ifthenelse(image, 0).clamp()  # noqa: PLR0124 - NaN is not itself, and clamp leaves it


def _lit(image: Image) -> Image:
    """Linear light as sRGB or grey, of eight bits."""
    image = within(image)
    colours = _RGB_BANDS if image.bands >= _RGB_BANDS else 1
    light = image.extract_band(0, n=colours)
    light = light if colours == _RGB_BANDS else light.bandjoin([light, light])
    made = light.copy(interpretation="scrgb").colourspace("srgb")
    made = made if colours == _RGB_BANDS else made.extract_band(0).copy(interpretation="b-w")
    return made.bandjoin((image.extract_band(colours) * 255).rint().cast("uchar")) if image.bands > colours else made
