"""Where a box that is laid on a picture comes to lie: integers in, integers out.

Units    pixels, from the picture's left and top edge; negative where the box begins outside.
"""

import math

from imagemill.model.operations.layers import Place
from imagemill.model.operations.values import MILLION
from imagemill.plan.geometry import Size


def spot(picture: Size, box: Size, place: Place) -> tuple[int, int]:
    """Left and top of *box* on *picture*; offsets lead inward from the edges that the position touches."""
    point = place.position
    return (
        _along(picture.width, box.width, point.x_ppm, place.x_px, focal=point.focal),
        _along(picture.height, box.height, point.y_ppm, place.y_px, focal=point.focal),
    )


def turned_size(size: Size, centidegrees: int) -> Size:
    """The least box that holds one of *size* turned so far, whatever way."""
    if centidegrees % 18_000 == 0:
        return size
    if centidegrees % 9_000 == 0:
        return Size(size.height, size.width)
    radians = math.radians(centidegrees / 100)
    cos, sin = abs(math.cos(radians)), abs(math.sin(radians))
    return Size(
        math.ceil(round(size.width * cos + size.height * sin, 6)),
        math.ceil(round(size.width * sin + size.height * cos, 6)),
    )


def _along(outer: int, inner: int, ppm: int, offset: int, *, focal: bool) -> int:
    slack = outer - inner
    if focal:  # centred on the point, as far as the edges allow
        start = (2 * outer * ppm - inner * MILLION + MILLION) // (2 * MILLION)
        return min(max(start, min(slack, 0)), max(slack, 0)) + offset
    start = (2 * slack * ppm + MILLION) // (2 * MILLION)
    return start - offset if ppm == MILLION else start + offset
