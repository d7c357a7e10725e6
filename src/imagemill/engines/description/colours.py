"""The colours of a picture: a few that stand for all, by how much of it they stand for.

Takes    rows of eight bits, RGBA, sRGB; of a small picture.
Method   colours are counted in cells of 8 levels; the heaviest cell begins, then whichever is the farthest from those
         that were taken, by its weight; then k-means, ten rounds at most. Distances and means are those of Oklab.
         Nothing is left to chance: the same pixels have the same palette.
Source   Oklab: Björn Ottosson, "A perceptual color space for image processing", 2020.
"""

from typing import Any

import numpy as np

from imagemill.engines.description import srgb

Share = tuple[str, float]
"""A colour as ``#rrggbb``, and its share of the pixels that show."""
_CELL_BITS = 3
_SEEN = 128
"""Pixels of less alpha count for nothing."""
_ROUNDS = 10
_APART = 0.02
"""Colours nearer than this (Oklab) are one."""
_TO_CONES = np.array(
    [[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566],
     [0.0883024619, 0.2817188376, 0.6299787005]]
)  # fmt: skip
_TO_LAB = np.array(
    [[0.2104542553, 0.7936177850, -0.0040720468], [1.9779984951, -2.4285922050, 0.4505937099],
     [0.0259040371, 0.7827717662, -0.8086757660]]
)  # fmt: skip
_FROM_LAB = np.array(
    [[1.0, 0.3963377774, 0.2158037573], [1.0, -0.1055613458, -0.0638541728], [1.0, -0.0894841775, -1.2914855480]]
)
_FROM_CONES = np.array(
    [[4.0767416621, -3.3077115913, 0.2309699292], [-1.2684380046, 2.6097574011, -0.3413193965],
     [-0.0041960863, -0.7034186147, 1.7076147010]]
)  # fmt: skip


def palette(rows: Any, count: int) -> list[Share]:
    """At most *count* colours, the one of most pixels first; none where nothing shows."""
    pixels = rows[..., :3][rows[..., 3] >= _SEEN]
    if not len(pixels):
        return []
    colours, weights = _cells(pixels)
    lab = _oklab(colours)
    centres = _begun(lab, weights, count)
    nearest = _nearest(lab, centres)
    for _ in range(_ROUNDS):
        centres = _means(lab, weights, nearest, len(centres))
        before, nearest = nearest, _nearest(lab, centres)
        if (before == nearest).all():
            break
    shares = np.bincount(nearest, weights, len(centres)) / weights.sum()
    ranked = sorted(zip(shares.tolist(), _hex(centres), strict=True), key=lambda one: (-one[0], one[1]))
    return [(colour, round(share, 4)) for share, colour in ranked if share > 0]


def _cells(pixels: Any) -> tuple[Any, Any]:
    """The mean colour of each cell that has pixels, and how many it has."""
    cell = (pixels >> _CELL_BITS).astype(np.int64)
    keys = cell[:, 0] << 16 | cell[:, 1] << 8 | cell[:, 2]
    _, at, weights = np.unique(keys, return_inverse=True, return_counts=True)
    sums = np.stack([np.bincount(at, pixels[:, n]) for n in range(3)], axis=1)
    return sums / weights[:, None], weights


def _begun(lab: Any, weights: Any, count: int) -> Any:
    chosen = [int(weights.argmax())]
    while len(chosen) < count:
        away = _squares(lab, lab[chosen]).min(1)
        away[away < _APART**2] = 0
        if not away.any():
            break
        chosen.append(int((away * weights).argmax()))
    return lab[chosen]


def _nearest(lab: Any, centres: Any) -> Any:
    return _squares(lab, centres).argmin(1)


def _squares(lab: Any, centres: Any) -> Any:
    return ((lab[:, None] - centres) ** 2).sum(2)


def _means(lab: Any, weights: Any, nearest: Any, count: int) -> Any:
    whole = np.bincount(nearest, weights, count)
    sums = np.stack([np.bincount(nearest, weights * lab[:, n], count) for n in range(3)], axis=1)
    return sums / np.maximum(whole, 1)[:, None]


def _oklab(colours: Any) -> Any:
    return np.einsum("ij,nj->ni", _TO_LAB, np.cbrt(np.einsum("ij,nj->ni", _TO_CONES, srgb.light(colours))))


def _hex(lab: Any) -> list[str]:
    light = np.einsum("ij,nj->ni", _FROM_CONES, np.einsum("ij,nj->ni", _FROM_LAB, lab) ** 3)
    return [f"#{r:02x}{g:02x}{b:02x}" for r, g, b in srgb.values(light).tolist()]
