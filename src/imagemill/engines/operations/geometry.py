"""Steps of `plan.operations.geometry` with libvips."""

from imagemill.engines.decoded import Image
from imagemill.engines.operations.base import Alpha, Colours, Context, How, Table
from imagemill.engines.pixels import OPAQUE, RGB, RGBA, with_bands
from imagemill.plan.geometry import Size, shrunk
from imagemill.plan.steps import Canvas, Cut, Mirror, Scale, Turn, Upright

_TURNS = {3: "d180", 4: "d180", 5: "d90", 6: "d90", 7: "d270", 8: "d270"}
_MIRRORED = frozenset({2, 4, 5, 7})


def _upright(image: Image, step: Upright, _context: Context) -> Image:
    """Turn clockwise, then mirror left to right: EXIF 2 to 8."""
    image = image.copy_memory()
    if step.orientation in _TURNS:
        image = image.rot(_TURNS[step.orientation])
    return image.flip("horizontal") if step.orientation in _MIRRORED else image


def _cut(image: Image, step: Cut, _context: Context) -> Image:
    box = shrunk(step.box, step.of, Size(image.width, image.height))
    return image.crop(box.left, box.top, box.width, box.height)


def _turn(image: Image, step: Turn, _context: Context) -> Image:
    return image.copy_memory().rot(f"d{step.quarters * 90}")


def _mirror(image: Image, step: Mirror, _context: Context) -> Image:
    return image.copy_memory().flip("vertical" if step.vertical else "horizontal")


def _scale(image: Image, step: Scale, _context: Context) -> Image:
    return image.resize(step.size.width / image.width, vscale=step.size.height / image.height)


def _canvas(image: Image, step: Canvas, _context: Context) -> Image:
    red, green, blue, alpha = step.rgba.to_bytes(4, "big")
    image = with_bands(image, RGB if alpha == OPAQUE and not image.hasalpha() else RGBA)
    return image.embed(
        step.left, step.top, step.size.width, step.size.height, extend="background",
        background=[red, green, blue, alpha][: image.bands],
    )  # fmt: skip


TABLE: Table = {
    Upright: How(_upright, Alpha.ANY, Colours.ANY),
    Cut: How(_cut, Alpha.ANY, Colours.ANY),
    Turn: How(_turn, Alpha.ANY, Colours.ANY),
    Mirror: How(_mirror, Alpha.ANY, Colours.ANY),
    Scale: How(_scale, Alpha.PREMULTIPLIED, Colours.ANY),
    Canvas: How(_canvas, Alpha.STRAIGHT, Colours.SRGB),
}
