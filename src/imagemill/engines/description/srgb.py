"""Between sRGB values and light.

Units    values 0 to 255; light 0 to 1.
Source   IEC 61966-2-1.
"""

from typing import Any

import numpy as np

_DARK_VALUE, _DARK_LIGHT = 0.04045, 0.0031308
"""Below, the curve is a line."""


def light(values: Any) -> Any:
    """The light of *values*."""
    value = values / 255.0
    return np.where(value <= _DARK_VALUE, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def values(light: Any) -> Any:
    """The values of *light*, cut to what can be shown; whole numbers."""
    light = np.clip(light, 0, 1)
    value = np.where(light <= _DARK_LIGHT, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.floor(value * 255 + 0.5).astype(int)
