"""What the look of a picture is changed to, written a second time with numpy, from the documentation of the operations.

Pictures are float arrays, height x width x 4, RGBA, 0 to 255, straight alpha. Shapes are told by whether a point lies
inside, at 8 x 8 points of each pixel.
"""

from functools import cache

import numpy as np

from golden import reference

LUMA = np.array([0.2126, 0.7152, 0.0722])
_FINE = 8


def brightness(pixels, percent):
    return _colours(pixels, lambda v: v + 2.55 * percent)


def contrast(pixels, percent):
    return _colours(pixels, lambda v: (v - 127.5) * (1 + percent / 100) + 127.5)


def gamma(pixels, exponent):
    return _colours(pixels, lambda v: 255 * (v / 255) ** (1 / exponent))


def negate(pixels):
    return _colours(pixels, lambda v: 255 - v)


def grayscale(pixels):
    return _colours(pixels, lambda v: np.repeat((v @ LUMA)[..., None], 3, 2))


def saturation(pixels, percent):
    """As CSS writes it: a way from the grey of each pixel through the pixel itself."""
    grey = pixels[..., :3] @ np.array([0.213, 0.715, 0.072])
    return _colours(pixels, lambda v: grey[..., None] + (v - grey[..., None]) * (1 + percent / 100))


def hue(pixels, degrees):
    """The nine sums of the specification."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    matrix = np.array(
        [
            [0.213 + c * 0.787 - s * 0.213, 0.715 - c * 0.715 - s * 0.715, 0.072 - c * 0.072 + s * 0.928],
            [0.213 - c * 0.213 + s * 0.143, 0.715 + c * 0.285 + s * 0.140, 0.072 - c * 0.072 - s * 0.283],
            [0.213 - c * 0.213 - s * 0.787, 0.715 - c * 0.715 + s * 0.715, 0.072 + c * 0.928 + s * 0.072],
        ]
    )
    return _colours(pixels, lambda v: v @ matrix.T)


def sepia(pixels, percent):
    """The nine sums of the specification."""
    left = 1 - percent / 100
    matrix = np.array(
        [
            [0.393 + 0.607 * left, 0.769 - 0.769 * left, 0.189 - 0.189 * left],
            [0.349 - 0.349 * left, 0.686 + 0.314 * left, 0.168 - 0.168 * left],
            [0.272 - 0.272 * left, 0.534 - 0.534 * left, 0.131 + 0.869 * left],
        ]
    )
    return _colours(pixels, lambda v: v @ matrix.T)


def tint(pixels, text):
    *colour, alpha = reference.colour(text)
    shades = (pixels[..., :3] @ LUMA)[..., None] / 255 * np.array(colour)
    return _colours(pixels, lambda v: v + (shades - v) * alpha / 255)


def duotone(pixels, dark, light):
    dark, light = (np.array(reference.colour(text)[:3]) for text in (dark, light))
    way = (pixels[..., :3] @ LUMA)[..., None] / 255
    return _colours(pixels, lambda _: dark + (light - dark) * way)


def colorize(pixels, text):
    *colour, alpha = reference.colour(text)
    return _colours(pixels, lambda v: v + (np.array(colour) - v) * alpha / 255)


def gradient(pixels, begin, end, degrees=180, first=0.0, last=1.0):
    """As CSS says: the line's ends are where its normals meet the corners; colours between are mixed premultiplied."""
    height, width = pixels.shape[:2]
    to = np.array([np.sin(np.radians(degrees)), -np.cos(np.radians(degrees))])
    corners = np.array([(x, y) for x in (-width / 2, width / 2) for y in (-height / 2, height / 2)]) @ to
    y, x = np.mgrid[0:height, 0:width] + 0.5
    along = np.stack([x - width / 2, y - height / 2], 2) @ to
    share = (along - corners.min()) / (corners.max() - corners.min())
    share = np.clip((share - first) / (last - first), 0, 1)[..., None]
    begin, end = (np.array(reference.colour(text), float) for text in (begin, end))
    alpha = begin[3] + (end[3] - begin[3]) * share
    light = begin[:3] * begin[3] / 255 + (end[:3] * end[3] - begin[:3] * begin[3]) / 255 * share
    return _colours(pixels, lambda v: v * (1 - alpha / 255) + light)


def unsharp(pixels, sigma, amount=100, threshold=0):
    """Blurred are colours that have alpha multiplied in, and alpha."""
    dense = pixels[..., 3:] / 255
    light = _smoothed(pixels[..., :3] * dense, sigma)
    seen = _smoothed(np.repeat(dense, 3, 2), sigma)
    edge = pixels[..., :3] - np.where(seen > 1 / 512, light / np.maximum(seen, 1e-9), 0)
    return _colours(pixels, lambda v: np.where(np.abs(edge) < threshold, v, v + edge * amount / 100))


def pixelate(pixels, size):
    """Square by square."""
    made = np.zeros_like(pixels)
    for y in range(0, pixels.shape[0], size):
        for x in range(0, pixels.shape[1], size):
            square = pixels[y : y + size, x : x + size]
            alpha = square[..., 3].mean()
            light = (square[..., :3] * square[..., 3:] / 255).mean((0, 1))
            made[y : y + size, x : x + size] = [*(light * 255 / max(alpha, 1e-9)), alpha]
    return made


def rounded(pixels, *radii):
    """Discs in the corners, and what is left of the rectangle without the corners' squares."""
    return _kept(pixels, _in_corners(radii, *pixels.shape[:2]))


def masked(pixels, shape, upside_down=False):
    """Each shape by what a point has to fulfil, as large as the picture lets it be."""
    return _kept(pixels, _in_shape(shape, upside_down, *pixels.shape[:2]))


@cache
def _in_corners(radii, height, width):
    y, x = _points(width, height)
    inside = np.ones(y.shape, bool)
    for radius, mirror_x, mirror_y in zip(radii, (False, True, True, False), (False, False, True, True), strict=True):
        r = min(radius, min(width, height) / 2)
        across, down = width - x if mirror_x else x, height - y if mirror_y else y
        inside &= ~((across < r) & (down < r) & (np.hypot(across - r, down - r) > r))
    return _share(inside)


@cache
def _in_shape(shape, upside_down, height, width):
    y, x = _points(width, height)
    y = height - y if upside_down else y
    if shape == "ellipse":
        return _share(np.hypot((x - width / 2) / (width / 2), (y - height / 2) / (height / 2)) <= 1)
    low, high, test = _SHAPES[shape]
    scale = min(width / (high[0] - low[0]), height / (high[1] - low[1]))
    middle = (np.array(low) + high) / 2
    return _share(test((x - width / 2) / scale + middle[0], (y - height / 2) / scale + middle[1]))


def _colours(pixels, change):
    return np.dstack([np.clip(change(pixels[..., :3]), 0, 255), pixels[..., 3]])


def _smoothed(bands, sigma):
    """A Gaussian, edges extended."""
    radius = int(np.ceil(4 * sigma))
    weights = np.exp(-(np.arange(-radius, radius + 1) ** 2) / (2 * sigma * sigma))
    for axis in (0, 1):
        padding = [(radius, radius) if a == axis else (0, 0) for a in range(3)]
        padded = np.pad(bands, padding, mode="edge")
        windows = np.lib.stride_tricks.sliding_window_view(padded, len(weights), axis)
        bands = windows @ (weights / weights.sum())
    return bands


def _points(width, height):
    return (np.mgrid[0 : height * _FINE, 0 : width * _FINE] + 0.5) / _FINE


def _share(inside):
    height, width = (side // _FINE for side in inside.shape)
    return inside.reshape(height, _FINE, width, _FINE).mean((1, 3))


def _kept(pixels, share):
    return np.dstack([pixels[..., :3], pixels[..., 3] * share])


def _corners(count, inner=None):
    """Of a regular polygon with a corner at the top, or of a star."""
    turns = np.arange(count) * 2 * np.pi / count
    reach = np.ones(count) if inner is None else np.where(np.arange(count) % 2, inner, 1)
    return np.stack([np.sin(turns) * reach, -np.cos(turns) * reach], 1)


def _polygon(corners):
    """Inside: an odd number of sides lie to the left."""

    def test(x, y):
        inside = np.zeros(x.shape, bool)
        for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, 0), strict=True):
            if y0 != y1:
                inside ^= ((y0 <= y) != (y1 <= y)) & (x > x0 + (y - y0) * (x1 - x0) / (y1 - y0))
        return inside

    return tuple(corners.min(0)), tuple(corners.max(0)), test


def _star():
    """The pentagram's inner corners: where the lines between every other point cross."""
    return _polygon(_corners(10, np.cos(np.radians(72)) / np.cos(np.radians(36))))


def _heart(x, y):
    """Half the diagonal of the square is 1, its middle the origin."""
    return (
        (np.abs(x) + np.abs(y) <= 1)
        | (np.hypot(x - 0.5, y + 0.5) <= np.sqrt(0.5))
        | (np.hypot(x + 0.5, y + 0.5) <= np.sqrt(0.5))
    )


_WIDE = 0.5 + np.sqrt(0.5)
_SHAPES = {
    "circle": ((-1, -1), (1, 1), lambda x, y: np.hypot(x, y) <= 1),
    "square": ((-1, -1), (1, 1), lambda x, y: np.maximum(np.abs(x), np.abs(y)) <= 1),
    "triangle": _polygon(_corners(3)),
    "pentagon": _polygon(_corners(5)),
    "hexagon": _polygon(_corners(6)),
    "star": _star(),
    "heart": ((-_WIDE, -_WIDE), (_WIDE, 1), _heart),
}
MASKS = ("ellipse", *_SHAPES)
