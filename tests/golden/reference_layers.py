"""What each parameter of a watermark means, written a second time with numpy and Pillow, from the documentation.

Pictures are float arrays, height x width x 4, RGBA, 0 to 255, straight alpha.
"""

import math

import numpy as np

from golden import reference, reference_placing

DOWN = {"north": 0.0, "south": 1.0}
ACROSS = {"west": 0.0, "east": 1.0}


def marked(pixels, mark, **given):
    """*pixels* with the watermark *mark* on them as the ``wm_…`` of *given*, without that prefix, say."""
    height, width = pixels.shape[:2]
    if "scale" in given:
        mark = scaled(mark, math.floor(width * float(given["scale"]) + 0.5))
    if degrees := float(given.get("rotate", 0)):
        mark = turned(mark, degrees)
    left, top = place(width, height, mark, given)
    if given.get("tile") == "1":
        sheet = tiled(mark, width, height, left, top)
    else:
        sheet = on_sheet(mark, width, height, left, top)
    if "shadow" in given:
        sheet = shadowed(sheet, given["shadow"])
    sheet = sheet * np.array([1, 1, 1, float(given.get("opacity", 100)) / 100])
    return reference_placing.over(pixels, cut(sheet, width, height), given.get("blend", "normal"))


MARGIN = 400
"""How far a sheet reaches beyond the picture: what casts a shadow into it may lie outside."""


def on_sheet(mark, width, height, left, top):
    """*mark* on nothing, where it is placed."""
    sheet = np.zeros((height + 2 * MARGIN, width + 2 * MARGIN, 4))
    y, x = top + MARGIN, left + MARGIN
    assert min(x, y) >= 0
    part = mark[: sheet.shape[0] - y, : sheet.shape[1] - x]
    sheet[y : y + part.shape[0], x : x + part.shape[1]] = part
    return sheet


def tiled(mark, width, height, left, top):
    """*mark* again and again, one of them at *left*, *top*."""
    down, across = np.mgrid[-MARGIN : height + MARGIN, -MARGIN : width + MARGIN]
    return mark[(down - top) % mark.shape[0], (across - left) % mark.shape[1]]


def cut(sheet, width, height):
    return sheet[MARGIN : MARGIN + height, MARGIN : MARGIN + width]


def place(width, height, mark, given):
    """Left and top: offsets lead inward from the edges that the gravity touches, else to the right and down."""
    gravity = given.get("gravity", "center")
    x, y = int(given.get("x", 0)), int(given.get("y", 0))
    across = next((share for name, share in ACROSS.items() if name in gravity), 0.5)
    down = next((share for name, share in DOWN.items() if name in gravity), 0.5)
    left = math.floor((width - mark.shape[1]) * across + 0.5) + (-x if across == 1 else x)
    top = math.floor((height - mark.shape[0]) * down + 0.5) + (-y if down == 1 else y)
    return left, top


def scaled(pixels, width):
    height = max(1, math.floor(pixels.shape[0] * width / pixels.shape[1] + 0.5))
    return reference._straight(reference._scaled(reference._premultiplied(pixels), width, height))


def turned(pixels, degrees):
    cos, sin = abs(math.cos(math.radians(degrees))), abs(math.sin(math.radians(degrees)))
    height, width = pixels.shape[:2]
    size = math.ceil(round(width * cos + height * sin, 6)), math.ceil(round(width * sin + height * cos, 6))
    return reference._straight(reference_placing.turned(pixels, degrees, *size))


def shadowed(sheet, said):
    """*sheet* over its own shape, moved, blurred and of one colour."""
    x, y, *more = said.split(",")
    sigma = float(more[0]) if more else 3.0
    colour = reference.colour(more[1]) if len(more) > 1 else [0, 0, 0, 128]
    shape = np.roll(sheet[..., 3], (int(y), int(x)), (0, 1))
    if sigma:
        shape = reference._blurred(shape, sigma)
    below = np.dstack([np.full((*shape.shape, 3), colour[:3]), shape * colour[3] / 255])
    return reference_placing.over(below, sheet)
