"""A recipe: a tuple of small operations, integers only, in the order they are done.

Units    as in `model.operations`.
Order    operations are done in the order they stand in; whoever writes a recipe (a dialect) decides it.
Errors   `BadOption` from ``__post_init__``, which also runs when a recipe is decoded from bytes.

To add an operation: docs/explanation/add-an-operation.md.
"""

from collections.abc import Callable, Iterator

from msgspec import Struct
from msgspec.structs import replace

from imagemill.model.errors import BadOption
from imagemill.model.operations.encoding import Describe, Encode, Metadata, Space, Speed, Subsampling
from imagemill.model.operations.frames import Density, Frames
from imagemill.model.operations.geometry import (
    AspectCrop,
    AutoOrient,
    Crop,
    Extend,
    Fill,
    Fit,
    Flip,
    Flop,
    Pad,
    Resize,
    Rotate,
    Tilt,
    Trim,
)
from imagemill.model.operations.layers import Align, Background, Blend, Place, Text
from imagemill.model.operations.look import (
    Blur,
    Brightness,
    Colorize,
    Contrast,
    Duotone,
    Gamma,
    Gradient,
    Grayscale,
    Hue,
    Mask,
    Negate,
    Pixelate,
    Round,
    Saturation,
    Sepia,
    Shape,
    Sharpen,
    Tint,
    Unsharp,
)
from imagemill.model.operations.values import MILLION, Detect, Gravity, Position, Shadow
from imagemill.model.source import SourceRef

__all__ = [
    "MILLION", "Align", "AspectCrop", "AutoOrient", "Background", "Blend", "Blur", "Brightness", "Colorize", "Contrast",
    "Crop", "Density", "Describe", "Detect", "Duotone", "Encode", "Extend", "Fill", "Fit", "Flip", "Flop", "Frames",
    "Gamma", "Gradient", "Gravity", "Grayscale", "Hue", "Layer", "Mask", "Metadata", "Negate", "Operation", "Pad",
    "Pixelate", "Place", "Position", "Recipe", "Resize", "Rotate", "Round", "Saturation", "Sepia", "Shadow", "Shape",
    "Sharpen", "SourceRef", "Space", "Speed", "Subsampling", "Text", "Tilt", "Tint", "Trim", "Unsharp", "layers",
    "renamed", "sources",
]  # fmt: skip


class Layer(Struct, frozen=True, tag="layer"):
    """Lay another picture over this one."""

    source: SourceRef
    recipe: "Recipe" = ()
    """What is done to it first; no `Encode`, and no more layers in layers than policy allows."""
    place: Place = Place()
    width_ppm: int = 0
    """Its width as a share of the picture's, once its recipe is done; 0 = as it is."""
    blend: Blend = Blend.NORMAL
    tile: bool = False
    """Repeated over the whole picture, from where it is placed."""
    shadow: Shadow | None = None

    def __post_init__(self) -> None:
        """Keep its recipe to what makes a picture."""
        if any(isinstance(op, Encode | Describe) for op in self.recipe):
            raise BadOption("layer: a layer is not encoded by itself")
        if not 0 <= self.width_ppm <= 10 * MILLION:
            raise BadOption("layer: a width of at most 1000 %")


Operation = (
    Frames | Density
    | AutoOrient | Trim | Crop | AspectCrop | Rotate | Flip | Flop | Tilt | Resize | Extend | Pad
    | Blur | Sharpen | Unsharp | Pixelate | Brightness | Contrast | Saturation | Hue | Gamma | Grayscale | Sepia
    | Negate | Tint | Duotone | Colorize | Gradient | Round | Mask
    | Layer | Text | Background
    | Encode | Describe
)  # fmt: skip
Recipe = tuple[Operation, ...]


def sources(recipe: Recipe) -> tuple[SourceRef, ...]:
    """All other pictures that *recipe* needs, each once, in the order they are first named."""
    return tuple(dict.fromkeys(_named(recipe)))


def renamed(recipe: Recipe, name: Callable[[SourceRef], SourceRef]) -> Recipe:
    """*recipe* with the source of each of its layers as *name* gives it."""
    return tuple(
        replace(op, source=name(op.source), recipe=renamed(op.recipe, name)) if isinstance(op, Layer) else op
        for op in recipe
    )


def layers(recipe: Recipe) -> Iterator[tuple[int, Layer]]:
    """All layers of *recipe* and how deep each lies: the first are at 1. Whoever stops early goes no deeper."""
    for op in recipe:
        if isinstance(op, Layer):
            yield 1, op
            yield from ((depth + 1, inner) for depth, inner in layers(op.recipe))


def _named(recipe: Recipe) -> Iterator[SourceRef]:
    return (layer.source for _, layer in layers(recipe))
