"""AVIF by Pillow's libaom: a picture like libvips', or nothing."""

import io

import numpy as np
import pytest
from PIL import Image

from imagemill.engines import avif, encoders
from imagemill.engines.decoded import pyvips
from imagemill.model.media import Format, MediaInfo
from imagemill.plan.geometry import Size
from imagemill.plan.steps import Steps
from imagemill.settings import Engine

STEPS = Steps(MediaInfo(Format.PNG, 96, 64), (), Format.AVIF, 63, Size(96, 64), 1)


def rows(width=96, height=64, bands=3):
    y, x = np.mgrid[0:height, 0:width]
    planes = [(x * 2) % 256, (y * 3) % 256, (x + y) % 256, np.clip(40 + x * 4, 0, 255)]
    return np.dstack(planes[:bands]).astype(np.uint8)


def image(pixels):
    height, width, bands = pixels.shape
    return pyvips.Image.new_from_memory(pixels, width, height, bands, "uchar").copy(interpretation="srgb")


def once(pixels):
    """As `image`, but its rows can be read once only."""
    return pyvips.Image.new_from_buffer(image(pixels).pngsave_buffer(), "", access="sequential")


def difference(body, pixels):
    found = np.asarray(Image.open(io.BytesIO(body)).convert("RGBA" if pixels.shape[2] == 4 else "RGB"), int)
    visible = pixels[..., 3:] > 0 if pixels.shape[2] == 4 else np.ones((*pixels.shape[:2], 1), bool)
    return np.abs(found - pixels)[np.broadcast_to(visible, pixels.shape)].mean()


@pytest.mark.parametrize("bands", [3, 4])
@pytest.mark.parametrize("effort", [0, 1])
@pytest.mark.parametrize("size", [(96, 64), (1, 1), (31, 17)])
def test_as_good_as_libvips(bands, effort, size):
    """The picture, its colours at full size, in eight bits; transparency as it was."""
    pixels = rows(*size, bands)
    slow = image(pixels).heifsave_buffer(
        Q=63, effort=effort, compression="av1", bitdepth=8, subsample_mode="off", keep="none"
    )

    made = avif.still(pixels, 63, effort)

    assert Image.open(io.BytesIO(made)).size == size
    assert difference(made, pixels) < difference(slow, pixels) + 1
    assert len(made) < 1.2 * len(slow) + 100


def test_a_lean_search_is_another_one(monkeypatch):
    """What is left out, quality and effort change the file: no option is read and dropped."""
    noise = np.random.default_rng(3).integers(0, 256, (64, 96, 3)).astype(np.uint8)
    lean = [avif.still(noise, 63, 0), avif.still(noise, 63, 1), avif.still(noise, 70, 1)]
    monkeypatch.setattr(avif, "_LEAN", {})
    assert len({*lean, avif.still(noise, 63, 1)}) == 4


def test_colours_are_kept_at_full_size():
    """Columns of red and blue stay red and blue: halved colours would be one purple."""
    columns = np.zeros((32, 32, 3), np.uint8)
    columns[:, ::2, 0] = columns[:, 1::2, 2] = 220

    found = np.asarray(Image.open(io.BytesIO(avif.still(columns, 90, 1))).convert("RGB"), int)

    assert (found[:, ::2, 0] - found[:, ::2, 2]).mean() > 150
    assert (found[:, 1::2, 2] - found[:, 1::2, 0]).mean() > 150


@pytest.mark.parametrize("effort", [0, 1, 2])
def test_slower_searches_leave_nothing_out(effort):
    """From effort 2 on somebody asked for fewer bytes: libvips and its whole search."""
    made = encoders.from_rows(rows(), STEPS, Engine(avif_effort=effort))
    assert (made is None) == (effort > 1)


@pytest.mark.parametrize("bands", [1, 2])
def test_grey_is_left_to_libvips(bands):
    """There are RGB and RGBA only."""
    assert avif.still(rows(bands=bands), 63, 1) is None


@pytest.mark.parametrize("how", ["missing", "without libaom"])
def test_without_the_library(how, monkeypatch):
    """Where Pillow has no AVIF, or another encoder, libvips writes the picture."""
    if how == "missing":
        monkeypatch.setattr(avif, "_AVAILABLE", False)
    else:
        monkeypatch.setattr(avif, "_CODEC", "rav1e")

    assert avif.still(rows(), 63, 1) is None
    assert difference(encoders.from_image(once(rows()), STEPS, Engine()), rows()) < 8
