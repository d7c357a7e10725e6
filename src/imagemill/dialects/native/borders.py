"""Native parameters of `model.operations.geometry` that add pixels around a picture, and what those are."""

from imagemill.dialects.native.geometry import filled, proportions
from imagemill.dialects.native.lengths import dpr, lengthened
from imagemill.dialects.native.placing import centidegrees
from imagemill.dialects.native.reading import Given, Parameter, Reader, Terms, choice, number
from imagemill.model.errors import BadOption
from imagemill.model.recipe import Extend, Fill, Fit, Gravity, Pad, Position, Tilt

PARAMETERS = (
    Parameter(
        "tilt", "", "-359.99-359.99", "Turn clockwise by any angle, in degrees; the picture grows to hold all of it."
    ),
    Parameter(
        "extend",
        "ex",
        "w,h or w:h",
        "Lay the picture on a canvas of at least so many pixels, or on the smallest of these proportions.",
    ),
    Parameter("extend_gravity", "exg", "center|north|northeast|…", "Where on it the picture lies. Default: center."),
    Parameter(
        "pad",
        "pd",
        "1 to 4 of 0-8192",
        "Add a border of so many pixels: all; top,right; top,right,bottom; or top,right,bottom,left, as in CSS.",
    ),
    Parameter(
        "fill",
        "",
        "RGB|RRGGBB|RRGGBBAA|blur",
        "What fit=contain, extend, pad and (colours only) tilt add; blur: a blurred copy. Default: background.",
    ),
)
_CSS = {1: (0, 0, 0, 0), 2: (0, 1, 0, 1), 3: (0, 1, 2, 1), 4: (0, 1, 2, 3)}
"""Which of the numbers is which side's, by how many there are (CSS Box Model, ``padding``)."""


def refuse_idle(given: Given) -> None:
    """Refuse what would be read and then do nothing: most likely a mistake."""
    boxed = "width" in given and "height" in given and given.get("fit") == Fit.CONTAIN
    laid = boxed or "extend" in given or "pad" in given
    if "extend_gravity" in given and "extend" not in given:
        raise BadOption("extend_gravity: needs extend")
    if given.get("fill") == Fill.BLUR and not laid:
        raise BadOption("fill: blur needs extend, pad, or fit=contain with width and height")
    if "fill" in given and not (laid or "tilt" in given):
        raise BadOption("fill: needs extend, pad, tilt, or fit=contain with width and height")


def _tilt(given: Given, _terms: Terms) -> Tilt | None:
    if "tilt" not in given:
        return None
    return Tilt(centidegrees("tilt", given["tilt"]), filled(given)[1])


def _extend(given: Given, terms: Terms) -> Extend | None:
    if "extend" not in given:
        return None
    text, place = given["extend"], Position.of(choice(given, "extend_gravity", Gravity, Gravity.CENTER))
    if ":" in text:
        return Extend(*proportions("extend", text), True, place, *filled(given))  # noqa: FBT003 - is_ratio
    width, comma, height = text.partition(",")
    if not comma:
        raise BadOption("extend: w,h or w:h")
    ratio = dpr(given, terms.limits)
    sides = lengthened(number("extend", width), ratio), lengthened(number("extend", height), ratio)
    return Extend(*sides, False, place, *filled(given))  # noqa: FBT003 - is_ratio


def _pad(given: Given, terms: Terms) -> Pad | None:
    if "pad" not in given:
        return None
    ratio = dpr(given, terms.limits)
    numbers = [lengthened(number("pad", text), ratio) for text in given["pad"].split(",", 4)]
    if len(numbers) not in _CSS:
        raise BadOption("pad: one to four numbers")
    top, right, bottom, left = (numbers[n] for n in _CSS[len(numbers)])
    return Pad(top, right, bottom, left, *filled(given))


TILT = Reader("tilt", ("tilt", "fill"), _tilt)
EXTEND = Reader("extend", ("extend", "extend_gravity", "fill", "dpr"), _extend)
PAD = Reader("pad", ("pad", "fill", "dpr"), _pad)
