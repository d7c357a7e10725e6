"""A picture so small that a page can hold it: shown, blurred by the browser, until the real one is there.

Takes    rows of eight bits, RGBA, at most 100 pixels a side.
"""

from base64 import b64encode
from typing import Any

import numpy as np
from PIL import Image

from imagemill.engines import pillow

SIDE_PX = 24
_QUALITY, _EFFORT = 40, 6
_OPAQUE = 0xFF


def data_uri(rows: Any) -> str:
    """A ``data:`` URI of a WebP, at most 24 pixels a side: 150 to 500 characters."""
    height, width = rows.shape[:2]
    bands = 3 if (rows[..., 3] == _OPAQUE).all() else 4
    picture = Image.fromarray(np.ascontiguousarray(rows[..., :bands]))
    ratio = min(1.0, SIDE_PX / max(width, height))
    size = max(1, round(width * ratio)), max(1, round(height * ratio))
    small = np.asarray(picture.resize(size, Image.Resampling.LANCZOS))
    body = pillow.written(small, "WEBP", quality=_QUALITY, method=_EFFORT)
    return f"data:image/webp;base64,{b64encode(body).decode()}"
