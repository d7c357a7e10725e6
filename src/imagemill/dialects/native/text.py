"""Native parameters of `model.operations.layers.Text`."""

from imagemill.dialects.native.lengths import dpr, lengthened
from imagemill.dialects.native.placing import place, shadow
from imagemill.dialects.native.reading import (
    Given,
    Parameter,
    Reader,
    Terms,
    choice,
    colour,
    integer,
)
from imagemill.model.errors import BadOption
from imagemill.model.operations.values import WHITE
from imagemill.model.recipe import Align, Text

_MOST_WIDTH_PX = 16_383

PARAMETERS = (
    Parameter(
        "text",
        "txt",
        "1-512 characters",
        "A text to write on the picture, as it stands: no markup; it may have several lines.",
    ),
    Parameter("text_font", "txf", "name", "A configured font, such as DejaVu Sans Bold. Default: DejaVu Sans."),
    Parameter("text_size", "txs", "4-1000", "Height of an em in output pixels. Default: 32."),
    Parameter("text_color", "txc", "RGB|RRGGBB|RRGGBBAA", "Default: fff."),
    Parameter(
        "text_width",
        "txw",
        "1-8192",
        "Width of the block that lines are broken to. Default: no wider than the picture, and as wide as it comes.",
    ),
    Parameter("text_align", "txa", "left|center|right", "How lines lie in their block. Default: left."),
    Parameter(
        "text_gravity", "txg", "center|north|northeast|…", "Where what is seen of the text lies. Default: center."
    ),
    Parameter(
        "text_x", "txx", "-16383-16383", "Pixels from the edge that text_gravity names, else to the right. Default: 0."
    ),
    Parameter("text_y", "txy", "-16383-16383", "Pixels from the edge that text_gravity names, else down. Default: 0."),
    Parameter("text_rotate", "txr", "-359.99-359.99", "Degrees that the text is turned clockwise. Default: 0."),
    Parameter("text_opacity", "txo", "1-100", "How dense the text and its shadow are, in percent. Default: 100."),
    Parameter(
        "text_shadow",
        "txsh",
        "x,y or x,y,sigma or x,y,sigma,RRGGBBAA",
        "A shadow of the text: so many pixels to the right and down, how soft, which colour. Default: none.",
    ),
)


def refuse_idle(given: Given) -> None:
    """Refuse what says how a text is written where there is none."""
    for name in TEXT.parameters:
        if name in given and name != "dpr" and "text" not in given:
            raise BadOption(f"{name}: needs text")


def _text(given: Given, terms: Terms) -> Text | None:
    if "text" not in given:
        return None
    ratio = dpr(given, terms.limits)
    return Text(
        given["text"],
        given.get("text_font", ""),
        lengthened(integer(given, "text_size", 4, 1000) if "text_size" in given else 32, ratio),
        colour("text_color", given["text_color"]) if "text_color" in given else WHITE,
        lengthened(integer(given, "text_width", 1, _MOST_WIDTH_PX) if "text_width" in given else 0, ratio),
        choice(given, "text_align", Align, Align.LEFT),
        place(given, "text", ratio),
        shadow("text_shadow", given["text_shadow"], ratio) if "text_shadow" in given else None,
    )


TEXT = Reader("text", (*(parameter.name for parameter in PARAMETERS), "dpr"), _text)
