"""The step of `model.operations.layers.Text` with libvips."""

from imagemill.engines.decoded import Image
from imagemill.engines.operations.base import Alpha, Colours, Context, How, Table
from imagemill.engines.operations.placing import Ready, put, ready
from imagemill.engines.pixels import OPAQUE, RGB
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
        context.found[key] = _ready(size, overlay, step, block.margin_px)
    return put(image, context.found[key], Blend.NORMAL)


def _ready(size: Size, overlay: Image, step: Text, margin_px: int) -> Ready:
    try:
        made = ready(size, overlay, step.place, shadow=step.shadow, margin_px=margin_px)
    except BadOption as e:
        raise BadOption(f"text: {e}") from e
    may_miss = step.width_px or not step.rgba & OPAQUE  # a block may lie on the picture by its empty part alone
    if may_miss and not made.overlay.extract_band(RGB).max():
        raise BadOption("text: nothing of it would be seen")
    return made


def _coloured(mask: Image, rgba: int) -> Image:
    """One colour, as dense as *mask* and the colour itself say."""
    *colour, density = rgba.to_bytes(4, "big")
    if density != OPAQUE:
        mask = (mask * (density / OPAQUE)).rint().cast("uchar")
    return mask.new_from_image(colour).bandjoin(mask).copy(interpretation="srgb", xoffset=0, yoffset=0)


TABLE: Table = {Text: How(_write, Alpha.STRAIGHT, Colours.RGB)}
