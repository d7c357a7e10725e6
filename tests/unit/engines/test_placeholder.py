"""Tiny pictures: bounded in bytes, like the picture they stand for."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from imagemill.engines import placeholder, webp
from imagemill.engines.placeholder import MOST_BYTES, data_uri


def rows(bands, height=60, width=90):
    y, x = np.mgrid[0:height, 0:width]
    ramp = [x * 255 // width, y * 255 // height, 255 - x * 255 // width, np.where(x > width // 2, 255, 0)]
    return np.dstack({1: ramp[:1], 2: [ramp[0], ramp[3]], 3: ramp[:3], 4: ramp}[bands]).astype(np.uint8)


@pytest.mark.parametrize("most_bytes", [MOST_BYTES, 200, 120])
@pytest.mark.parametrize("bands", [1, 2, 3, 4])
def test_small_and_alike(bands, most_bytes):
    """No more bytes than asked, the same proportions, the same colours at a glance."""
    body, media_type = placeholder.placeholder(rows(bands), most_bytes)

    found = Image.open(io.BytesIO(body))
    assert len(body) <= most_bytes
    assert media_type == "image/webp"
    assert found.width / found.height == pytest.approx(1.5, abs=0.4)
    wanted = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[bands]
    whole = Image.frombytes(wanted, (90, 60), rows(bands).tobytes()).convert("RGBA")
    ground = Image.new("RGBA", whole.size, "white")
    wanted = np.asarray(Image.alpha_composite(ground, whole).convert("RGB"), float)
    shown = found.convert("RGBA").resize((90, 60))
    assert np.abs(np.asarray(Image.alpha_composite(ground, shown).convert("RGB"), float) - wanted).mean() < 20


def test_noise_is_made_smaller_until_it_fits():
    """What compresses badly has fewer pixels."""
    noise = np.random.default_rng(5).integers(0, 256, (300, 300, 3), np.uint8)
    body, _ = placeholder.placeholder(noise, 150)
    assert len(body) <= 150
    assert placeholder.placeholder(noise, 10) is None
    assert data_uri(noise, 10) == ""


def test_as_a_uri():
    """The same bytes, for a page."""
    head, _, text = data_uri(rows(3)).partition(",")
    assert head == "data:image/webp;base64"
    assert base64.b64decode(text) == placeholder.placeholder(rows(3))[0]


def test_without_webp(monkeypatch):
    """A PNG does as well."""
    monkeypatch.setattr(webp, "still", lambda *_a, **_k: None)
    body, media_type = placeholder.placeholder(rows(4), 4_000)
    assert media_type == "image/png"
    assert Image.open(io.BytesIO(body)).mode == "RGBA"


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 400, 3), (400, 1, 4)])
def test_thin_pictures(shape):
    """A side is at least a pixel, and nothing is scaled up."""
    body, _ = placeholder.placeholder(np.full(shape, 128, np.uint8))
    found = Image.open(io.BytesIO(body))
    assert min(found.size) == 1
    assert max(found.size) <= 32
