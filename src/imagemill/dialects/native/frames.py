"""Native parameters of `model.operations.frames`."""

from imagemill.dialects.native.reading import Given, Parameter, Reader, Terms, integer
from imagemill.model.recipe import Density

PARAMETERS: tuple[Parameter, ...] = (
    Parameter(
        "density",
        "",
        "1-2400",
        "Dots per inch at which an SVG's own size is counted; 96 = one pixel a CSS pixel. Refused for pixel formats.",
    ),
)


def _density(given: Given, _terms: Terms) -> Density | None:
    return Density(integer(given, "density", 1, 2400)) if "density" in given else None


DENSITY = Reader("density", ("density",), _density)
