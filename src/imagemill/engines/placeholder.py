"""A tiny picture to be shown until the real one is there, small enough to stand inside a page.

Takes    rows of eight bits: grey or RGB, with alpha or without.
Units    bytes, of the file; as a ``data:`` URI it is a third longer.
"""

from base64 import b64encode
from typing import Any

import numpy as np

from imagemill.engines import apng, webp
from imagemill.engines.decoded import Image, pyvips
from imagemill.engines.pixels import RGB, premultiplied, srgb, straight
from imagemill.engines.timing import Timing

MOST_BYTES = 512
_SIDES_PX = (32, 24, 16, 12, 8, 6, 4)
"""Of the longer side, one after the other until the file is small enough."""
_QUALITIES = (60, 30, 10)
_EFFORT, _LEVEL = 6, 9


def placeholder(rows: Any, most_bytes: int = MOST_BYTES) -> tuple[bytes, str] | None:
    """The best tiny picture of *rows* in at most *most_bytes*, and its media type; None where none is so small.

    A WebP; a PNG where there is no encoder for that.
    """
    image = _wrapped(rows)
    for side_px in _SIDES_PX:
        small = _reduced(image, side_px)
        for quality in _QUALITIES:
            body = webp.still(small, quality, _EFFORT)
            made = (body, "image/webp") if body else (_png(small), "image/png")
            if len(made[0]) <= most_bytes:
                return made
    return None


def data_uri(rows: Any, most_bytes: int = MOST_BYTES) -> str:
    """`placeholder` as a ``data:`` URI; empty where there is none."""
    made = placeholder(rows, most_bytes)
    return f"data:{made[1]};base64,{b64encode(made[0]).decode()}" if made else ""


def _wrapped(rows: Any) -> Image:
    height, width, bands = rows.shape
    image = pyvips.Image.new_from_memory(np.ascontiguousarray(rows), width, height, bands, "uchar")
    return image.copy(interpretation="b-w" if bands < RGB else "srgb")


def _reduced(image: Image, side_px: int) -> Any:
    """Rows of *image*, as RGB or RGBA, its longer side no longer than *side_px*."""
    ratio = min(1.0, side_px / max(image.width, image.height))
    width, height = (max(1, round(side * ratio)) for side in (image.width, image.height))
    has_alpha = image.hasalpha()
    image = premultiplied(image) if has_alpha else image
    image = image.resize(width / image.width, vscale=height / image.height)
    image = srgb(straight(image) if has_alpha else image).colourspace("srgb")
    return np.frombuffer(image.write_to_memory(), np.uint8).reshape(height, width, image.bands)


def _png(rows: Any) -> bytes:
    return apng.animation(rows[None], _LEVEL, Timing((0,), 0))
