"""Native parameters of `model.operations.look`.

Units    sigmas in output pixels, amounts in percent, colours as everywhere in hex digits.
"""

from collections.abc import Callable

from imagemill.dialects.native.lengths import dpr, lengthened
from imagemill.dialects.native.reading import (
    Given,
    Parameter,
    Reader,
    Terms,
    colour,
    decimal,
    flag,
    integer,
    number,
    scaled,
    signed,
)
from imagemill.model.errors import BadOption
from imagemill.model.recipe import (
    Blur,
    Brightness,
    Colorize,
    Contrast,
    Duotone,
    Gamma,
    Gradient,
    Grayscale,
    Hue,
    Mask,
    Negate,
    Operation,
    Pixelate,
    Round,
    Saturation,
    Sepia,
    Shape,
    Sharpen,
    Tint,
    Unsharp,
)

PARAMETERS = (
    Parameter("blur", "bl", "0.01-100", "Gaussian blur, sigma in output pixels."),
    Parameter("sharpen", "sh", "0.01-10", "Unsharp mask on lightness, sigma in output pixels."),
    Parameter(
        "unsharp",
        "ush",
        "sigma,amount,threshold",
        "Unsharp mask on each colour: sigma 0.01-100, amount 1-500 in percent (default 100), threshold 0-255 in levels"
        " (default 0).",
    ),
    Parameter("pixelate", "pix", "2-8192", "Squares of so many pixels, each of one colour."),
    Parameter("brightness", "br", "-100-100", "Add so many percent of the full range to every colour."),
    Parameter("contrast", "co", "-100-100", "Spread colours around the middle, in percent; -100 is grey."),
    Parameter("saturation", "sa", "-100-100", "In percent; -100 is grey, 100 twice as colourful."),
    Parameter("hue", "", "-359-359", "Turn hues on the colour wheel, in degrees."),
    Parameter("gamma", "ga", "0.1-10", "Above 1 is lighter, below is darker."),
    Parameter("grayscale", "greyscale", "0|1", "Greys in place of colours."),
    Parameter("sepia", "", "1-100", "Brown like an old photograph, in percent."),
    Parameter("negate", "invert", "0|1", "Every colour to its opposite."),
    Parameter("tint", "", "RGB|RRGGBB|RRGGBBAA", "Greys of one colour; its alpha is how much of it is mixed in."),
    Parameter("duotone", "dt", "dark,light", "From one colour in the shadows to another one in the lights."),
    Parameter("colorize", "", "RGB|RRGGBB|RRGGBBAA", "A colour over the whole picture, as dense as its alpha."),
    Parameter(
        "gradient",
        "gr",
        "from,to,angle,begin,end",
        "A gradient over the whole picture, as dense as its alpha: two colours; angle 0-359 (default 180: downwards;"
        " 90: to the right); begin and end 0-1 (default 0 and 1).",
    ),
    Parameter(
        "radius",
        "r",
        "pixels|tl,tr,br,bl|max",
        "Rounded corners: one radius, or four from the top left clockwise, each 0-8192 and half the shorter side at"
        " most; max is that.",
    ),
    Parameter(
        "mask",
        "",
        "circle|ellipse|triangle|pentagon|hexagon|square|star|heart, triangle-180|…",
        "Keep the largest such shape in the middle; -180 is upside down (triangle, pentagon, star, heart).",
    ),
)
_UPSIDE_DOWN = "-180"
_ROUNDEST = 8192
_LEAST_GAMMA_CENTI, _MOST_GAMMA_CENTI = 10, 1000
_CORNERS, _LINE_PARTS, _UNSHARP_PARTS = 4, 3, 3


def _sigma(given: Given, name: str, text: str, terms: Terms) -> int:
    """In hundredths of a pixel."""
    return lengthened(decimal({name: text}, name, 2), dpr(given, terms.limits))


def _blur(given: Given, terms: Terms) -> Blur | None:
    return Blur(_sigma(given, "blur", given["blur"], terms)) if "blur" in given else None


def _sharpen(given: Given, terms: Terms) -> Sharpen | None:
    return Sharpen(_sigma(given, "sharpen", given["sharpen"], terms)) if "sharpen" in given else None


def _unsharp(given: Given, terms: Terms) -> Unsharp | None:
    if "unsharp" not in given:
        return None
    sigma, *more = given["unsharp"].split(",", _UNSHARP_PARTS)
    if len(more) >= _UNSHARP_PARTS:
        raise BadOption("unsharp: sigma, sigma,amount or sigma,amount,threshold")
    return Unsharp(_sigma(given, "unsharp", sigma, terms), *(number("unsharp", n) for n in more))


def _pixelate(given: Given, terms: Terms) -> Pixelate | None:
    if "pixelate" not in given:
        return None
    return Pixelate(lengthened(integer(given, "pixelate", 2, 8192), dpr(given, terms.limits)))


def _change(name: str, kind: Callable[[int], Operation], most: int = 100) -> Reader:
    """An operation of one whole number, up or down."""

    def read(given: Given, _terms: Terms) -> Operation | None:
        return kind(signed(given, name, -most, most)) if name in given else None

    return Reader(name, (name,), read)


def _switch(name: str, kind: Callable[[], Operation]) -> Reader:
    """An operation that is done or not."""

    def read(given: Given, _terms: Terms) -> Operation | None:
        return kind() if flag(given, name) else None

    return Reader(name, (name,), read)


def _coloured(name: str, kind: Callable[[int], Operation]) -> Reader:
    """An operation of one colour."""

    def read(given: Given, _terms: Terms) -> Operation | None:
        return kind(colour(name, given[name])) if name in given else None

    return Reader(name, (name,), read)


def _gamma(given: Given, _terms: Terms) -> Gamma | None:
    if "gamma" not in given:
        return None
    centi = decimal(given, "gamma", 2)
    if not _LEAST_GAMMA_CENTI <= centi <= _MOST_GAMMA_CENTI:
        raise BadOption(f"gamma: {given['gamma'][:12]} is not within 0.1 to 10")
    return Gamma(centi)


def _sepia(given: Given, _terms: Terms) -> Sepia | None:
    return Sepia(integer(given, "sepia", 1, 100)) if "sepia" in given else None


def _duotone(given: Given, _terms: Terms) -> Duotone | None:
    if "duotone" not in given:
        return None
    dark, comma, light = given["duotone"].partition(",")
    if not comma:
        raise BadOption("duotone: two colours, dark,light")
    return Duotone(colour("duotone", dark), colour("duotone", light))


def _gradient(given: Given, _terms: Terms) -> Gradient | None:
    if "gradient" not in given:
        return None
    begin, comma, rest = given["gradient"].partition(",")
    end, *line = rest.split(",", _LINE_PARTS + 1)
    if not comma or len(line) not in {0, 1, _LINE_PARTS}:
        raise BadOption("gradient: from,to or from,to,angle or from,to,angle,begin,end")
    numbers = [number("gradient", line[0]), *(scaled("gradient", n, 6) for n in line[1:])] if line else []
    return Gradient(colour("gradient", begin), colour("gradient", end), *numbers)


def _round(given: Given, terms: Terms) -> Round | None:
    if "radius" not in given:
        return None
    if given["radius"] == "max":
        return Round(*[_ROUNDEST] * _CORNERS)
    ratio = dpr(given, terms.limits)
    radii = [lengthened(number("radius", n), ratio) for n in given["radius"].split(",", _CORNERS)]
    if len(radii) not in {1, _CORNERS}:
        raise BadOption("radius: one, or four from the top left clockwise")
    if not any(radii) or max(radii) > _ROUNDEST:
        raise BadOption(f"radius: at least one is not 0, and none is above {_ROUNDEST} pixels")
    return Round(*radii * (_CORNERS // len(radii)))


def _mask(given: Given, _terms: Terms) -> Mask | None:
    if "mask" not in given:
        return None
    name = given["mask"]
    upside_down = name.endswith(_UPSIDE_DOWN)
    name = name.removesuffix(_UPSIDE_DOWN)
    if name not in set(Shape):
        raise BadOption(f"mask: one of {', '.join(Shape)}, or upside down as triangle-180")
    return Mask(Shape(name), upside_down)


BLUR = Reader("blur", ("blur", "dpr"), _blur)
SHARPEN = Reader("sharpen", ("sharpen", "dpr"), _sharpen)
COLOURS = (
    Reader("unsharp", ("unsharp", "dpr"), _unsharp),
    Reader("pixelate", ("pixelate", "dpr"), _pixelate),
    _change("brightness", Brightness),
    _change("contrast", Contrast),
    _change("saturation", Saturation),
    _change("hue", Hue, 359),
    Reader("gamma", ("gamma",), _gamma),
    _switch("grayscale", Grayscale),
    Reader("sepia", ("sepia",), _sepia),
    _switch("negate", Negate),
    _coloured("tint", Tint),
    Reader("duotone", ("duotone",), _duotone),
    _coloured("colorize", Colorize),
    Reader("gradient", ("gradient",), _gradient),
)
"""What is done once a picture has its size, in this order; then come its edges."""
EDGES = (Reader("round", ("radius", "dpr"), _round), Reader("mask", ("mask",), _mask))
