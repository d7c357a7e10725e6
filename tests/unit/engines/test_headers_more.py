"""D01-D10 at the first wall, for the formats beside the first five: TIFF, BMP, icons, APNG, HEIF, JPEG XL."""

import struct
import time
from contextlib import suppress
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from imagemill.engines.headers import heif, ico, probe, sniff
from imagemill.model.errors import ImageCorrupt, UnsupportedSourceType
from imagemill.model.media import Format
from unit.engines import hostile
from unit.engines.building import AVIS, Bits, actl, bitmap, boxed, dib, elst, icon, item, jxl, page, tiff, track


def saved(kind, size=(40, 30), mode="RGB", **options):
    out = BytesIO()
    Image.new(mode, size).save(out, kind, **options)
    return out.getvalue()


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("big", [False, True])
def test_tiff(order, big):
    """Both orders, both sizes: sides, samples, depth, transparency, profile, metadata."""
    body = tiff(
        page(300, 200, bits=[16] * 4, samples=[4], extra=[2], icc=[0] * 3000, xmp=[1] * 50), order=order, big=big
    )
    for source in (body, memoryview(body)):
        info = probe(source)
        assert (info.format, info.width_px, info.height_px, info.channels, info.bits) == (Format.TIFF, 300, 200, 4, 16)
        assert (info.has_alpha, info.icc_bytes, info.metadata_bytes, info.pages, info.unusual) == (
            True,
            3000,
            50,
            1,
            False,
        )


def test_pages_of_a_tiff():
    """All are counted, the one that is asked for is described, with those after it that are as large."""
    body = tiff(page(10, 10), page(20, 20), page(20, 20), page(20, 20), page(5, 20))
    assert [probe(body, n).width_px for n in range(5)] == [10, 20, 20, 20, 5]
    assert [probe(body, n).alike for n in range(5)] == [1, 3, 2, 1, 1]
    assert (probe(body).page, probe(body).pages, probe(body).frames) == (0, 5, 1)


@pytest.mark.parametrize(
    ("more", "unusual"),
    [({}, False), ({"planar": [2]}, False), ({"planar": [2], "samples": [3]}, True), ({"compression": [6]}, True), ({"compression": [7]}, False),
     ({"format": [2]}, True), ({"format": [2], "colours": [8]}, False), ({"format": [3]}, False)],
)  # fmt: skip
def test_tiffs_for_the_other_decoder(more, unusual):
    """D14: which decoder it is follows from the header alone."""
    assert probe(tiff(page(**more))).unusual == unusual


@pytest.mark.parametrize(
    "body",
    [
        tiff(page(0, 5)), tiff(page(5, 0)), b"II*\0", b"II*\0\0\0\0\0", b"II*\0\x08\0\0\0\xff\xff", tiff(page())[:-10],
        tiff(page(tile_width=[70_000], tile_height=[70_000])), tiff({256: (7, [1, 2, 3]), 257: (4, [5])}),
        tiff(*[page()] * 4097), b"II*\0\x08\0\0\0\0\0\x08\0\0\0", b"II+\0\x08\0\0\0" + b"\xff" * 8,
        b"II+\0\x08\0\0\0\x10\0\0\0\0\0\0\0" + b"\xff" * 8, tiff({t: (3, [1]) for t in range(256, 256 + 600)}),
    ],
)  # fmt: skip
def test_tiffs_that_contradict_themselves(body):
    """D05, D09: no sides, tiles far beyond the picture, pages without end or in a circle, directories that break off."""
    with pytest.raises(ImageCorrupt):
        probe(body)


def test_complex_numbers():
    with pytest.raises(UnsupportedSourceType, match="complex"):
        probe(tiff(page(format=[6])))


@pytest.mark.parametrize("size", [(1, 1), (200, 7), (40_000, 3)])
def test_bmp(size):
    assert (probe(saved("BMP", size)).width_px, probe(saved("BMP", size)).height_px) == size


@pytest.mark.parametrize(
    "body",
    [
        b"BM",
        bitmap(size=13),
        bitmap(size=4000),
        bitmap(width=0),
        bitmap(width=-5),
        bitmap(height=0),
        bitmap(bits=13),
        bitmap(bits=0),
    ],
)
def test_bitmaps_that_contradict_themselves(body):
    with pytest.raises(ImageCorrupt):
        probe(body)


def test_sides_of_bitmaps():
    """Top down or bottom up; of OS/2's first; however large the claim."""
    assert probe(bitmap(height=-30)).height_px == 30
    assert probe(bitmap(width=2**31 - 1, height=-(2**31))).height_px == 2**31
    old = b"BM" + bytes(12) + struct.pack("<IHHHH", 12, 300, 200, 1, 8) + bytes(20)
    assert (probe(old).width_px, probe(old).height_px) == (300, 200)


def test_icons():
    """The largest, then the deepest; by number any; a PNG is judged by its own header (D05)."""
    body = icon(dib(16, 16), dib(48, 48, 8), dib(48, 48), hostile.png(40, 40))
    info = probe(body)
    assert (info.format, info.width_px, info.pages, info.page, info.frames) == (Format.ICO, 48, 4, 2, 1)
    assert [probe(body, n).width_px for n in range(4)] == [16, 48, 48, 40]
    assert probe(icon(hostile.png(60_000, 50_000))).width_px == 60_000
    assert [e.is_png for e in ico.entries(body)] == [False, False, False, True]


@pytest.mark.parametrize(
    "body",
    [
        icon(dib(16, 16))[:20],
        icon(dib(16, 16), at=10_000),
        icon(dib(0, 16)),
        icon(dib(16, 16), count=300),
        icon(hostile.png(0, 5)),
        icon(b""),
    ],
)
def test_icons_that_contradict_themselves(body):
    with pytest.raises(ImageCorrupt):
        probe(body)


def test_apng():
    """Several frames before the picture make a PNG an APNG; one does not, and what comes too late neither."""
    assert (probe(hostile.real_png(before=actl(7))).format, probe(hostile.real_png(before=actl(7))).frames) == (
        Format.APNG,
        7,
    )
    assert probe(hostile.real_png(before=actl(1))).format is Format.PNG
    assert probe(hostile.real_png(after=actl(7))).format is Format.PNG
    assert probe(hostile.real_png(before=actl(2**32 - 1))).frames == 2**32 - 1
    assert sniff(hostile.real_png(before=actl(7))) is Format.PNG


def test_sequences():
    """An AVIF that moves: frames and sides of its picture track, whatever other tracks there are."""
    info = probe(AVIS + hostile.box(b"moov", track(b"soun", (0, 0), 5) + track() + track(b"auxv", (60, 40), 9)))
    assert (info.format, info.width_px, info.height_px, info.frames, info.unusual) == (Format.AVIF, 60, 40, 9, True)
    still = hostile.encoded("AVIF")
    assert (probe(still).frames, probe(still).unusual) == (1, False)


@pytest.mark.parametrize(
    ("edit", "length", "loops"),
    [
        (b"", 0, 0),
        (elst(0, 100), 100, 1),
        (elst(1, 100), 300, 3),
        (elst(1, 100), 0xFFFFFFFF, 0),
        (elst(1, 0), 5, 1),
        (elst(1, 100), 100, 1),
    ],
)
def test_loops_of_a_sequence(edit, length, loops):
    """As its edit list says; without one, for ever."""
    assert heif.loops(AVIS + hostile.box(b"moov", track(edit=edit, length=length))) == loops


TURN = [hostile.box(b"irot", bytes([quarters])) for quarters in range(4)]
MIRROR = [hostile.box(b"imir", bytes([axis])) for axis in range(2)]
APERTURE = hostile.box(b"clap", struct.pack(">8I", 30, 1, 20, 1, 0, 1, 0, 1))


@pytest.mark.parametrize(
    ("properties", "sides", "turned"),
    [
        ((), (60, 40), 1), ((TURN[1],), (40, 60), 8), ((TURN[2],), (60, 40), 3), ((MIRROR[0],), (60, 40), 4),
        ((MIRROR[1],), (60, 40), 2), ((TURN[1], MIRROR[0]), (40, 60), 5), ((MIRROR[0], TURN[1]), (40, 60), 7),
        ((APERTURE,), (30, 20), 1), ((APERTURE, TURN[3]), (20, 30), 6),
    ],
)  # fmt: skip
def test_sides_of_heif_are_those_that_are_shown(properties, sides, turned):
    """D16: cut and turned as the picture's own properties say, in their order."""
    for brand, format_ in ((b"heic", Format.HEIC), (b"avif", Format.AVIF)):
        info = probe(item((60, 40), *properties, brand=brand))
        assert (info.format, info.width_px, info.height_px) == (format_, *sides)
        assert (info.turned, info.orientation) == (turned, 1)


def test_parts_of_heif():
    """D10: a tile or a mask far beyond its picture is no part of it; very many are too many."""

    def tiled(sides, count=1):
        iref = hostile.box(
            b"iref", bytes(4) + hostile.box(b"dimg", struct.pack(">HH", 1, count) + struct.pack(">H", 2) * count)
        )
        ipma = hostile.box(b"ipma", bytes(4) + struct.pack(">IHBBHBB", 2, 1, 1, 1, 2, 1, 2))
        pitm = hostile.box(b"pitm", bytes(4) + struct.pack(">H", 1))
        ipco = hostile.box(b"ipco", hostile.ispe(60, 40) + hostile.ispe(*sides))
        meta = bytes(4) + pitm + iref + hostile.box(b"iprp", ipco + ipma)
        return hostile.box(b"ftyp", b"heic" + bytes(4)) + hostile.box(b"meta", meta)

    assert probe(tiled((64, 64), 9)).width_px == 60
    for body in (tiled((60_000, 60_000)), tiled((64, 64), 40_000)):
        with pytest.raises(ImageCorrupt):
            probe(body)


def test_brands():
    """One family, or none at all."""
    assert probe(item((5, 5), brand=b"heix")).format is Format.HEIC
    for head in (b"mif1", b"mp42", b"qt  "):
        with pytest.raises(UnsupportedSourceType):
            probe(item((5, 5), brand=head))
    both = hostile.box(b"ftyp", b"heic" + bytes(4) + b"avif")
    with pytest.raises(UnsupportedSourceType):
        probe(both)


@pytest.mark.parametrize("size", [(1, 1), (300, 200), (2**30, 2**30)])
def test_jxl(size):
    """Bare and in boxes, whole and in parts; however large the claim (D01)."""
    bare = jxl(*size).put(1, 1).codestream()
    parts = boxed(bytes(4) + bare[:5], b"jxlp") + hostile.box(b"jxlp", bytes([0, 0, 0, 1]) + bare[5:])
    for body in (bare, boxed(bare), parts):
        info = probe(body)
        assert (info.format, info.width_px, info.height_px, info.has_alpha, info.channels) == (
            Format.JXL,
            *size,
            False,
            3,
        )


@pytest.mark.parametrize("orientation", range(1, 9))
def test_jxl_is_turned(orientation):
    """D16: the codestream's own orientation."""
    head = jxl(300, 200).put(0, 1).put(1, 1).put(orientation - 1, 3).put(0, 3)
    info = probe(head.put(0, 64).codestream())
    assert (info.width_px, info.height_px) == ((200, 300) if orientation > 4 else (300, 200))


def test_jxl_small_and_by_ratio():
    body = Bits().put(1, 1).put(4, 5).put(3, 3).put(1, 1).codestream()  # 40 px high, 4 : 3
    assert (probe(body).width_px, probe(body).height_px) == (53, 40)


def test_jxl_that_moves():
    with pytest.raises(UnsupportedSourceType, match="several frames"):
        probe(jxl(9, 9).put(0, 1).put(1, 1).put(0, 3).put(0, 2).put(1, 1).put(0, 64).codestream())


@pytest.mark.parametrize(
    "body",
    [
        b"\xff\x0a",
        boxed(b""),
        boxed(b"junk" * 9),
        b"\0\0\0\x0cJXL \r\n\x87\n",
        b"\0\0\0\x0cJXL \r\n\x87\n" + hostile.box(b"free", b"") * 2000,
    ],
)
def test_jxl_that_breaks_off(body):
    with pytest.raises(ImageCorrupt):
        probe(body)


SAMPLES = [
    saved("TIFF"), saved("TIFF", save_all=True, append_images=[Image.new("L", (9, 9))]), saved("BMP"), saved("BMP", mode="P"), saved("ICO"),
    saved("ICO", bitmap_format="bmp"), tiff(page(bits=[8] * 3, samples=[3])), icon(dib(9, 9), hostile.png(8, 8)),
    hostile.real_png(before=actl(3)), AVIS + hostile.box(b"moov", track(edit=elst(1, 5))), item((60, 40), hostile.box(b"irot", b"\1")),
    jxl(30, 20).put(1, 1).codestream(), boxed(jxl(30, 20).put(0, 300).codestream()),
]  # fmt: skip


def survives(body, number=-1):
    with suppress(ImageCorrupt, UnsupportedSourceType):
        info = probe(body, number)
        assert info.width_px > 0
        assert info.height_px > 0
        assert 0 <= info.page < info.pages


@given(st.sampled_from(SAMPLES), st.integers(0, 400), st.binary(max_size=60))
@settings(max_examples=400)
def test_noise(sample, kept, noise):
    """Arbitrary bytes after any beginning: an answer or one of our errors."""
    survives(sample[:kept] + noise)


@given(
    st.sampled_from(SAMPLES),
    st.lists(st.tuples(st.integers(0, 300), st.integers(0, 255)), min_size=1, max_size=6),
    st.integers(-1, 9),
)
@settings(max_examples=500)
def test_changed_bytes(sample, changes, number):
    """Any few bytes changed: an answer or one of our errors, for any page."""
    body = bytearray(sample)
    for at, value in changes:
        body[at % len(body)] = value
    survives(bytes(body))
    survives(bytes(body), number)


FLOODS = {
    "tiff pages": tiff(*[page()] * 5000), "tiff entries": b"II*\0\x08\0\0\0" + b"\xff\xff" + bytes(12) * 65_535 + bytes(8),
    "icon entries": struct.pack("<HHH", 0, 1, 65_535) + bytes(16) * 65_535, "jxl boxes": b"\0\0\0\x0cJXL \r\n\x87\n" + hostile.box(b"free", b"") * 500_000,
    "heif boxes": hostile.box(b"ftyp", b"heic\0\0\0\0") + hostile.box(b"free", b"") * 500_000,
    "heif links": item((9, 9), more=hostile.box(b"ipma", bytes(4) + struct.pack(">I", 2**31) + (b"\0\1\xff" + bytes(255)) * 9000)),
}  # fmt: skip


@pytest.mark.parametrize("flood", sorted(FLOODS))
def test_reading_stays_cheap(flood):
    """D04, D09: megabytes of pages, fields or boxes take under half a second to refuse."""
    begun = time.process_time()
    with pytest.raises(ImageCorrupt):
        probe(FLOODS[flood])
    assert time.process_time() - begun < 0.5
