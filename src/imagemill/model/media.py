"""What a picture is, before and after: formats, facts read from a header, finished bytes."""

from enum import StrEnum

from msgspec import Struct


class Format(StrEnum):
    """A file format, or one of the two ways of not naming one."""

    JPEG = "jpeg"
    PNG = "png"
    WEBP = "webp"
    AVIF = "avif"
    GIF = "gif"
    APNG = "apng"
    """A PNG of several frames."""
    TIFF = "tiff"
    JXL = "jxl"
    SVG = "svg"
    HEIC = "heic"
    BMP = "bmp"
    ICO = "ico"
    JSON = "json"
    """No picture, but what is told of one: see `model.operations.encoding.Describe`."""
    KEEP = "keep"
    """As the source: known only once the source has been read."""
    AUTO = "auto"
    """The best that the client accepts: see `plan.negotiate`."""


MEDIA_TYPES = {
    Format.JPEG: "image/jpeg",
    Format.PNG: "image/png",
    Format.WEBP: "image/webp",
    Format.AVIF: "image/avif",
    Format.GIF: "image/gif",
    Format.APNG: "image/apng",
    Format.TIFF: "image/tiff",
    Format.JXL: "image/jxl",
}
SOURCE_TYPES = MEDIA_TYPES | {
    Format.SVG: "image/svg+xml",
    Format.HEIC: "image/heic",
    Format.BMP: "image/bmp",
    Format.ICO: "image/vnd.microsoft.icon",
}
"""What a source may be said to be (IANA media types)."""
EXTENSIONS = {format_: "jpg" if format_ is Format.JPEG else format_.value for format_ in MEDIA_TYPES}
"""What a file of a format is usually called after the dot."""
BY_EXTENSION = {"jpeg": Format.JPEG, "tif": Format.TIFF} | {
    extension: format_ for format_, extension in EXTENSIONS.items()
}
"""What a file's extension, in small letters, says that it is."""
SOURCES_BY_EXTENSION = BY_EXTENSION | {
    "svg": Format.SVG, "svgz": Format.SVG, "heic": Format.HEIC, "heif": Format.HEIC, "hif": Format.HEIC,
    "bmp": Format.BMP, "dib": Format.BMP, "ico": Format.ICO, "cur": Format.ICO,
}  # fmt: skip
"""The same of what may be read."""
ANIMATED = frozenset({Format.GIF, Format.WEBP, Format.APNG, Format.AVIF})
"""Formats that are written with all their frames."""
PAGED = frozenset({Format.TIFF, Format.ICO})
"""Formats of several pictures that are no moments of one."""
ALPHA = frozenset(MEDIA_TYPES) - {Format.JPEG}
"""Formats that hold transparency."""
ANSWERS = frozenset({*MEDIA_TYPES, Format.JSON})
"""All that a recipe may end in."""
LOSSY = frozenset({Format.JPEG, Format.WEBP, Format.AVIF, Format.JXL})
"""Formats on which a quality has an effect."""
LOSSLESS = frozenset(MEDIA_TYPES) - LOSSY
"""Formats that keep every pixel they are given, GIF at 256 colours."""


_JSON_TYPE = "application/json"

VECTORS = frozenset({Format.SVG})
"""Formats of shapes instead of pixels: read and drawn at any size, never written."""
READABLE = frozenset(
    {
        Format.JPEG, Format.PNG, Format.APNG, Format.WEBP, Format.AVIF, Format.GIF, Format.TIFF, Format.HEIC,
        Format.BMP, Format.ICO, Format.JXL, Format.SVG,
    }
)  # fmt: skip
"""What a source may be; `MEDIA_TYPES` has what a rendition may be."""


_INSTEAD = {Format.BMP: Format.PNG, Format.ICO: Format.PNG, Format.SVG: Format.PNG}
"""What is kept losslessly. What else is not written was lossy: it becomes JPEG, or PNG with transparency."""


def kept(format_: Format, *, has_alpha: bool) -> Format:
    """What ``format=keep`` makes of a source of *format_*: the same, where we write it."""
    if format_ in MEDIA_TYPES:
        return format_
    return _INSTEAD.get(format_) or (Format.PNG if has_alpha else Format.JPEG)


class MediaInfo(Struct, frozen=True):
    """What a header claims of a picture. Sizes are of one frame, in stored orientation."""

    format: Format
    width_px: int
    height_px: int
    frames: int = 1
    channels: int = 3
    bits: int = 8
    has_alpha: bool = False
    orientation: int = 1
    """EXIF 1 to 8; filled in from the decoder's header, 1 until then."""
    turned: int = 1
    """What the format's own means make of it, as an EXIF orientation: decoders have done so, and sizes are as after."""
    metadata_bytes: int = 0
    icc_bytes: int = 0
    scans: int = 1
    """Progressive JPEG scans; 1 for everything else."""
    interlaced: bool = False
    huffman_dct: bool = False
    """A JPEG that is neither lossless nor arithmetic-coded: the kind that every decoder knows best."""
    bare: bool = False
    """A JPEG without EXIF, XMP or a profile: its pixels and their number are all there is to it."""
    shapes: int = 0
    """This and the next three of a vector picture: elements that are drawn, each as often as it is used."""
    vertices: int = 0
    """Points of their outlines."""
    filters: int = 0
    """Filter primitives, those that cost more than others as several."""
    embedded_pixels: int = 0
    """Of the pictures in it."""
    pages: int = 1
    """Pictures that are no moments of one: of a TIFF, or the sizes of an icon. `frames` is then 1."""
    page: int = 0
    """Which of them all this is said of."""
    alike: int = 1
    """How many pages from this one on are of its size."""
    unusual: bool = False
    """Of a kind that the usual decoder of its format does not read, and another does: see `engines.decoders`."""


class Rendition(Struct, frozen=True):
    """One finished picture, or what is told of one: the size is the picture's then."""

    body: bytes
    format: Format
    etag: str
    """Strong entity tag without quotes: a digest of the body."""
    width_px: int
    height_px: int
    frames: int = 1
    quality: int = 0
    """The one that was found to reach a score; 0 = none was looked for. Not kept in caches."""

    @property
    def media_type(self) -> str:
        """The ``Content-Type`` of the body."""
        return _JSON_TYPE if self.format is Format.JSON else MEDIA_TYPES[self.format]
