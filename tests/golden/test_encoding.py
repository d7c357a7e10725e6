"""How a picture is written: every format and choice, read by other decoders.

Distances are mean absolute differences of 255, as in `reference.difference`.
"""

import bisect
import io
from functools import cache

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps, JpegImagePlugin

from golden import pictures, reference, reference_encoding
from golden.mill import mill
from golden.reference_encoding import opened
from imagemill.model.errors import BadOption, LimitExceeded
from imagemill.model.media import MEDIA_TYPES, Format

NEW = ["tiff", "apng", "jxl"]
TOLERANCE = {"jpeg": 4, "webp": 4, "avif": 4, "jxl": 4, "gif": 12}
LOSSLESS = {
    "png": {},
    "apng": {},
    "tiff": {},
    "webp": {"lossless": "1"},
    "avif": {"lossless": "1"},
    "jxl": {"lossless": "1"},
}


@cache
def sources():
    y, x = np.mgrid[0:80, 0:120]
    ramps = np.dstack([x * 65535 // 119, y * 65535 // 79, 65535 - x * 65535 // 119])
    photo = pictures.photo(300, 200)
    return {
        "opaque": pictures.encoded(photo, "PNG"),
        "alpha": pictures.encoded(pictures.disc(), "PNG"),
        "grey": pictures.encoded(photo.convert("L"), "PNG"),
        "grey with alpha": pictures.encoded(pictures.disc().convert("LA"), "PNG"),
        "cmyk": pictures.encoded(photo.convert("CMYK"), "JPEG", quality=95),
        "deep": pictures.png16(ramps),
        "rotated": pictures.encoded(photo, "JPEG", quality=95, exif=pictures.exif(6)),
        "animated": pictures.animation("WEBP"),
    }


@cache
def pixels(kind, **given):
    """What the source is, brought to eight bits of sRGB by the engine's oldest writer, which other tests hold."""
    return reference.opened(mill(sources()[kind], format="png", **given).body)


def test_what_the_other_tests_compare_with_is_right():
    """The PNG of each kind is the picture that Pillow sees."""
    for kind in ("opaque", "alpha", "grey", "grey with alpha", "rotated"):
        assert reference.difference(pixels(kind), reference.upright(sources()[kind])) < 3, kind


@pytest.mark.parametrize("kind", sources())
@pytest.mark.parametrize("to", NEW)
def test_new_formats_of_every_kind(to, kind):
    """Size, transparency and pixels; whole and reduced."""
    for given in ({}, {"width": "50"}):
        made = mill(sources()[kind], format=to, **given)

        found, wanted = opened(made.body), pixels(kind, **given)
        assert made.media_type == f"image/{to}" == MEDIA_TYPES[Format(to)]
        assert found.format == {"apng": "PNG"}.get(to, to.upper())
        assert found.size == (made.width_px, made.height_px) == wanted.shape[1::-1]
        assert found.mode in {"L", "LA", "RGB", "RGBA"}
        assert reference.difference(np.asarray(found.convert("RGBA"), float), wanted) <= (6 if to == "jxl" else 0.1)


@pytest.mark.parametrize("kind", [k for k in sources() if k != "animated"])
@pytest.mark.parametrize("to", LOSSLESS)
def test_lossless(to, kind):
    """Not one visible pixel differs, by any decoder."""
    found = reference.opened(mill(sources()[kind], format=to, **LOSSLESS[to]).body)
    wanted = pixels(kind)
    seen = wanted[..., 3] > 0
    assert (found[seen] == wanted[seen]).all()
    assert (found[..., 3] == wanted[..., 3]).all()


@pytest.mark.parametrize("to", ["png", "apng", "tiff"])
def test_lossless_is_all_there_is(to):
    """Asked for or not."""
    assert mill(sources()["alpha"], format=to, lossless="1").body == mill(sources()["alpha"], format=to).body


@pytest.mark.parametrize("speed", ["fast", "balanced", "small"])
@pytest.mark.parametrize("to", LOSSLESS)
def test_lossless_at_every_speed(to, speed):
    """What is saved is CPU or bytes, and nothing of the picture."""
    found = reference.opened(mill(sources()["opaque"], format=to, speed=speed, **LOSSLESS[to]).body)
    assert (found == pixels("opaque")).all()


@pytest.mark.parametrize("to", TOLERANCE)
@pytest.mark.parametrize("speed", ["fast", "small"])
def test_lossy_at_every_speed(to, speed):
    """The look is held."""
    found = reference.opened(mill(sources()["opaque"], format=to, speed=speed).body)
    assert reference.difference(found, pixels("opaque")) < TOLERANCE[to]


@pytest.mark.parametrize("to", MEDIA_TYPES)
@pytest.mark.parametrize(
    "how",
    [
        {},
        {"speed": "fast"},
        {"speed": "small"},
        {"lossless": "1"},
        {"bits": "10"},
        {"bits": "16"},
        {"icc": "1"},
        {"metadata": "all"},
    ],
)
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("orient", ["1", "0"])
def test_nothing_is_turned_twice(to, how, kind, orient):
    """D16: whichever encoder writes it, a rendition lies as its pixels do, and says so where a viewer would turn it."""
    source = pictures.encoded(pictures.photo(60, 40), kind, exif=pictures.exif(6))
    try:
        made = mill(source, format=to, orient=orient, **how)
    except BadOption:
        return  # nothing that this format could do

    shown = ImageOps.exif_transpose(opened(made.body))
    wanted = Image.open(io.BytesIO(source))
    wanted = ImageOps.exif_transpose(wanted) if orient == "1" else wanted
    assert shown.size == wanted.size == (made.width_px, made.height_px)
    assert reference.difference(*(np.asarray(picture.convert("RGBA"), float) for picture in (shown, wanted))) < 16


@pytest.mark.parametrize("kind", ["opaque", "alpha", "grey", "cmyk", "deep", "rotated"])
@pytest.mark.parametrize(("colours", "most"), [(2, 32), (3, 26), (16, 8), (17, 8), (100, 4), (255, 2.5), (256, 2.5)])
def test_palettes_of_png(kind, colours, most):
    """No more colours than asked for, and as near as that many allow."""
    found = opened(mill(sources()[kind], format="png", colors=str(colours)).body)
    assert found.mode == "P"
    rgba = np.asarray(found.convert("RGBA"))
    used = np.unique(rgba.reshape(-1, 4), axis=0)
    assert len(used) <= colours
    hard = 2.5 if kind == "deep" else 1  # a ramp through all colours
    assert reference.difference(rgba.astype(float), pixels(kind)) < most * hard


def test_a_palette_holds_half_transparent_colours():
    """PNG's palette has an alpha for each colour."""
    rgba = np.asarray(opened(mill(sources()["alpha"], format="png", colors="100").body).convert("RGBA"))
    assert len(set(rgba[..., 3].ravel())) > 4


@pytest.mark.parametrize("colours", [4, 8, 16, 64])
@pytest.mark.parametrize("dither", ["0", "100"])
def test_a_palette_leaves_nothing_nothing(colours, dither):
    """Where nothing is, nothing is seen, and through what is solid neither, however few colours there are."""
    source = sources()["opaque"]
    whole = reference.opened(mill(source, format="png", mask="circle").body)[..., 3]

    made = mill(source, format="png", mask="circle", colors=str(colours), dither=dither)

    found = reference.opened(made.body)[..., 3]
    assert not found[whole == 0].any()
    assert (found[whole == 255] == 255).all()


@pytest.mark.parametrize(("colours", "most"), [(2, 2), (3, 2), (100, 64), (128, 128), (256, 256)])
@pytest.mark.parametrize("kind", ["opaque", "alpha", "animated"])
def test_palettes_of_gif(kind, colours, most):
    """The next lower power of two; transparency is one of them."""
    rgba = np.asarray(opened(mill(sources()[kind], format="gif", colors=str(colours)).body).convert("RGBA"))
    assert len(np.unique(rgba.reshape(-1, 4), axis=0)) <= most


@pytest.mark.parametrize("to", ["png", "gif"])
def test_dither(to):
    """Spreading errors makes neighbours differ, and the whole nearer."""
    source = pictures.encoded(pictures.gradient(), "PNG")
    plain, spread = (
        np.asarray(opened(mill(source, format=to, colors="16", dither=d).body).convert("RGB"), float)
        for d in ("0", "100")
    )
    assert np.abs(np.diff(spread, axis=1)).mean() > 1.5 * np.abs(np.diff(plain, axis=1)).mean()


@pytest.mark.parametrize("speed", ["fast", "balanced", "small"])
@pytest.mark.parametrize("kind", ["opaque", "grey", "cmyk", "rotated"])
def test_progressive_jpeg(kind, speed):
    """Several scans or one, as asked, whatever the speed; the pixels are the same where no trellis looks at scans."""
    both = [mill(sources()[kind], format="jpeg", progressive=p, speed=speed).body for p in "10"]
    assert [bool(opened(body).info.get("progressive")) for body in both] == [True, False]
    assert reference.difference(*map(reference.opened, both)) <= (1 if speed == "small" else 0)


@pytest.mark.parametrize("to", ["png", "gif"])
@pytest.mark.parametrize("kind", ["opaque", "alpha", "grey"])
def test_interlaced(to, kind):
    """Said in the file, and the pixels are the same."""
    both = [mill(sources()[kind], format=to, progressive=p).body for p in "10"]
    if to == "png":
        assert [body[28] for body in both] == [1, 0]
    else:
        picture = opened(both[0])
        assert picture.size == opened(both[1]).size
        assert both[0] != both[1]
    assert (reference.opened(both[0]) == reference.opened(both[1])).all()


@pytest.mark.parametrize("speed", ["balanced", "small"])
@pytest.mark.parametrize("quality", ["60", "95"])
def test_subsampling_of_jpeg(quality, speed):
    """Whatever the quality and the speed; without it the quality decides."""
    sampled = {
        asked: JpegImagePlugin.get_sampling(
            opened(mill(sources()["opaque"], format="jpeg", quality=quality, speed=speed, subsampling=asked).body)
        )
        for asked in ("444", "420", "auto")
    }
    assert sampled == {"444": 0, "420": 2, "auto": 0 if quality == "95" else 2}


@pytest.mark.parametrize("speed", ["balanced", "small"])
def test_subsampling_of_avif(speed):
    """As the sequence header's summary says (av1C: chroma_subsampling_x and _y)."""
    for asked, halved in (("444", False), ("420", True), ("auto", False)):
        body = mill(sources()["opaque"], format="avif", subsampling=asked, speed=speed).body
        flags = dict(reference_encoding.boxes(body))[b"av1C"][2]
        assert bool(flags & 0b1000) == bool(flags & 0b100) == halved


@pytest.mark.parametrize(
    ("to", "efforts"),
    [
        ("jpeg", "012"), ("png", "019"), ("apng", "019"), ("webp", "06"), ("avif", "02"), ("gif", "19"), ("tiff", "019"),
        ("jxl", "137"),
    ],
)  # fmt: skip
def test_effort(to, efforts):
    """Another effort, other bytes; the same picture within the format's tolerance."""
    bodies = [mill(sources()["opaque"], format=to, effort=n).body for n in efforts]
    assert len(set(bodies)) == len(bodies)
    if to in {"png", "tiff", "apng"}:
        assert sorted(bodies, key=len, reverse=True) == bodies
    for body in bodies:
        assert reference.difference(reference.opened(body), pixels("opaque")) <= TOLERANCE.get(to, 0)


@pytest.mark.parametrize("bands", [1, 2, 3, 4])
def test_sixteen_bits_stay(bands):
    """Not one bit is lost in PNG or TIFF, whole, cut and turned."""
    rng = np.random.default_rng(3)
    samples = rng.integers(0, 65536, (40, 60, bands), np.uint16)
    source = pictures.png16(samples)
    for given, wanted in (({}, samples), ({"crop": "5,6,30,20", "rotate": "90"}, np.rot90(samples[6:26, 5:35], -1))):
        tags, found = reference_encoding.tiff(mill(source, format="tiff", bits="16", **given).body)
        if bands == 2:  # as colours: few readers know grey of this depth with alpha
            assert (found[..., :3] == wanted[..., :1]).all()
            found = found[..., 2:]
        assert set(tags[0x0102]) == {16}
        assert (found == wanted).all()
        body = mill(source, format="png", bits="16", **given).body
        assert (body[24], body[25]) == (16, {1: 0, 2: 4, 3: 2, 4: 6}[bands])
        assert mill(body, format="tiff", bits="16").body == mill(source, format="tiff", bits="16", **given).body


@pytest.mark.parametrize("bits", ["10", "12"])
def test_deep_avif(bits):
    """So many bits as the file says, and nearer to a fine ramp than eight can be."""
    y, x = np.mgrid[0:64, 0:256]
    ramp = (20_000 + x * 16 + y).astype(np.uint16)[..., None]
    body = mill(pictures.png16(ramp), format="avif", bits=bits, quality="95").body

    pixi = dict(reference_encoding.boxes(body))[b"pixi"]
    assert set(pixi[5:]) == {int(bits)}
    deep = mill(body, format="tiff", bits="16").body
    _, found = reference_encoding.tiff(deep)
    assert np.abs(found[..., 0].astype(int) - ramp[..., 0]).mean() < 128


@pytest.mark.parametrize("size", [("150", "100"), ("60", "120")])
def test_sixteen_bits_are_enlarged_as_eight_are(size):
    """Middles of pixels stay where they were: the two differ by rounding only."""
    body = pictures.encoded(pictures.disc(size=40), "PNG")
    given = {"format": "tiff", "width": size[0], "height": size[1], "fit": "fill", "enlarge": "1"}

    _, deep = reference_encoding.tiff(mill(body, bits="16", **given).body)
    _, plain = reference_encoding.tiff(mill(body, **given).body)

    assert deep.shape == plain.shape
    assert reference.difference(deep / 257, plain) < 0.6


def test_sixteen_bits_are_scaled_as_such():
    """A reduced ramp has steps finer than 1/255, straight alpha or none."""
    y, x = np.mgrid[0:64, 0:256]
    ramp = np.dstack([20_000 + x * 4, 20_000 + x * 4, 20_000 + x * 4, 30_000 + 100 * y]).astype(np.uint16)
    _, found = reference_encoding.tiff(mill(pictures.png16(ramp), format="tiff", bits="16", width="128").body)
    wanted = ramp.reshape(32, 2, 128, 2, 4).mean(axis=(1, 3))
    assert np.abs(found[2:-2, 4:-4].astype(float) - wanted[2:-2, 4:-4]).max() < 40


@pytest.mark.parametrize("to", ["png", "apng", "tiff", "webp", "avif", "jpeg"])
@pytest.mark.parametrize("kind", ["opaque", "grey", "cmyk", "deep", "rotated"])
def test_display_p3(to, kind):
    """The numbers are P3's, and the profile says so: shown with it, the picture is the same."""
    found = opened(mill(sources()[kind], format=to, colorspace="p3", **LOSSLESS.get(to, {"quality": "95"})).body)
    wanted = pixels(kind)[..., :3]
    mode = found.convert("RGB")
    near = 6 if to == "jpeg" else 1.5
    assert np.abs(np.asarray(mode, float) - reference_encoding.p3_of(wanted)).mean() < near
    assert np.abs(reference_encoding.as_srgb(found) - wanted).mean() < near


@pytest.mark.parametrize(
    "given", [{}, {"width": "60"}, {"width": "90", "height": "90", "fit": "contain", "background": "f00"}]
)
@pytest.mark.parametrize("to", ["png", "tiff", "webp", "jpeg", "avif"])
def test_keep_the_sources_colours(to, given):
    """The source's profile byte for byte; shown with it, the picture is the same, also where sRGB was laid under it."""
    profile = pictures.swapped_profile()
    source = pictures.encoded(pictures.corners(), "PNG", icc_profile=profile)
    plain = mill(source, format="png", **given).body

    found = opened(mill(source, format=to, colorspace="keep", **given, **LOSSLESS.get(to, {"quality": "95"})).body)

    assert found.info["icc_profile"] == profile
    assert np.abs(reference_encoding.as_srgb(found) - reference.opened(plain)[..., :3]).mean() < 3
    if not given and to != "jpeg":
        assert (np.asarray(found.convert("RGB")) == np.asarray(pictures.corners())).all()


@pytest.mark.parametrize("kind", ["opaque", "cmyk"])
def test_keep_where_there_is_nothing_to_keep(kind):
    """No profile, or one that the format cannot hold: sRGB, and nothing said of it."""
    made = mill(sources()[kind], format="png", colorspace="keep")
    assert made.body == mill(sources()[kind], format="png").body


def test_a_junk_profile_is_not_handed_on():
    """D17: what is no profile is dropped, whatever is to be kept."""
    for profile in (b"junk" * 1000, b"\0" * 200, pictures.swapped_profile()[:200]):
        source = pictures.encoded(pictures.corners(), "PNG", icc_profile=profile)
        assert "icc_profile" not in opened(mill(source, format="png", colorspace="keep").body).info


@pytest.mark.parametrize("to", ["jpeg", "png", "apng", "webp", "avif", "tiff"])
@pytest.mark.parametrize("kind", ["opaque", "alpha", "animated", "deep"])
def test_a_profile_for_srgb(to, kind):
    """Where it is asked for; the pixels do not change by it."""
    made = opened(mill(sources()[kind], format=to, icc="1").body)
    without = opened(mill(sources()[kind], format=to).body)
    profile = ImageCms.ImageCmsProfile(io.BytesIO(made.info["icc_profile"]))
    assert "sRGB" in ImageCms.getProfileDescription(profile)
    assert "icc_profile" not in without.info
    assert (np.asarray(made.convert("RGBA")) == np.asarray(without.convert("RGBA"))).all()
    assert np.abs(reference_encoding.as_srgb(made) - np.asarray(without.convert("RGB"), float)).mean() < 0.5


@pytest.mark.parametrize("to", ["jpeg", "webp", "avif", "jxl"])
@pytest.mark.parametrize("kind", ["opaque", "alpha", "rotated", "animated"])
def test_max_bytes(to, kind):
    """Never above it, one file where it fits anyway, and the smallest size is told where nothing does."""
    free = mill(sources()[kind], format=to, quality="90", width="100").body
    assert mill(sources()[kind], format=to, quality="90", width="100", max_bytes=str(len(free))).body == free
    lowest = len(mill(sources()[kind], format=to, quality="1", width="100").body)
    most = (len(free) + lowest) // 2
    made = mill(sources()[kind], format=to, quality="90", width="100", max_bytes=str(most)).body
    assert lowest <= len(made) <= most
    with pytest.raises(LimitExceeded, match="bytes at the lowest quality > 20") as caught:
        mill(sources()[kind], format=to, quality="90", width="100", max_bytes="20")
    assert caught.value.limit == "max_bytes"


@pytest.mark.parametrize("to", ["jpeg", "webp", "jxl"])
def test_max_bytes_takes_the_best_that_fits(to):
    """One more quality would be too large."""
    made = mill(sources()["opaque"], format=to, quality="100", max_bytes="5000").body
    sizes = {}

    def is_too_large(quality):
        sizes[quality] = len(mill(sources()["opaque"], format=to, quality=str(quality)).body)
        return sizes[quality] > 5000

    more = bisect.bisect_left(range(101), True, lo=1, key=is_too_large)
    assert len(made) == sizes.get(more - 1, len(made)) <= 5000 < sizes[more]
    assert len(sizes) < 10


def test_max_bytes_counts_the_metadata():
    """The file is what is bounded."""
    source = pictures.encoded(pictures.photo(300, 200), "JPEG", xmp=b"x" * 3_000)
    assert len(mill(source, format="jpeg", metadata="all", max_bytes="8000").body) <= 8_000


@pytest.mark.parametrize("format_", ["png", "gif", "tiff", "apng"])
def test_max_bytes_of_what_has_no_quality(format_):
    """Refused, also where the format is only known once the source is."""
    with pytest.raises(BadOption, match=r"max_bytes: .* jpeg, webp, avif, jxl"):
        mill(sources()["opaque"], format=format_, max_bytes="5000")
    with pytest.raises(BadOption, match="max_bytes: "):
        mill(sources()["opaque"], max_bytes="5000")


@pytest.mark.parametrize("to", MEDIA_TYPES)
@pytest.mark.parametrize("kind", ["opaque", "animated"])
def test_equal_options_equal_bytes(to, kind):
    """Whatever was made before, and whenever: no date, no version that could change is in a file."""
    first = mill(sources()[kind], format=to, width="40")
    mill(sources()["alpha"], format=to, width="70")
    assert mill(sources()[kind], format=to, width="40").body == first.body


def test_an_animated_avif_has_no_date():
    """Its container could say when it was made."""
    found = [payload for name, payload in reference_encoding.boxes(mill(sources()["animated"], format="avif").body)
             if name in {b"mvhd", b"tkhd", b"mdhd"}]  # fmt: skip
    assert len(found) >= 3
    assert all(payload[4:20] == bytes(16) for payload in found)


def test_tiff_in_full():
    """Baseline tags, strips that add up, straight alpha named as such."""
    body = mill(sources()["alpha"], format="tiff").body
    tags, found = reference_encoding.tiff(body)
    assert (tags[0x0103], tags[0x013D], tags[0x0106], tags[0x0152]) == ((8,), (2,), (2,), (2,))
    assert (found == np.asarray(Image.open(io.BytesIO(body)))).all()
    big, rows = reference_encoding.tiff(mill(pictures.encoded(pictures.photo(620, 500), "PNG"), format="tiff").body)
    assert len(big[0x0111]) > 3
    assert (rows == np.asarray(pictures.photo(620, 500))).all()
