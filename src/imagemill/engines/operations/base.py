"""What an engine knows of an operation: how a step is done, and on what.

A step is done on one picture at a time, eight bits a sample; every frame of an animation is one.
"""

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from imagemill.engines.decoded import Image
from imagemill.engines.operations.lettering import Lettering
from imagemill.plan.steps import Overlay


class Alpha(Enum):
    """How colours stand to alpha in what a step is given, and gives."""

    ANY = 1
    """Pixels are moved, not mixed."""
    STRAIGHT = 2
    PREMULTIPLIED = 3
    """Neighbours are mixed."""


class Colours(Enum):
    """What colours a step is given."""

    ANY = 1
    """Those of the source, in its own profile: grey or three, with alpha or without."""
    SRGB = 2
    """sRGB or its grey."""
    RGB = 3
    """sRGB of three bands, with alpha or without."""


class Context(Struct):
    """What a step may need to know but the picture and itself."""

    frame: int = 0
    """Which frame it is; the first is 0."""
    found: dict[Any, Any] = {}
    """What the first frame has settled for the others, by step."""
    layer: Callable[[Overlay], Image] | None = None
    """The picture that a step lays on this one: in memory, sRGB with alpha."""
    lettering: Lettering | None = None
    """What texts are written with."""

    def at(self, frame: int) -> "Context":
        """The same for another frame of the same picture."""
        return replace(self, frame=frame)


class How(Struct, frozen=True):
    """How a step is done."""

    apply: Callable[[Image, Any, Context], Image]
    """The picture after the step; the second is the step."""
    alpha: Alpha = Alpha.STRAIGHT
    colours: Colours = Colours.RGB


Table = Mapping[type, How]
