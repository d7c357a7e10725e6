"""Find faces, with a detector whose model is part of its wheel. Needs the extra ``faces``.

Units    pixels of the picture that is given.
Errors   `NotSupported` where the extra is not installed.
Source   dlib 20: ``get_frontal_face_detector``, a linear classifier on histograms of gradients (HOG) that scans an
         image pyramid. It sees faces from 80 pixels on, upright ones that look this way; it is always given a picture
         of `SIDE_PX`, so that a face counts from a twelfth of the longer side on.
Import   at the start of a worker, as whatever reads files has to be; the model itself is made at its first use.
"""

from functools import cache
from typing import Any

from imagemill.model.errors import NotSupported
from imagemill.plan.geometry import Box

try:
    import dlib
except ImportError:
    dlib = None

AVAILABLE = dlib is not None
VERSION: str = dlib.__version__ if AVAILABLE else "none"
SIDE_PX = 960
_SURE = 0.2
"""Score from which it is believed: faces come out at about 1, folds of cloth and coins below 0.1."""


def check() -> None:
    """Raise `NotSupported` where there is no detector."""
    if not AVAILABLE:
        raise NotSupported("gravity=face: this server has no detector; it comes with the extra imagemill[faces]")


def boxes(rows: Any) -> list[Box]:
    """The faces in *rows*, grey pixels of eight bits; they may reach over its edges."""
    found, _, _ = _detector().run(rows, 0, _SURE)
    return [Box(face.left(), face.top(), face.width(), face.height()) for face in found]


@cache
def _detector() -> Any:
    return dlib.get_frontal_face_detector()
