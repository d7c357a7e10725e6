"""The step of `model.operations.layers.Text` with libvips."""

from imagemill.engines.decoded import Image
from imagemill.engines.operations.base import Alpha, Colours, Context, How, Table
from imagemill.engines.operations.lettering import Block
from imagemill.engines.operations.placing import laid
from imagemill.engines.pixels import OPAQUE
from imagemill.model.recipe import Text


def _write(image: Image, step: Text, context: Context) -> Image:
    """*image* with the text on it, which is drawn once for all frames."""
    key = (step, image.width)
    if key not in context.found:
        assert context.lettering, "whoever has such steps can write"
        context.found[key] = context.lettering.block(step, image.width)
    block: Block = context.found[key]
    overlay = _coloured(block.mask, step.rgba)
    return laid(image, overlay, step.place, shadow=step.shadow, margin_px=block.margin_px)


def _coloured(mask: Image, rgba: int) -> Image:
    """One colour, as dense as *mask* and the colour itself say."""
    *colour, density = rgba.to_bytes(4, "big")
    if density != OPAQUE:
        mask = (mask * (density / OPAQUE)).rint().cast("uchar")
    return mask.new_from_image(colour).bandjoin(mask).copy(interpretation="srgb", xoffset=0, yoffset=0)


TABLE: Table = {Text: How(_write, Alpha.STRAIGHT, Colours.RGB)}
