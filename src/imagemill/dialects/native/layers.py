"""Native parameters of `model.operations.layers`, and of layers."""

from imagemill.dialects.native.reading import Given, Parameter, Reader, Terms, colour
from imagemill.model.recipe import Background

PARAMETERS = (
    Parameter("background", "bg", "RGB|RRGGBB|RRGGBBAA", "Colour under transparency, and around fit=contain."),
)


def _background(given: Given, _terms: Terms) -> Background | None:
    return Background(colour("background", given["background"])) if "background" in given else None


BACKGROUND = Reader("background", ("background",), _background)
