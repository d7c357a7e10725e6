"""Native parameters of `model.operations.look`."""

from imagemill.dialects.native.reading import Given, Parameter, Reader, Terms, decimal
from imagemill.model.recipe import Blur, Sharpen

PARAMETERS = (
    Parameter("blur", "bl", "0.01-100", "Gaussian blur, sigma in output pixels."),
    Parameter("sharpen", "sh", "0.01-10", "Unsharp mask, sigma in output pixels."),
)


def _blur(given: Given, _terms: Terms) -> Blur | None:
    return Blur(decimal(given, "blur", 2)) if "blur" in given else None


def _sharpen(given: Given, _terms: Terms) -> Sharpen | None:
    return Sharpen(decimal(given, "sharpen", 2)) if "sharpen" in given else None


BLUR = Reader("blur", ("blur",), _blur)
SHARPEN = Reader("sharpen", ("sharpen",), _sharpen)
