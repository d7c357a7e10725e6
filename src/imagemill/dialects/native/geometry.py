"""Native parameters of `model.operations.geometry` that say which of the source's pixels are kept, and how large.

What adds pixels around them: `native.borders`.
"""

from imagemill.dialects.native.lengths import dpr, lengthened
from imagemill.dialects.native.reading import (
    MAX_DIGITS,
    Given,
    Parameter,
    Reader,
    Terms,
    choice,
    colour,
    decimal,
    flag,
    integer,
    number,
    scaled,
)
from imagemill.model.errors import BadOption
from imagemill.model.recipe import (
    MILLION,
    AspectCrop,
    AutoOrient,
    Crop,
    Detect,
    Fill,
    Fit,
    Flip,
    Flop,
    Gravity,
    Position,
    Resize,
    Rotate,
    Trim,
)

PARAMETERS = (
    Parameter(
        "width",
        "w",
        "1-8192 or 0.0001p-10000p",
        "Width of the box to resize to, in pixels; with p (or %25) behind it, in percent of the picture's own.",
    ),
    Parameter("height", "h", "1-8192 or 0.0001p-10000p", "Height of the box to resize to, as width."),
    Parameter("fit", "", "inside|outside|cover|contain|fill", "How the picture meets the box. Default: inside."),
    Parameter("enlarge", "el", "0|1", "Whether a smaller picture may be scaled up. Default: 0."),
    Parameter("min_width", "mw", "1-8192", "Least width of what is scaled, in pixels: wins over the box."),
    Parameter("min_height", "mh", "1-8192", "Least height of what is scaled, in pixels: wins over the box."),
    Parameter(
        "dpr",
        "",
        "0.01-4",
        "Multiplies every length in pixels of the result: sides, borders, radii, sigmas, offsets, a text's size. Not"
        " crop, nor the watermark's own pixels and wm_ops. Default: 1.",
    ),
    Parameter(
        "trim",
        "",
        "0-255",
        "Cut off borders of one colour, and what is at most so far from it on its worst channel; try 10.",
    ),
    Parameter("trim_color", "", "RGB|RRGGBB|RRGGBBAA", "Colour of the border. Default: that of a corner pixel."),
    Parameter("trim_corner", "", "top-left|bottom-right", "Which corner that is. Default: top-left."),
    Parameter(
        "trim_equal",
        "",
        "x|y|xy",
        "Cut as much from left as from right (x), from top as from bottom (y): the less of the two.",
    ),
    Parameter(
        "crop", "c", "x,y,w,h or w,h", "Cut a box out before anything is scaled; w,h is placed by gravity or focus."
    ),
    Parameter("aspect", "ar", "w:h", "Cut out the largest box of these proportions, placed by gravity or focus."),
    Parameter(
        "gravity",
        "g",
        "center|north|northeast|…|attention|entropy|face",
        "What fit=cover, crop=w,h and aspect keep, where fit=contain lays the picture.",
    ),
    Parameter("focus", "fp", "x,y", "Like gravity, by a point: 0,0 is the top left corner, 1,1 the bottom right."),
    Parameter("orient", "", "0|1", "Turn the picture upright as its EXIF orientation says. Default: 1."),
    Parameter("rotate", "rot", "0|90|180|270", "Turn clockwise."),
    Parameter("flip", "", "0|1", "Mirror top to bottom."),
    Parameter("flop", "", "0|1", "Mirror left to right."),
)
_DETECTED = {detect.value: detect for detect in Detect if detect is not Detect.NONE} | {"smart": Detect.ATTENTION}
"""``smart``, as others call it, is the same on every server: so it cannot depend on what is installed."""
_SIDES, _LEAST = ("width", "height"), ("min_width", "min_height")
_HUNDRED_TIMES = 100 * MILLION


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
    if given.get("gravity") in _DETECTED:
        return Position(detect=_DETECTED[given["gravity"]])
    if "gravity" in given and given["gravity"] not in set(Gravity):
        raise BadOption(f"gravity: one of {', '.join((*Gravity, *_DETECTED))}")
    return Position.of(choice(given, "gravity", Gravity, Gravity.CENTER))


def refuse_idle(given: Given) -> None:
    """Refuse what would be read and then do nothing: most likely a mistake."""
    _need(given, "fit", "width or height", any(name in given for name in _SIDES))
    _need(given, "enlarge", "width, height, min_width or min_height", any(n in given for n in (*_SIDES, *_LEAST)))
    for name in _LEAST:
        _need(given, name, "width, height or enlarge=1", any(s in given for s in _SIDES) or flag(given, "enlarge"))
    for name in ("trim_color", "trim_corner", "trim_equal"):
        _need(given, name, "trim", "trim" in given)
    cuts = "aspect" in given or given.get("fit") == Fit.COVER or given.get("crop", "").count(",") == 1
    contains = given.get("fit") == Fit.CONTAIN
    for name in ("gravity", "focus"):
        _need(given, name, "fit=cover, fit=contain, aspect or crop=w,h", cuts or contains)
    if given.get("gravity") in _DETECTED:
        _need(given, "gravity", "fit=cover, aspect or crop=w,h where it is to find something", cuts)


def _need(given: Given, name: str, what: str, there: bool) -> None:
    if name in given and not there:
        raise BadOption(f"{name}: needs {what}")


def _trim(given: Given, _terms: Terms) -> Trim | None:
    if "trim" not in given:
        return None
    corner, equal = given.get("trim_corner", "top-left"), given.get("trim_equal", "")
    if corner not in {"top-left", "bottom-right"}:
        raise BadOption("trim_corner: one of top-left, bottom-right")
    if equal not in {"", "x", "y", "xy"} or ("trim_equal" in given and not equal):
        raise BadOption("trim_equal: one of x, y, xy")
    if "trim_color" in given and "trim_corner" in given:
        raise BadOption("trim_corner: not together with trim_color")
    rgba = colour("trim_color", given["trim_color"]) if "trim_color" in given else -1
    threshold = integer(given, "trim", 0, 255)
    return Trim(threshold, rgba, corner == "bottom-right", equal_x="x" in equal, equal_y="y" in equal)


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


def _aspect(given: Given, _terms: Terms) -> AspectCrop | None:
    if "aspect" not in given:
        return None
    return AspectCrop(*proportions("aspect", given["aspect"]), position(given))


def proportions(name: str, text: str) -> tuple[int, int]:
    """Two whole numbers, and a colon between them."""
    width, colon, height = text.partition(":")
    sides = (number(name, width), number(name, height)) if colon else (0, 0)
    if not (min(sides) >= 1 and max(sides) <= 10_000):  # noqa: PLR2004 - as the model has it
        raise BadOption(f"{name}: w:h, each 1 to 10000")
    return sides


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
    enlarge = flag(given, "enlarge")
    sides = [0 if _is_share(given.get(name, "")) else _side(given, name, ratio) for name in _SIDES]
    shares = [_share(given, name, ratio, enlarge=enlarge) for name in _SIDES]
    least = [_side(given, name, ratio) for name in _LEAST]
    if not any((*sides, *shares, *least)):
        return None
    whole = all(name in given for name in _SIDES)
    fit = fit if whole else Fit.INSIDE  # one side alone: the proportions decide, whatever the fit
    _refuse_idle_least(sides, least, fit)
    place, fill, rgba = Position(), Fill.COLOUR, 0
    if fit is Fit.COVER or (fit is Fit.CONTAIN and given.get("gravity") not in _DETECTED):
        place = position(given)
    if fit is Fit.CONTAIN:
        fill, rgba = filled(given)
    return Resize(
        sides[0], sides[1], fit, enlarge, place, width_ppm=shares[0], height_ppm=shares[1],
        min_width_px=least[0], min_height_px=least[1], fill=fill, rgba=rgba,
    )  # fmt: skip


def _refuse_idle_least(sides: list[int], least: list[int], fit: Fit) -> None:
    """Refuse a minimum that the box sees to."""
    reached = sum(map(bool, sides)) == 1 or fit in {Fit.COVER, Fit.OUTSIDE, Fit.FILL}
    for name, side, at_least in zip(_LEAST, sides, least, strict=True):
        if reached and 0 < at_least <= side:
            raise BadOption(f"{name}: does nothing, the width or height that is asked for is no less")


def filled(given: Given) -> tuple[Fill, int]:
    """What is to be around a picture: a blurred copy, or a colour; 0 where none is named."""
    if given.get("fill") == Fill.BLUR:
        return Fill.BLUR, 0
    return Fill.COLOUR, colour("fill", given["fill"]) if "fill" in given else 0


def _side(given: Given, name: str, ratio: int) -> int:
    """In pixels; 0 where it is not given."""
    return lengthened(integer(given, name, 1, 10**MAX_DIGITS), ratio) if name in given else 0


def _share(given: Given, name: str, ratio: int, *, enlarge: bool) -> int:
    """In parts per million of the picture's own side; 0 where it is not given so."""
    if name not in given or not _is_share(given[name]):
        return 0
    percent = decimal({name: given[name][:-1]}, name, 4)
    share = lengthened(percent, ratio)
    if share > _HUNDRED_TIMES:
        raise BadOption(f"{name}: at most 10000 %")
    if share > MILLION and not enlarge:
        raise BadOption(f"{name}: more than 100 % needs enlarge=1")
    return share


def _is_share(text: str) -> bool:
    return text.endswith(("p", "%"))


ORIENT = Reader("orient", ("orient",), _orient)
TRIM = Reader("trim", ("trim", "trim_color", "trim_corner", "trim_equal"), _trim)
CROP = Reader("crop", ("crop", "gravity", "focus"), _crop)
ASPECT = Reader("aspect", ("aspect", "gravity", "focus"), _aspect)
ROTATE = Reader("rotate", ("rotate",), _rotate)
FLIP = Reader("flip", ("flip",), _flip)
FLOP = Reader("flop", ("flop",), _flop)
RESIZE = Reader(
    "resize",
    ("width", "height", "fit", "enlarge", "min_width", "min_height", "dpr", "gravity", "focus", "fill"),
    _resize,
)
