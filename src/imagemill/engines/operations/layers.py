"""Steps of `plan.operations.layers` with libvips."""

from imagemill.engines.decoded import Image
from imagemill.engines.operations.base import Alpha, Colours, Context, How, Table
from imagemill.engines.pixels import OPAQUE, RGBA, with_bands
from imagemill.plan.steps import Underlay


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


TABLE: Table = {
    Underlay: How(_underlay, Alpha.STRAIGHT, Colours.SRGB),
}
