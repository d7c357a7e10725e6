"""What is told of pictures is true of them: against Pillow and decoders written from the hashes' own documentation."""

import base64
import contextlib
import io
import json
import random

import msgspec
import numpy as np
import pytest
from PIL import Image

from golden import pictures, reference_description, sources
from golden.mill import mill
from imagemill.dialects.native import Native
from imagemill.engines.base import Task
from imagemill.engines.headers import probe
from imagemill.engines.vips import Vips
from imagemill.model.description import Description
from imagemill.model.errors import ImageCorrupt, ImagemillError
from imagemill.plan.prepare import prepare
from imagemill.settings import Engine, Limits

ALL = {"metadata": "1", "palette": "5", "blurhash": "1", "thumbhash": "1", "phash": "1", "placeholder": "1"}
LIMITS = Limits()


def told(source, **given):
    query = "&".join(f"{name}={value}" for name, value in {"source": "local:a/b", **given}.items())
    plan = prepare(Native(LIMITS, str).described(query.encode()), LIMITS)
    (made,) = Vips(LIMITS, Engine()).run(memoryview(source), probe(source), [Task(plan.recipe)])
    assert made.media_type == "application/json"
    msgspec.json.decode(made.body, type=Description)  # as the reference says it
    return json.loads(made.body)


def on_white(pixels):
    alpha = pixels[..., 3:] / 255
    return pixels[..., :3] * alpha + 255 * (1 - alpha)


def light(pixels):
    value = pixels / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


FACTS = {
    "opaque": {"format": "png", "color_space": "rgb", "bits": 8, "alpha": False},
    "grey": {"format": "png", "color_space": "gray", "bits": 8, "alpha": False},
    "alpha": {"format": "png", "color_space": "rgb", "bits": 8, "alpha": True},
    "cmyk": {"format": "jpeg", "color_space": "cmyk", "bits": 8, "alpha": False},
    "cmyk-profile": {"format": "jpeg", "color_space": "cmyk", "icc_profile": "swapped inks"},
    "rgb-profile": {"format": "png", "color_space": "rgb", "icc_profile": "sRGB built-in"},
    "deep": {"format": "png", "color_space": "rgb", "bits": 16, "alpha": True},
    "rotated": {"format": "jpeg", "orientation": 6, "stored_width": 80, "stored_height": 120},
    "animated-webp": {"format": "webp", "frames": 3, "duration_ms": 230, "loops": 0},
    "animated-gif": {"format": "gif", "frames": 3, "duration_ms": 230, "loops": 0, "alpha": True},
}


@sources.everywhere
def test_facts(source):
    """Of every kind of file; upright sizes, as stored ones, and null for what there is not."""
    found = told(source.body)

    assert (found["width"], found["height"], found["bytes"]) == (120, 80, len(source.body))
    upright = {"stored_width": 120, "stored_height": 80, "orientation": 1, "icc_profile": None, "frames": 1, "pages": 1}
    still = {} if source.delays_ms else {"duration_ms": None, "loops": None}
    wanted = upright | still | FACTS[source.name]
    assert {name: found[name] for name in wanted} == wanted
    assert not found.keys() & {*ALL, "dominant_color", "rendition"}


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "AVIF"])
@pytest.mark.parametrize("page", ["", "2"])
def test_duration(kind, page):
    """Of all frames together, whichever is looked at, and however long each is shown."""
    frames = [Image.new("RGB", (64, 48), (shade, 9, 90)) for shade in (10, 60, 110, 160, 210)]
    body = io.BytesIO()
    frames[0].save(body, kind, save_all=True, append_images=frames[1:], duration=[50, 50, 100, 30, 220])

    found = told(body.getvalue(), **({"page": page} if page else {}))

    assert (found["frames"], found["duration_ms"]) == (5, 450)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "AVIF"])
def test_orientation(kind, orientation):
    """How the file lies, whether EXIF says so or the format's own means; sizes as stored and as shown."""
    found = told(pictures.encoded(Image.new("RGB", (60, 40)), kind, exif=pictures.exif(orientation)))

    shown = (60, 40) if orientation < 5 else (40, 60)
    assert found["orientation"] == orientation
    assert (found["stored_width"], found["stored_height"]) == (60, 40)
    assert (found["width"], found["height"]) == shown


@pytest.mark.parametrize("kind", ["TIFF", "ICO"])
def test_pages(kind):
    """Pictures that are no moments of one are no frames."""
    picture = Image.new("RGBA", (64, 64))
    body = io.BytesIO()
    if kind == "TIFF":
        picture.save(body, kind, save_all=True, append_images=[picture, picture])
    else:
        picture.save(body, kind, sizes=[(16, 16), (32, 32), (64, 64)])

    found = told(body.getvalue())

    assert (found["frames"], found["pages"], found["duration_ms"]) == (1, 3, None)


@sources.everywhere
def test_blurhash(source):
    """Its mean is the picture's; the picture that it stands for is as near as eight smooth waves can be."""
    pixels = on_white(source.pixels)

    text = told(source.body, blurhash="1")["blurhash"]

    shown = reference_description.blurhash_shown(text, 12, 8)
    small = np.asarray(Image.fromarray(pixels.round().astype(np.uint8)).resize((12, 8), Image.Resampling.BOX), float)
    assert len(text) == 28
    assert np.abs(shown - small).mean() < 55
    assert np.abs(light(shown).mean((0, 1)) - light(pixels).mean((0, 1))).max() < 0.06
    assert np.corrcoef(shown.mean(2).ravel(), small.mean(2).ravel())[0, 1] > 0.6


@sources.everywhere
def test_thumbhash(source):
    """Its mean colour, transparency and proportions are the picture's."""
    alpha = source.pixels[..., 3:] / 255
    mean = (source.pixels[..., :3] * alpha).sum((0, 1)) / alpha.sum()

    (*colour, density), ratio = reference_description.thumbhash_facts(told(source.body, thumbhash="1")["thumbhash"])

    assert np.abs(np.array(colour) - mean).max() < 14
    assert abs(density - 255 * alpha.mean()) < 12
    assert ratio == pytest.approx(1.5, abs=0.3)


@sources.everywhere
def test_colours(source):
    """Every colour of the palette is near to pixels that show, and together they are near to nearly all of them."""
    found = told(source.body, palette="8")

    pixels = source.pixels[source.pixels[..., 3] >= 128][:, :3]
    chosen = np.array([[int(c["color"][n : n + 2], 16) for n in (1, 3, 5)] for c in found["palette"]])
    away = np.abs(pixels[:, None] - chosen).mean(2)
    assert found["dominant_color"] == found["palette"][0]["color"]
    assert sum(c["share"] for c in found["palette"]) == pytest.approx(1, abs=0.001)
    assert (away.min(0) < 24).all()
    assert away.min(1).mean() < 22


@sources.everywhere
def test_placeholder(source):
    """A tiny picture with the proportions, colours and transparency of the large one."""
    uri = told(source.body, placeholder="1")["placeholder"]

    kind, _, data = uri.partition(",")
    picture = Image.open(io.BytesIO(base64.b64decode(data)))
    shown = on_white(np.asarray(picture.convert("RGBA"), float))
    small = Image.fromarray(on_white(source.pixels).round().astype(np.uint8)).resize(picture.size, Image.Resampling.BOX)
    assert (kind, picture.format) == ("data:image/webp;base64", "WEBP")
    assert picture.width / picture.height == pytest.approx(1.5, abs=0.2)
    assert len(base64.b64decode(data)) <= 512
    assert np.abs(shown - np.asarray(small, float)).mean() < 18


@sources.everywhere
def test_phash(source):
    """Near to that of the same picture, laid on white, as Pillow and the documentation have it."""
    grey = Image.fromarray(on_white(source.pixels).round().astype(np.uint8)).convert("L")
    square = np.asarray(grey.resize((32, 32), Image.Resampling.LANCZOS), float)
    n, k = np.meshgrid(np.arange(32), np.arange(8))
    waves = np.cos(np.pi * k * (2 * n + 1) / 64)
    low = waves @ square @ waves.T
    away = (low - np.median(low)).ravel()
    sure = np.abs(away) > 120  # of a smooth picture most frequencies are next to nothing

    found = told(source.body, phash="1")["phash"]

    bits = np.array([c == "1" for c in f"{int(found, 16):064b}"])
    assert sure.sum() >= 8
    assert (bits == (away > 0))[sure].all()


@sources.everywhere
def test_all_at_once(source):
    """One question more changes no answer."""
    found = told(source.body, **ALL)

    for name, value in ALL.items():
        one = told(source.body, **{name: value})
        assert {key: found[key] for key in one} == one


def test_of_what_operations_make():
    """Colours and hashes are those of the result; the header stays the source's, and the size of both is told."""
    source = pictures.encoded(pictures.corners(), "PNG")

    found = told(source, crop="0,0,60,40", palette="3", width="30", rotate="90", thumbhash="1")

    assert (found["width"], found["height"], found["rendition"]) == (120, 80, {"width": 30, "height": 45})
    assert [c["share"] for c in found["palette"]] == [1.0]
    assert found["dominant_color"] == "#fa1414"
    assert reference_description.thumbhash_facts(found["thumbhash"])[1] < 1


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_of_what_is_left_of_a_border(kind):
    """What only pixels can say of sizes is looked for, also where nothing else is asked of them, in all frames."""
    frames = [Image.new("RGB", (60, 40), "white") for _ in range(2)]
    frames[0].paste((200, 0, 0), (10, 10, 30, 20))
    frames[1].paste((200, 0, 0), (30, 20, 50, 30))
    options = {"save_all": True, "append_images": frames[1:], "lossless": True} if kind == "WEBP" else {}
    source = pictures.encoded(frames[0], kind, **options)

    size = told(source, trim="10")["rendition"]

    made = mill(source, trim="10")
    assert (size["width"], size["height"]) == (made.width_px, made.height_px) == ((40, 20) if options else (20, 10))
    assert told(source, trim="10", palette="3")["rendition"] == size


def test_metadata_of_a_file():
    """EXIF of a JPEG, a PNG and a WebP; XMP beside it; none is null."""
    exif = Image.Exif()
    exif[0x013B] = "Jane"
    exif.get_ifd(0x8769)[0x9003] = "2024:05:06 07:08:09"
    xmp = (
        b"<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>"
        b"<rdf:Description xmlns:xmp='http://ns.adobe.com/xap/1.0/' xmp:Rating='5'/></rdf:RDF></x:xmpmeta>"
    )
    for kind in ("JPEG", "WEBP"):
        found = told(pictures.encoded(pictures.corners(), kind, exif=exif.tobytes(), xmp=xmp), metadata="1")["metadata"]
        assert found["exif"] == {"image": {"Artist": "Jane"}, "exif": {"DateTimeOriginal": "2024:05:06 07:08:09"}}
        assert (found["xmp"], found["iptc"], found["truncated"]) == ({"xmp:Rating": "5"}, None, False)
    png = told(pictures.encoded(pictures.corners(), "PNG", exif=exif.tobytes()), metadata="1")["metadata"]
    assert png["exif"]["image"] == {"Artist": "Jane"}
    bare = told(pictures.encoded(pictures.corners(), "JPEG"), metadata="1")["metadata"]
    assert bare == {"exif": None, "xmp": None, "iptc": None, "truncated": False}


def test_what_is_broken_is_told_of_or_refused():
    """A file with a bit turned over, anywhere in its head: an answer or a named refusal, and nothing else (D06, D09)."""
    exif = Image.Exif()
    exif[0x013B] = "Jane" * 20
    exif.get_ifd(0x8769).update({0x9003: "2024:05:06 07:08:09", 0x829A: 0.004})
    exif.get_ifd(0x8825).update({1: "N", 2: (48.0, 51.0, 29.5)})
    options = {"exif": exif.tobytes(), "icc_profile": pictures.swapped_profile(), "xmp": b"<a:b xmlns:a='c'>d</a:b>"}
    chance, answered = random.Random(3), 0
    for kind in ("JPEG", "WEBP", "PNG"):
        whole = pictures.encoded(pictures.corners(24, 16), kind, **options)
        for _ in range(100):
            broken = bytearray(whole)
            broken[chance.randrange(min(len(whole), 1_200))] ^= 1 << chance.randrange(8)
            with contextlib.suppress(ImagemillError):
                told(bytes(broken), metadata="1")
                answered += 1

    assert answered > 100


def test_what_stands_in_a_plain_jpeg():
    """IPTC beside nothing else: the quick way past libvips' header would not see it."""
    body = pictures.encoded(pictures.corners(), "JPEG")
    record = b"8BIM\x04\x04\0\0\0\0\0\x08\x1c\x02\x19\0\x03sea"
    segment = b"Photoshop 3.0\0" + record
    whole = body[:2] + b"\xff\xed" + (len(segment) + 2).to_bytes(2, "big") + segment + body[2:]

    assert probe(whole).bare
    assert told(whole, metadata="1")["metadata"]["iptc"] == {"keywords": ["sea"]}


def test_no_markup():
    """What a stranger wrote is no HTML, and is what he wrote (R16)."""
    exif = Image.Exif()
    exif[0x013B] = "<script>alert('&')</script>"
    source = pictures.encoded(pictures.corners(), "JPEG", exif=exif.tobytes())
    plan = prepare(Native(LIMITS, str).described(b"source=local:a/b&metadata=1"), LIMITS)

    (made,) = Vips(LIMITS, Engine()).run(memoryview(source), probe(source), [Task(plan.recipe)])

    assert not set(b"<>&") & set(made.body)
    assert json.loads(made.body)["metadata"]["exif"]["image"]["Artist"] == "<script>alert('&')</script>"


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (5000, 1), (100, 100), (101, 99)])
def test_any_size(size):
    """From one pixel to a line."""
    found = told(pictures.encoded(Image.new("RGB", size, (10, 200, 30)), "PNG"), **ALL)

    assert (found["width"], found["height"]) == size
    assert found["dominant_color"] == "#0ac81e"


def test_header_questions_decode_nothing():
    """A picture whose pixels are broken off is told of, and a question about its pixels is refused."""
    broken = pictures.encoded(pictures.photo(), "PNG")[:2_000]

    assert told(broken)["width"] == 600
    with pytest.raises(ImageCorrupt):
        told(broken, palette="3")
