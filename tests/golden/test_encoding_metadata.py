"""What of a source's metadata is in a rendition, read by Pillow; in every format that holds it."""

import struct
import zlib

import pytest
from PIL import Image, PngImagePlugin

from golden import pictures, reference, reference_encoding
from golden.mill import mill
from golden.reference_encoding import opened
from imagemill.model.errors import BadOption, LimitExceeded
from imagemill.settings import Limits

HOLDING = ["jpeg", "png", "apng", "webp", "avif", "tiff", "jxl"]
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/">canary-xmp</x:xmpmeta>'
IPTC = b"\x1c\x02\x50\x00\x0bcanary-iptc"
ARTIST, COPYRIGHT, DESCRIPTION, ORIENTATION, EXIF, GPS = 0x013B, 0x8298, 0x010E, 0x0112, 0x8769, 0x8825


def tags():
    made = Image.Exif()
    made[ARTIST], made[COPYRIGHT], made[DESCRIPTION], made[ORIENTATION] = "Somebody", "© all", "canary-exif", 6
    made.get_ifd(EXIF).update({0x9003: "2026:01:02 03:04:05", 0x927C: b"canary-note" * 9})
    made.get_ifd(GPS).update({1: "N", 2: (48.0, 12.0, 30.5)})
    return made.tobytes()


def resource(number, value):
    return b"8BIM" + struct.pack(">HHI", number, 0, len(value)) + value + b"\0" * (len(value) % 2)


def with_iptc(jpeg, before=b""):
    segment = b"Photoshop 3.0\0" + before + resource(0x0404, IPTC)
    return jpeg[:2] + b"\xff\xed" + struct.pack(">H", len(segment) + 2) + segment + jpeg[2:]


def said(xmp):
    """XMP as PNG has it, which Pillow reads and does not write by itself."""
    made = PngImagePlugin.PngInfo()
    made.add_itxt("XML:com.adobe.xmp", xmp.decode())
    return made


def source(kind="JPEG", picture=None):
    picture = picture or pictures.photo(120, 80)
    if kind == "PNG":
        return pictures.encoded(picture, kind, exif=tags(), pnginfo=said(XMP))
    body = pictures.encoded(picture, kind, exif=tags(), xmp=XMP)
    return with_iptc(body) if kind == "JPEG" else body


def xmp_of(body, to):
    if to == "jxl":  # Pillow's plug-in does not tell
        boxes = dict(reference_encoding.boxes(body))
        return boxes.get(b"xml ", b"")
    found = opened(body).info.get("xmp") or b""
    return found.encode() if isinstance(found, str) else found


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF"])
@pytest.mark.parametrize("to", HOLDING)
def test_all(to, kind):
    """Texts, time and place, XMP, and IPTC where the format has it; upright, with no word of an orientation."""
    made = mill(source(kind), format=to, metadata="all")

    found = opened(made.body)
    exif = found.getexif()
    assert (exif[ARTIST], exif[DESCRIPTION]) == ("Somebody", "canary-exif")
    assert COPYRIGHT in exif
    assert exif.get_ifd(EXIF) == {0x9003: "2026:01:02 03:04:05"}
    assert exif.get_ifd(GPS) == {1: "N", 2: (48.0, 12.0, 30.5)}
    assert ORIENTATION not in exif
    assert found.size == (80, 120)
    assert xmp_of(made.body, to) == XMP
    assert b"canary-note" not in made.body
    assert (b"canary-iptc" in made.body) == (kind == "JPEG" and to in {"jpeg", "tiff"})
    plain = mill(source(kind), format=to)
    assert (reference.opened(plain.body) == reference.opened(made.body)).all()


@pytest.mark.parametrize("to", ["jpeg", "tiff"])
def test_iptc_lies_where_its_resource_is(to):
    """What looks like its beginning, within a resource of another kind, is part of that."""
    plain = pictures.encoded(pictures.photo(120, 80), "JPEG")
    made = mill(
        with_iptc(plain, before=resource(0x0425, resource(0x0404, b"\x1c\x02\x50\x00\x05decoy"))),
        format=to,
        metadata="all",
    )

    assert IPTC in made.body
    assert b"decoy" not in made.body


@pytest.mark.parametrize("to", HOLDING)
def test_copyright(to):
    """Artist and copyright, and nothing else."""
    body = mill(source(), format=to, metadata="copyright").body
    exif = opened(body).getexif()
    kept = {tag for tag in exif if tag in {ARTIST, COPYRIGHT, DESCRIPTION, ORIENTATION, EXIF, GPS}}
    assert kept == {ARTIST, COPYRIGHT}
    assert b"canary" not in body
    assert not xmp_of(body, to)


@pytest.mark.parametrize("to", [*HOLDING, "gif"])
def test_nothing_by_default(to):
    """Nor with ``strip``."""
    body = mill(source(), format=to, metadata="strip").body
    assert body == mill(source(), format=to).body
    assert b"canary" not in body
    assert b"Somebody" not in body
    exif = opened(body).getexif()
    assert not {ARTIST, COPYRIGHT, DESCRIPTION, ORIENTATION} & set(exif)


@pytest.mark.parametrize("choice", ["copyright", "all"])
@pytest.mark.parametrize("to", HOLDING)
def test_of_a_source_without_any(to, choice):
    """There is nothing to keep, and that is no error."""
    bare = pictures.encoded(pictures.photo(120, 80), "JPEG")
    assert mill(bare, format=to, metadata=choice).body == mill(bare, format=to).body


@pytest.mark.parametrize("to", HOLDING)
@pytest.mark.parametrize(
    "picture", [pictures.disc(), pictures.disc().convert("LA"), pictures.photo(60, 40).convert("L")]
)
def test_with_transparency_and_grey(to, picture):
    """The container of metadata says of the pixels what is so."""
    body = source("PNG", picture)
    with_it, without = (mill(body, format=to, metadata=choice, orient="0") for choice in ("all", "strip"))
    assert opened(with_it.body).mode == opened(without.body).mode
    assert (reference.opened(with_it.body) == reference.opened(without.body)).all()


@pytest.mark.parametrize("to", ["webp", "apng", "avif"])
def test_of_an_animation(to):
    """All frames stay, and their times."""
    frames = [pictures.photo(60, 40).rotate(n * 90) for n in range(3)]
    body = pictures.encoded(
        frames[0], "WEBP", save_all=True, append_images=frames[1:], duration=[40, 50, 60], lossless=True, exif=tags(),
        xmp=XMP,
    )  # fmt: skip
    made = mill(body, format=to, metadata="all", orient="0")
    found = opened(made.body)
    assert (found.n_frames, made.frames) == (3, 3)
    assert found.getexif()[DESCRIPTION] == "canary-exif"
    assert xmp_of(made.body, to) == XMP


@pytest.mark.parametrize("to", ["webp", "jxl"])
def test_of_lossless_files(to):
    """The other writers of a format carry it too."""
    found = opened(mill(source(), format=to, lossless="1", metadata="all").body)
    assert found.getexif()[DESCRIPTION] == "canary-exif"


@pytest.mark.parametrize(("picture", "flag"), [(pictures.disc(), 0x10), (pictures.photo(60, 40), 0)])
def test_a_lossless_webp_says_of_its_transparency(picture, flag):
    """RFC 9649: the head of a file in the extended form has a flag for it, as for EXIF and XMP."""
    body = mill(source("PNG", picture), format="webp", lossless="1", metadata="all").body
    assert (body[12:16], body[20]) == (b"VP8X", flag | 0x08 | 0x04)


@pytest.mark.parametrize("given", [{"speed": "small"}, {"effort": "2"}, {"subsampling": "420"}])
def test_of_every_avif(given):
    """Whatever writes it."""
    body = mill(source(), format="avif", metadata="all", **given).body
    exif = opened(body).getexif()
    assert exif[ARTIST] == "Somebody"
    assert ORIENTATION not in exif
    assert xmp_of(body, "avif") == XMP
    assert b"canary-note" not in body


@pytest.mark.parametrize("given", [{"bits": "10"}, {"lossless": "1"}])
def test_an_avif_that_carries_none(given):
    """Its writer would lay EXIF out by itself: refused."""
    with pytest.raises(BadOption, match="metadata: not in an AVIF"):
        mill(source(), format="avif", metadata="copyright", **given)


@pytest.mark.parametrize(
    "xmp", [b'<x tiff:Orientation="6" a="6"/>', b"<x><tiff:Orientation> 6 </tiff:Orientation>6</x>"]
)
@pytest.mark.parametrize("to", ["jpeg", "png", "webp"])
def test_xmp_tells_of_no_turn(to, xmp):
    """EXIF's orientation has a twin there: it says upright, and nothing else is touched."""
    body = pictures.encoded(pictures.photo(60, 40), "JPEG", exif=pictures.exif(6), xmp=xmp)
    made = mill(body, format=to, metadata="all").body
    assert xmp_of(made, to) == xmp.replace(b"6", b"1", 1)


def test_gif_holds_none():
    """Refused, with the formats that do."""
    with pytest.raises(BadOption, match=r"metadata: .* jpeg, png"):
        mill(source(), format="gif", metadata="copyright")


def test_bounded():
    """By limits.metadata_bytes; and by what a segment of a JPEG holds, where the source's format held more."""
    large = pictures.encoded(pictures.photo(60, 40), "PNG", pnginfo=said(b"x" * 70_000))
    with pytest.raises(LimitExceeded, match="bytes of XMP") as caught:
        mill(large, format="jpeg", metadata="all")
    assert caught.value.limit == "metadata_bytes"
    assert xmp_of(mill(large, format="webp", metadata="all").body, "webp") == b"x" * 70_000
    with pytest.raises(LimitExceeded, match="metadata"):
        mill(large, format="webp", metadata="all", limits=Limits(metadata_bytes=1_000))


def test_a_large_profile_goes_into_many_segments():
    """ICC.1 annex B.4: numbered from one."""
    profile = bytearray(pictures.swapped_profile())
    profile += bytes(150_000)
    profile[:4] = struct.pack(">I", len(profile))
    body = pictures.encoded(pictures.corners(), "PNG", icc_profile=bytes(profile))
    assert opened(mill(body, format="jpeg", colorspace="keep").body).info["icc_profile"] == bytes(profile)


def test_png_chunks_are_where_they_may_be():
    """A profile before the pixels, in one chunk each, checksums right."""
    body = mill(source(), format="png", metadata="all", icc="1").body
    at, names = 8, []
    while at < len(body):
        (size,) = struct.unpack_from(">I", body, at)
        names.append(body[at + 4 : at + 8])
        assert struct.unpack_from(">I", body, at + 8 + size) == (zlib.crc32(body[at + 4 : at + 8 + size]),)
        at += 12 + size
    assert names[:4] == [b"IHDR", b"iCCP", b"eXIf", b"iTXt"]
    assert names.index(b"IDAT") > 3
    assert names[-1] == b"IEND"
