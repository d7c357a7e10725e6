"""What each parameter means, written a second time with numpy and Pillow, from the documentation and not from the code.

Pictures are float arrays, height x width x 4, RGBA, 0 to 255, straight alpha.
"""

import io
import math

import numpy as np
from PIL import Image, ImageOps

GRAVITY = {
    "center": (0.5, 0.5), "north": (0.5, 0), "northeast": (1, 0), "east": (1, 0.5), "southeast": (1, 1),
    "south": (0.5, 1), "southwest": (0, 1), "west": (0, 0.5), "northwest": (0, 0),
}  # fmt: skip


def opened(source, frame=0):
    """The pixels of an encoded picture, upright as stored."""
    picture = Image.open(io.BytesIO(source))
    if frame:
        picture.seek(frame)
    return np.asarray(picture.convert("RGBA"), float)


def upright(source):
    picture = ImageOps.exif_transpose(Image.open(io.BytesIO(source)))
    return np.asarray(picture.convert("RGBA"), float)


def expected(pixels, **given):
    """*pixels* after the operations of a native URL, before encoding."""
    if "crop" in given:
        numbers = [int(n) for n in given["crop"].split(",")]
        height, width = pixels.shape[:2]
        if len(numbers) == 2:
            w, h = min(numbers[0], width), min(numbers[1], height)
            x, y = _spot(width, height, w, h, given)
        else:
            x, y, w, h = numbers
        pixels = pixels[y : y + h, x : x + w]
    pixels = np.rot90(pixels, -int(given.get("rotate", 0)) // 90)
    pixels = pixels[::-1] if given.get("flip") == "1" else pixels
    pixels = pixels[:, ::-1] if given.get("flop") == "1" else pixels
    if "width" in given or "height" in given:
        pixels = _resized(pixels, given)
    if "blur" in given:
        pixels = _straight(_blurred(_premultiplied(pixels), float(given["blur"])))
    if "sharpen" in given:
        pixels = _sharpened(pixels, float(given["sharpen"]))
    if "background" in given:
        pixels = over(pixels, colour(given["background"]))
    return pixels


def over(pixels, under):
    """*pixels* laid on one colour."""
    top, low = pixels[..., 3:] / 255, under[3] / 255
    alpha = top + low * (1 - top)
    mixed = (pixels[..., :3] * top + np.array(under[:3]) * low * (1 - top)) / np.maximum(alpha, 1e-9)
    return np.dstack([mixed, alpha * 255])


def colour(text):
    text = "".join(c * 2 for c in text) if len(text) == 3 else text
    text = text if len(text) == 8 else text + "ff"
    return [int(text[n : n + 2], 16) for n in range(0, 8, 2)]


def difference(found, wanted):
    """Mean absolute difference as the eye meets it: on black and on white, whichever is worse."""
    assert found.shape == wanted.shape, (found.shape, wanted.shape)
    return max(
        np.abs(over(found, ground) - over(wanted, ground)).mean() for ground in ([0, 0, 0, 255], [255, 255, 255, 255])
    )


def _spot(outer_w, outer_h, w, h, given):
    if "focus" in given:
        x, y = (float(n) for n in given["focus"].split(","))
        return (
            int(min(max(math.floor(outer_w * x - w / 2 + 0.5), 0), outer_w - w)),
            int(min(max(math.floor(outer_h * y - h / 2 + 0.5), 0), outer_h - h)),
        )
    x, y = GRAVITY[given.get("gravity", "center")]
    return math.floor((outer_w - w) * x + 0.5), math.floor((outer_h - h) * y + 0.5)


def target(width, height, given):
    """Scaled size, and the box where the fit has one."""
    dpr = float(given.get("dpr", 1))
    box = [math.floor(int(given[name]) * dpr + 0.5) if name in given else None for name in ("width", "height")]
    ratios = [b / side for b, side in zip(box, (width, height), strict=True) if b]
    fit = given.get("fit", "inside") if len(ratios) == 2 else "inside"
    enlarge = given.get("enlarge") == "1"
    if fit == "fill":
        sides = box if enlarge else [min(box[0], width), min(box[1], height)]
        return tuple(sides), None, fit
    ratio = max(ratios) if fit in {"cover", "outside"} else min(ratios)
    ratio = ratio if enlarge else min(ratio, 1)
    return tuple(max(1, math.floor(side * ratio + 0.5)) for side in (width, height)), box, fit


def _resized(pixels, given):
    height, width = pixels.shape[:2]
    (w, h), box, fit = target(width, height, given)
    if (w, h) != (width, height):
        pixels = _straight(_scaled(_premultiplied(pixels), w, h))
    if fit == "cover":
        cut_w, cut_h = min(box[0], w), min(box[1], h)
        x, y = _spot(w, h, cut_w, cut_h, given)
        return pixels[y : y + cut_h, x : x + cut_w]
    if fit == "contain":
        x, y = _spot(box[0], box[1], w, h, given)
        canvas = np.zeros((box[1], box[0], 4))
        canvas[y : y + h, x : x + w] = pixels
        return canvas
    return pixels


def _scaled(pixels, w, h):
    bands = [
        np.asarray(Image.fromarray(band.astype(np.float32)).resize((w, h), Image.Resampling.LANCZOS))
        for band in np.moveaxis(pixels, -1, 0)
    ]
    return np.clip(np.dstack(bands), 0, 255)


def _premultiplied(pixels):
    return np.dstack([pixels[..., :3] * pixels[..., 3:] / 255, pixels[..., 3]])


def _straight(pixels):
    alpha = np.maximum(pixels[..., 3:], 1e-9) / 255
    return np.dstack([np.where(pixels[..., 3:] > 0, pixels[..., :3] / alpha, 0).clip(0, 255), pixels[..., 3]])


def _blurred(pixels, sigma):
    radius = max(1, math.ceil(3 * sigma))
    kernel = np.exp(-(np.arange(-radius, radius + 1) ** 2) / (2 * sigma * sigma))
    kernel /= kernel.sum()
    for axis in (0, 1):
        padding = [(radius, radius) if a == axis else (0, 0) for a in range(pixels.ndim)]
        padded = np.pad(pixels, padding, mode="edge")
        pixels = sum(
            weight * np.take(padded, range(n, n + pixels.shape[axis]), axis) for n, weight in enumerate(kernel)
        )
    return pixels


_TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
_D65 = np.array([0.9505, 1.0, 1.089])


def _sharpened(pixels, sigma):
    """libvips' unsharp mask on L*, with its documented defaults: x1 2, y2 10, y3 20, m1 0, m2 3."""
    rgb = pixels[..., :3] / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    f = _f(linear @ _TO_XYZ.T / _D65)
    light = 116 * f[..., 1] - 16
    edge = light - _blurred(light, sigma)
    steep = np.sign(edge) * np.maximum(np.abs(edge) - 2, 0) * 3
    f_y = (light + np.clip(steep, -20, 10) + 16) / 116
    f = np.dstack([f[..., 0] - f[..., 1] + f_y, f_y, f[..., 2] - f[..., 1] + f_y])
    xyz = np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29)) * _D65
    linear = np.clip(xyz @ np.linalg.inv(_TO_XYZ).T, 0, 1)
    rgb = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.dstack([rgb * 255, pixels[..., 3]])


def _f(t):
    return np.where(t > (6 / 29) ** 3, np.cbrt(t), t / (3 * (6 / 29) ** 2) + 4 / 29)
