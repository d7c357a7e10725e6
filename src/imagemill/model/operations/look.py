"""Operations that change what pixels look like, and not where they are. Transparency is kept unless said otherwise.

Colours  are those of sRGB, in its own (not linear) values, 0 to 255; ``v`` is one of red, green and blue. Results are
         rounded to whole levels and clipped to 0 to 255. `Grayscale`, `Saturation`, `Hue`, `Sepia`, `Tint` and the grey
         of `Duotone` are matrices: those that follow one another are multiplied, and clipped once.
Luma     ``0.2126 R + 0.7152 G + 0.0722 B``.
Mixing   where neighbours are mixed (`Blur`, `Pixelate`), colours are multiplied by their alpha before and divided by
         it after: what cannot be seen is not mixed in.
Source   `Grayscale`, `Saturation`, `Hue` and `Sepia`: W3C Filter Effects Module Level 1, 8.4 to 8.10 and 9.6;
         `Gradient`: CSS Images Module Level 3, 3.1.
"""

from enum import StrEnum

from msgspec import Struct

from imagemill.model.errors import BadOption
from imagemill.model.operations.values import MILLION, check_colour, check_range


class Blur(Struct, frozen=True, tag="blur"):
    """Gaussian blur, edges extended."""

    sigma_centi: int

    def __post_init__(self) -> None:
        """Keep sigma positive."""
        if self.sigma_centi < 1:
            raise BadOption("blur: sigma is at least 0.01")


class Sharpen(Struct, frozen=True, tag="sharpen"):
    """Unsharp mask on lightness (L* of CIELAB).

    Of a picture with transparency, what cannot be seen is taken for more of what can: one colour stays one.
    """

    sigma_centi: int

    def __post_init__(self) -> None:
        """Keep sigma positive."""
        if self.sigma_centi < 1:
            raise BadOption("sharpen: sigma is at least 0.01")


class Unsharp(Struct, frozen=True, tag="unsharp"):
    """Unsharp mask on each colour: ``v + (v - blurred) * amount``, with what a blur of ``sigma`` makes of ``v``.

    Of a picture with transparency, what is blurred are the colours that can be seen: one colour stays one.
    """

    sigma_centi: int = 100
    amount_percent: int = 100
    threshold: int = 0
    """Where ``v`` and ``blurred`` are less than so many levels apart, ``v`` is kept."""

    def __post_init__(self) -> None:
        """Keep sigma positive and the rest in range."""
        if self.sigma_centi < 1:
            raise BadOption("unsharp: sigma is at least 0.01")
        check_range("unsharp", self.amount_percent, 1, 500)
        check_range("unsharp", self.threshold, 0, 255)


class Pixelate(Struct, frozen=True, tag="pixelate"):
    """Squares of ``size_px``, counted from the top left, each of the mean of its pixels and of their alpha.

    Those at the right and at the bottom may be cut short, and are the mean of what is left of them.
    """

    size_px: int

    def __post_init__(self) -> None:
        """Keep to squares that show."""
        check_range("pixelate", self.size_px, 2, 8192)


class Brightness(Struct, frozen=True, tag="brightness"):
    """Add a share of the full range to every colour: ``v + 255 * percent / 100``."""

    percent: int

    def __post_init__(self) -> None:
        """Keep in range; 0 is no operation."""
        _check_change("brightness", self.percent)


class Contrast(Struct, frozen=True, tag="contrast"):
    """Spread colours around the middle: ``(v - 127.5) * (1 + percent / 100) + 127.5``."""

    percent: int

    def __post_init__(self) -> None:
        """Keep in range; 0 is no operation."""
        _check_change("contrast", self.percent)


class Saturation(Struct, frozen=True, tag="saturation"):
    """Away from grey, or towards it: -100 = grey, 100 = twice the saturation.

    feColorMatrix ``saturate`` of ``1 + percent / 100``, whose luma is rounded: 0.213, 0.715, 0.072.
    """

    percent: int

    def __post_init__(self) -> None:
        """Keep in range; 0 is no operation."""
        _check_change("saturation", self.percent)


class Hue(Struct, frozen=True, tag="hue"):
    """Turn all hues on the colour wheel, at the same luma: feColorMatrix ``hueRotate``."""

    degrees: int

    def __post_init__(self) -> None:
        """Keep to less than a turn; 0 is no operation."""
        _check_change("hue", self.degrees, 359)


class Gamma(Struct, frozen=True, tag="gamma"):
    """``255 * (v / 255) ^ (1 / gamma)``: above 1 is lighter."""

    centi: int

    def __post_init__(self) -> None:
        """Keep within 0.1 to 10."""
        check_range("gamma", self.centi, 10, 1000)
        if self.centi == 100:
            raise BadOption("gamma: 1 has no effect")


class Grayscale(Struct, frozen=True, tag="grayscale"):
    """Every colour becomes its luma."""


class Sepia(Struct, frozen=True, tag="sepia"):
    """Brown like an old photograph, by so much: the filter function ``sepia()``, 100 = its full matrix."""

    percent: int = 100

    def __post_init__(self) -> None:
        """Keep in range."""
        check_range("sepia", self.percent, 1, 100)


class Negate(Struct, frozen=True, tag="negate"):
    """Every colour to its opposite: ``255 - v``."""


class Tint(Struct, frozen=True, tag="tint"):
    """Greys of one colour: black stays black, white becomes the colour; its alpha is how much of it is mixed in.

    ``v * (1 - alpha) + colour * luma / 255 * alpha``, with alpha 0 to 1.
    """

    rgba: int

    def __post_init__(self) -> None:
        """Keep to a colour that shows."""
        _check_seen("tint", self.rgba)


class Duotone(Struct, frozen=True, tag="duotone"):
    """Luma as a way from one colour to another: ``dark + (light - dark) * luma / 255``, luma a whole level."""

    dark_rgba: int
    light_rgba: int

    def __post_init__(self) -> None:
        """Keep to opaque colours."""
        for rgba in (self.dark_rgba, self.light_rgba):
            check_colour("duotone", rgba)
            if rgba & 0xFF != 0xFF:
                raise BadOption("duotone: opaque colours")


class Colorize(Struct, frozen=True, tag="colorize"):
    """Lay a colour over the picture, as dense as its alpha: ``v * (1 - alpha) + colour * alpha``, with alpha 0 to 1.

    The picture's own transparency is kept: where nothing is, nothing is laid.
    """

    rgba: int

    def __post_init__(self) -> None:
        """Keep to a colour that shows."""
        _check_seen("colorize", self.rgba)


class Gradient(Struct, frozen=True, tag="gradient"):
    """Lay a linear gradient over the picture, as dense as its alpha; where nothing is, nothing is laid.

    Its line goes through the middle of the picture, and is as long as CSS has it: ``|width * sin| + |height * cos|`` of
    its angle. A pixel's share is that of its centre along the line; in between, colours multiplied by their alpha and
    alpha itself are mixed evenly. They are laid as `Colorize` does.
    """

    from_rgba: int
    to_rgba: int
    degrees: int = 180
    """Where it goes to: 0 = to the top, 90 = to the right, as CSS counts."""
    begin_ppm: int = 0
    end_ppm: int = MILLION
    """Before the one and after the other, the colours are even; parts of the line, from its beginning."""

    def __post_init__(self) -> None:
        """Keep to a gradient that shows and has a direction."""
        check_colour("gradient", self.from_rgba)
        check_colour("gradient", self.to_rgba)
        if not (self.from_rgba | self.to_rgba) & 0xFF:
            raise BadOption("gradient: nothing would be seen of it")
        check_range("gradient", self.degrees, 0, 359)
        if not 0 <= self.begin_ppm < self.end_ppm <= MILLION:
            raise BadOption("gradient: begins before it ends, both within 0 and 1")


class Round(Struct, frozen=True, tag="round"):
    """Rounded corners: outside of their quarter circles nothing is left. A radius is half the shorter side at most.

    A pixel that an edge goes through keeps as much of its alpha as it has of its area inside, to a sixteenth. Formats
    without transparency show the background there, or white.
    """

    top_left_px: int = 0
    top_right_px: int = 0
    bottom_right_px: int = 0
    bottom_left_px: int = 0

    def __post_init__(self) -> None:
        """Keep to radii that are ones."""
        radii = (self.top_left_px, self.top_right_px, self.bottom_right_px, self.bottom_left_px)
        if min(radii) < 0 or not any(radii) or max(radii) > 8192:
            raise BadOption("radius: at least one, each within 0 to 8192 pixels")


class Shape(StrEnum):
    """What a mask leaves: the largest such shape that fits, its bounding box in the middle of the picture.

    Triangles, pentagons and hexagons are regular, and have a corner at the top.
    """

    CIRCLE = "circle"
    ELLIPSE = "ellipse"
    """Touches all four sides."""
    TRIANGLE = "triangle"
    PENTAGON = "pentagon"
    HEXAGON = "hexagon"
    SQUARE = "square"
    STAR = "star"
    """A pentagram: its inner corners are ``(3 - √5) / 2`` as far from the middle as its points."""
    HEART = "heart"
    """A square that stands on a corner, and half a circle on each of its upper sides."""


_SAME_UPSIDE_DOWN = frozenset({Shape.CIRCLE, Shape.ELLIPSE, Shape.HEXAGON, Shape.SQUARE})


class Mask(Struct, frozen=True, tag="mask"):
    """Keep what lies in a shape; outside of it nothing is left, as outside of `Round`, and its edge is as smooth."""

    shape: Shape
    upside_down: bool = False

    def __post_init__(self) -> None:
        """Refuse to turn what looks the same then."""
        if self.upside_down and self.shape in _SAME_UPSIDE_DOWN:
            raise BadOption(f"mask: {self.shape} looks the same upside down")


def _check_change(name: str, change: int, most: int = 100) -> None:
    check_range(name, change, -most, most)
    if not change:
        raise BadOption(f"{name}: zero has no effect")


def _check_seen(name: str, rgba: int) -> None:
    check_colour(name, rgba)
    if not rgba & 0xFF:
        raise BadOption(f"{name}: nothing would be seen of it")
