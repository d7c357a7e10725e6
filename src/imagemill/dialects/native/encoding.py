"""Native parameters of `model.operations.encoding`."""

from imagemill.dialects.native.reading import Given, Parameter, Reader, Terms, choice, flag, integer
from imagemill.model.errors import BadOption
from imagemill.model.media import MEDIA_TYPES, Format
from imagemill.model.operations.encoding import EIGHT_BITS
from imagemill.model.recipe import Encode, Metadata, Space, Speed, Subsampling

_WRITTEN = (*MEDIA_TYPES, Format.KEEP, Format.AUTO)
_READ_ONLY = frozenset(Format) - {*_WRITTEN, Format.JSON}
_MOST_BYTES = 10**9
_USUAL_SCORE, _MOST_SCORE = 75, 95

PARAMETERS = (
    Parameter("format", "f", "|".join(_WRITTEN), "What to answer with. Default: keep, as the source."),
    Parameter(
        "quality",
        "q",
        "1-100|auto|auto:score",
        "For JPEG, WebP, AVIF and JXL; the others are not changed by it. auto: what reaches a SSIMULACRA 2 score, "
        "75 or what stands after the colon, 1 to 95.",
    ),
    Parameter(
        "speed",
        "",
        "fast|balanced|small",
        "What the encoder saves: CPU, both, or bytes; the look is held. Default: as the server is set, balanced.",
    ),
    Parameter(
        "max_bytes",
        "mb",
        "1-999999999",
        "The highest quality, up to quality, at which the file has no more bytes. For JPEG, WebP, AVIF and JXL.",
    ),
    Parameter(
        "lossless",
        "ll",
        "0|1",
        "Keep every pixel. For WebP, AVIF (a still one) and JXL; PNG, APNG and TIFF always do. Default: 0.",
    ),
    Parameter(
        "colors",
        "",
        "2-256",
        "Palette of at most so many colours, for PNG and GIF (there the next lower power of two).",
    ),
    Parameter("dither", "", "0-100", "How much errors of a palette are spread, in percent. Default: 100."),
    Parameter("progressive", "il", "0|1", "Progressive JPEG, interlaced PNG and GIF. Default: as the speed says."),
    Parameter("subsampling", "ss", "auto|420|444", "How coarse colours are, for JPEG and AVIF. Default: auto."),
    Parameter(
        "effort",
        "",
        "0-10",
        "CPU for fewer bytes, as the format's encoder counts it: JPEG 0-2, PNG, APNG, AVIF and TIFF 0-9, WebP 0-6, "
        "GIF 1-10, JXL 1-9. Default: as the speed says.",
    ),
    Parameter("bits", "", "8|10|12|16", "A sample: 16 for PNG and TIFF, 10 or 12 for AVIF. Default: 8."),
    Parameter(
        "colorspace",
        "cs",
        "srgb|p3|keep",
        "The colours to write in; p3 and keep with their ICC profile. Not for GIF and JXL. Default: srgb.",
    ),
    Parameter("icc", "", "0|1", "Whether a profile is written for sRGB too. Default: 0."),
    Parameter(
        "metadata",
        "md",
        "strip|copyright|all",
        "What of the source's EXIF, XMP and IPTC is kept: nothing, artist and copyright, or all. Default: strip.",
    ),
)


def _encode(given: Given, _terms: Terms) -> Encode:
    format_ = _format(given)
    _refuse_idle(given)
    quality, target_centi = _quality(given)
    return Encode(
        format_,
        quality,
        choice(given, "speed", Speed, Speed.BALANCED) if "speed" in given else None,
        target_centi=target_centi,
        max_bytes=integer(given, "max_bytes", 1, _MOST_BYTES - 1, digits=9) if "max_bytes" in given else 0,
        lossless=flag(given, "lossless"),
        colours=integer(given, "colors", 2, 256) if "colors" in given else 0,
        dither_percent=integer(given, "dither", 0, 100) if "dither" in given else 100,
        progressive=flag(given, "progressive") if "progressive" in given else None,
        subsampling=choice(given, "subsampling", Subsampling, Subsampling.AUTO),
        effort=integer(given, "effort", 0, 10) if "effort" in given else -1,
        bits=integer(given, "bits", EIGHT_BITS, 16) if "bits" in given else EIGHT_BITS,
        space=choice(given, "colorspace", Space, Space.SRGB),
        profile=flag(given, "icc"),
        metadata=choice(given, "metadata", Metadata, Metadata.STRIP),
    )


def _format(given: Given) -> Format:
    text = given.get("format", Format.KEEP)
    if text not in {*_WRITTEN, "jpg"}:
        read_only = "is read, and not written" if text in _READ_ONLY else "is not written"
        raise BadOption(f"format: {text[:16]!r} {read_only}; one of {', '.join(_WRITTEN)}")
    return choice(given, "format", Format, Format.KEEP)


def _quality(given: Given) -> tuple[int, int]:
    """A quality, or the score that one is to be found for."""
    text, colon, score = given.get("quality", "").partition(":")
    if text == "auto":
        return 0, (integer({"quality": score}, "quality", 1, _MOST_SCORE) if colon else _USUAL_SCORE) * 100
    return integer(given, "quality", 1, 100) if "quality" in given else 0, 0


def _refuse_idle(given: Given) -> None:
    """Refuse what would be read and then do nothing: most likely a mistake."""
    if "dither" in given and "colors" not in given and given.get("format", "keep") not in {"gif", "keep", "auto"}:
        raise BadOption("dither: needs colors")
    if "icc" in given and given.get("colorspace", "srgb") != "srgb":
        raise BadOption("icc: p3 and keep bring their own profile")


ENCODE = Reader("encode", tuple(p.name for p in PARAMETERS), _encode)
