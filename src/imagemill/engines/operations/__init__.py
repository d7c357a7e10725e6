"""All steps, joined, and how one picture is brought through them."""

from collections.abc import Sequence

from imagemill.engines.decoded import Image
from imagemill.engines.operations import geometry, layers, look, text
from imagemill.engines.operations.base import Alpha, Colours, Context, Table
from imagemill.engines.pixels import RGB, premultiplied, ready, srgb, straight, with_bands
from imagemill.plan.steps import Step, Underlay

TABLE: Table = {**geometry.TABLE, **look.TABLE, **layers.TABLE, **text.TABLE}


def applied(image: Image, steps: Sequence[Step], context: Context) -> Image:
    """Bring one picture through *steps*; alpha is premultiplied while neighbouring pixels are mixed."""
    image, is_premultiplied = ready(image), False
    for step in steps:
        how = TABLE[type(step)]
        mixes = how.alpha is Alpha.PREMULTIPLIED
        if how.alpha is not Alpha.ANY and image.hasalpha() and mixes != is_premultiplied:
            image, is_premultiplied = (premultiplied(image), True) if mixes else (straight(image), False)
        if how.colours is not Colours.ANY and not (isinstance(step, Underlay) and not image.hasalpha()):
            image = srgb(image)  # what it meets is of sRGB: so it has to be, too
        if how.colours is Colours.RGB:
            image = with_bands(image, RGB)
        image = how.apply(image, step, context)
        if how.alpha is not Alpha.ANY:
            is_premultiplied = mixes  # also where the step itself has added alpha
    return straight(image) if is_premultiplied and image.hasalpha() else image
