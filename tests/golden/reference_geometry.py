"""Geometry a second time, with numpy, from the parameter table and the docstrings of the model.

Pictures are float arrays, height x width x 4, RGBA, 0 to 255, straight alpha.
"""

import math

import numpy as np

from golden import reference


def half_up(value):
    return math.floor(value + 0.5)


def at(pixels, left, top, width, height):
    return pixels[top : top + height, left : left + width]


def scaled(pixels, width, height):
    if (height, width) == pixels.shape[:2]:
        return pixels
    return reference._straight(reference._scaled(reference._premultiplied(pixels), width, height))


def aspect(pixels, ratio, x=0.5, y=0.5):
    """The largest box of these proportions."""
    height, width = pixels.shape[:2]
    w, h = (int(side) for side in ratio.split(":"))
    wide = width / height > w / h
    cut = (half_up(height * w / h), height) if wide else (width, half_up(width * h / w))
    return at(pixels, half_up((width - cut[0]) * x), half_up((height - cut[1]) * y), *cut)


def content(frames, threshold, rgba=None, *, corner=(0, 0)):
    """What no frame of a picture may lose: left, top, right, bottom; None where nothing is there."""
    seen = np.zeros(frames[0].shape[:2], bool)
    for pixels in frames:
        dense = reference._premultiplied(pixels)
        colour = dense[corner] if rgba is None else reference._premultiplied(np.array([[rgba]], float))[0, 0]
        seen |= (np.abs(dense - colour) > threshold).any(axis=-1)
    if not seen.any():
        return None
    (rows,), (columns,) = np.nonzero(seen.any(axis=1)), np.nonzero(seen.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def laid(pixels, width, height, left, top, rgba=(0, 0, 0, 0)):
    """On a canvas of one colour, which is not seen through the picture itself."""
    canvas = np.empty((height, width, 4))
    canvas[:] = rgba
    canvas[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels
    return canvas


def on_blur(pixels, width, height, left, top):
    """On a copy of itself that covers the canvas, blurred by a fortieth of its longer side."""
    dense = reference._premultiplied(pixels)
    cover = max(width / pixels.shape[1], height / pixels.shape[0])
    large = reference._scaled(dense, math.ceil(pixels.shape[1] * cover), math.ceil(pixels.shape[0] * cover))
    under = at(large, (large.shape[1] - width) // 2, (large.shape[0] - height) // 2, width, height)
    under = reference._blurred(under, max(width, height) / 40)
    top_layer = np.zeros((height, width, 4))
    top_layer[top : top + pixels.shape[0], left : left + pixels.shape[1]] = dense
    return reference._straight(top_layer + under * (1 - top_layer[..., 3:] / 255))


def tilted(pixels, degrees, rgba=(0, 0, 0, 0)):
    """Turned clockwise about the middle, by cubic convolution (Catmull-Rom) of dense colours."""
    height, width = pixels.shape[:2]
    angle = math.radians(degrees)
    cos, sin = math.cos(angle), math.sin(angle)
    new_w = math.ceil(abs(width * cos) + abs(height * sin) - 1e-6)
    new_h = math.ceil(abs(width * sin) + abs(height * cos) - 1e-6)
    ground = reference._premultiplied(np.array([[rgba]], float))[0, 0]
    margin = 4
    wide = np.empty((height + 2 * margin, width + 2 * margin, 4))
    wide[:] = ground
    wide[margin:-margin, margin:-margin] = reference._premultiplied(pixels)
    y, x = np.mgrid[0:new_h, 0:new_w].astype(float)
    x, y = x - (new_w - 1) / 2, y - (new_h - 1) / 2
    from_x, from_y = cos * x + sin * y + (width - 1) / 2, cos * y - sin * x + (height - 1) / 2
    return reference._straight(_looked_up(wide, from_x + margin, from_y + margin).clip(0, 255))


def _looked_up(pixels, x, y):
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    found = np.zeros((*x.shape, 4))
    for row in range(-1, 3):
        for column in range(-1, 3):
            weight = _cubic(y - top - row) * _cubic(x - left - column)
            rows = np.clip(top + row, 0, pixels.shape[0] - 1)
            columns = np.clip(left + column, 0, pixels.shape[1] - 1)
            found += weight[..., None] * pixels[rows, columns]
    return found


def _cubic(distance):
    d = np.abs(distance)
    near, far = 1.5 * d**3 - 2.5 * d**2 + 1, -0.5 * d**3 + 2.5 * d**2 - 4 * d + 2
    return np.where(d <= 1, near, np.where(d < 2, far, 0))
