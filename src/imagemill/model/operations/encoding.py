"""How a picture is written, or what is told of it: always the last operation."""

from enum import StrEnum

from msgspec import Struct

from imagemill.model.errors import BadOption
from imagemill.model.media import Format
from imagemill.model.operations.values import check_range

EIGHT_BITS = 8


class Speed(StrEnum):
    """What an encoder is to save: CPU, both, or bytes. The look that a quality asks for is held."""

    FAST = "fast"
    """The least CPU: up to a tenth more bytes than `BALANCED`."""
    BALANCED = "balanced"
    """The knee of CPU, bytes and score, as measured."""
    SMALL = "small"
    """The fewest bytes that a request can wait for."""


class Subsampling(StrEnum):
    """How coarse colours are beside lightness."""

    AUTO = "auto"
    """As the format's encoder does it by itself at the quality asked for."""
    HALF = "420"
    """Half as wide and half as high."""
    NONE = "444"
    """As fine as lightness."""


class Space(StrEnum):
    """The colours that a rendition is written in."""

    SRGB = "srgb"
    P3 = "p3"
    """Display P3; the profile goes with it, as it means nothing without."""
    KEEP = "keep"
    """The source's own, with its profile; CMYK and what else a format cannot hold becomes sRGB."""


class Metadata(StrEnum):
    """What of a source's metadata goes into a rendition. Orientation never does: it has been applied."""

    STRIP = "strip"
    COPYRIGHT = "copyright"
    """EXIF Artist and Copyright, and nothing else."""
    ALL = "all"
    """EXIF (place and all), XMP and IPTC, as far as the format holds them."""


class Encode(Struct, frozen=True, tag="encode"):
    """Write the picture."""

    format: Format = Format.KEEP
    quality: int = 0
    """1 to 100; 0 = the format's own default. Lossless formats are not changed by it."""
    speed: Speed | None = None
    """None = the server's."""
    target_centi: int = 0
    """In place of `quality`: a SSIMULACRA 2 score, in hundredths, that the quality is chosen for; 0 = none."""
    max_bytes: int = 0
    """The highest quality, up to `quality`, at which the file has no more bytes; 0 = any number."""
    lossless: bool = False
    """Keep every pixel. PNG, APNG and TIFF always do; WebP, a still AVIF and JXL do by this."""
    colours: int = 0
    """Palette of at most so many, for PNG and GIF; 0 = true colour (GIF: 256)."""
    dither_percent: int = 100
    """How much errors of a palette are spread."""
    progressive: bool | None = None
    """Progressive JPEG, interlaced PNG and GIF; None = as the speed says."""
    subsampling: Subsampling = Subsampling.AUTO
    """For JPEG and AVIF."""
    effort: int = -1
    """CPU for fewer bytes, as the format's encoder counts it (`plan.profiles`); -1 = as the speed says."""
    bits: int = EIGHT_BITS
    """A sample: 16 for PNG and TIFF, 10 or 12 for AVIF."""
    space: Space = Space.SRGB
    profile: bool = False
    """Whether an ICC profile is written where the colours are sRGB."""
    metadata: Metadata = Metadata.STRIP

    def __post_init__(self) -> None:
        """Keep numbers in range, and refuse what excludes one another."""
        if self.format == Format.JSON:
            raise BadOption("format: a picture is not written as JSON; /info tells of it")
        if not 0 <= self.quality <= 100:
            raise BadOption("quality: 1 to 100")
        check_range("quality target", self.target_centi, 0, 10_000)
        if self.max_bytes < 0:
            raise BadOption("max_bytes: at least 1")
        if self.colours and not 2 <= self.colours <= 256:
            raise BadOption("colors: 2 to 256")
        check_range("dither", self.dither_percent, 0, 100)
        check_range("effort", self.effort, -1, 10)
        if self.bits not in {EIGHT_BITS, 10, 12, 16}:
            raise BadOption("bits: 8, 10, 12 or 16")
        for refused, why in self._contradictions():
            if refused:
                raise BadOption(why)

    def _contradictions(self) -> tuple[tuple[bool, str], ...]:
        deep = self.bits != EIGHT_BITS
        return (
            (bool(self.target_centi and self.quality), "quality: a number, or what is to be reached"),
            (self.lossless and bool(self.quality or self.target_centi), "quality: not with lossless"),
            (self.lossless and self.max_bytes > 0, "max_bytes: not with lossless"),
            (self.lossless and self.subsampling is not Subsampling.AUTO, "subsampling: not with lossless"),
            (self.lossless and self.colours > 0, "colors: not with lossless"),
            (self.lossless and deep, "bits: not with lossless"),
            (self.colours > 0 and deep, "bits: a palette has 8"),
            (deep and self.space is not Space.SRGB, "colorspace: srgb where bits is more than 8"),
            (self.profile and self.space is not Space.SRGB, "icc: p3 and keep bring their own profile"),
        )


class Describe(Struct, frozen=True, tag="describe"):
    """Tell of the picture, as JSON, instead of writing it. What its header says is always told, and costs nothing.

    The header is the source's; whatever is told of pixels is told of the first frame that the recipe makes.
    """

    metadata: bool = False
    """EXIF, XMP and IPTC."""
    colours: int = 0
    """Palette of so many; the dominant colour with it."""
    blurhash: bool = False
    thumbhash: bool = False
    phash: bool = False
    """Perceptual hash, 64 bits."""
    placeholder: bool = False
    """A tiny picture as a ``data:`` URI."""

    def __post_init__(self) -> None:
        """Keep the palette one."""
        check_range("palette", self.colours, 0, 16)

    @property
    def needs_pixels(self) -> bool:
        """Whether the source has to be decoded for it."""
        return bool(self.colours or self.blurhash or self.thumbhash or self.phash or self.placeholder)
