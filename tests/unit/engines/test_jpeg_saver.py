"""The quick way to write JPEGs: the picture that libvips would have written, or nothing."""

import io

import numpy as np
import pytest
from PIL import Image

from imagemill.engines import jpeg_saver
from imagemill.engines.base import Task
from imagemill.engines.decoded import pyvips
from imagemill.engines.headers import probe
from imagemill.engines.vips import Vips
from imagemill.model.media import Format
from imagemill.model.recipe import Encode
from imagemill.settings import Engine, Limits


def rows(bands, width=123, height=77):
    y, x = np.mgrid[0:height, 0:width]
    noise = np.random.default_rng(3).integers(0, 30, (height, width))
    planes = [(x + noise) % 256, (2 * y + noise) % 256, (x + y) % 256]
    return np.dstack(planes)[..., :bands].astype(np.uint8)


def noise(side=300):
    return np.random.default_rng(3).integers(0, 256, (side, side, 3), np.uint8)


def opened(body):
    return np.asarray(Image.open(io.BytesIO(body)))


@pytest.mark.parametrize("optimize", [False, True])
@pytest.mark.parametrize("quality", [1, 50, 80, 89, 90, 100])
@pytest.mark.parametrize("bands", [1, 3])
def test_same_picture_as_libvips(bands, quality, optimize):
    """The same tables, the same transform and the same sampling of colours: it decodes to the very same pixels."""
    pixels = rows(bands)
    image = pyvips.Image.new_from_memory(pixels, 123, 77, bands, "uchar")
    image = image.copy(interpretation="b-w" if bands == 1 else "srgb")
    slow = image.jpegsave_buffer(Q=quality, optimize_coding=optimize, keep="none")

    body = jpeg_saver.saved(pixels, quality, optimize=optimize)

    assert np.array_equal(opened(body), opened(slow))
    assert len(body) <= len(slow) * 1.01 + 50


def test_nothing_but_the_picture():
    """JFIF, tables, frame and scan: no segment tells of anything else."""
    body = jpeg_saver.saved(rows(3), 80, optimize=True)

    info = probe(body)

    assert info.bare
    assert info.metadata_bytes <= 16


@pytest.mark.parametrize("pixels", [rows(3)[..., [0, 1, 2, 0]], rows(2)], ids=["rgba", "grey and alpha"])
def test_other_pixels_are_not_taken(pixels):
    """JPEG holds no transparency: who comes here with some has forgotten to lay it on a colour."""
    assert jpeg_saver.saved(pixels, 80, optimize=True) is None


def test_what_is_too_much_for_the_buffer_is_written_all_the_same():
    """Noise takes more than a byte a pixel: libvips writes it."""
    assert jpeg_saver.saved(noise(), 95, optimize=True) is None
    source = io.BytesIO()
    Image.fromarray(noise()).save(source, "JPEG", quality=95, subsampling=0)

    (made,) = Vips(Limits(), Engine()).run(
        memoryview(source.getvalue()), probe(source.getvalue()), [Task((Encode(Format.JPEG, 95),))]
    )

    assert opened(made.body).shape == (300, 300, 3)
    assert np.abs(opened(made.body).astype(int) - noise()).mean() < 15
