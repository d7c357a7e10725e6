"""Pictures in a few bytes: BlurHash and ThumbHash, to show before the picture; a perceptual hash, to find it again.

Takes    rows of eight bits, RGBA, straight alpha, sRGB; at most 100 pixels a side.
Source   BlurHash 1.0 (github.com/woltapp/blurhash, Algorithm.md); ThumbHash (evanw.github.io/thumbhash);
         perceptual hash: the DCT hash of pHash as the Python package ImageHash has it in ``phash``.
"""

from base64 import b64encode
from typing import Any

import numpy as np
from PIL import Image

from imagemill.engines.description import srgb

_BASE83 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz#$%*+,-.:;=?@[]^_{|}~"
_LONG, _SHORT = 4, 3
"""Components of a BlurHash along the longer and the shorter side."""
_PHASH_PX, _PHASH_SIDE = 32, 8
_OPAQUE_LIGHTNESS, _CLEAR_LIGHTNESS = 7, 5
_NOTHING = 1e-6
"""What rounding leaves of a channel that is even."""


def blurhash(rows: Any) -> str:
    """A BlurHash of 4 by 3 components (3 by 4 of an upright picture): 28 characters. Transparency is laid on white."""
    height, width = rows.shape[:2]
    nx, ny = (_LONG, _SHORT) if width >= height else (_SHORT, _LONG)
    linear = srgb.light(_on_white(rows))
    across = np.cos(np.pi * np.outer(np.arange(nx), np.arange(width)) / width)
    down = np.cos(np.pi * np.outer(np.arange(ny), np.arange(height)) / height)
    parts = np.einsum("jy,ix,yxc->jic", down, across, linear) / (width * height)
    parts = parts.reshape(nx * ny, 3)
    dc, ac = parts[0], 2 * parts[1:]
    level = int(np.clip(np.floor(np.abs(ac).max() * 166 - 0.5), 0, 82))
    scaled = ac / ((level + 1) / 166)
    codes = np.clip(np.floor(np.sign(scaled) * np.sqrt(np.abs(scaled)) * 9 + 9.5), 0, 18).astype(int)
    red, green, blue = srgb.values(dc).tolist()
    return "".join(
        [
            _base83(nx - 1 + 9 * (ny - 1), 1),
            _base83(level, 1),
            _base83(red << 16 | green << 8 | blue, 4),
            *(_base83(int(r * 361 + g * 19 + b), 2) for r, g, b in codes),
        ]
    )


def thumbhash(rows: Any) -> str:
    """A ThumbHash, in base64: 20 to 25 bytes; it holds the proportions and the transparency."""
    height, width = rows.shape[:2]
    alpha = rows[..., 3] / 255.0
    solid = alpha.sum()
    mean = (alpha[..., None] * rows[..., :3] / 255.0).sum((0, 1)) / solid if solid else np.zeros(3)
    colours = mean * (1 - alpha[..., None]) + alpha[..., None] * rows[..., :3] / 255.0
    red, green, blue = colours[..., 0], colours[..., 1], colours[..., 2]
    clear = bool(solid < width * height)
    most = _CLEAR_LIGHTNESS if clear else _OPAQUE_LIGHTNESS
    nx, ny = (max(1, _rounded(most * side / max(width, height))) for side in (width, height))
    l_dc, l_scale, l_ac = _channel((red + green + blue) / 3, max(3, nx), max(3, ny))
    p_dc, p_scale, p_ac = _channel((red + green) / 2 - blue, 3, 3)
    q_dc, q_scale, q_ac = _channel(red - green, 3, 3)
    head = _rounded(63 * l_dc) | _rounded(31.5 + 31.5 * p_dc) << 6 | _rounded(31.5 + 31.5 * q_dc) << 12
    head |= _rounded(31 * l_scale) << 18 | clear << 23
    more = (ny if width > height else nx) | _rounded(63 * p_scale) << 3 | _rounded(63 * q_scale) << 9
    made = head.to_bytes(3, "little") + (more | (width > height) << 15).to_bytes(2, "little")
    factors = [*l_ac, *p_ac, *q_ac]
    if clear:
        a_dc, a_scale, a_ac = _channel(alpha, 5, 5)
        made += bytes([_rounded(15 * a_dc) | _rounded(15 * a_scale) << 4])
        factors += a_ac
    nibbles = [_rounded(15 * factor) for factor in factors]
    nibbles += [0] * (len(nibbles) % 2)
    pairs = zip(nibbles[::2], nibbles[1::2], strict=True)
    return b64encode(made + bytes(low | high << 4 for low, high in pairs)).decode()


def phash(rows: Any) -> str:
    """64 bits in 16 hex digits; the number of bits in which two differ says how far two pictures do.

    The picture is made grey (on white where it is transparent) and scaled to 32 by 32; of its cosine transform the 64
    lowest frequencies count, row by row: a bit is set where one is above their median.
    """
    grey = Image.fromarray(_on_white(rows).round().astype(np.uint8)).convert("L")
    square = np.asarray(grey.resize((_PHASH_PX, _PHASH_PX), Image.Resampling.LANCZOS), np.float64)
    waves = np.cos(np.pi * np.outer(np.arange(_PHASH_SIDE), 2 * np.arange(_PHASH_PX) + 1) / (2 * _PHASH_PX))
    low = np.einsum("jy,ix,yx->ji", waves, waves, square).ravel()
    low = np.round(low, 3)  # what is nothing but rounding is no bit
    middle = np.sort(low)[low.size // 2 - 1 : low.size // 2 + 1].mean()  # `np.median` imports more, late
    bits = low > middle
    return f"{int(''.join('1' if bit else '0' for bit in bits), 2):016x}"


def _on_white(rows: Any) -> Any:
    alpha = rows[..., 3:] / 255.0
    return rows[..., :3] * alpha + 255.0 * (1 - alpha)


def _base83(value: int, digits: int) -> str:
    return "".join(_BASE83[value // 83**n % 83] for n in reversed(range(digits)))


def _channel(channel: Any, nx: int, ny: int) -> tuple[float, float, list[float]]:
    """Mean, scale and scaled factors of one channel: a triangle of the lowest frequencies, row by row."""
    height, width = channel.shape
    across = np.cos(np.pi / width * np.outer(np.arange(nx), np.arange(width) + 0.5))
    down = np.cos(np.pi / height * np.outer(np.arange(ny), np.arange(height) + 0.5))
    whole = np.einsum("jy,ix,yx->ji", down, across, channel) / (width * height)
    kept = [whole[j, i] for j in range(ny) for i in range(nx) if i * ny < nx * (ny - j)]
    factors = np.array(kept[1:])
    scale = float(np.abs(factors).max())
    if scale < _NOTHING:
        return float(kept[0]), 0.0, [0.0] * len(factors)
    return float(kept[0]), scale, (0.5 + 0.5 / scale * factors).tolist()


def _rounded(value: float) -> int:
    """To the nearest, halves up."""
    return int(np.floor(value + 0.5))
