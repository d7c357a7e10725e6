"""``quality=auto``: the score that is asked for is the score that is got, by the judge's own word, in every lossy format."""

import io

import numpy as np
import pytest
from PIL import Image

from golden import pictures
from golden.mill import mill
from imagemill.engines import encoders, judging
from imagemill.engines.base import Known, Task
from imagemill.engines.headers import probe
from imagemill.engines.vips import Vips
from imagemill.model.errors import NotSupported
from imagemill.model.media import Format
from imagemill.model.recipe import Encode
from imagemill.settings import Engine, Limits

LOSSY = ["jpeg", "webp", "avif"]


@pytest.fixture(autouse=True)
def _loaded(monkeypatch):
    monkeypatch.setattr(judging, "_compare", None)
    judging.load()


def score(source, body):
    """Of the whole picture, and not of what our own sample shows."""
    from ssimulacra2 import compute_ssimulacra2

    png = io.BytesIO()
    Image.open(io.BytesIO(source)).convert("RGB").save(png, "PNG")
    png.seek(0)
    return compute_ssimulacra2(png, io.BytesIO(body))


@pytest.mark.parametrize("target", [60, 75, 85])
@pytest.mark.parametrize("format_", LOSSY)
def test_reached(format_, target):
    """Within four points on the whole of a picture, of which a sample was looked at."""
    source = pictures.encoded(pictures.photo(420, 315), "PNG")
    made = mill(source, format=format_, quality=f"auto:{target}")
    assert abs(score(source, made.body) - target) <= 4
    assert made.quality > 0


def test_more_is_asked_more_is_given():
    """A higher score takes more bytes; ``auto`` alone is 75."""
    source = pictures.encoded(pictures.photo(400, 300), "PNG")
    sizes = [len(mill(source, format="webp", quality=f"auto:{target}").body) for target in (50, 65, 80, 90)]
    assert sizes == sorted(set(sizes))
    assert mill(source, format="webp", quality="auto").body == mill(source, format="webp", quality="auto:75").body


@pytest.mark.parametrize("format_", LOSSY)
def test_three_encodes_of_a_sample(format_, monkeypatch):
    """At most, and then one of the whole."""
    sizes, real = [], encoders.from_image
    monkeypatch.setattr(encoders, "from_image", lambda image, *more: (sizes.append(image.width), real(image, *more))[1])
    mill(pictures.encoded(pictures.photo(600, 400), "PNG"), format=format_, quality="auto:30")
    assert 1 <= sum(size == judging.SIDE_PX for size in sizes) <= 3


def test_what_is_known_is_not_looked_for(monkeypatch):
    """A quality found once is good for the source: no sample is encoded, none is scored."""
    source = pictures.encoded(pictures.photo(600, 400), "PNG")
    monkeypatch.setattr(judging, "score", lambda *_: pytest.fail("scored again"))
    task = Task((Encode(Format.WEBP, target_centi=7500),), known=(Known(Format.WEBP, 7500, 61),))
    (made,) = Vips(Limits(), Engine()).run(memoryview(source), probe(source), [task])
    assert made.quality == 61
    assert made.body == mill(source, format="webp", quality=61).body


def test_once_for_all_of_a_run(monkeypatch):
    """Several renditions of one source share what was found."""
    asked, real = [], judging.score
    monkeypatch.setattr(judging, "score", lambda *a: (asked.append(1), real(*a))[1])
    source = pictures.encoded(pictures.photo(600, 400), "PNG")
    from imagemill.model.recipe import Resize

    tasks = [Task((Resize(width), Encode(Format.WEBP, target_centi=7500))) for width in (600, 300, 200)]
    made = list(Vips(Limits(), Engine()).run(memoryview(source), probe(source), tasks))
    assert len({m.quality for m in made}) == 1
    assert len(asked) <= 3


@pytest.mark.parametrize("picture", ["disc", "photo", "gradient"])
def test_other_pictures(picture):
    """Transparency, tiny and plain pictures are written too."""
    source = pictures.encoded(getattr(pictures, picture)(), "PNG")
    assert mill(source, format="webp", quality="auto").quality > 0
    assert mill(source, format="webp", quality="auto", width=9).width_px == 9


def test_lossless_formats_have_no_quality():
    """As with a number: PNG is not changed by it."""
    source = pictures.encoded(pictures.photo(64, 48), "PNG")
    assert mill(source, format="png", quality="auto").body == mill(source, format="png").body


def test_not_offered(monkeypatch):
    """501 where the server has no judge, and not a picture of some other quality."""
    monkeypatch.setattr(judging, "_compare", None)
    with pytest.raises(NotSupported, match="quality_auto"):
        mill(pictures.encoded(pictures.photo(64, 48), "PNG"), format="webp", quality="auto")


@pytest.mark.parametrize("size", [(1, 1), (7, 300), (256, 256), (257, 1000), (255, 257), (3000, 20)])
@pytest.mark.parametrize("bands", [1, 2, 3, 4])
def test_sample(size, bands):
    """Opaque, three bands, and always of one size; a picture of that size is its own."""
    width, height = size
    pixels = np.random.default_rng(1).integers(0, 256, (height, width, bands), np.uint8)
    made = judging.sample(pixels)
    assert made.shape == (256, 256, 3)
    if size == (256, 256) and bands == 3:
        assert np.array_equal(made, pixels)


@pytest.mark.parametrize(("length", "apart"), [(257, 0), (303, 0), (304, 16), (352, 32), (1000, 240)])
def test_parts_of_a_sample(length, apart):
    """Two of 128 rows, each a multiple of 16 from the edge and from the other, as the blocks of encoders are."""
    y, x = np.mgrid[0:length, 0:length]
    made = judging.sample(np.dstack([x % 256, x // 256, y % 256]).astype(np.uint8))
    columns, rows = made[0, :, 0] + 256 * made[0, :, 1].astype(int), made[:, 0, 2]
    wanted = np.concatenate([np.arange(128) + apart, np.arange(128) + 128 + 2 * apart])
    assert np.array_equal(columns, wanted)
    assert np.array_equal(rows, wanted % 256)
