"""Texts drawn a second time: by Pillow's FreeType in its plain layout, glyph after glyph with kerning, lines broken here.

The engine has Pango shape and place, and Cairo fill; both have FreeType read the same font files. So glyphs lie within a
pixel of each other, and what they cover differs by how edges are smoothed.
"""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from imagemill.engines import typefaces

FILES = {"": "DejaVuSans.ttf", "DejaVu Sans Bold": "DejaVuSans-Bold.ttf"}


def block(text, size=32, font="", width=0, align="left", widest=10_000):
    """How dense each pixel of a text is, 0 to 1, cut to its ink; in a *width*, to that and the ink's height."""
    face = ImageFont.truetype(
        str(typefaces.home() / FILES[font]), size, layout_engine=ImageFont.Layout.BASIC
    )  # fmt: skip
    lines = broken(text, face, width or widest)
    ascent, descent = face.getmetrics()
    room = width or max(round(face.getlength(line)) for line in lines)
    canvas = Image.new("L", (room + 2 * size, (ascent + descent) * len(lines) + 2 * size))
    draw = ImageDraw.Draw(canvas)
    for number, line in enumerate(lines):
        slack = room - face.getlength(line)
        left = {"left": 0, "center": slack / 2, "right": slack}[align]
        draw.text((size + left, size + (ascent + descent) * number), line, 255, face, anchor="la")
    left, top, right, bottom = canvas.getbbox()
    box = (size, top, size + width, bottom) if width else (left, top, right, bottom)
    return np.asarray(canvas.crop(box), float) / 255


def broken(text, face, width):
    """Lines as full as they can be: words stay whole where they fit at all."""
    lines = []
    for paragraph in text.split("\n"):
        line = ""
        for word in paragraph.split(" "):
            longer = f"{line} {word}" if line else word
            if line and face.getlength(longer) > width:
                lines.append(line)
                line = word
            else:
                line = longer
        lines.append(line)
    return lines


def written(pixels, mask, colour=(255, 255, 255, 255), gravity="center", x=0, y=0, shadow=None):
    """*mask* in a colour on *pixels*, at a compass point, so far inward; below it a sharp *shadow*: x, y, colour."""
    left, top = spot(pixels.shape, mask.shape, gravity, x, y)
    made = pixels
    if shadow:
        made = laid(
            made, mask * colour[3] / 255, left + shadow[0], top + shadow[1], shadow[2]
        )  # no denser than the text
    return laid(made, mask, left, top, colour)


def spot(outer, inner, gravity, x, y):
    """Left and top of a box in another."""
    across = {"west": x, "east": outer[1] - inner[1] - x}
    down = {"north": y, "south": outer[0] - inner[0] - y}
    left = next((v for k, v in across.items() if k in gravity), (outer[1] - inner[1] + 1) // 2 + x)
    top = next((v for k, v in down.items() if k in gravity), (outer[0] - inner[0] + 1) // 2 + y)
    return left, top


def laid(pixels, mask, left, top, colour):
    """One colour through *mask*, over: cut at the edges."""
    height, width = pixels.shape[:2]
    dense = np.zeros((height, width))
    for row in range(max(0, top), min(height, top + mask.shape[0])):
        first, last = max(0, left), min(width, left + mask.shape[1])
        dense[row, first:last] = mask[row - top, first - left : last - left]
    dense = dense[..., None] * colour[3] / 255
    alpha = pixels[..., 3:] / 255
    whole = dense + alpha * (1 - dense)
    mixed = (np.array(colour[:3]) * dense + pixels[..., :3] * alpha * (1 - dense)) / np.maximum(whole, 1e-9)
    return np.concatenate([mixed, whole * 255], axis=2)
