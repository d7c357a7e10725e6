"""How one picture lies on another, written a second time with numpy from the W3C's recommendation.

Pictures are float arrays, height x width x 4, RGBA, 0 to 255, straight alpha.
"""

import numpy as np


def over(below, above, mode="normal"):
    """*above* on *below*, both of one size: Compositing and Blending Level 1, sections 5.1 and 10."""
    low, top = below / 255, above / 255
    alpha_low, alpha_top = low[..., 3:], top[..., 3:]
    colour = (1 - alpha_low) * top[..., :3] + alpha_low * mixed(low[..., :3], top[..., :3], mode)
    alpha = alpha_top + alpha_low * (1 - alpha_top)
    dense = alpha_top * colour + (1 - alpha_top) * alpha_low * low[..., :3]
    return np.concatenate([dense / np.maximum(alpha, 1e-9), alpha], axis=2) * 255


def mixed(low, top, mode):
    """Section 10.1: B(Cb, Cs), one sample at a time so that it reads as the recommendation does."""
    return np.vectorize(SEPARABLE[mode])(low, top)


def _hard_light(cb, cs):
    return cb * 2 * cs if cs <= 0.5 else cb + (2 * cs - 1) - cb * (2 * cs - 1)


def _color_dodge(cb, cs):
    if cb == 0:
        return 0.0
    return 1.0 if cs == 1 else min(1.0, cb / (1 - cs))


def _color_burn(cb, cs):
    if cb == 1:
        return 1.0
    return 0.0 if cs == 0 else 1 - min(1.0, (1 - cb) / cs)


def _soft_light(cb, cs):
    if cs <= 0.5:
        return cb - (1 - 2 * cs) * cb * (1 - cb)
    d = ((16 * cb - 12) * cb + 4) * cb if cb <= 0.25 else cb**0.5
    return cb + (2 * cs - 1) * (d - cb)


SEPARABLE = {
    "normal": lambda cb, cs: cs,
    "multiply": lambda cb, cs: cb * cs,
    "screen": lambda cb, cs: cb + cs - cb * cs,
    "overlay": lambda cb, cs: _hard_light(cs, cb),
    "darken": min,
    "lighten": max,
    "color-dodge": _color_dodge,
    "color-burn": _color_burn,
    "hard-light": _hard_light,
    "soft-light": _soft_light,
    "difference": lambda cb, cs: abs(cb - cs),
    "exclusion": lambda cb, cs: cb + cs - 2 * cb * cs,
}


def placed(below, above, left, top, mode="normal"):
    """*above* on *below* at a place that may be beyond its edges."""
    height, width = below.shape[:2]
    ground = np.zeros_like(below)
    for y in range(above.shape[0]):
        for x in range(above.shape[1]):
            if 0 <= top + y < height and 0 <= left + x < width:
                ground[top + y, left + x] = above[y, x]
    return over(below, ground, mode)


def turned(pixels, degrees, width, height):
    """Clockwise about the middle, into a box of that size: each pixel is mixed of the four it comes from."""
    padded = np.pad(dense(pixels), ((1, 1), (1, 1), (0, 0)))
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    down, across = np.mgrid[0:height, 0:width]
    right, low = across - (width - 1) / 2, down - (height - 1) / 2
    x = np.clip(cos * right + sin * low + (pixels.shape[1] - 1) / 2 + 1, 0, padded.shape[1] - 1.001)
    y = np.clip(cos * low - sin * right + (pixels.shape[0] - 1) / 2 + 1, 0, padded.shape[0] - 1.001)
    left, top = x.astype(int), y.astype(int)
    east, south = (x - left)[..., None], (y - top)[..., None]
    upper = padded[top, left] * (1 - east) + padded[top, left + 1] * east
    lower = padded[top + 1, left] * (1 - east) + padded[top + 1, left + 1] * east
    return upper * (1 - south) + lower * south


def dense(pixels):
    """What is seen of *pixels* on black, and their alpha: straight colours below faint alpha say nothing."""
    return np.concatenate([pixels[..., :3] * pixels[..., 3:] / 255, pixels[..., 3:]], axis=2)
