"""What is laid on a picture is worked out as far as the picture shows it, and no further."""

from imagemill.engines.decoded import pyvips
from imagemill.engines.operations import placing
from imagemill.model.operations.layers import Place
from imagemill.model.operations.values import Shadow
from imagemill.plan.geometry import Box, Size


def test_a_shadow_beside_the_picture_costs_nothing(monkeypatch):
    """R09: one that falls a thousand pixels away, and is as soft as may be, is mixed where it can be seen."""
    mixed = []
    real = placing.blended
    monkeypatch.setattr(
        placing, "blended", lambda below, *rest: mixed.append(below.width * below.height) or real(below, *rest)
    )
    mark = pyvips.Image.black(10, 6, bands=3).copy(interpretation="srgb").addalpha().cast("uchar")

    made = placing.ready(Size(40, 30), mark, Place(), shadow=Shadow(1000, -1000, 10_000))

    assert mixed == [25 * 18]
    assert made.part == Box(15, 0, 25, 18)
