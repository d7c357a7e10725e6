"""How large a vector picture is drawn, and how much of it: cutting, turning and scaling cost it no sharpness.

Pixels are made as late as they can be: what is cut, turned and scaled at the beginning of a recipe is done to the
drawing, so that it is drawn once, at the size that is wanted in the end. From the first other step on it is pixels.

Units    shares of the picture's sides, 0 to 1; pixels.
Source   prices measured with ``bench/cost.py``.
"""

from imagemill.model.media import MediaInfo
from imagemill.plan.geometry import Size
from imagemill.plan.steps import Cut, Drawing, Mirror, Scale, Step, Turn

_PIXEL_NS, _LAYER_NS, _FILTER_NS = 10.0, 1.0, 60.0
_ELEMENT_NS, _VERTEX_NS, _EMBEDDED_NS = 30_000.0, 1_000.0, 80.0
_MOST_LAYERS = 150
"""More of them do not all cover the picture."""
_TILE_PX = 2_000
"""libvips draws in squares of so many pixels: each from the beginning, and what is laid over it at full size."""


def drawn(info: MediaInfo, steps: list[Step]) -> tuple[Drawing, list[Step]]:
    """How a vector picture of *info* is drawn so that only the second are left to do of *steps*."""
    drawing, left, turned, moved = Drawing(Size(info.width_px, info.height_px)), list[Step](), False, False
    for at, step in enumerate(steps):
        match step:
            case Cut() if not moved:
                drawing = _cut(drawing, step)
            case Scale(size=size):
                drawing = drawing.at(Size(size.height, size.width) if turned else size)
            case Turn() | Mirror():
                moved = True
                turned = turned != (isinstance(step, Turn) and step.quarters % 2 == 1)
                left.append(step)
            case _:
                return drawing, left + steps[at:]
    return drawing, left


def _cut(drawing: Drawing, step: Cut) -> Drawing:
    box, of = step.box, step.of
    return Drawing(
        Size(box.width, box.height),
        drawing.left + drawing.width * box.left / of.width,
        drawing.top + drawing.height * box.top / of.height,
        drawing.width * box.width / of.width,
        drawing.height * box.height / of.height,
    )


def draw_ns(info: MediaInfo, drawing: Drawing) -> float:
    """CPU of drawing, in nanoseconds."""
    area = drawing.size.width * drawing.size.height
    tiles = -(-drawing.size.width // _TILE_PX) * -(-drawing.size.height // _TILE_PX)
    each = _LAYER_NS * min(info.shapes, _MOST_LAYERS) + _FILTER_NS * info.filters
    whole = info.shapes * _ELEMENT_NS + info.vertices * _VERTEX_NS + info.embedded_pixels * _EMBEDDED_NS
    return area * _PIXEL_NS + tiles * (area * each + whole)
