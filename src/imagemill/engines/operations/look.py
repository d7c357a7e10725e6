"""Steps of `plan.operations.look` with libvips, and masks and gradients with numpy."""

from math import cos, radians, sin
from typing import Any

import numpy as np

from imagemill.engines.decoded import Image, pyvips
from imagemill.engines.operations import shapes
from imagemill.engines.operations.base import Alpha, Colours, Context, How, Table
from imagemill.engines.operations.bells import blurred
from imagemill.engines.pixels import RGB, premultiplied, straight, with_bands
from imagemill.model.operations.values import MILLION
from imagemill.model.recipe import Gradient, Mask, Pixelate, Round, Unsharp
from imagemill.plan.operations.colours import Curve, Mix
from imagemill.plan.steps import Crisp, Smooth

_LEVELS, _MOST = 256, 255
_POINTS = 4096
"""Of a gradient: more than there are levels, so that none is missed."""
_IDENTITY = bytes(range(_LEVELS))


def _smooth(image: Image, step: Smooth, _context: Context) -> Image:
    return _at_hand(blurred(_at_hand(image), step.sigma))


def _crisp(image: Image, step: Crisp, _context: Context) -> Image:
    """Of a picture with transparency, what cannot be seen is taken for more of what can, so that it shows nowhere."""
    sigma = min(step.sigma, 10.0)
    image = _at_hand(image)
    if not image.hasalpha():
        return _at_hand(_sharper(image, sigma))
    colours, alpha = _parted(image)
    assert alpha
    seen = premultiplied(image)
    around = straight(blurred(seen, sigma))
    hidden = alpha.linear(-1 / _MOST, 1)
    ground = (_parted(seen)[0] + _parted(around)[0] * hidden).rint().cast("uchar")
    ground = ground.copy(interpretation=image.interpretation)
    return _at_hand(_with_alpha((colours + _sharper(ground, sigma) - ground).cast("uchar"), alpha, image))


def _sharper(image: Image, sigma: float) -> Image:
    return image.sharpen(sigma=sigma).colourspace(image.interpretation).cast("uchar")


def _at_hand(image: Image) -> Image:
    """*image*, computed: whoever looks at neighbours, here or later, has all that comes before done as often."""
    return image.copy_memory()


def _unsharp(image: Image, step: Unsharp, _context: Context) -> Image:
    """What is blurred of a picture with transparency is what can be seen of it."""
    image = _at_hand(image)
    colours, alpha = _parted(image)
    seen = premultiplied(image) if alpha else image
    around = blurred(seen, step.sigma_centi / 100)
    around = _parted(straight(around))[0] if alpha else around
    taken = (colours - around + _MOST).cast("ushort").maplut(_added(step))
    return _at_hand(_with_alpha((colours + taken).cast("uchar"), alpha, image))


def _added(step: Unsharp) -> Image:
    """What is added for each difference, from -255 on."""
    differences = np.arange(-_MOST, _LEVELS)
    added = np.floor(differences * step.amount_percent / 100 + 0.5)
    return _table(np.where(np.abs(differences) < step.threshold, 0, added).astype(np.int16), "short")


def _pixelate(image: Image, step: Pixelate, _context: Context) -> Image:
    """The mean of each square; what is left at the right and at the bottom are squares cut short."""
    image, size = image.copy_memory(), step.size_px
    rows = [
        [_means(image.crop(x, y, width, height), size) for x, width in _parts(image.width, size)]
        for y, height in _parts(image.height, size)
    ]
    joined = [_side_by_side(row, "horizontal") for row in rows]
    return _side_by_side(joined, "vertical").zoom(size, size).crop(0, 0, image.width, image.height)


def _means(image: Image, size: int) -> Image:
    return image.shrink(min(size, image.width), min(size, image.height))


def _parts(length: int, size: int) -> list[tuple[int, int]]:
    """Where whole squares begin and how far they reach, and the same of the rest."""
    whole = length // size * size
    return [part for part in ((0, whole), (whole, length - whole)) if part[1]]


def _side_by_side(parts: list[Image], direction: str) -> Image:
    return parts[0] if len(parts) == 1 else parts[0].join(parts[1], direction)


def _curve(image: Image, step: Curve, _context: Context) -> Image:
    if step.keeps_grey or image.bands >= RGB:
        tables = [step.tables[0]] if image.bands < RGB else list(step.tables)
        return image.maplut(_tables(tables + [_IDENTITY] * image.hasalpha())).copy(interpretation=image.interpretation)
    grey, alpha = _parted(image)
    made = grey.maplut(_tables(list(step.tables))).copy(interpretation="srgb")
    return made.bandjoin(alpha) if alpha else made


def _mix(image: Image, step: Mix, _context: Context) -> Image:
    if image.bands < RGB and step.keeps_grey:
        return image
    image = with_bands(image, RGB)
    rows: list[list[float]] = [list(row) for row in (step.matrix[:1] if step.makes_grey else step.matrix)]
    if image.hasalpha():
        rows = [[*row, 0.0] for row in rows] + [[0.0, 0.0, 0.0, 1.0]]
    made = image.recomb(pyvips.Image.new_from_array(rows)).rint().cast("uchar")
    return made.copy(interpretation="b-w" if step.makes_grey else "srgb")


def _gradient(image: Image, step: Gradient, _context: Context) -> Image:
    """Laid as composited light: ``v * (1 - density) + colour * density``, both of which are even along the line."""
    colours, alpha = _parted(image)
    kept, laid = _density(step)
    at = _along(step, image.width, image.height)
    made = colours * at.maplut(kept) + at.maplut(laid)
    return _with_alpha(made.rint().cast("uchar"), alpha, image)


def _density(step: Gradient) -> tuple[Image, Image]:
    """At each point of the line, what is kept of the picture and what is laid on it."""
    begin, end = (np.array(list(rgba.to_bytes(4, "big")), np.float64) for rgba in (step.from_rgba, step.to_rgba))
    ends = np.stack([begin, end])
    ends[:, :3] *= ends[:, 3:] / _MOST
    share = np.linspace(0, 1, _POINTS)[:, None]
    mixed = ends[0] * (1 - share) + ends[1] * share
    return (
        _table((1 - mixed[:, 3] / _MOST).astype(np.float32), "float"),
        _table(np.ascontiguousarray(mixed[:, :3], np.float32), "float"),
    )


def _along(step: Gradient, width: int, height: int) -> Image:
    """Which point of the gradient each pixel's centre lies at."""
    right, up = sin(radians(step.degrees)), cos(radians(step.degrees))
    length = abs(width * right) + abs(height * up)
    x, y = np.arange(width) + 0.5 - width / 2, np.arange(height) + 0.5 - height / 2
    begin, scale = step.begin_ppm / MILLION, MILLION / (step.end_ppm - step.begin_ppm)
    across = ((x * right / length + 0.5 - begin) * (scale * (_POINTS - 1)) + 0.5).astype(np.float32)
    down = (y * -up / length * (scale * (_POINTS - 1))).astype(np.float32)
    points = np.add(across, down[:, None])
    points = np.clip(points, 0, _POINTS - 1, out=points).astype(np.uint16)
    return pyvips.Image.new_from_memory(points, width, height, 1, "ushort")


def _masked(image: Image, step: Round | Mask, context: Context) -> Image:
    """What is inside keeps its transparency; a pixel on the edge keeps its share of it."""
    name = (step, image.width, image.height)  # a recipe may mask twice
    inside = context.found.get(name) or context.found.setdefault(name, _inside(*name))
    colours, alpha = _parted(image)
    if alpha:
        inside = (alpha * inside).linear(1 / _MOST, 0.5, uchar=True)
    return colours.bandjoin(inside).copy(interpretation=image.interpretation)


def _inside(step: Round | Mask, width: int, height: int) -> Image:
    edges = shapes.rounded(step, width, height) if isinstance(step, Round) else shapes.shaped(step, width, height)
    return pyvips.Image.new_from_memory(shapes.coverage(edges, width, height), width, height, 1, "uchar")


def _parted(image: Image) -> tuple[Image, Image | None]:
    """Colours and alpha."""
    if not image.hasalpha():
        return image, None
    return image.extract_band(0, n=image.bands - 1), image.extract_band(image.bands - 1)


def _with_alpha(colours: Image, alpha: Image | None, like: Image) -> Image:
    made = colours.bandjoin(alpha) if alpha else colours
    return made.copy(interpretation=like.interpretation)


def _tables(tables: list[bytes]) -> Image:
    levels = np.stack([np.frombuffer(table, np.uint8) for table in tables], 1)
    return _table(np.ascontiguousarray(levels), "uchar")


def _table(values: Any, kind: str) -> Image:
    return pyvips.Image.new_from_memory(values, len(values), 1, values.size // len(values), kind)


TABLE: Table = {
    Smooth: How(_smooth, Alpha.PREMULTIPLIED, Colours.ANY),
    Crisp: How(_crisp, Alpha.STRAIGHT, Colours.ANY),
    Unsharp: How(_unsharp, Alpha.STRAIGHT, Colours.SRGB),
    Pixelate: How(_pixelate, Alpha.PREMULTIPLIED, Colours.SRGB),
    Curve: How(_curve, Alpha.STRAIGHT, Colours.SRGB),
    Mix: How(_mix, Alpha.STRAIGHT, Colours.SRGB),
    Gradient: How(_gradient, Alpha.STRAIGHT, Colours.RGB),
    Round: How(_masked, Alpha.STRAIGHT, Colours.SRGB),
    Mask: How(_masked, Alpha.STRAIGHT, Colours.SRGB),
}
