"""Leaving out scans of a progressive JPEG: what is seen of the rest, and that nothing else is touched."""

import io
import struct

import numpy as np
import pytest
import simplejpeg
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from imagemill.engines.scans import shortened


def photo(width=320, height=240):
    y, x = np.mgrid[0:height, 0:width]
    noise = np.random.default_rng(5).normal(0, 12, (height, width))
    planes = [128 + 90 * np.sin(x / 9 + y / 31), 128 + 90 * np.cos(y / 7), (x + y) % 200]
    return Image.fromarray(np.clip(np.dstack(planes) + noise[..., None], 0, 255).astype(np.uint8))


def jpeg(mode="RGB", **options):
    out = io.BytesIO()
    photo().convert(mode).save(out, "JPEG", **{"quality": 85, "progressive": True, **options})
    return out.getvalue()


PROGRESSIVE = jpeg()
KINDS = {"4:2:0": PROGRESSIVE, "4:2:2": jpeg(subsampling=1), "4:4:4": jpeg(subsampling=0), "grey": jpeg("L"),
         "restarts": jpeg(restart_marker_rows=2)}  # fmt: skip


def decoded(source, shrink, kind):
    """By libjpeg-turbo, every warning an error; a file of the size of all, and of the colours of that *kind*."""
    colours = "GRAY" if kind == "grey" else "RGB"
    return simplejpeg.decode_jpeg(source, colours, min_height=240 // shrink, min_width=320 // shrink, min_factor=0)


@pytest.mark.parametrize("kind", KINDS)
def test_an_eighth_is_the_same(kind):
    """At an eighth nothing is missed: the pixels are the very same, of half the file or less."""
    source = KINDS[kind]

    less = shortened(memoryview(source), 8)

    assert len(less) < 0.65 * len(source)
    assert np.array_equal(decoded(less, 8, kind), decoded(source, 8, kind))


@pytest.mark.parametrize("kind", KINDS)
def test_a_quarter_is_as_good(kind):
    """At a quarter the last bit of the brightness is missed by less than is rounded away later."""
    source = KINDS[kind]

    less = shortened(memoryview(source), 4)

    assert len(less) < 0.8 * len(source)
    assert np.abs(decoded(less, 4, kind).astype(int) - decoded(source, 4, kind)).mean() < 1


@pytest.mark.parametrize("shrink", [1, 2])
def test_larger_pictures_need_all(shrink):
    """Nothing is left out of what is decoded at half its size, or whole."""
    source = memoryview(PROGRESSIVE)
    assert shortened(source, shrink) is source


def test_coarse_pictures_need_all():
    """Where one step of a coefficient is large, its last bit is seen, at a quarter; the mean is not touched by it."""
    source = jpeg(quality=50)
    assert shortened(source, 4) is source
    assert len(shortened(source, 8)) < len(source)


@pytest.mark.parametrize(
    "source",
    [jpeg(progressive=False), PROGRESSIVE[:-2], PROGRESSIVE[:5000], b"", b"\xff\xd8\xff\xd9"],
    ids=["baseline", "no end marker", "cut", "empty", "no frame"],
)
@pytest.mark.parametrize("shrink", [4, 8])
def test_what_is_not_understood_stays(source, shrink):
    """Baseline files have no scan to spare, and what is damaged is for the decoder to judge as it is."""
    assert shortened(source, shrink) is source


def test_many_segments_are_not_read():
    """A file of nothing but segments is given up on early."""
    at = PROGRESSIVE.index(b"\xff\xda")
    source = PROGRESSIVE[:at] + b"\xff\xfe\x00\x02" * 1_000 + PROGRESSIVE[at:]
    assert shortened(source, 8) is source
    assert len(shortened(source.replace(b"\xff\xfe\x00\x02", b"", 100), 8)) < len(source) - 400


def test_a_second_frame_is_for_the_decoder_to_refuse():
    """Frames of a file that names hundreds, of twenty thousand components each, are not read one by one."""
    begin = PROGRESSIVE.index(b"\xff\xc2")
    (length,) = struct.unpack_from(">H", PROGRESSIVE, begin + 2)
    frame, end = PROGRESSIVE[begin : begin + 2 + length], len(PROGRESSIVE) - 2
    source = PROGRESSIVE[:end] + frame + PROGRESSIVE[end:]
    assert shortened(source, 8) is source


@given(st.integers(0, len(PROGRESSIVE) - 1), st.binary(min_size=1, max_size=4), st.sampled_from([4, 8]))
def test_no_damage_stops_it(at, damage, shrink):
    """Whatever stands in a file, all that is ever done to it is to leave whole scans out."""
    source = PROGRESSIVE[:at] + damage + PROGRESSIVE[at + len(damage) :]

    less = shortened(source, shrink)

    assert len(less) <= len(source)
    assert bytes(less[:2]) == source[:2]
    assert bytes(less[-2:]) == source[-2:]
