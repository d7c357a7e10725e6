"""Native parameters of `model.operations.geometry`."""

from imagemill.dialects.native.reading import (
    MAX_DIGITS,
    Given,
    Parameter,
    Reader,
    Terms,
    choice,
    decimal,
    flag,
    integer,
    number,
    scaled,
)
from imagemill.model.errors import BadOption, LimitExceeded
from imagemill.model.recipe import MILLION, AutoOrient, Crop, Fit, Flip, Flop, Gravity, Position, Resize, Rotate
from imagemill.settings import Limits

PARAMETERS = (
    Parameter("width", "w", "1-8192", "Width of the box to resize to, in pixels."),
    Parameter("height", "h", "1-8192", "Height of the box to resize to, in pixels."),
    Parameter("fit", "", "inside|outside|cover|contain|fill", "How the picture meets the box. Default: inside."),
    Parameter("enlarge", "el", "0|1", "Whether a smaller picture may be scaled up. Default: 0."),
    Parameter("dpr", "", "0.01-4", "Multiplies width and height. Default: 1."),
    Parameter(
        "crop", "c", "x,y,w,h or w,h", "Cut a box out before anything is scaled; w,h is placed by gravity or focus."
    ),
    Parameter(
        "gravity",
        "g",
        "center|north|northeast|…",
        "What fit=cover and crop=w,h keep, where fit=contain lays the picture.",
    ),
    Parameter("focus", "fp", "x,y", "Like gravity, by a point: 0,0 is the top left corner, 1,1 the bottom right."),
    Parameter("orient", "", "0|1", "Turn the picture upright as its EXIF orientation says. Default: 1."),
    Parameter("rotate", "rot", "0|90|180|270", "Turn clockwise."),
    Parameter("flip", "", "0|1", "Mirror top to bottom."),
    Parameter("flop", "", "0|1", "Mirror left to right."),
)


def position(given: Given) -> Position:
    """Where a box is to lie."""
    if "gravity" in given and "focus" in given:
        raise BadOption("focus: not together with gravity")
    if "focus" in given:
        x, comma, y = given["focus"].partition(",")
        if not comma:
            raise BadOption("focus: two numbers, x,y")
        point = scaled("focus", x, 6), scaled("focus", y, 6)
        if max(point) > MILLION:
            raise BadOption("focus: 0 to 1")
        return Position(*point, focal=True)
    return Position.of(choice(given, "gravity", Gravity, Gravity.CENTER))


def refuse_idle(given: Given) -> None:
    """Refuse what would be read and then do nothing: most likely a mistake."""
    for name in ("fit", "enlarge", "dpr"):
        if name in given and not ("width" in given or "height" in given):
            raise BadOption(f"{name}: needs width or height")
    crops = "crop" in given and given["crop"].count(",") == 1
    for name in ("gravity", "focus"):
        if name in given and not (crops or given.get("fit") in {Fit.COVER, Fit.CONTAIN}):
            raise BadOption(f"{name}: needs fit=cover, fit=contain or crop=w,h")


def _orient(given: Given, _terms: Terms) -> AutoOrient | None:
    return AutoOrient() if flag(given, "orient", default=True) else None


def _crop(given: Given, _terms: Terms) -> Crop | None:
    if "crop" not in given:
        return None
    numbers = [number("crop", n) for n in given["crop"].split(",", 4)]
    match numbers:
        case [left, top, width, height]:
            return Crop(width, height, left, top)
        case [width, height]:
            return Crop(width, height, position=position(given))
    raise BadOption("crop: x,y,w,h or w,h")


def _rotate(given: Given, _terms: Terms) -> Rotate | None:
    if "rotate" not in given:
        return None
    degrees = integer(given, "rotate", 0, 270)
    if degrees % 90:
        raise BadOption("rotate: 0, 90, 180 or 270")
    return Rotate(degrees // 90) if degrees else None


def _flip(given: Given, _terms: Terms) -> Flip | None:
    return Flip() if flag(given, "flip") else None


def _flop(given: Given, _terms: Terms) -> Flop | None:
    return Flop() if flag(given, "flop") else None


def _resize(given: Given, terms: Terms) -> Resize | None:
    ratio = dpr(given, terms.limits)
    fit = choice(given, "fit", Fit, Fit.INSIDE)
    sides = [_side(given, name, ratio) for name in ("width", "height")]
    if not any(sides):
        return None
    placed = fit in {Fit.COVER, Fit.CONTAIN} and all(sides)
    enlarge = flag(given, "enlarge")
    fit = fit if all(sides) else Fit.INSIDE  # one side alone: the proportions decide, whatever the fit
    return Resize(sides[0], sides[1], fit, enlarge, position(given) if placed else Position())


def dpr(given: Given, limits: Limits) -> int:
    """What lengths are multiplied by, in hundredths."""
    ratio = decimal(given, "dpr", 2) if "dpr" in given else 100
    if ratio > limits.dpr * 100:
        raise LimitExceeded("dpr", f"dpr: {ratio / 100:g} > {limits.dpr}")
    return ratio


def _side(given: Given, name: str, ratio: int) -> int:
    if name not in given:
        return 0
    return max(1, (integer(given, name, 1, 10**MAX_DIGITS) * ratio + 50) // 100)


ORIENT = Reader("orient", ("orient",), _orient)
CROP = Reader("crop", ("crop", "gravity", "focus"), _crop)
ROTATE = Reader("rotate", ("rotate",), _rotate)
FLIP = Reader("flip", ("flip",), _flip)
FLOP = Reader("flop", ("flop",), _flop)
RESIZE = Reader("resize", ("width", "height", "fit", "enlarge", "dpr", "gravity", "focus"), _resize)
