"""Every format that is read beside the first five: pixels, sizes, profiles, and what ``keep`` makes of it."""

import io

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from golden import inputs, pictures, reference
from golden.mill import mill
from imagemill.engines.decoded import pyvips
from imagemill.engines.decoders import by_pillow, heic, jxl
from imagemill.engines.headers import probe
from imagemill.engines.vips import _orientation
from imagemill.model.errors import ImageCorrupt, LimitExceeded, PageMissing, UnsupportedSourceType
from imagemill.model.media import Format
from imagemill.settings import Limits

SOURCES = inputs.all_of_them()
KEPT = {"tiff": "tiff", "bmp": "png", "ico": "png", "cur": "png", "avif": "avif", "heic": "jpeg", "jxl": "jxl"}


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize(
    "given",
    [{}, {"width": 47}, {"crop": "11,7,60,50", "flip": "1"}, {"rotate": "90", "width": 50, "height": 50, "fit": "cover"},
     {"width": 90, "height": 90, "fit": "contain", "background": "ff0000"}],
)  # fmt: skip
def test_pixels(name, given):
    """As they were drawn, plain and after operations."""
    body, pixels, tolerance = SOURCES[name]

    made = mill(body, format="png", **given)

    wanted = reference.expected(pixels, **given)
    assert (made.width_px, made.height_px) == (wanted.shape[1], wanted.shape[0])
    assert reference.difference(inputs.read(made.body), wanted) < tolerance + (2 if given else 0)


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("to", ["jpeg", "webp", "avif", "gif"])
def test_formats_out(name, to):
    """Into every other format."""
    body, pixels, tolerance = SOURCES[name]

    made = mill(body, format=to, quality=95)

    wanted = reference.over(pixels, [255] * 4) if to == "jpeg" else pixels
    found = inputs.read(made.body)
    if to == "gif":
        wanted = np.dstack([wanted[..., :3], np.where(wanted[..., 3] >= 128, 255, 0)])
    assert reference.difference(found, wanted) < tolerance + {"gif": 14, "jpeg": 5, "webp": 5, "avif": 5}[to]


@pytest.mark.parametrize("name", SOURCES)
def test_keep(name):
    """What is not written becomes what its documentation says."""
    body, pixels, _ = SOURCES[name]
    kind = name.split()[0]
    wanted = "png" if kind == "heic" and (pixels[..., 3] < 255).any() else KEPT[kind]
    assert mill(body).format == mill(body, format="keep", width=40).format == Format(wanted)


@pytest.mark.parametrize("name", SOURCES)
def test_header_and_decoder_agree(name):
    """The header's own facts are those of the pixels: sides, alpha."""
    body, pixels, _ = SOURCES[name]
    info = probe(memoryview(body))
    assert (info.width_px, info.height_px) == (pixels.shape[1], pixels.shape[0])
    if (pixels[..., 3] < 255).any():
        assert info.has_alpha
    assert info.frames == 1


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["TIFF", "PNG", "WEBP"])
def test_exif_orientation(kind, orientation):
    """D16: 1 to 8 are applied once, and not left behind; ``orient=0`` leaves pixels as they lie."""
    options = {"lossless": True} if kind == "WEBP" else {}
    body = pictures.encoded(pictures.corners(), kind, exif=pictures.exif(orientation), **options)
    if kind == "TIFF":
        tags = Image.Exif()
        tags[274] = orientation
        body = pictures.encoded(pictures.corners(), kind, tiffinfo={274: orientation})

    made = mill(body, format="png")
    assert reference.difference(inputs.read(made.body), reference.upright(body)) < 1
    assert Image.open(io.BytesIO(made.body)).getexif().get(274) is None
    lying = inputs.read(mill(body, format="png", orient="0").body)
    assert reference.difference(lying, inputs.rgba(pictures.corners())) < 1


@pytest.mark.parametrize("said", [0, 9, 65_535, -1])
def test_what_a_decoder_might_say(said):
    """D16: nor is a decoder believed that says another."""
    image = pyvips.Image.black(2, 2).copy()
    image.set_type(pyvips.GValue.gint_type, "orientation", said)
    assert _orientation(image) == 1


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_orientation_out_of_range(value):
    """D16: whatever is none of the eight is the first."""
    body = pictures.encoded(pictures.corners(), "JPEG", quality=95, exif=pictures.exif(value))
    assert reference.difference(inputs.read(mill(body, format="png").body), inputs.rgba(pictures.corners())) < 4


def test_two_exif_blocks():
    """D16: the first counts, whatever the second says."""
    plain = pictures.encoded(pictures.corners(), "JPEG", quality=95)

    def block(orientation):
        body = b"Exif\0\0" + pictures.exif(orientation).removeprefix(b"Exif\0\0")
        return b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body

    for first, second in ((6, 3), (3, 6), (1, 8)):
        body = plain[:2] + block(first) + block(second) + plain[2:]
        alone = plain[:2] + block(first) + plain[2:]
        assert mill(body, format="png").body == mill(alone, format="png").body


def test_exif_is_a_note_in_avif():
    """An AVIF is turned by its own property, and by nothing else."""
    body = pictures.encoded(pictures.corners(), "AVIF", quality=95, exif=pictures.exif(6))
    wanted = np.rot90(inputs.rgba(pictures.corners()), -1)
    assert b"irot" in body
    for given in ({}, {"orient": "0"}):
        assert reference.difference(inputs.read(mill(body, format="png", **given).body), wanted) < 6
    unturned = body.replace(b"irot", b"free")  # what EXIF says is still there
    assert reference.difference(inputs.read(mill(unturned, format="png").body), inputs.rgba(pictures.corners())) < 6


def test_no_number_is_black():
    """D19: NaN and what is below black are black, what is above white is white; the same every time."""
    row = np.array([[0, 1, 2, -1, np.nan, np.inf, -np.inf, 0.2159]], np.float32).repeat(4, 0)
    for samples, space in ((np.dstack([row] * 3), "scrgb"), (row[..., None], "b-w")):
        body = inputs.tiff(samples, "float", space)
        found = inputs.read(mill(body, format="png").body)[0, :, 0]
        assert found.tolist() == [0, 255, 255, 0, 0, 255, 0, 128]
        assert len({mill(body, format="png").etag for _ in range(5)}) == 1


@pytest.mark.parametrize("kind", ["TIFF", "AVIF"])
def test_profile_is_followed(kind):
    """An embedded profile is applied and dropped."""
    body = pictures.encoded(
        pictures.corners(), kind, icc_profile=pictures.swapped_profile(), **({"quality": 95} if kind == "AVIF" else {})
    )
    made = mill(body, format="png")
    assert "icc_profile" not in Image.open(io.BytesIO(made.body)).info
    assert reference.difference(inputs.read(made.body), inputs.rgba(pictures.corners())[..., [2, 1, 0, 3]]) < 5


@pytest.mark.parametrize("kind", ["TIFF", "AVIF", "JPEG"])
@pytest.mark.parametrize("profile", [b"junk" * 500, b"\0" * 128])
def test_junk_profile(kind, profile):
    """D17: a profile that cannot be read is none."""
    body = pictures.encoded(
        pictures.corners(), kind, icc_profile=profile, **({} if kind == "TIFF" else {"quality": 95})
    )
    assert reference.difference(inputs.read(mill(body, format="png").body), inputs.rgba(pictures.corners())) < 5


def test_print_in_tiff_and_jpeg_alike():
    """D17: CMYK without a profile looks the same in both; Adobe's JPEGs are inverted, and are seen as meant."""
    cmyk = pictures.corners().convert("CMYK")
    tiff = inputs.read(mill(pictures.encoded(cmyk, "TIFF"), format="png").body)
    jpeg = inputs.read(mill(pictures.encoded(cmyk, "JPEG", quality=98), format="png").body)
    assert reference.difference(tiff, jpeg) < 3


@pytest.mark.parametrize("name", ["tiff", "tiff alpha", "bmp 24", "ico", "ico png", "heic", "jxl"])
@pytest.mark.parametrize("part", [0.3, 0.7])
def test_truncated(name, part):
    """D11: a file that ends early is an error, not half a picture."""
    if name not in SOURCES:
        pytest.skip(f"no decoder of {name}")
    body = SOURCES[name][0]
    with pytest.raises(ImageCorrupt):
        mill(body[: int(len(body) * part)], format="png")


def test_icons_are_judged_by_their_pictures():
    """D05: what the list of an icon says of sizes is not believed."""
    body = inputs.icon(np.asarray(pictures.disc(size=96)), lie=(16, 16))
    assert (probe(body).width_px, mill(body).width_px) == (96, 96)
    huge = inputs.icon(pictures.encoded(Image.new("1", (9000, 9000)), "PNG"), lie=(16, 16))
    with pytest.raises(LimitExceeded):
        mill(huge, limits=Limits(pixels=1_000_000))


def test_largest_of_an_icon():
    """By default the largest, deepest picture; by number any; none that is not there."""
    sizes = [(16, "#f00"), (64, "#0f0"), (32, "#00f")]
    body = inputs.icon(*[np.asarray(Image.new("RGBA", (n, n), colour)) for n, colour in sizes])
    assert mill(body).width_px == 64
    for n, (size, colour) in enumerate(sizes):
        made = mill(body, page=n)
        assert (made.width_px, made.height_px) == (size, size)
        assert reference.difference(inputs.read(made.body), inputs.rgba(Image.new("RGB", (size, size), colour))) == 0
    with pytest.raises(PageMissing, match="page: 3 of 3"):
        mill(body, page=3)


@pytest.mark.parametrize("alpha", [None, 0])
def test_mask_of_an_icon(alpha):
    """Without an alpha of its own, or with one of nothing but zeros, an icon is seen through its mask."""
    pixels = np.asarray(pictures.corners(40, 40))
    hidden = np.zeros((40, 40), bool)
    hidden[:10, :13] = True
    found = inputs.read(mill(inputs.masked_icon(pixels, hidden, alpha)).body)
    assert (found[..., 3] == np.where(hidden, 0, 255)).all()
    assert (found[~hidden][:, :3] == pixels[~hidden]).all()


def test_mask_of_an_icon_with_alpha():
    """Where there is an alpha, the mask does not count; where neither is, all of it is seen."""
    pixels = np.asarray(pictures.corners(40, 40))
    hidden = np.ones((40, 40), bool)
    for body in (inputs.masked_icon(pixels, hidden, 255), inputs.masked_icon(pixels, ~hidden, 0)[: -40 * 8]):
        found = inputs.read(mill(body).body)
        assert (found == inputs.rgba(Image.fromarray(pixels))).all()


def hdr_of(kind, transfer):
    """A picture that says of itself that it is HDR: BT.2020 primaries (9), and PQ (16) or HLG (18)."""
    if kind == "PNG":
        body = pictures.encoded(pictures.corners(), "PNG")
        return body[:33] + pictures.chunk(b"cICP", bytes((9, transfer, 0, 1))) + body[33:]
    body = pictures.encoded(pictures.corners(), "AVIF", quality=95, subsampling="4:4:4")
    at = body.index(b"colrnclx") + 8
    return body[:at] + bytes((0, 9, 0, transfer)) + body[at + 4 :]


@pytest.mark.parametrize("transfer", [16, 18])
@pytest.mark.parametrize("kind", ["PNG", "AVIF"])
def test_hdr_is_shown_as_it_is_stored(kind, transfer):
    """D17: PQ and HLG are not tone-mapped: values are taken for sRGB's, and no rendition says that they are anything else."""
    body = hdr_of(kind, transfer)
    stored = inputs.rgba(pictures.corners())

    for to in ("png", "avif", "webp", "jpeg"):
        made = mill(body, format=to, quality=95)
        assert reference.difference(inputs.read(made.body), stored) < 6
        assert b"cICP" not in made.body
        assert b"colrnclx" not in made.body or made.body[made.body.index(b"colrnclx") + 10 :][:2] != bytes(
            (0, transfer)
        )
    kept = mill(body, format="png", colorspace="keep")
    assert reference.difference(inputs.read(kept.body), stored) < 6


def test_fields_of_a_tiff():
    """Artist, copyright and other texts are fields of the file itself; no editor's private ones go along."""
    ifd = TiffImagePlugin.ImageFileDirectory_v2()
    ifd[0x013B], ifd[0x8298], ifd[0x010E] = "Somebody", "2026 Somebody", "canary description"
    ifd[0x935C], ifd.tagtype[0x935C] = b"private" * 99, 7
    body = pictures.encoded(pictures.corners(), "TIFF", tiffinfo=ifd)

    for to in ("jpeg", "webp", "tiff", "png"):
        found = Image.open(io.BytesIO(mill(body, format=to, metadata="copyright").body)).getexif()
        assert (found[0x013B], found[0x8298]) == ("Somebody", "2026 Somebody")
        assert 0x010E not in found
        everything = mill(body, format=to, metadata="all", width=30).body
        assert Image.open(io.BytesIO(everything)).getexif()[0x010E] == "canary description"
        assert b"privateprivate" not in everything
        assert b"Somebody" not in mill(body, format=to).body


@pytest.mark.parametrize(("module", "name", "extra"), [(heic, "heic", "heic"), (jxl, "jxl", "jxl")])
def test_missing_extra(monkeypatch, module, name, extra):
    """Without the wheel a format is refused, and the answer says which extra reads it."""
    if name not in SOURCES:
        pytest.skip(f"no decoder of {name}")
    monkeypatch.setattr(module, "AVAILABLE", False)
    with pytest.raises(UnsupportedSourceType, match=rf"imagemill\[{extra}\]"):
        mill(SOURCES[name][0])


def test_no_pixel_before_the_verdict(monkeypatch):
    """R09: what a decoder would decode at once is judged by cost before it is handed the file."""
    monkeypatch.setattr(by_pillow, "BmpImagePlugin", None)
    with pytest.raises(LimitExceeded, match="estimated CPU"):
        mill(SOURCES["bmp 24"][0], limits=Limits(cpu_s=0.001))


def test_jxl_is_turned_by_its_codestream():
    """EXIF in a box is a note; a JPEG inside is not put together again."""
    if not jxl.AVAILABLE:
        pytest.skip("no decoder of jxl")
    turned = inputs.jxl_of(pictures.corners(), exif=pictures.exif(6), use_container=True)
    assert b"Exif" in turned
    assert reference.difference(inputs.read(mill(turned, format="png").body), inputs.rgba(pictures.corners())) < 1


def test_a_jpeg_inside_a_jxl_is_not_put_together_again(tmp_path):
    """What is decoded is the codestream, turned as it says: no JPEG made of it, which would say so in EXIF of its own."""
    if not jxl.AVAILABLE:
        pytest.skip("no decoder of jxl")
    file = tmp_path / "a.jpg"
    pictures.corners().save(file, "JPEG", quality=95, exif=pictures.exif(6))
    inputs.jxl_of(pictures.corners())  # so that there is a writer
    with Image.open(file) as picture:  # it is asked for its file, which a copy of it does not know
        picture.save(out := io.BytesIO(), "JXL", lossless_jpeg=True, lossless=False, num_threads=0)
    body = out.getvalue()
    assert b"jbrd" in body
    made = mill(body, format="png")
    assert reference.difference(inputs.read(made.body), np.rot90(inputs.rgba(pictures.corners()), -1)) < 4


@pytest.mark.parametrize("kind", ["HEIC", "AVIF", "APNG"])
def test_copyright_of_what_is_read(kind):
    """What says whose picture it is goes along where that is asked for, and nothing goes along where it is not."""
    tags = Image.Exif()
    tags[0x8298] = "canary, all rights reserved"
    frames = [pictures.gradient(60, 40), pictures.corners(60, 40)]
    if kind == "HEIC":
        if not heic.AVAILABLE:
            pytest.skip("no decoder of heic")
        body = (inputs.HEIC / "copyright.heic").read_bytes()
    elif kind == "APNG":
        body = pictures.encoded(
            frames[0], "PNG", save_all=True, append_images=frames[1:], duration=50, exif=tags.tobytes()
        )
    else:
        body = pictures.encoded(
            frames[0], "AVIF", save_all=True, append_images=frames[1:], duration=50, exif=tags.tobytes()
        )
    assert b"canary" in mill(body, format="jpeg", metadata="copyright").body
    assert b"canary" in mill(body, format="webp", metadata="all", width=30).body
    assert b"canary" not in mill(body, format="webp", width=30).body
