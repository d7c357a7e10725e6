"""BlurHash, ThumbHash and a palette read back, from their documentation: what a page would show in place of a picture."""

import base64
import math

import numpy as np

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz#$%*+,-.:;=?@[]^_{|}~"


def _number(text):
    value = 0
    for digit in text:
        value = value * 83 + _DIGITS.index(digit)
    return value


def _to_light(value):
    value = np.asarray(value, float) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def _from_light(light):
    light = np.clip(light, 0, 1)
    return 255 * np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


def blurhash_shown(text, width, height):
    """The picture that a BlurHash stands for, as floats of 0 to 255."""
    size = _number(text[0])
    across, down = size % 9 + 1, size // 9 + 1
    most = (_number(text[1]) + 1) / 166
    assert len(text) == 4 + 2 * across * down
    dc = _number(text[2:6])
    parts = [_to_light([dc >> 16, dc >> 8 & 255, dc & 255])]
    for at in range(6, len(text), 2):
        code = _number(text[at : at + 2])
        steps = [code // 361, code // 19 % 19, code % 19]
        parts.append(np.array([math.copysign(((s - 9) / 9) ** 2, s - 9) * most for s in steps]))
    shown = np.zeros((height, width, 3))
    for y in range(height):
        for x in range(width):
            for n, part in enumerate(parts):
                shown[y, x] += (
                    part * math.cos(math.pi * x * (n % across) / width) * math.cos(math.pi * y * (n // across) / height)
                )
    return _from_light(shown)


def thumbhash_facts(text):
    """Mean colour (RGBA, 0 to 255) and proportions, width to height, that a ThumbHash holds."""
    raw = base64.b64decode(text)
    head = int.from_bytes(raw[:3], "little")
    lightness, p, q = (head & 63) / 63, (head >> 6 & 63) / 31.5 - 1, (head >> 12 & 63) / 31.5 - 1
    has_alpha, more = head >> 23, int.from_bytes(raw[3:5], "little")
    alpha = (raw[5] & 15) / 15 if has_alpha else 1.0
    blue = lightness - 2 / 3 * p
    red = (3 * lightness - blue + q) / 2
    short, full = more & 7, 5 if has_alpha else 7
    ratio = full / short if more >> 15 else short / full
    return np.clip(np.array([red, red - q, blue, alpha]) * 255, 0, 255), ratio
