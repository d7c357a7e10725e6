"""The quick way to shrink: what libvips would have given but for rounding, or nothing."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from imagemill.engines import scaler
from imagemill.engines.base import Task
from imagemill.engines.headers import probe
from imagemill.engines.vips import Vips
from imagemill.model.media import Format
from imagemill.model.recipe import Encode, Fit, Resize
from imagemill.plan.geometry import Box, Size
from imagemill.settings import Engine, Limits

quick = pytest.mark.skipif(not scaler.AVAILABLE, reason="no cykooz-resizer for this machine")


def rows(width, height, bands=3):
    y, x = np.mgrid[0:height, 0:width]
    planes = [x * 255 // width, y * 255 // height, 128 + 60 * np.sin(x / 5) * np.cos(y / 3), 64 + (x + y) % 128]
    return np.ascontiguousarray(np.dstack(planes)[..., :bands].astype(np.uint8))


@quick
@pytest.mark.parametrize("size", [(100, 75), (67, 31), (199, 149), (1, 1), (200, 10)])
@pytest.mark.parametrize("bands", [1, 3])
def test_lanczos(size, bands):
    """It is the filter with three lobes, to rounding: another writing of it agrees on every sample, but for two levels."""
    source = rows(200, 150, bands)
    wanted = [Image.fromarray(source[..., n]).resize(size, Image.Resampling.LANCZOS) for n in range(bands)]

    made = scaler.scaled(source, Size(*size))

    assert made.shape == (size[1], size[0], bands)
    assert np.abs(made.astype(int) - np.dstack(wanted)).max() <= 2


def part_of(draw, times=1):
    """What is to be scaled, to which size, and the part of that: of any size, to the last edge."""
    width, height = draw(st.integers(1, 90)), draw(st.integers(1, 90))
    size = Size(draw(st.integers(1, width)), draw(st.integers(1, height)))
    box = Box(left := draw(st.integers(0, size.width - 1)), top := draw(st.integers(0, size.height - 1)),
              draw(st.integers(1, size.width - left)), draw(st.integers(1, size.height - top)))  # fmt: skip
    return (rows(size.width * times, size.height * times) if times > 1 else rows(width, height)), size, box


def cut(pixels, box):
    return pixels[box.top : box.top + box.height, box.left : box.left + box.width].astype(int)


@quick
@given(st.data())
def test_cut_is_the_part(data):
    """What is made of a part is the part of what is made of the whole, but for one level of rounding."""
    source, size, box = part_of(data.draw)

    part = scaler.scaled(source, size, box)

    assert part.shape == (box.height, box.width, 3)
    assert np.abs(part - cut(scaler.scaled(source, size), box)).max() <= 1


@quick
@given(st.data())
def test_cut_of_a_half_is_the_part(data):
    """To the byte, where the picture is halved: each pixel has the same weights, in a part as in the whole."""
    source, size, box = part_of(data.draw, times=2)

    part = scaler.scaled(source, size, box)

    assert np.array_equal(part, cut(scaler.scaled(source, size), box))


@quick
def test_what_is_transparent_has_no_colour():
    """No colour of a pixel that cannot be seen gets into one that can."""
    source = np.zeros((64, 64, 4), np.uint8)
    source[:, :31] = (255, 0, 0, 255)
    source[:, 31:] = (0, 255, 0, 0)

    made = scaler.scaled(source, Size(16, 16))

    assert made[..., 1].max() == 0
    assert made[:, 3, 0].min() >= 254
    assert set(made[:, 0, 3]) == {255}
    assert set(made[:, 15, 3]) == {0}


@quick
@pytest.mark.parametrize("size", [(201, 10), (10, 151)])
def test_enlarging_is_left_to_libvips(size):
    """One side larger than the source's is enough."""
    assert scaler.scaled(rows(200, 150), Size(*size)) is None


def encoded(pixels, kind):
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, kind)
    return out.getvalue()


def made(source, *recipe):
    (one,) = Vips(Limits(), Engine()).run(memoryview(source), probe(source), [Task(recipe)])
    return np.asarray(Image.open(io.BytesIO(one.body)).convert("RGBA"), int)


@quick
@pytest.mark.parametrize("fit", [Fit.INSIDE, Fit.COVER, Fit.CONTAIN])
@pytest.mark.parametrize(("kind", "bands"), [("JPEG", 3), ("PNG", 4), ("PNG", 2), ("WEBP", 4)])
def test_engine_without_it(monkeypatch, kind, bands, fit):
    """Where there is no wheel, libvips makes the same renditions."""
    pixels = rows(200, 150, 4)[..., [0, 3] if bands == 2 else range(bands)]
    source, recipe = encoded(pixels, kind), (Resize(60, 80, fit), Encode(Format.PNG))
    fast = made(source, *recipe)
    monkeypatch.setattr(scaler, "AVAILABLE", False)

    slow = made(source, *recipe)

    assert fast.shape == slow.shape
    assert np.abs(fast - slow).mean() < 1.0


@quick
@pytest.mark.parametrize("bands", [1, 3, 4])
def test_strips_do_not_show(monkeypatch, bands):
    """What is made strip by strip, so that little has to be copied at a time, is what is made at once."""
    source = rows(200, 150, bands)
    at_once = scaler.scaled(source, Size(90, 70), Box(5, 3, 80, 60))
    monkeypatch.setattr(scaler, "_STRIP_BYTES", source.nbytes // 10)

    stripped = scaler.scaled(source, Size(90, 70), Box(5, 3, 80, 60))

    assert np.abs(at_once.astype(int) - stripped).max() <= 1
