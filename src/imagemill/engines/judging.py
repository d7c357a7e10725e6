"""Score what an encoder makes of a picture, on a sample of it, and find the quality that a score takes.

Sample   `SIDE_PX` square: the picture, mirrored over its edges where it is smaller, or four parts of a larger one, cut
         where nothing of an encoder's blocks shows. Of an animation, the first frame. Transparency lies on grey.
Units    scores as SSIMULACRA 2 counts.
Errors   `NotSupported` where the setting is off.
Source   ssimulacra2 0.3 (PyPI, BSD), which agrees with the C++ original; six scales need 256 pixels a side. One score
         takes about 80 ms of CPU, and the library 30 MB: so workers load it where ``engine.quality_auto`` says so.
"""

import io
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from msgspec.structs import replace
from PIL import Image as Pillow

from imagemill.engines import encoders
from imagemill.engines.base import Known
from imagemill.engines.decoded import pyvips
from imagemill.model.errors import NotSupported
from imagemill.model.media import LOSSLESS
from imagemill.plan.geometry import Size
from imagemill.plan.profiles import asked_quality
from imagemill.plan.steps import Steps
from imagemill.plan.target import next_try, settled
from imagemill.settings import Engine

SIDE_PX = 256
_PART_PX = SIDE_PX // 2
_GRID_PX = 16
_GREY = 128
_OPAQUE_BANDS, _WITH_ALPHA = 3, frozenset({2, 4})
_compare: Callable[[Any, Any], float] | None = None


def load() -> None:
    """Import the judge: while a worker still may read what is installed."""
    global _compare  # noqa: PLW0603 - it is there or not, for the whole process
    from ssimulacra2 import compute_ssimulacra2  # noqa: PLC0415 - 30 MB

    _compare = compute_ssimulacra2


def is_aimed(steps: Steps) -> bool:
    """Whether the quality of *steps* is to be found, and there is one."""
    return steps.encode.target_centi > 0 and steps.format not in LOSSLESS


class Aim:
    """The qualities of one source: each is looked for once."""

    def __init__(self, engine: Engine, known: Iterable[Known]) -> None:
        self._engine = engine
        self._known = {(one.format, one.target_centi): one.quality for one in known}

    def quality(self, steps: Steps) -> int:
        """What was found for *steps*; 0 = nothing was looked for."""
        return self._known.get((steps.format, steps.encode.target_centi), 0) if is_aimed(steps) else 0

    def at(self, steps: Steps, pixels: Any) -> Steps:
        """*steps* with the quality at which *pixels*, an array of rows, reach the score that is wanted, if one is."""
        if not is_aimed(steps):
            return steps
        quality = self.quality(steps) or _found(steps, sample(pixels), self._engine)
        self._known[steps.format, steps.encode.target_centi] = quality
        return replace(steps, quality=quality)


def _found(steps: Steps, rows: Any, engine: Engine) -> int:
    if _compare is None:
        raise NotSupported("quality: auto needs engine.quality_auto on the server, and the extra imagemill[quality]")
    image = pyvips.Image.new_from_memory(rows, SIDE_PX, SIDE_PX, _OPAQUE_BANDS, "uchar").copy(interpretation="srgb")
    plain = replace(steps.encode, max_bytes=0, target_centi=0)
    small = replace(steps, steps=(), size=Size(SIDE_PX, SIDE_PX), frames=1, encode=plain)
    target, tried = steps.encode.target_centi / 100, list[tuple[int, float]]()
    while (quality := next_try(tried, target, asked_quality(steps, engine))) is not None:
        made = encoders.from_image(image, replace(small, quality=quality), engine)
        tried.append((quality, score(rows, made)))
    return settled(tried, target)


def score(rows: Any, made: bytes) -> float:
    """How close the picture *made* is to the opaque *rows*."""
    assert _compare
    wanted = io.BytesIO()
    Pillow.fromarray(rows).save(wanted, "PNG", compress_level=0)
    wanted.seek(0)
    return float(_compare(wanted, io.BytesIO(made)))


def sample(pixels: Any) -> Any:
    """What stands for *pixels*, an array of rows: opaque, in three bands."""
    height, width, _ = pixels.shape
    columns, rows = _parts(width), _parts(height)
    return np.ascontiguousarray(_opaque(pixels[rows][:, columns]))


def _parts(length: int) -> Any:
    """Which columns, or rows, of so many are looked at."""
    if length <= SIDE_PX:
        return np.pad(np.arange(length), (0, SIDE_PX - length), "symmetric")
    spare = (length - SIDE_PX) // 3 // _GRID_PX * _GRID_PX
    return np.concatenate([np.arange(n * _PART_PX + (n + 1) * spare, (n + 1) * (_PART_PX + spare)) for n in range(2)])


def _opaque(pixels: Any) -> Any:
    bands = pixels.shape[2]
    colours = pixels[..., : bands - (bands in _WITH_ALPHA)]
    if bands in _WITH_ALPHA:
        alpha = pixels[..., -1:].astype(np.uint16)
        colours = ((colours * alpha + _GREY * (255 - alpha) + 127) // 255).astype(np.uint8)
    return np.repeat(colours, 3, axis=2) if colours.shape[2] == 1 else colours
