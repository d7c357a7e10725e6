"""Native parameters of `model.operations.encoding`."""

from imagemill.dialects.native.reading import Given, Parameter, Reader, Terms, choice, integer
from imagemill.model.errors import BadOption
from imagemill.model.media import MEDIA_TYPES, Format
from imagemill.model.recipe import Encode, Speed

PARAMETERS = (
    Parameter("format", "f", "jpeg|png|webp|avif|gif|keep|auto", "What to answer with. Default: keep, as the source."),
    Parameter("quality", "q", "1-100", "For JPEG, WebP and AVIF; PNG and GIF are not changed by it."),
    Parameter(
        "speed",
        "",
        "fast|balanced|small",
        "What the encoder saves: CPU, both, or bytes; the look is held. Default: as the server is set, balanced.",
    ),
)


_WRITTEN = (*MEDIA_TYPES, Format.KEEP, Format.AUTO)


def _encode(given: Given, _terms: Terms) -> Encode:
    quality = integer(given, "quality", 1, 100) if "quality" in given else 0
    speed = choice(given, "speed", Speed, Speed.BALANCED) if "speed" in given else None
    format_ = choice(given, "format", Format, Format.KEEP)
    if format_ not in _WRITTEN:
        raise BadOption(f"format: {format_} is read, and not written; one of {', '.join(_WRITTEN)}")
    return Encode(format_, quality, speed)


ENCODE = Reader("encode", ("format", "quality", "speed"), _encode)
