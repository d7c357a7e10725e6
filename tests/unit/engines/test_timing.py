"""How an animation is shown, by what libvips tells of it."""

import pytest

from imagemill.engines.decoded import pyvips
from imagemill.engines.timing import Timing, timing_of


def image(delays_ms=None, loop=None):
    made = pyvips.Image.black(1, 1).copy()
    if delays_ms is not None:
        made.set_type(pyvips.GValue.array_int_type, "delay", delays_ms)
    if loop is not None:
        made.set_type(pyvips.GValue.gint_type, "loop", loop)
    return made


@pytest.mark.parametrize(
    ("told", "frames", "shown"),
    [
        (None, 2, (100, 100)), ([40, 50], 2, (40, 50)), ([40, 50, 60], 2, (40, 50)), ([40], 3, (40, 100, 100)),
        ([0, 10, 11], 3, (100, 100, 11)), ([10_000], 1, (10_000,)),
    ],
)  # fmt: skip
def test_each_frame_has_its_time(told, frames, shown):
    """As many as there are frames; what is too short to be meant is a tenth of a second, as in browsers."""
    assert timing_of(image(told), frames).delays_ms == shown


@pytest.mark.parametrize(("told", "loops"), [(None, 0), (0, 0), (1, 1), (7, 7)])
def test_loops(told, loops):
    """For ever where nothing is said."""
    assert timing_of(image(loop=told), 1) == Timing((100,), loops)
