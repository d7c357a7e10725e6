"""Steps of `plan.operations.layers` with libvips."""

from imagemill.engines.decoded import Image
from imagemill.engines.operations.base import Alpha, Colours, Context, How, Table
from imagemill.engines.operations.placing import put, ready
from imagemill.engines.pixels import OPAQUE, RGBA, with_bands
from imagemill.model.source import at_fault
from imagemill.plan.geometry import Size
from imagemill.plan.steps import Overlay, Underlay


def _underlay(image: Image, step: Underlay, _context: Context) -> Image:
    """*image* over a colour; nothing changes where it is opaque."""
    if not image.hasalpha():
        return image
    image = with_bands(image, RGBA)
    rgba = step.rgba
    colour = [rgba >> 24 & 0xFF, rgba >> 16 & 0xFF, rgba >> 8 & 0xFF]
    if rgba & 0xFF == OPAQUE:
        return image.flatten(background=colour)
    under = image.new_from_image([*colour, rgba & 0xFF]).copy(interpretation="srgb")
    return under.composite2(image, "over").cast("uchar")


def _overlay(image: Image, step: Overlay, context: Context) -> Image:
    size = Size(image.width, image.height)
    if (step, size) not in context.found:  # of a recipe that lays the same twice, each on a picture of its own size
        assert context.layer, "whoever has such steps has layers"
        overlay = context.layer(step)
        with at_fault(step.source):
            context.found[step, size] = ready(size, overlay, step.place, shadow=step.shadow, tile=step.tile)
    return put(image, context.found[step, size], step.blend)


TABLE: Table = {
    Overlay: How(_overlay, Alpha.STRAIGHT, Colours.RGB),
    Underlay: How(_underlay, Alpha.STRAIGHT, Colours.SRGB),
}
