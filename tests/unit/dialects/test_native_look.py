"""Parameters of the look: what each says, and what is refused (R08)."""

import pytest

from imagemill.dialects.native import PARAMETERS, Native
from imagemill.dialects.native import look as parameters
from imagemill.dialects.native.order import FIXED
from imagemill.model.errors import BadOption
from imagemill.model.recipe import (
    AutoOrient,
    Blur,
    Brightness,
    Colorize,
    Contrast,
    Duotone,
    Encode,
    Gamma,
    Gradient,
    Grayscale,
    Hue,
    Mask,
    Negate,
    Pixelate,
    Resize,
    Round,
    Saturation,
    Sepia,
    Shape,
    Sharpen,
    Tint,
    Unsharp,
)
from imagemill.settings import Limits

DIALECT = Native(Limits(), lambda url: url)
SAID = [
    ("unsharp=1", "unsharp:1", Unsharp(100)), ("ush=0.5,150", "unsharp:0.5,150", Unsharp(50, 150)),
    ("unsharp=100,500,255", "unsharp:100,500,255", Unsharp(10_000, 500, 255)), ("pixelate=2", "pixelate:2", Pixelate(2)),
    ("pix=8192", "pixelate:pix=8192", Pixelate(8192)), ("brightness=100", "brightness:100", Brightness(100)),
    ("br=-100", "brightness:-100", Brightness(-100)), ("contrast=7", "contrast:7", Contrast(7)), ("co=-7", "contrast:-7", Contrast(-7)),
    ("saturation=-100", "saturation:-100", Saturation(-100)), ("sa=1", "saturation:1", Saturation(1)), ("hue=359", "hue:359", Hue(359)),
    ("hue=-1", "hue:-1", Hue(-1)), ("gamma=2.2", "gamma:2.2", Gamma(220)), ("ga=0.1", "gamma:0.1", Gamma(10)),
    ("grayscale=1", "grayscale", Grayscale()), ("greyscale=1", "grayscale:1", Grayscale()), ("sepia=100", "sepia:100", Sepia()),
    ("sepia=1", "sepia:1", Sepia(1)), ("negate=1", "negate", Negate()), ("invert=1", "negate:1", Negate()),
    ("tint=f00", "tint:f00", Tint(0xFF0000FF)), ("tint=01020304", "tint:01020304", Tint(0x01020304)),
    ("duotone=000,abcdef", "duotone:000,abcdef", Duotone(0xFF, 0xABCDEFFF)), ("dt=fff,000", "duotone:dt=fff,000", Duotone(0xFFFFFFFF, 0xFF)),
    ("colorize=ff000080", "colorize:ff000080", Colorize(0xFF000080)), ("gradient=000,fff", "gradient:000,fff", Gradient(0xFF, 0xFFFFFFFF)),
    ("gr=00000000,fff,0", "gradient:00000000,fff,0", Gradient(0, 0xFFFFFFFF, 0)),
    ("gradient=000,fff,359,0.25,1", "gradient:000,fff,359,0.25,1", Gradient(0xFF, 0xFFFFFFFF, 359, 250_000, 1_000_000)),
    ("radius=5", "round:5", Round(5, 5, 5, 5)), ("r=0,1,2,3", "round:0,1,2,3", Round(0, 1, 2, 3)), ("radius=max", "round:max", Round(*[8192] * 4)),
    *((f"mask={shape}", f"mask:{shape}", Mask(shape)) for shape in Shape),
    *((f"mask={shape}-180", f"mask:{shape}-180", Mask(shape, upside_down=True))
      for shape in (Shape.TRIANGLE, Shape.PENTAGON, Shape.STAR, Shape.HEART)),
]  # fmt: skip


def recipe(query):
    return DIALECT.parse(f"source=local:a/b&{query}".encode()).recipe


@pytest.mark.parametrize(("query", "ops", "wanted"), SAID)
def test_meaning(query, ops, wanted):
    """By name, by alias, and in ``ops``."""
    assert recipe(query) == recipe(f"ops={ops}") == (AutoOrient(), wanted, Encode())


def test_every_parameter_and_alias_is_asked_for():
    """What stands in the table is tested here, or with the first parameters."""
    said = {query.partition("=")[0] for query, _, _ in SAID} | {"blur", "bl", "sharpen", "sh"}
    assert said >= {name for p in parameters.PARAMETERS for name in (p.name, p.alias) if name}
    assert all(p in PARAMETERS for p in parameters.PARAMETERS)


@pytest.mark.parametrize("name", ["grayscale", "negate"])
def test_no_is_nothing(name):
    """A switch that is off is none; in ``ops`` it is a mistake."""
    assert recipe(f"{name}=0") == (AutoOrient(), Encode())
    with pytest.raises(BadOption, match="does nothing"):
        recipe(f"ops={name}:0")


@pytest.mark.parametrize(
    "query",
    [
        "unsharp=", "unsharp=0", "unsharp=1,", "unsharp=1,0", "unsharp=1,501", "unsharp=1,1,256", "unsharp=1,1,1,1", "unsharp=,5",
        "unsharp=1,1.5", "unsharp=-1", "pixelate=1", "pixelate=0", "pixelate=8193", "pixelate=2.5", "pixelate=-2", "brightness=0",
        "brightness=-0", "brightness=101", "brightness=-101", "brightness=1.5", "brightness=", "brightness=+5", "brightness=--5",
        "brightness=-", "contrast=0", "contrast=200", "saturation=0", "saturation=-101", "hue=0", "hue=360", "hue=-360", "hue=1e2",
        "gamma=0", "gamma=1", "gamma=1.00", "gamma=0.09", "gamma=10.01", "gamma=-2", "gamma=2.222", "grayscale=yes", "grayscale=",
        "sepia=0", "sepia=101", "sepia=", "sepia=-5", "negate=2", "tint=", "tint=red", "tint=f0000000", "tint=%23f00", "tint=ff",
        "duotone=000", "duotone=000,", "duotone=,fff", "duotone=000,fff,fff", "duotone=000000fe,fff", "duotone=000,ffffff00",
        "colorize=ffffff00", "colorize=f", "gradient=", "gradient=000", "gradient=000,", "gradient=,fff", "gradient=000,fff,",
        "gradient=000,fff,360", "gradient=000,fff,-1", "gradient=000,fff,1,0", "gradient=000,fff,1,0,", "gradient=000,fff,1,0,1,2",
        "gradient=000,fff,1,1,0", "gradient=000,fff,1,0.5,0.5", "gradient=000,fff,1,0,1.000001", "gradient=000,fff,1,-0.1,1",
        "gradient=00000000,ffffff00", "gradient=000,fff,1.5", "radius=", "radius=0", "radius=0,0,0,0", "radius=8193", "radius=1,2",
        "radius=1,2,3", "radius=1,2,3,4,5", "radius=1,2,3,", "radius=-1", "radius=1.5", "radius=50%25", "radius=MAX", "radius=max,max",
        "mask=", "mask=none", "mask=Circle", "mask=circle-180", "mask=ellipse-180", "mask=hexagon-180", "mask=square-180",
        "mask=triangle-90", "mask=-180", "mask=triangle-180-180",
    ],
)  # fmt: skip
def test_ill_formed(query):
    """400 that names the parameter: out of range, of another grammar, or without any effect."""
    with pytest.raises(BadOption) as caught:
        recipe(query)
    assert str(caught.value).split(":")[0] == query.partition("=")[0]


@pytest.mark.parametrize(
    ("query", "told"),
    [("gamma=11", "gamma: 11 is not within 0.1 to 10"), ("gamma=0.09", "gamma: 0.09 is not within 0.1 to 10"),
     ("hue=0", "hue: zero has no effect"), ("blur=x", "blur: a decimal with at most 7 digits and 2 places is wanted")],
)  # fmt: skip
def test_bounds_are_told_as_they_are_written(query, told):
    """In the units of the URL, whatever ours are."""
    with pytest.raises(BadOption) as caught:
        recipe(query)
    assert str(caught.value) == told


def test_order():
    """Whatever the order in the URL: as documented, between resize and background."""
    given = ["mask=star", "radius=2", "gradient=000,fff", "colorize=f00", "duotone=000,fff", "tint=f00", "negate=1", "sepia=5",
             "grayscale=1", "gamma=2", "hue=5", "saturation=5", "contrast=5", "brightness=5", "pixelate=5", "unsharp=1", "sharpen=1",
             "blur=1", "width=9"]  # fmt: skip
    wanted = [Resize, Blur, Sharpen, Unsharp, Pixelate, Brightness, Contrast, Saturation, Hue, Gamma, Grayscale, Sepia, Negate, Tint,
              Duotone, Colorize, Gradient, Round, Mask]  # fmt: skip
    assert [type(op) for op in recipe("&".join(given))[1:-1]] == wanted
    names = [reader.name for reader in FIXED]
    assert names.index("resize") < names.index("blur") < names.index("mask") < names.index("background")
