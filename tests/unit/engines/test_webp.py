"""WebP by libwebp itself: what libvips would have written, or nothing."""

import io

import numpy as np
import pytest
from PIL import Image

from imagemill.engines import encoders, webp
from imagemill.engines.decoded import pyvips
from imagemill.model.media import Format, MediaInfo
from imagemill.plan.geometry import Size
from imagemill.plan.steps import Steps
from imagemill.settings import Engine


def rows(width=61, height=43, bands=3):
    y, x = np.mgrid[0:height, 0:width]
    noise = np.random.default_rng(5).integers(0, 60, (height, width))
    planes = [(x * 3 + noise) % 256, (y * 4) % 256, (x + y + noise) % 256, (x * 4) % 256]
    return np.dstack(planes[:bands]).astype(np.uint8)


def image(pixels):
    height, width, bands = pixels.shape
    return pyvips.Image.new_from_memory(np.ascontiguousarray(pixels), width, height, bands, "uchar").copy(
        interpretation="srgb"
    )


def steps(frames=1, quality=79):
    info = MediaInfo(Format.GIF if frames > 1 else Format.PNG, 61, 43, frames=frames)
    return Steps(info, (), Format.WEBP, quality, Size(61, 43), frames)


def strip(frames, **fields):
    made = image(np.concatenate(frames))
    made.set_type(pyvips.GValue.gint_type, "page-height", frames[0].shape[0])
    made.set_type(pyvips.GValue.array_int_type, "delay", fields.get("delay", [40] * len(frames)))
    made.set_type(pyvips.GValue.gint_type, "loop", fields.get("loop", 0))
    return made


@pytest.mark.parametrize("bands", [3, 4])
@pytest.mark.parametrize(("quality", "effort"), [(79, 4), (1, 0), (50, 2), (100, 6)])
@pytest.mark.parametrize("size", [(61, 43), (1, 1), (16, 16), (17, 2)])
def test_same_bytes_as_libvips(bands, quality, effort, size):
    """Every size, with transparency or without, at every effort."""
    pixels = rows(*size, bands)
    assert webp.still(pixels, quality, effort) == image(pixels).webpsave_buffer(Q=quality, effort=effort, keep="none")


def test_rows_may_lie_anywhere():
    """A part of a picture, whose rows are not one after the other, is that part."""
    whole = rows()
    assert webp.still(whole[5:30, 7:40], 79, 4) == webp.still(whole[5:30, 7:40].copy(), 79, 4)


def test_fractions_of_a_quality():
    """Half a point lies between its neighbours."""
    sizes = [len(webp.still(rows(300, 200), quality, 4)) for quality in (78, 78.5, 79)]
    assert sizes[0] < sizes[1] < sizes[2]


@pytest.mark.parametrize("bands", [3, 4])
def test_animation(bands):
    """Every frame, how long it is shown, and how often all of them are; short delays are shown as browsers do."""
    frames = np.stack([np.roll(rows(bands=bands), 9 * n, axis=1) for n in range(4)])

    body = webp.animation(frames, 100, 4, webp.Timing((40, 5, 70), 3))

    found = Image.open(io.BytesIO(body))
    assert (found.n_frames, found.info["loop"], found.size) == (4, 3, (61, 43))
    shown = []
    for n, wanted in enumerate(frames):
        found.seek(n)
        found.load()
        shown.append(found.info["duration"])
        seen = np.asarray(found.convert("RGBA" if bands == 4 else "RGB"), int)
        opaque = wanted[..., 3] > 128 if bands == 4 else np.ones((43, 61), bool)
        assert np.abs(seen[..., :3] - wanted[..., :3])[opaque].mean() < 25, n
    assert shown == [40, 100, 70, 100]


def test_frames_keep_their_colours():
    """A frame is as good as a picture of its own: it is not brought to half its colours twice."""
    frames = np.stack([rows(), np.roll(rows(), 9, axis=1)])
    alone = Image.open(io.BytesIO(webp.still(frames[0], 79, 4))).convert("RGB")
    first = Image.open(io.BytesIO(webp.animation(frames, 79, 4, webp.Timing((), 0)))).convert("RGB")

    errors = [np.abs(np.asarray(found, int) - frames[0]).mean() for found in (alone, first)]

    assert errors[1] <= errors[0] * 1.01


@pytest.mark.parametrize("bands", [1, 2])
def test_grey_is_left_to_libvips(bands):
    """There are RGB and RGBA only."""
    assert webp.still(rows(bands=bands), 79, 4) is None
    assert webp.animation(rows(bands=bands)[None], 79, 4, webp.Timing((), 0)) is None


@pytest.mark.parametrize("size", [(16_384, 1), (1, 16_384)])
def test_what_libwebp_refuses_is_left_to_libvips(size):
    """WebP has at most 16383 pixels a side: no picture, and no crash."""
    assert webp.still(rows(*size), 79, 4) is None
    assert webp.animation(rows(*size)[None], 79, 4, webp.Timing((), 0)) is None


class TestWithoutTheLibrary:
    """Where Pillow was built otherwise, or brings a libwebp of another ABI, libvips writes the same picture."""

    @pytest.fixture(params=["missing", "other ABI"], autouse=True)
    def _gone(self, request, monkeypatch):
        if request.param == "missing":
            monkeypatch.setattr(webp, "_webp", None)
            monkeypatch.setattr(webp, "_mux", None)
        else:
            monkeypatch.setattr(webp, "_ENCODER_ABI", 0x0900)

    def test_still(self):
        assert webp.still(rows(), 79, 4) is None
        once = pyvips.Image.new_from_buffer(image(rows()).pngsave_buffer(), "", access="sequential")
        made = encoders.from_image(once, steps(), Engine())
        assert made == image(rows()).webpsave_buffer(Q=79, effort=4, keep="none")

    def test_animation(self):
        frames = [rows(), np.roll(rows(), 9, axis=1)]
        made = encoders.from_image(strip(frames, delay=[50, 90], loop=2), steps(2), Engine())
        found = Image.open(io.BytesIO(made))
        assert (found.n_frames, found.info["loop"], found.size) == (2, 2, (61, 43))


def test_other_mux_is_left_to_libvips(monkeypatch):
    """The animation's structures have a version of their own."""
    monkeypatch.setattr(webp, "_MUX_ABI", 0x0900)
    assert webp.animation(rows()[None], 79, 4, webp.Timing((), 0)) is None
