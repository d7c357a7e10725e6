"""What the writer of each format can be asked for, and what of `Encode` is refused because it would do nothing.

Errors   `BadOption`: before the source is read where the format is named, else once it is known.
Source   libvips 8.18: pngsave, gifsave, heifsave; libwebp 1.6; libjxl 0.11: effort 1 to 9; zlib: level 0 to 9.
"""

from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct

from imagemill.model.errors import BadOption
from imagemill.model.media import LOSSY, MEDIA_TYPES, Format
from imagemill.model.operations.encoding import EIGHT_BITS
from imagemill.model.recipe import (
    AspectCrop,
    AutoOrient,
    Crop,
    Density,
    Encode,
    Flip,
    Flop,
    Frames,
    Layer,
    Metadata,
    Recipe,
    Resize,
    Rotate,
    Round,
    Space,
    Subsampling,
    Trim,
)
from imagemill.plan.operations.base import Check, Group
from imagemill.plan.steps import Border, Chosen, Cut, Mirror, Scale, Step, Turn, Upright
from imagemill.settings import Limits

_DEEP_OPERATIONS = (Density, AutoOrient, Trim, Crop, AspectCrop, Rotate, Flip, Flop, Resize, Frames, Encode)
_DEEP_STEPS = (Upright, Border, Cut, Chosen, Turn, Mirror, Scale)
_SAID: Mapping[type, str] = {Round: "radius", Layer: "watermark"}
"""Parameters that are called otherwise than what they ask for."""
_ALL_DITHERED = 100
MOST_ENCODES = 8
"""For `Encode.max_bytes`: the quality asked for, and a bisection of those below."""
_ENCODES_PRICED = 5.0
"""Of those: what is below costs less than what was asked for, and a search seldom needs all."""


class Ability(Struct, frozen=True):
    """What a format and its writer here can do beside the usual."""

    effort: tuple[int, int]
    """Least and most."""
    lossless: bool = False
    """Whether it can be asked to be; what always is does not count."""
    palette: bool = False
    progressive: bool = False
    subsampling: bool = False
    bits: frozenset[int] = frozenset()
    """Of a sample, beside eight."""
    profile: bool = True
    """Whether it can say in which colours it is written."""
    metadata: bool = True
    iptc: bool = False


ABILITIES: Mapping[Format, Ability] = {
    Format.JPEG: Ability((0, 2), progressive=True, subsampling=True, iptc=True),
    Format.PNG: Ability((0, 9), lossless=True, palette=True, progressive=True, bits=frozenset({16})),
    Format.WEBP: Ability((0, 6), lossless=True),
    Format.AVIF: Ability((0, 9), lossless=True, subsampling=True, bits=frozenset({10, 12})),
    Format.GIF: Ability((1, 10), palette=True, progressive=True, profile=False, metadata=False),
    Format.APNG: Ability((0, 9), lossless=True),
    Format.TIFF: Ability((0, 9), lossless=True, bits=frozenset({16}), iptc=True),
    Format.JXL: Ability((1, 9), lossless=True, profile=False),
}


class _Choice(Struct, frozen=True):
    """A parameter that only some formats have."""

    name: str
    asked: Callable[[Encode], bool]
    had: Callable[[Format], bool]


_CHOICES = (
    _Choice("lossless", lambda op: op.lossless, lambda f: ABILITIES[f].lossless),
    _Choice("max_bytes", lambda op: op.max_bytes > 0, lambda f: f in LOSSY),
    _Choice("colors", lambda op: op.colours > 0, lambda f: ABILITIES[f].palette),
    _Choice("dither", lambda op: op.dither_percent != _ALL_DITHERED, lambda f: ABILITIES[f].palette),
    _Choice("progressive", lambda op: op.progressive is not None, lambda f: ABILITIES[f].progressive),
    _Choice("subsampling", lambda op: op.subsampling is not Subsampling.AUTO, lambda f: ABILITIES[f].subsampling),
    _Choice("icc", lambda op: op.profile, lambda f: ABILITIES[f].profile),
    _Choice("colorspace", lambda op: op.space is not Space.SRGB, lambda f: ABILITIES[f].profile),
    _Choice("metadata", lambda op: op.metadata is not Metadata.STRIP, lambda f: ABILITIES[f].metadata),
)


def refuse_vain(op: Encode, format_: Format) -> None:
    """Refuse what a writer of *format_* would have to leave undone."""
    for choice in _CHOICES:
        if choice.asked(op) and not choice.had(format_):
            names = ", ".join(f for f in MEDIA_TYPES if choice.had(f))
            raise BadOption(f"{choice.name}: nothing that {format_} could do; it is for {names}")
    if op.dither_percent != _ALL_DITHERED and not (op.colours or format_ is Format.GIF):
        raise BadOption("dither: needs colors")
    if op.target_centi and (op.lossless or op.bits != EIGHT_BITS):
        raise BadOption("quality: auto is for lossy pictures of eight bits a sample")
    if format_ is Format.AVIF and op.metadata is not Metadata.STRIP and (op.lossless or op.bits != EIGHT_BITS):
        raise BadOption("metadata: not in an AVIF that is lossless or of more than eight bits")
    able = ABILITIES[format_]
    least, most = able.effort
    if op.effort >= 0 and not least <= op.effort <= most:
        raise BadOption(f"effort: {format_} has {least} to {most}")
    if op.bits not in {EIGHT_BITS, *able.bits}:
        raise BadOption(f"bits: {format_} is written with {', '.join(map(str, sorted({EIGHT_BITS, *able.bits})))}")


def is_able(op: Encode, format_: Format) -> bool:
    """Whether a writer of *format_* does all that is asked."""
    try:
        refuse_vain(op, format_)
    except BadOption:
        return False
    return True


def refuse_shallow(recipe: Recipe) -> None:
    """Refuse more bits than eight of a recipe with operations that work on eight."""
    last = recipe[-1] if recipe else None  # a layer may be laid as it is
    if not isinstance(last, Encode) or last.bits == EIGHT_BITS:
        return
    if shallow := [op for op in recipe if not isinstance(op, _DEEP_OPERATIONS)]:
        name = _SAID.get(type(shallow[0]), type(shallow[0]).__name__.lower())
        raise BadOption(f"bits: {name} works on eight bits a sample")


def settle(op: Encode, format_: Format, frames: int, steps: Sequence[Step]) -> None:
    """Judge *op* again, now that the format and all steps are known."""
    refuse_vain(op, format_)
    if op.lossless and format_ is Format.AVIF and frames > 1:
        raise BadOption("lossless: not for the frames of an AVIF")
    if op.bits == EIGHT_BITS:
        return
    if frames > 1:
        raise BadOption("bits: the frames of an animation are written with eight bits a sample")
    if not all(isinstance(step, _DEEP_STEPS) for step in steps):  # all else was refused by `refuse_shallow`
        raise BadOption("bits: fit=contain works on eight bits a sample")


def encodes(op: Encode) -> float:
    """How many encodes a rendition is priced at."""
    return _ENCODES_PRICED if op.max_bytes else 1.0


def _check_encode(op: Encode, _limits: Limits) -> None:
    if op.format in ABILITIES:
        refuse_vain(op, op.format)


_CHECK: Mapping[type, Check] = {Encode: _check_encode}
GROUP = Group(_CHECK, {}, {})
