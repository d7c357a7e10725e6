"""How an animation is shown, as libvips tells it of any format.

Units    milliseconds; loops are showings, 0 = for ever.
Source   libvips 8.18: ``delay`` and ``loop`` of gifload and webpload.
"""

from msgspec import Struct

from imagemill.engines.decoded import Image

SHORTEST_MS, USUAL_MS = 10, 100
"""Delays up to the first are shown as the second, as browsers do and libvips does."""


class Timing(Struct, frozen=True):
    """How an animation is shown."""

    delays_ms: tuple[int, ...]
    """Of its frames; those without one take `USUAL_MS`."""
    loops: int
    """0 = for ever."""


def timing_of(image: Image, frames: int) -> Timing:
    """That of *image*, with a delay for each of its *frames*."""
    loops = image.get("loop") if image.get_typeof("loop") else 0
    told = tuple(image.get("delay")) if image.get_typeof("delay") else ()
    shown = [delay if delay > SHORTEST_MS else USUAL_MS for delay in told[:frames]]
    return Timing((*shown, *[USUAL_MS] * (frames - len(shown))), loops)
