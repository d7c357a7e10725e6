"""Steps of `plan.operations.look` with libvips."""

from imagemill.engines.decoded import Image
from imagemill.engines.operations.base import Alpha, Colours, Context, How, Table
from imagemill.plan.steps import Crisp, Smooth


def _smooth(image: Image, step: Smooth, _context: Context) -> Image:
    return image.gaussblur(step.sigma, precision="integer")


def _crisp(image: Image, step: Crisp, _context: Context) -> Image:
    space = image.interpretation
    sharp = image.sharpen(sigma=min(step.sigma, 10.0))
    return sharp.colourspace(space).cast("uchar")


TABLE: Table = {
    Smooth: How(_smooth, Alpha.PREMULTIPLIED, Colours.ANY),
    Crisp: How(_crisp, Alpha.STRAIGHT, Colours.ANY),
}
