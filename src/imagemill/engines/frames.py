"""Bring pictures through their steps: rows of pixels as far as that goes, frames of an animation one by one.

Units    as in `plan.resolve`.
Source   libvips 8.18: frames lie below one another in one strip, ``page-height`` each; ``delay`` in ms, ``loop``.
"""

from typing import Any

import numpy as np

from imagemill.engines import deep, scaler
from imagemill.engines.decoded import Image, as_image, pyvips
from imagemill.engines.operations import applied
from imagemill.engines.operations.base import Context
from imagemill.engines.operations.finding import chosen_box
from imagemill.engines.pixels import srgb
from imagemill.engines.spaces import finished, own_profile
from imagemill.model.operations.encoding import EIGHT_BITS
from imagemill.model.recipe import Space
from imagemill.plan.geometry import Box, Size, evened, shrunk
from imagemill.plan.steps import Border, Chosen, Cut, Scale, Step, Steps

_OF_FRAMES = ("page-height", "n-pages", "delay", "loop")


def brought(image: Image, steps: Steps, context: Context) -> Image:
    """*image*, one picture or the strip of all frames, after its *steps*; played as they and its source say."""
    if steps.encode.bits != EIGHT_BITS:
        return _still(deep.applied(image, steps))
    own = own_profile(image) if steps.encode.space is Space.KEEP else b""
    if steps.frames == 1:
        return _still(finished(applied(image, steps.steps, context), steps, own))
    joined = _each_scaled(image, steps) if steps.encode.space is Space.SRGB else None
    if joined is None:
        joined = pyvips.Image.arrayjoin(_one_by_one(image, steps, context), across=1)
        joined = finished(joined, steps, own).copy()
    if kind := image.get_typeof("background"):
        joined.set_type(kind, "background", image.get("background"))
    _play(joined, image, steps)
    joined.set_type(pyvips.GValue.gint_type, "page-height", steps.size.height)
    return joined


def on_rows(rows: Any, steps: Steps, context: Context) -> tuple[Any, tuple[Step, ...]]:
    """*rows* after as many of *steps* as need no libvips, and those that are left."""
    left = steps.steps
    while left:
        match left:
            case [Cut() as cut, *_]:
                box = shrunk(cut.box, cut.of, Size(rows.shape[1], rows.shape[0]))
                rows, left = rows[box.top : box.top + box.height, box.left : box.left + box.width], left[1:]
                continue
            case [Chosen() as chosen, *_]:
                box = chosen_box(as_image(rows), chosen, context)
                rows, left = rows[box.top : box.top + box.height, box.left : box.left + box.width], left[1:]
                continue
            case [Scale(size=size), Cut(box=box, of=of), *_] if of == size:
                made, after = scaler.scaled(rows, size, box), left[2:]
            case [Scale(size=size), *_]:
                made, after = scaler.scaled(rows, size), left[1:]
            case _:
                break
        if made is None:
            break
        rows, left = made, after
    return rows, left


def trimmed(image: Image, steps: Steps, context: Context) -> Box:
    """What is left of all frames of *image* by the border that *steps* end with."""
    assert steps.border is not None
    asked = steps.steps[steps.border]
    assert isinstance(asked, Border)
    ready = srgb(image).copy_memory()
    context.found.pop(asked, None)  # what an equal question before this one came to, of other pixels
    for n in range(steps.frames):
        applied(_frame(ready, n, steps), steps.steps[: steps.border + 1], context.at(n))
    whole = Box(0, 0, asked.of.width, asked.of.height)
    return evened(context.found.get(asked, whole), asked.of, asked.trim)


def _one_by_one(image: Image, steps: Steps, context: Context) -> list[Image]:
    """The frames of a strip, each brought through its steps alone.

    Each is computed before the next one is begun: what it was in between may be larger by far, and is let go of.
    """
    strip = (srgb(image) if steps.encode.space is Space.SRGB else image).copy_memory()
    return [applied(_frame(strip, n, steps), steps.steps, context.at(n)).copy_memory() for n in range(steps.frames)]


def _each_scaled(image: Image, steps: Steps) -> Image | None:
    """As `_one_by_one`, where all there is to do is to scale: on rows, without a pipeline for each frame."""
    match steps.steps:
        case [Scale(size=size)]:
            pass
        case _:
            return None
    strip = srgb(image)
    pixels = np.frombuffer(strip.write_to_memory(), np.uint8)
    frames = pixels.reshape(steps.frames, strip.height // steps.frames, strip.width, strip.bands)
    made = [scaler.scaled(rows, size) for rows in frames]
    if any(rows is None for rows in made):
        return None
    scaled = pyvips.Image.new_from_memory(
        np.concatenate(made), size.width, steps.frames * size.height, strip.bands, "uchar"
    )
    return finished(scaled.copy(interpretation=strip.interpretation), steps, b"")


def _frame(strip: Image, number: int, steps: Steps) -> Image:
    height = strip.height if steps.frames == 1 else steps.source.height_px
    return strip.crop(0, number * height, strip.width, height)


def _still(image: Image) -> Image:
    """*image* without what says that it is a strip of frames: it may be cut out of one, and savers believe that."""
    told = [name for name in _OF_FRAMES if image.get_typeof(name)]
    if not told:
        return image
    image = image.copy()
    for name in told:
        image.remove(name)
    return image


def _play(made: Image, image: Image, steps: Steps) -> None:
    """How *made* is shown: as *image*, its source, says, save for what *steps* say."""
    delays_ms = image.get("delay")[steps.first : steps.first + steps.frames] if image.get_typeof("delay") else []
    if steps.delay_ms:
        delays_ms = [steps.delay_ms] * steps.frames
    if delays_ms:
        made.set_type(pyvips.GValue.array_int_type, "delay", delays_ms)
    loops = image.get("loop") if image.get_typeof("loop") and steps.loops < 0 else steps.loops
    if loops >= 0:
        made.set_type(pyvips.GValue.gint_type, "loop", loops)
