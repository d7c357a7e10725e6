"""What a text costs before it is drawn: more letters, larger ones, a shadow, a turn cost more; frames share the drawing."""

import pytest

from imagemill.model.errors import LimitExceeded
from imagemill.model.media import Format, MediaInfo
from imagemill.model.recipe import Encode, Place, Shadow, Text
from imagemill.plan.cost import estimate_us
from imagemill.plan.prepare import check
from imagemill.plan.resolve import resolve
from imagemill.settings import Engine, Limits

LIMITS = Limits()


def cost_us(*texts, frames=1, alpha=False):
    info = MediaInfo(Format.WEBP, 800, 600, frames=frames, has_alpha=alpha)
    return estimate_us(resolve((*texts, Encode(Format.WEBP)), (), info, LIMITS), Engine())


@pytest.mark.parametrize(
    ("less", "more"),
    [
        (Text("moon"), Text("moon" * 20)), (Text("moon"), Text("moon", size_px=100)), (Text("moon" * 9), Text("moon" * 9, shadow=Shadow())),
        (Text("moon" * 9), Text("moon" * 9, place=Place(centidegrees=1234))), (Text("moon", shadow=Shadow()), Text("moon", shadow=Shadow(sigma_centi=5000))),
        (Text("moon"), Text("moon\n" * 9 + "moon")),
    ],
)  # fmt: skip
def test_more_costs_more(less, more):
    assert cost_us() < cost_us(less) < cost_us(more) < cost_us(less, more)


def test_drawn_once_for_all_frames():
    """Twenty frames cost no twenty drawings."""
    text = Text("moon " * 50, size_px=60)
    one, many = cost_us(text) - cost_us(), cost_us(text, frames=20) - cost_us(frames=20)

    assert many < 10 * one


def test_steps_change_no_size():
    """A text is its own step; the picture is as large as before."""
    steps = resolve((Text("moon", width_px=5000), Encode(Format.PNG)), (), MediaInfo(Format.PNG, 30, 20), LIMITS)

    assert (steps.size.width, steps.size.height) == (30, 20)
    assert steps.steps[0] == Text("moon", width_px=5000)


def test_width_is_bounded():
    """A block wider than a rendition may be is refused before the source is read."""
    check((Text("moon", width_px=LIMITS.output_side_px), Encode()), LIMITS)
    with pytest.raises(LimitExceeded, match="text width"):
        check((Text("moon", width_px=LIMITS.output_side_px + 1), Encode()), LIMITS)
