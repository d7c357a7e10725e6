"""What the writers of Pillow have in common: rows of pixels become a picture, and that a file.

Takes    rows of eight bits: rows, columns, bands; grey, RGB or RGBA.
Errors   Pillow's own.
"""

from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image

_MODES = {1: "L", 3: "RGB", 4: "RGBA"}


def written(rows: Any, format_: str, **options: Any) -> bytes:
    """A file of *format_*, as Pillow calls it, written with *options* of its writer."""
    height, width, bands = rows.shape
    mode = _MODES[bands]
    picture = Image.frombuffer(mode, (width, height), np.ascontiguousarray(rows), "raw", mode, 0, 1)
    out = BytesIO()
    picture.save(out, format_, **options)
    return out.getvalue()
