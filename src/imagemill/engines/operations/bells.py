"""Gaussian blurs that leave one colour as it is.

Units    sigmas in pixels.
Source   libvips 8.18, convolution/convi.cpp: weights of eight bits are brought to so many 128ths of the power of two
         above the largest, and rounded, each for itself. What is rounded that way here, to a sum of exactly one, is
         not rounded again.
"""

from functools import lru_cache
from math import ceil, log, log2, sqrt

import numpy as np

from imagemill.engines.decoded import Image, pyvips

_TAIL = 0.05
"""Of its height, where a bell is cut off. By itself libvips does it at a fifth, which is a sixth less of a blur."""
_BITS = 7


def blurred(image: Image, sigma: float, tail: float = _TAIL) -> Image:
    """*image* with its edges extended, in eight bits; what a bell has below *tail* of its height is left out."""
    weights, scale = _bell(sigma, tail)
    return image.convsep(pyvips.Image.new_from_array([list(weights)], scale=scale), precision="integer")


@lru_cache(maxsize=64)
def _bell(sigma: float, tail: float) -> tuple[tuple[int, ...], int]:
    """Whole weights, and their sum, a power of two; what is rounded away of one is left to its neighbour."""
    reach = max(1, round(sigma * sqrt(-2 * log(tail))))
    bell = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * sigma * sigma))
    bell /= bell.sum()
    scale = 1 << (_BITS - ceil(log2(bell.max()) + 1))
    half = np.diff(np.rint(np.cumsum(bell[:reach]) * scale), prepend=0).astype(int).tolist()
    return (*half, scale - 2 * sum(half), *reversed(half)), scale
