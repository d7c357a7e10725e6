"""Steps of `plan.operations.geometry` that the picture itself decides: where its border ends, what a crop keeps.

Each looks at a small copy of fixed size, but for the border, which is found to the pixel.

Source   libvips 8.18 reference: find_trim, smartcrop.
"""

from typing import Any

import numpy as np

from imagemill.engines import faces
from imagemill.engines.decoded import Image
from imagemill.engines.operations.base import Context
from imagemill.engines.pixels import RGB, RGBA, srgb, with_bands
from imagemill.model.recipe import MILLION, Detect, Position
from imagemill.plan.faces import around
from imagemill.plan.geometry import Box, Size, joined, shrunk, within
from imagemill.plan.steps import Border, Chosen

_SEEN_PX = 256
"""Longer side of what smartcrop is given: it shrinks to 32 pixels itself, and measures entropy strip by strip."""


def find_border(image: Image, step: Border, context: Context) -> Image:
    """Remember what of *image*, premultiplied, is no border, together with what was remembered of other frames."""
    image = with_bands(image, RGBA)
    corner = (image.width - 1, image.height - 1) if step.trim.from_bottom_right else (0, 0)
    colour = image(*corner) if step.trim.rgba < 0 else _premultiplied(step.trim.rgba)
    plain = image.copy(interpretation="multiband")  # alpha is a channel like others here
    left, top, width, height = plain.find_trim(threshold=step.trim.threshold, background=colour, line_art=True)
    if width and height:
        box = Box(left, top, width, height)
        context.found[step] = joined(context.found[step], box) if step in context.found else box
    return image


def _premultiplied(rgba: int) -> list[int]:
    *colour, alpha = rgba.to_bytes(4, "big")
    return [*((2 * c * alpha + 255) // 510 for c in colour), alpha]


def cut_chosen(image: Image, step: Chosen, context: Context) -> Image:
    """Cut out what the first frame's pixels speak for."""
    image = image.copy_memory()
    box = chosen_box(image, step, context)
    return image.crop(box.left, box.top, box.width, box.height)


def chosen_box(image: Image, step: Chosen, context: Context) -> Box:
    """Where that lies; *image* may be smaller than was planned, and so is the box then."""
    if step not in context.found:
        context.found[step] = _looked_for(image, step)
    found: Box = context.found[step]
    return found


def _looked_for(image: Image, step: Chosen) -> Box:
    of = Size(image.width, image.height)
    box = shrunk(Box(0, 0, step.size.width, step.size.height), step.of, of)
    size = Size(box.width, box.height)
    if step.detect is Detect.FACE:
        faces.check()
        if seen := _faces(image):
            return around(seen, size, of)
    position = _most_entropy(image, size) if step.detect is Detect.ENTROPY else _most_attention(image, size)
    return within(of, size, position)


def _faces(image: Image) -> list[Box]:
    """Faces of *image*, in its own pixels, as far as they lie in it."""
    scale = faces.SIDE_PX / max(image.width, image.height)
    grey = srgb(image)
    grey = grey.flatten(background=255) if grey.hasalpha() else grey
    grey = grey.colourspace("b-w").resize(scale, vscale=max(scale, 1 / image.height))
    rows = np.frombuffer(grey.write_to_memory(), np.uint8).reshape(grey.height, grey.width)
    whole = Box(0, 0, image.width, image.height)
    found = (_back(face, Size(grey.width, grey.height), whole) for face in faces.boxes(rows))
    return [face for face in found if face.width > 0 and face.height > 0]


def _back(box: Box, small: Size, whole: Box) -> Box:
    """*box* of a picture of size *small*, in the one that it is a copy of, less what lies outside of it."""
    left, top = max(0, box.left * whole.width // small.width), max(0, box.top * whole.height // small.height)
    right = min(whole.width, -(-(box.left + box.width) * whole.width // small.width))
    bottom = min(whole.height, -(-(box.top + box.height) * whole.height // small.height))
    return Box(left, top, right - left, bottom - top)


def _most_attention(image: Image, size: Size) -> Position:
    """The point that draws the eye most, to be in the middle."""
    small, window = _small(image, size)
    _, found = small.smartcrop(
        window.width, window.height, interesting="attention", attention_x=True, attention_y=True
    )  # fmt: skip
    return Position(_ppm(found["attention_x"], small.width), _ppm(found["attention_y"], small.height), focal=True)


def _most_entropy(image: Image, size: Size) -> Position:
    """How the slack is divided where most happens in what is left."""
    small, window = _small(image, size)
    cut = small.smartcrop(window.width, window.height, interesting="entropy")
    left, top = -cut.xoffset, -cut.yoffset
    return Position(_ppm(left, small.width - window.width), _ppm(top, small.height - window.height))


def _small(image: Image, size: Size) -> tuple[Image, Size]:
    """A copy for libvips to look at, and how large *size* is there."""
    colours = with_bands(srgb(image), RGB)
    longer = max(image.width, image.height)
    if longer > _SEEN_PX:
        width, height = max(1, image.width * _SEEN_PX // longer), max(1, image.height * _SEEN_PX // longer)
        colours = colours.resize(width / image.width, vscale=height / image.height)
    small = colours.copy_memory()
    window = shrunk(
        Box(0, 0, size.width, size.height), Size(image.width, image.height), Size(small.width, small.height)
    )
    return small, Size(window.width, window.height)


def _ppm(part: Any, whole: int) -> int:
    return min(MILLION, max(0, round(part * MILLION / whole))) if whole > 0 else MILLION // 2
