"""The quick way for JPEGs: what libvips would have given, or nothing."""

import io

import numpy as np
import pytest
from PIL import Image

from imagemill.engines import turbo
from imagemill.engines.base import Task
from imagemill.engines.decoded import pyvips
from imagemill.engines.decoders import opened
from imagemill.engines.headers import probe
from imagemill.engines.vips import Vips
from imagemill.model.errors import ImageCorrupt
from imagemill.model.media import Format
from imagemill.model.recipe import Encode, Resize
from imagemill.settings import Engine, Limits


def photo(width=133, height=77, mode="RGB"):
    rows, columns = np.mgrid[0:height, 0:width]
    noise = np.random.default_rng(7).integers(0, 40, (height, width))
    planes = [(rows * 2 + noise) % 256, (columns + noise) % 256, (rows + columns) % 256]
    return Image.fromarray(np.dstack(planes).astype(np.uint8)).convert(mode)


def jpeg(mode="RGB", size=(133, 77), **options):
    out = io.BytesIO()
    photo(*size, mode=mode).save(out, "JPEG", **{"quality": 90, **options})
    return out.getvalue()


KINDS = {
    "4:4:4": jpeg(subsampling=0),
    "4:2:2": jpeg(subsampling=1),
    "4:2:0": jpeg(subsampling=2),
    "progressive": jpeg(progressive=True),
    "grey": jpeg("L"),
    "restarts": jpeg(restart_marker_rows=1),
    "small": jpeg(size=(17, 9)),
    "rgb": jpeg(keep_rgb=True),
}


@pytest.mark.parametrize("shrink", [1, 2, 4, 8])
@pytest.mark.parametrize("kind", KINDS)
def test_same_pixels_as_libvips(kind, shrink):
    """Every plain kind decodes to the very bytes that libvips decodes it to, at every shrink."""
    source = KINDS[kind]
    slow = opened(memoryview(source), probe(source), shrink=shrink)

    fast = turbo.decode(memoryview(source), probe(source), shrink)

    assert fast is not None
    if kind == "progressive" and shrink == 4:  # the last bit is left out: see test_scans
        shown = fast[: slow.height, : slow.width].astype(int)
        assert np.abs(shown - slow.numpy()).mean() < 1
        return
    same = np.ascontiguousarray(fast[: slow.height, : slow.width]).tobytes()
    assert same == bytes(slow.write_to_memory())
    assert fast.shape[2] == slow.bands


@pytest.mark.parametrize(
    "source",
    [jpeg("CMYK"), jpeg()[:-600], jpeg()[:-2]],
    ids=["cmyk", "cut", "no end marker"],
)
def test_anything_odd_is_left_to_libvips(source):
    """Other colours, and whatever libjpeg-turbo so much as warns of, are not decided here."""
    assert turbo.decode(memoryview(source), probe(source), 1) is None


def test_lossless_and_arithmetic_are_not_taken():
    """Frames other than Huffman-coded DCT never reach the decoder, whatever it would make of them."""
    source = bytearray(KINDS["4:2:0"])
    frame = source.index(b"\xff\xc0")
    for marker in (0xC3, 0xC9, 0xCA):
        source[frame + 1] = marker
        assert not probe(bytes(source)).huffman_dct
        assert turbo.decode(memoryview(bytes(source)), probe(bytes(source)), 1) is None


def test_large_pictures_are_streamed(monkeypatch):
    """Beyond the bound nothing is held whole: libvips reads row by row."""
    monkeypatch.setattr(turbo, "MOST_BYTES", 133 * 77 * 3 - 1)
    assert turbo.decode(memoryview(KINDS["4:2:0"]), probe(KINDS["4:2:0"]), 1) is None
    assert turbo.decode(memoryview(KINDS["4:2:0"]), probe(KINDS["4:2:0"]), 2) is not None


def made(source, *recipe):
    (one,) = Vips(Limits(), Engine()).run(memoryview(source), probe(source), [Task(recipe)])
    return one


def test_a_cut_picture_is_refused_all_the_same():
    """libvips has the last word: what it refuses stays refused."""
    with pytest.raises(ImageCorrupt):
        made(jpeg()[:-600], Resize(50), Encode(Format.JPEG))


def pixels(rendition):
    return np.asarray(Image.open(io.BytesIO(rendition.body)).convert("RGB"), int)


def test_colours_in_blocks_are_the_same_colours():
    """Colours that are doubled and not smoothed are off where they change, and right on the whole."""
    source = KINDS["4:2:0"]
    fine = turbo.decode(memoryview(source), probe(source), 1).astype(int)

    coarse = turbo.decode(memoryview(source), probe(source), 1, coarse=True).astype(int)

    assert not np.array_equal(fine, coarse)
    assert np.abs(fine.mean((0, 1)) - coarse.mean((0, 1))).max() < 0.5


@pytest.mark.parametrize("shrink_to", [133, 100, 30, 15])
def test_engine_gives_the_same_either_way(monkeypatch, shrink_to):
    """A rendition depends by no more than rounding on which decoder and which filter were quick enough."""
    quick = made(KINDS["4:2:0"], Resize(shrink_to), Encode(Format.PNG))
    monkeypatch.setattr(turbo, "decode", lambda *_, **__: None)

    slow = made(KINDS["4:2:0"], Resize(shrink_to), Encode(Format.PNG))

    assert np.abs(pixels(slow) - pixels(quick)).max() <= 2


def test_what_is_halved_is_the_same_to_the_eye(monkeypatch):
    """Where colours are doubled because the picture is halved, the rendition is as good."""
    quick = made(KINDS["4:2:0"], Resize(60), Encode(Format.PNG))
    monkeypatch.setattr(turbo, "decode", lambda *_, **__: None)

    slow = made(KINDS["4:2:0"], Resize(60), Encode(Format.PNG))

    assert np.abs(pixels(slow) - pixels(quick)).mean() < 1.5


def test_profile_is_kept_for_the_way_to_srgb(monkeypatch):
    """A profile in the source changes the colours as it does when libvips decodes."""
    profile = pyvips.Image.black(8, 8, bands=3).copy(interpretation="srgb").icc_export(output_profile="p3")
    source = jpeg(icc_profile=profile.get("icc-profile-data"))
    quick = made(source, Encode(Format.PNG))
    monkeypatch.setattr(turbo, "decode", lambda *_, **__: None)

    assert np.array_equal(pixels(made(source, Encode(Format.PNG))), pixels(quick))
    assert made(jpeg(), Encode(Format.PNG)).body != quick.body
