"""Native parameters of `model.operations.encoding.Describe`: what /info is asked for."""

from imagemill.dialects.native.reading import Given, Parameter, Reader, Terms, flag, integer
from imagemill.model.recipe import Describe

PARAMETERS = (
    Parameter("metadata", "", "0|1", "EXIF, XMP and IPTC. Default: 0, as for all that follow."),
    Parameter("palette", "", "1-16", "At most so many colours, by their share of the pixels, and the dominant one."),
    Parameter("blurhash", "", "0|1", "BlurHash, 4 by 3 components (3 by 4 where the picture is higher than wide)."),
    Parameter("thumbhash", "", "0|1", "ThumbHash, in base64."),
    Parameter("phash", "", "0|1", "Perceptual hash: 64 bits in 16 hex digits."),
    Parameter("placeholder", "", "0|1", "A picture of at most 32 pixels a side and 512 bytes as a `data:` URI."),
)


def _describe(given: Given, _terms: Terms) -> Describe:
    return Describe(
        metadata=flag(given, "metadata"),
        colours=integer(given, "palette", 1, 16) if "palette" in given else 0,
        blurhash=flag(given, "blurhash"),
        thumbhash=flag(given, "thumbhash"),
        phash=flag(given, "phash"),
        placeholder=flag(given, "placeholder"),
    )


DESCRIBE = Reader("describe", tuple(p.name for p in PARAMETERS), _describe)
