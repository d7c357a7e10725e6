"""The step of `model.operations.layers.Text` with libvips."""

from imagemill.engines.decoded import Image
from imagemill.engines.operations.base import Alpha, Colours, Context, How, Table
from imagemill.engines.operations.placing import put, ready
from imagemill.engines.pixels import OPAQUE
from imagemill.model.errors import BadOption
from imagemill.model.recipe import Blend, Text
from imagemill.plan.geometry import Size


def _write(image: Image, step: Text, context: Context) -> Image:
    """*image* with the text on it, which is drawn once for all frames."""
    size = Size(image.width, image.height)
    key = (step, size)
    if key not in context.found:
        assert context.lettering, "whoever has such steps can write"
        block = context.lettering.block(step, size.width)
        overlay = _coloured(block.mask, step.rgba)
        try:
            context.found[key] = ready(size, overlay, step.place, shadow=step.shadow, margin_px=block.margin_px)
        except BadOption as e:
            raise BadOption(f"text: {e}") from e
    return put(image, context.found[key], Blend.NORMAL)


def _coloured(mask: Image, rgba: int) -> Image:
    """One colour, as dense as *mask* and the colour itself say."""
    *colour, density = rgba.to_bytes(4, "big")
    if density != OPAQUE:
        mask = (mask * (density / OPAQUE)).rint().cast("uchar")
    return mask.new_from_image(colour).bandjoin(mask).copy(interpretation="srgb", xoffset=0, yoffset=0)


TABLE: Table = {Text: How(_write, Alpha.STRAIGHT, Colours.RGB)}
