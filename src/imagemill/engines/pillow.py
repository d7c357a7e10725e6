"""What the writers of Pillow have in common: rows of pixels become a picture, and that a file.

Takes    rows of eight bits: rows, columns, bands; grey or RGB, with alpha or without.
Errors   Pillow's own.
"""

from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image

_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


def written(rows: Any, format_: str, **options: Any) -> bytes:
    """A file of *format_*, as Pillow calls it, written with *options* of its writer."""
    out = BytesIO()
    picture(rows).save(out, format_, **options)
    return out.getvalue()


def picture(rows: Any) -> Image.Image:
    """*rows* as Pillow has them."""
    height, width, bands = rows.shape
    mode = _MODES[bands]
    return Image.frombuffer(mode, (width, height), np.ascontiguousarray(rows), "raw", mode, 0, 1)
