"""The other pictures of one job: each is judged by its header, and all of them together, before any pixel is read."""

import struct

import pytest

from imagemill.engines.layers import Given, Layers
from imagemill.model.errors import LimitExceeded
from imagemill.model.source import SourceRef
from imagemill.settings import Limits


def png(width, height):
    """No more of it than a header."""
    return memoryview(
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0) + bytes(16)
    )


class Unread:
    """An engine that is asked for headers alone."""

    def opened(self, _source, info, _first=0):
        return None, info

    def layer(self, _source, _step, _layers):
        raise AssertionError


def layers(*sizes, pixels):
    sources = {SourceRef("local", f"a/{n}"): png(*size) for n, size in enumerate(sizes)}
    return Layers(Given(sources), Unread(), Limits(pixels=pixels))


@pytest.mark.parametrize("sizes", [[(100, 30)], [(30, 100)], [(50, 30), (10, 150)], [(1, 1000), (1000, 1), (10, 100)]])
def test_all_pixels_together(sizes):
    """As many as one source may have, and not one more."""
    area = sum(width * height for width, height in sizes)
    found = layers(*sizes, pixels=area)
    assert [(info.width_px, info.height_px) for info in found.infos.values()] == sizes

    with pytest.raises(LimitExceeded) as refused:
        layers(*sizes, pixels=area - 1)
    assert refused.value.limit == "pixels"


def test_each_is_judged_as_a_source():
    """And named where it is one of several that is too large by itself."""
    with pytest.raises(LimitExceeded, match=r"local:a/1"):
        layers((10, 10), (100, 100), pixels=5_000)
