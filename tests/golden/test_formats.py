"""Every format in and out, colours, depths, profiles and metadata."""

import io

import numpy as np
import pytest
from PIL import Image, ImageCms

from golden import pictures, reference
from golden.mill import mill
from imagemill.engines.decoded import pyvips
from imagemill.model.errors import ImageCorrupt
from imagemill.model.media import Format

FORMATS = ["jpeg", "png", "webp", "avif", "gif"]
TOLERANCE = {"jpeg": 4, "png": 1.5, "webp": 4, "avif": 4, "gif": 12}
"""Mean difference at default quality; GIF has 256 colours and dithers."""


def png(picture):
    return pictures.encoded(picture, "PNG")


@pytest.mark.parametrize("to", FORMATS)
@pytest.mark.parametrize("source", FORMATS)
def test_every_format_in_and_out(source, to):
    """Five by five: the format is what was asked for, the pixels are the picture's."""
    options = {"quality": 95} if source in {"jpeg", "webp", "avif"} else {}
    body = pictures.encoded(pictures.photo(), source.upper(), **options)

    made = mill(body, format=to, width=300)

    found = Image.open(io.BytesIO(made.body))
    assert (made.format, made.media_type) == (Format(to), f"image/{to}")
    assert (found.format.lower(), found.size) == (to, (300, 200))
    wanted = reference.expected(reference.opened(body), width=300)
    assert reference.difference(reference.opened(made.body), wanted) < TOLERANCE[to]


@pytest.mark.parametrize("source", FORMATS)
def test_keep(source):
    """Without a format, or with ``keep``, the answer is in the source's."""
    body = pictures.encoded(pictures.gradient(), source.upper())
    assert mill(body, width=50).format == mill(body, width=50, format="keep").format == Format(source)


@pytest.mark.parametrize(
    ("accept", "picture", "format_"),
    [
        (b"image/avif,image/webp,*/*", "gradient", "avif"), (b"image/webp,*/*", "gradient", "webp"),
        (b"*/*", "gradient", "jpeg"), (b"", "disc", "png"), (b"image/avif", "disc", "avif"),
        (b"image/avif;q=0, image/webp", "gradient", "webp"),
    ],
)  # fmt: skip
def test_auto(accept, picture, format_):
    """The best of what the client names; else JPEG, or PNG where there is transparency."""
    source = png(getattr(pictures, picture)())
    assert mill(source, accept, format="auto").format == Format(format_)


@pytest.mark.parametrize(
    ("asked", "format_"),
    [
        ({"background": "fff"}, "jpeg"), ({"background": "ffffff80"}, "png"), ({"background": "fff", "radius": "9"}, "jpeg"),
        ({"ops": "background:fff/round:9"}, "png"), ({"ops": "blur:1/background:fff/flip"}, "jpeg"),
    ],
)  # fmt: skip
def test_auto_on_a_ground(asked, format_):
    """What a solid ground closes needs no PNG; what is cut out of it afterwards does."""
    source = png(pictures.disc())

    assert mill(source, format="auto", **asked).format == Format(format_)


def test_auto_leaves_large_avif_to_webp():
    """AVIF of millions of pixels takes seconds: ``auto`` does not choose it."""
    source = pictures.encoded(pictures.photo(2100, 1500), "JPEG")
    assert mill(source, b"image/avif,image/webp", format="auto").format == Format.WEBP
    assert mill(source, b"image/avif,image/webp", format="auto", width=500).format == Format.AVIF


def test_auto_leaves_tiny_avif_to_webp():
    """Where AVIF brings nothing, it is not chosen; who accepts nothing else still gets what all do."""
    source = pictures.encoded(pictures.photo(400, 300), "JPEG")
    assert mill(source, b"image/avif,image/webp", format="auto", width=40).format == Format.WEBP
    assert mill(source, b"image/avif", format="auto", width=40).format == Format.JPEG
    assert mill(source, b"image/avif", format="auto", width=100).format == Format.AVIF


@pytest.mark.parametrize("quality", [{}, {"quality": 40}, {"quality": 90}])
def test_auto_looks_alike_for_all(quality):
    """A quality is one look, whatever the client accepts: AVIF is then smaller than WebP, and not worse by much."""
    source = png(pictures.photo(600, 400))
    made = {
        name: mill(source, name.encode(), format="auto", width=300, **quality) for name in ("image/avif", "image/webp")
    }
    wanted = reference.opened(mill(source, format="png", width=300).body)
    avif, webp = (reference.difference(reference.opened(m.body), wanted) for m in made.values())
    assert avif <= 1.25 * webp
    assert len(made["image/avif"].body) < len(made["image/webp"].body)
    assert len(made["image/avif"].body) < len(mill(source, format="avif", width=300, **quality).body)


@pytest.mark.parametrize("format_", ["jpeg", "webp", "avif"])
def test_quality(format_):
    """More quality, more bytes, less difference."""
    source = png(pictures.photo())
    wanted = reference.opened(source)
    made = [mill(source, format=format_, quality=q).body for q in (10, 50, 95)]
    assert len(made[0]) < len(made[1]) < len(made[2])
    differences = [reference.difference(reference.opened(m), wanted) for m in made]
    assert differences[0] > differences[1] > differences[2]


@pytest.mark.parametrize("format_", ["png", "gif"])
def test_quality_leaves_lossless_formats_alone(format_):
    """PNG and GIF are not changed by it."""
    source = png(pictures.gradient())
    assert mill(source, format=format_, quality=10).body == mill(source, format=format_).body


@pytest.mark.parametrize("to", ["png", "webp", "avif", "gif"])
@pytest.mark.parametrize("source", ["PNG", "WEBP", "AVIF"])
def test_alpha_passes(source, to):
    """Transparency in, transparency out."""
    body = pictures.encoded(pictures.disc(), source, **({"lossless": True} if source == "WEBP" else {"quality": 95}))
    found = reference.opened(mill(body, format=to, width=80).body)
    wanted = reference.expected(reference.opened(body), width=80)
    if to == "gif":  # a pixel is there or not
        wanted[..., 3] = np.where(wanted[..., 3] >= 128, 255, 0)
    assert np.abs(found[..., 3] - wanted[..., 3]).mean() < 2
    assert reference.difference(found, wanted) < 6


def test_alpha_on_white_in_jpeg():
    """JPEG without a colour: white."""
    source = png(pictures.disc())
    wanted = reference.over(reference.opened(source), [255, 255, 255, 255])
    assert reference.difference(reference.opened(mill(source, format="jpeg", quality=95).body), wanted) < 2


@pytest.mark.parametrize("kind", ["L", "LA", "1", "P", "P with tRNS"])
@pytest.mark.parametrize("to", FORMATS)
def test_grey_and_palettes(kind, to):
    """Grey, grey with alpha, black and white, palettes with and without a transparent colour."""
    picture = pictures.photo(200, 120)
    if kind == "P with tRNS":
        picture = pictures.disc().quantize(64)
        body = pictures.encoded(picture, "PNG")
    elif kind == "LA":
        body = png(pictures.disc().convert("LA"))
    else:
        body = png(picture.convert(kind))
    pixels = reference.opened(body)

    for given in ({}, {"width": 90}, {"width": 90, "height": 90, "fit": "contain", "background": "ff0000"}):
        wanted = reference.expected(pixels, **given)
        found = reference.opened(mill(body, format=to, quality=95, **given).body)
        wanted = reference.over(wanted, [255] * 4) if to == "jpeg" else wanted
        limit = 14 if to == "gif" else 10 if kind in {"1", "P"} else 4  # dithered dots are hard to keep
        assert reference.difference(found, wanted) < limit, given


def test_grey_stays_small():
    """Grey stays one channel in JPEG and PNG, also when shrunk on load."""
    for source in (pictures.encoded(pictures.photo().convert("L"), "JPEG"), png(pictures.photo().convert("L"))):
        for to in ("jpeg", "png"):
            assert Image.open(io.BytesIO(mill(source, format=to, width=100).body)).mode == "L"


@pytest.mark.parametrize("bands", [1, 2, 3, 4])
def test_sixteen_bits(bands):
    """Sixteen bits a sample become eight, alpha among them."""
    y, x = np.mgrid[0:80, 0:120]
    ramps = [x * 65535 // 119, y * 65535 // 79, 65535 - x * 65535 // 119, 20000 + y * 45535 // 79]
    samples = np.dstack({1: ramps[:1], 2: [ramps[0], ramps[3]], 3: ramps[:3], 4: ramps}[bands])
    eight = samples / 257
    grey = np.repeat(eight[..., :1], 3, axis=2)
    alpha = eight[..., -1:] if bands in {2, 4} else np.full((80, 120, 1), 255.0)
    wanted = np.dstack([grey if bands < 3 else eight[..., :3], alpha])

    source = pictures.png16(samples)
    assert reference.difference(reference.opened(mill(source).body), wanted) < 1
    scaled = reference.expected(wanted, width=50)
    assert reference.difference(reference.opened(mill(source, width=50).body), scaled) < 1


@pytest.mark.parametrize("profile", [None, "junk"])
def test_cmyk(profile):
    """CMYK becomes sRGB, also without a profile or with one that is none; turned and shrunk on the way."""
    picture = pictures.corners().convert("CMYK")
    options = {"icc_profile": b"no profile at all" * 9} if profile else {}
    source = pictures.encoded(picture, "JPEG", quality=95, **options)
    for given in ({}, {"width": 50, "rotate": "90", "crop": "0,0,110,70"}, {"format": "webp"}):
        found = Image.open(io.BytesIO(mill(source, quality=95, **given).body))
        assert found.mode == "RGB"
        turned = given.get("rotate")
        pixels = np.asarray(found, int)
        h, w = pixels.shape[:2]
        first, second = (pixels[h // 4, 3 * w // 4], pixels[h // 4, w // 4]) if turned else (
            pixels[h // 4, w // 4], pixels[3 * h // 4, w // 4],
        )  # fmt: skip
        assert first.argmax() == 0, "red stays red"
        assert second.argmax() == 2, "blue stays blue"
        assert first[0] > 150
        assert first[1:].max() < 120


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(
    "given", [{}, {"width": 60}, {"width": 90, "height": 90, "fit": "contain", "background": "f00"}]
)
def test_profile_is_followed(kind, given):
    """An embedded profile is applied and dropped; a background colour is of sRGB and is not sent through it."""
    options = {"lossless": True} if kind == "WEBP" else {"quality": 95}
    source = pictures.encoded(pictures.corners(), kind, icc_profile=pictures.swapped_profile(), **options)

    made = Image.open(io.BytesIO(mill(source, format="png", **given).body))

    plain = Image.open(io.BytesIO(source)).convert("RGB")
    srgb = ImageCms.createProfile("sRGB")
    swapped = ImageCms.ImageCmsProfile(io.BytesIO(pictures.swapped_profile()))
    seen = ImageCms.profileToProfile(plain, swapped, srgb)
    wanted = reference.expected(np.asarray(seen.convert("RGBA"), float), **given)
    assert "icc_profile" not in made.info
    assert reference.difference(np.asarray(made.convert("RGBA"), float), wanted) < 4


@pytest.mark.parametrize("profile", [b"", b"\0" * 128, b"junk" * 1000])
def test_junk_profile_is_no_profile(profile):
    """A profile that cannot be read changes nothing."""
    source = pictures.encoded(pictures.corners(), "PNG", icc_profile=profile)
    found = reference.opened(mill(source).body)
    assert reference.difference(found, reference.opened(source)) < 1


def test_profile_of_another_space():
    """A profile for CMYK in an RGB picture, cut short: the picture is shown without it."""
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    for profile in (lab, pictures.swapped_profile()[:200]):
        source = pictures.encoded(pictures.corners(), "PNG", icc_profile=profile)
        found = reference.opened(mill(source, width=60).body)
        wanted = reference.expected(reference.opened(source), width=60)
        assert reference.difference(found, wanted) < 3


@pytest.mark.parametrize("to", FORMATS)
def test_metadata_is_stripped(to):
    """No EXIF, XMP, comment or profile leaves, in any format."""
    tags = Image.Exif()
    tags[0x010E] = "canary-exif"
    source = pictures.encoded(
        pictures.gradient(), "JPEG", exif=tags.tobytes(), comment=b"canary-comment", xmp=b"<x>canary-xmp</x>",
        icc_profile=pictures.swapped_profile(),
    )  # fmt: skip
    body = mill(source, format=to).body
    assert b"canary" not in body
    assert {"exif", "icc_profile", "xmp", "comment"}.isdisjoint(
        k for k, v in Image.open(io.BytesIO(body)).info.items() if v
    )


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "GIF"])
@pytest.mark.parametrize("part", [0.3, 0.6, 0.9])
def test_truncated(kind, part):
    """D11: a file that ends early is an error, not half a picture."""
    body = pictures.encoded(pictures.photo(), kind)
    with pytest.raises(ImageCorrupt):
        mill(body[: int(len(body) * part)], width=100, format="png")


def test_same_bytes_every_time():
    """Equal requests give equal bytes, whatever was made before."""
    source = pictures.encoded(pictures.photo(), "JPEG")
    for format_ in FORMATS:
        assert mill(source, width=200, format=format_).etag == mill(source, width=200, format=format_).etag


@pytest.mark.parametrize("space", ["keep", "p3"])
def test_a_ground_that_nothing_shows_changes_no_colour(space):
    """What is opaque is not brought to the ground's own space: it would lose what that has not."""
    source = pictures.encoded(pictures.photo(60, 40), "PNG", icc_profile=pictures.swapped_profile())
    plain, laid = (mill(source, format="png", colorspace=space, **more) for more in ({}, {"background": "fff"}))
    assert laid.body == plain.body


@pytest.mark.parametrize("bands", [1, 2, 3, 4])
def test_bands_of_a_deep_tiff(bands):
    """Grey stays grey; with transparency it becomes colours, as few readers know that of sixteen bits."""
    samples = np.random.default_rng(2).integers(0, 65_536, (9, 12, bands), np.uint16)
    made = mill(pictures.png16(samples), format="tiff", bits="16")
    assert pyvips.Image.tiffload_buffer(made.body).bands == {1: 1, 2: 4, 3: 3, 4: 4}[bands]


def test_grey_apng_with_alpha():
    """Each frame keeps both of its bands."""
    grey, alpha = Image.linear_gradient("L").resize((24, 16)), Image.radial_gradient("L").resize((24, 16))
    frames = [Image.merge("LA", pair) for pair in ((grey, alpha), (grey.rotate(180), alpha))]
    source = pictures.encoded(frames[0], "PNG", save_all=True, append_images=frames[1:], duration=50, blend=0)

    made = Image.open(io.BytesIO(mill(source, format="apng").body))

    for n, frame in enumerate(frames):
        made.seek(n)
        wanted, found = (np.asarray(picture.convert("RGBA"), float) for picture in (frame, made))
        assert np.array_equal(found[..., 3], wanted[..., 3])
        assert np.abs((found - wanted)[wanted[..., 3] > 0]).max() <= 1


def test_keep_a_profile_of_greys():
    """Kept while the picture is grey; where an operation gives it colours it is sRGB, which needs no profile."""
    ramp = Image.linear_gradient("L").resize((64, 16))
    source = pictures.encoded(ramp, "PNG", icc_profile=pictures.grey_profile())
    kept, coloured = (
        Image.open(io.BytesIO(mill(source, format="png", colorspace="keep", **more).body))
        for more in ({}, {"duotone": "ff0000,00ff00"})
    )
    seen = reference.opened(mill(source, format="png").body)[..., 0]
    assert (kept.mode, kept.info["icc_profile"]) == ("L", pictures.grey_profile())
    assert np.array_equal(np.asarray(kept), np.asarray(ramp))
    assert np.abs(seen - np.asarray(ramp, float)).max() > 40, "it is linear light"
    assert coloured.mode == "RGB"
    assert "icc_profile" not in coloured.info
    assert np.abs(np.asarray(coloured, float)[..., 1] - seen).mean() < 4
