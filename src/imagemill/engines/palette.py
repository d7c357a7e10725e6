"""Bring a picture down to a number of colours, each with its transparency.

Units    colours 2 to 256; dither 0 to 100 percent.
Source   libvips 8.18 counts palettes in bits; between two of its sizes, the nearest colours of the larger are joined,
         weighted by how many pixels have them (Ward's criterion).
"""

from typing import Any

import numpy as np

from imagemill.engines.decoded import Image, pyvips

_SIZES = ((2, 1), (4, 2), (16, 4), (256, 8))
"""Colours, and the bits a pixel that PNG needs for them."""

_SOLID = 0xFF


def bits_for(colours: int) -> int:
    """Bits a pixel of a PNG of so many colours."""
    return next(bits for size, bits in _SIZES if colours <= size)


def reduced(image: Image, colours: int, dither_percent: int, effort: int) -> Image:
    """*image* with at most so many colours: RGB, or RGBA where it has transparency."""
    bits, image = bits_for(colours), image.copy_memory()
    body = image.pngsave_buffer(
        palette=True, bitdepth=bits, dither=dither_percent / 100, effort=effort, compression=0, keep="none"
    )
    made = pyvips.Image.pngload_buffer(body)
    joined = np.frombuffer(made.write_to_memory(), np.uint8).reshape(-1, made.bands)
    if colours not in dict(_SIZES):
        joined = _joined(joined, colours)
    if made.hasalpha() and image.hasalpha():
        joined = _decided(joined, np.frombuffer(image[image.bands - 1].write_to_memory(), np.uint8))
    whole = pyvips.Image.new_from_memory(joined.tobytes(), made.width, made.height, made.bands, "uchar")
    return whole.copy(interpretation=made.interpretation)


def _decided(pixels: Any, alpha: Any) -> Any:
    """*pixels* with every colour that stands for nothing, or for what is solid, in most places so in all of them.

    The quantiser of libvips takes means: with few colours, nothing would be seen faintly, and through what is solid.
    """
    made = pixels.copy()
    soft = np.flatnonzero((made[:, -1] > 0) & (made[:, -1] < _SOLID))
    found, inverse, counts = np.unique(made[soft].view(np.uint32).ravel(), return_inverse=True, return_counts=True)
    for level in (0, _SOLID):
        such = np.bincount(inverse.ravel(), weights=alpha[soft] == level, minlength=len(found))
        made[soft[(2 * such > counts)[inverse.ravel()]], -1] = level
    return made


def _joined(pixels: Any, colours: int) -> Any:
    """*pixels* with the nearest of their colours made one, until no more than *colours* are left."""
    packed: Any = np.zeros((len(pixels), 4), np.uint8)
    packed[:, : pixels.shape[1]] = pixels
    found, inverse, counts = np.unique(packed.view(np.uint32).ravel(), return_inverse=True, return_counts=True)
    means, weights, group = (
        found.view(np.uint8).reshape(-1, 4).astype(float),
        counts.astype(float),
        np.arange(len(found)),
    )
    cost = _cost(means, weights, means, weights)
    np.fill_diagonal(cost, np.inf)
    for _ in range(len(found) - colours):
        one, other = sorted(divmod(int(cost.argmin()), len(found)))
        whole = weights[one] + weights[other]
        means[one] = (means[one] * weights[one] + means[other] * weights[other]) / whole
        weights[one], group[group == other] = whole, one
        cost[other], cost[:, other] = np.inf, np.inf
        alive = np.isfinite(cost[one])
        cost[one, alive] = cost[alive, one] = _cost(means[one : one + 1], weights[one : one + 1], means, weights)[
            0, alive
        ]
    table = means.round().astype(np.uint8)[:, : pixels.shape[1]]
    return table[group[inverse.ravel()]]


def _cost(means: Any, weights: Any, others: Any, their: Any) -> Any:
    """What joining each of some colours with each of others costs, in squared differences of all their pixels."""
    apart = ((means[:, None] - others[None]) ** 2).sum(axis=2)
    return apart * (weights[:, None] * their[None] / (weights[:, None] + their[None]))
