"""The native dialect: ``/image?source=…&width=…``, one name and one value at a time.

Keys     `PARAMETERS`: a long name, its short alias, what it means. No name twice, no unknown name.
Units    pixels; ratios and sigmas as plain decimals; seconds. ASCII digits only.
Order    whatever the order in the URL: orient, crop, rotate, flip, flop, resize, blur, sharpen, background, encode.
Errors   `BadOption` names the parameter; values are percent-decoded once, as UTF-8; ``+`` is a plus.
"""

import re
from collections.abc import Callable, Mapping
from typing import TypeVar
from urllib.parse import unquote_to_bytes

from msgspec import Struct

from imagemill.model import filename
from imagemill.model.errors import BadOption, BadRequest, LimitExceeded, TargetTooLong
from imagemill.model.media import Format
from imagemill.model.recipe import (
    MILLION,
    AutoOrient,
    Background,
    Blur,
    Crop,
    Encode,
    Fit,
    Flip,
    Flop,
    Gravity,
    Operation,
    Position,
    Recipe,
    Resize,
    Rotate,
    Sharpen,
    Speed,
)
from imagemill.model.request import MAX_TAGS, ImageRequest, SourceRef, is_tag
from imagemill.settings import Limits

_MAX_DIGITS = 7
_MAX_PARAMETERS = 64
_MAX_QUERY_BYTES = 32 * 1024


class Parameter(Struct, frozen=True):
    """One name a URL may use."""

    name: str
    alias: str
    values: str
    meaning: str


PARAMETERS = (
    Parameter(
        "source",
        "src",
        "URL",
        "Where the picture is: https://…, http://…, local:<store>/<key> or s3://<bucket>/<key>. Required.",
    ),
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
    Parameter("blur", "bl", "0.01-100", "Gaussian blur, sigma in output pixels."),
    Parameter("sharpen", "sh", "0.01-10", "Unsharp mask, sigma in output pixels."),
    Parameter("background", "bg", "RGB|RRGGBB|RRGGBBAA", "Colour under transparency, and around fit=contain."),
    Parameter("format", "f", "jpeg|png|webp|avif|gif|keep|auto", "What to answer with. Default: keep, as the source."),
    Parameter("quality", "q", "1-100", "For JPEG, WebP and AVIF; PNG and GIF are not changed by it."),
    Parameter(
        "speed",
        "",
        "fast|balanced|small",
        "What the encoder saves: CPU, both, or bytes; the look is held. Default: as the server is set, balanced.",
    ),
    Parameter("ttl", "", "86400-259200", "Lifetime of the answer in caches, in seconds: one to three days, by policy."),
    Parameter(
        "tags",
        "",
        "name,name,…",
        "Names that the result can be purged by: 1 to 16 of 1-64 of A-Z a-z 0-9 _ . : - each.",
    ),
    Parameter("expires", "exp", "Unix seconds", "The URL is refused (410) from then on."),
    Parameter(
        "filename", "fn", "name", "What the picture is saved as: 1 to 120 characters; its format decides the suffix."
    ),
    Parameter("attachment", "att", "0|1", "Whether a browser saves the picture instead of showing it. Default: 0."),
)
E = TypeVar("E", Fit, Format, Gravity, Speed)
_LONG = {p.name: p.name for p in PARAMETERS} | {p.alias: p.name for p in PARAMETERS if p.alias}

Canon = Callable[[str], str]


class Native:
    """The dialect, with the limits its numbers are judged by and the parser its sources go through."""

    def __init__(self, limits: Limits, canonical_url: Canon) -> None:
        self._limits = limits
        self._canonical_url = canonical_url

    def parse(self, query: bytes) -> ImageRequest:
        """See `dialects.base.Dialect`."""
        return self.request(split(query))

    def request(self, given: Mapping[str, str]) -> ImageRequest:
        """The request that *given*, long names to decoded values, stands for."""
        return ImageRequest(
            source=self.source(given.get("source", "")),
            recipe=self.recipe(given),
            ttl_s=_integer(given, "ttl", 1, 10**_MAX_DIGITS) if "ttl" in given else None,
            expires_at_s=_integer(given, "expires", 0, 10**10 - 1, digits=10) if "expires" in given else None,
            tags=_tags(given["tags"]) if "tags" in given else (),
            filename=filename.checked(given["filename"]) if "filename" in given else "",
            attachment=_flag(given, "attachment"),
        )

    def source(self, value: str) -> SourceRef:
        """The source that a ``source`` value names."""
        scheme, colon, rest = value.partition(":")
        if not value:
            raise BadOption("source is missing")
        if colon and scheme == "local":
            return SourceRef("local", rest)
        if colon and scheme == "s3":
            return SourceRef("s3", _object(rest))
        url = self._canonical_url(value)
        return SourceRef(url.partition(":")[0], url)

    def recipe(self, given: Mapping[str, str]) -> Recipe:
        """The operations that *given* asks for, in the one fixed order."""
        position = _position(given)
        crop = _crop(given, position)
        resize = _resize(given, position, self._limits)
        _refuse_idle(given, crop, resize)
        steps: tuple[Operation | None, ...] = (
            AutoOrient() if _flag(given, "orient", default=True) else None,
            crop,
            _rotate(given),
            Flip() if _flag(given, "flip") else None,
            Flop() if _flag(given, "flop") else None,
            resize,
            Blur(_decimal(given, "blur", 2)) if "blur" in given else None,
            Sharpen(_decimal(given, "sharpen", 2)) if "sharpen" in given else None,
            Background(_colour(given["background"])) if "background" in given else None,
            Encode(_choice(given, "format", Format, Format.KEEP), _quality(given), _speed(given)),
        )
        return tuple(step for step in steps if step is not None)


def _object(rest: str) -> str:
    """``bucket/key`` of an ``s3`` source; which of them may be read, and whether it is a key, its store knows."""
    bucket, slash, key = rest.removeprefix("//").partition("/")
    if not (rest.startswith("//") and bucket and slash and key):
        raise BadOption("source: s3://bucket/key")
    return f"{bucket}/{key}"


def split(query: bytes) -> dict[str, str]:
    """Cut a raw query into long names and once-decoded values."""
    if len(query) > _MAX_QUERY_BYTES:
        raise TargetTooLong(f"query: {len(query)} > {_MAX_QUERY_BYTES} bytes")
    given: dict[str, str] = {}
    parts = query.split(b"&") if query else []
    if len(parts) > _MAX_PARAMETERS:
        raise BadRequest(f"{len(parts)} parameters; {_MAX_PARAMETERS} at most")
    for part in parts:
        raw, equals, value = part.partition(b"=")
        name = _LONG.get(raw.decode("latin-1"))
        if name is None or not equals:
            raise BadOption(f"{_shown(raw)}: unknown parameter")
        if name in given:
            raise BadOption(f"{name}: given twice")
        given[name] = _decoded(name, value)
    return given


def _decoded(name: str, value: bytes) -> str:
    if _BAD_ESCAPE.search(value):
        raise BadOption(f"{name}: ill-formed percent escape")
    try:
        text = unquote_to_bytes(value).decode("utf-8")
    except UnicodeDecodeError as e:
        raise BadOption(f"{name}: not UTF-8") from e
    if _CONTROL.search(text):
        raise BadOption(f"{name}: control characters are refused")
    return text


_BAD_ESCAPE = re.compile(rb"%(?![0-9a-fA-F]{2})")  # looks two bytes ahead, never back
_CONTROL = re.compile("[\0-\x1f\x7f]")
_HEX = frozenset(b"0123456789abcdefABCDEF")
_DIGITS = frozenset("0123456789")


def _shown(raw: bytes) -> str:
    return repr(raw[:40])[2:-1] or "(empty)"


def _tags(text: str) -> tuple[str, ...]:
    tags = text.split(",", MAX_TAGS)
    if len(tags) > MAX_TAGS:
        raise BadOption(f"tags: more than {MAX_TAGS}")
    if not all(map(is_tag, tags)):
        raise BadOption("tags: each is 1 to 64 of A-Z a-z 0-9 _ . : - and begins with a letter or a digit")
    if len(set(tags)) < len(tags):
        raise BadOption("tags: one is given twice")
    return tuple(sorted(tags))


def _number(name: str, text: str, digits: int = _MAX_DIGITS) -> int:
    if not text or len(text) > digits or not set(text) <= _DIGITS:
        raise BadOption(f"{name}: a whole number of at most {digits} digits is wanted")
    return int(text)


def _integer(given: Mapping[str, str], name: str, least: int, most: int, digits: int = _MAX_DIGITS) -> int:
    value = _number(name, given[name], digits)
    if not least <= value <= most:
        raise BadOption(f"{name}: {value} is not within {least} to {most}")
    return value


def _scaled(name: str, text: str, places: int) -> int:
    """A plain decimal as an integer of ``10**places`` parts."""
    whole, point, part = text.partition(".")
    if (point and not part) or len(part) > places or not set(part) <= _DIGITS:
        raise BadOption(f"{name}: a decimal with at most {places} places is wanted")
    return _number(name, whole) * int(10**places) + int((part + "0" * places)[:places])


def _decimal(given: Mapping[str, str], name: str, places: int) -> int:
    value = _scaled(name, given[name], places)
    if not value:
        raise BadOption(f"{name}: zero has no effect")
    return value


def _flag(given: Mapping[str, str], name: str, *, default: bool = False) -> bool:
    text = given.get(name, "1" if default else "0")
    if text not in {"0", "1"}:
        raise BadOption(f"{name}: 0 or 1")
    return text == "1"


def _choice(given: Mapping[str, str], name: str, kind: type[E], default: E) -> E:
    text = given.get(name, default.value)
    if text == "jpg" and kind is Format:
        text = "jpeg"
    try:
        return kind(text)
    except ValueError as e:
        raise BadOption(f"{name}: one of {', '.join(kind)}") from e


def _position(given: Mapping[str, str]) -> Position:
    if "gravity" in given and "focus" in given:
        raise BadOption("focus: not together with gravity")
    if "focus" in given:
        x, comma, y = given["focus"].partition(",")
        if not comma:
            raise BadOption("focus: two numbers, x,y")
        point = _scaled("focus", x, 6), _scaled("focus", y, 6)
        if max(point) > MILLION:
            raise BadOption("focus: 0 to 1")
        return Position(*point, focal=True)
    return Position.of(_choice(given, "gravity", Gravity, Gravity.CENTER))


def _crop(given: Mapping[str, str], position: Position) -> Crop | None:
    if "crop" not in given:
        return None
    numbers = [_number("crop", n) for n in given["crop"].split(",", 4)]
    match numbers:
        case [left, top, width, height]:
            return Crop(width, height, left, top)
        case [width, height]:
            return Crop(width, height, position=position)
    raise BadOption("crop: x,y,w,h or w,h")


def _resize(given: Mapping[str, str], position: Position, limits: Limits) -> Resize | None:
    dpr = _decimal(given, "dpr", 2) if "dpr" in given else 100
    if dpr > limits.dpr * 100:
        raise LimitExceeded("dpr", f"dpr: {dpr / 100:g} > {limits.dpr}")
    fit = _choice(given, "fit", Fit, Fit.INSIDE)
    sides = [_side(given, name, dpr) for name in ("width", "height")]
    if not any(sides):
        return None
    placed = fit in {Fit.COVER, Fit.CONTAIN} and all(sides)
    enlarge = _flag(given, "enlarge")
    fit = fit if all(sides) else Fit.INSIDE  # one side alone: the proportions decide, whatever the fit
    return Resize(sides[0], sides[1], fit, enlarge, position if placed else Position())


def _side(given: Mapping[str, str], name: str, dpr: int) -> int:
    if name not in given:
        return 0
    return max(1, (_integer(given, name, 1, 10**_MAX_DIGITS) * dpr + 50) // 100)


def _refuse_idle(given: Mapping[str, str], crop: Crop | None, resize: Resize | None) -> None:
    """Refuse what would be read and then do nothing: most likely a mistake."""
    for name in ("fit", "enlarge", "dpr"):
        if name in given and resize is None:
            raise BadOption(f"{name}: needs width or height")
    placing = (crop and crop.left_px < 0) or given.get("fit") in {Fit.COVER, Fit.CONTAIN}
    for name in ("gravity", "focus"):
        if name in given and not placing:
            raise BadOption(f"{name}: needs fit=cover, fit=contain or crop=w,h")


def _rotate(given: Mapping[str, str]) -> Rotate | None:
    if "rotate" not in given:
        return None
    degrees = _integer(given, "rotate", 0, 270)
    if degrees % 90:
        raise BadOption("rotate: 0, 90, 180 or 270")
    return Rotate(degrees // 90) if degrees else None


def _quality(given: Mapping[str, str]) -> int:
    return _integer(given, "quality", 1, 100) if "quality" in given else 0


def _speed(given: Mapping[str, str]) -> Speed | None:
    return _choice(given, "speed", Speed, Speed.BALANCED) if "speed" in given else None


def _colour(text: str) -> int:
    if len(text) == 3:  # noqa: PLR2004 - short form, RGB
        text = "".join(c * 2 for c in text)
    if len(text) not in {6, 8} or not set(text.encode()) <= _HEX:
        raise BadOption("background: RGB, RRGGBB or RRGGBBAA in hex digits, without #")
    return int(text, 16) if len(text) == 8 else int(text, 16) << 8 | 0xFF  # noqa: PLR2004
