"""D01-D10 at the first wall: what a header claims is read right, and nothing it says hurts the reader."""

import time
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from imagemill.engines.headers import probe, sniff
from imagemill.model.errors import ImageCorrupt, UnsupportedSourceType
from imagemill.model.media import Format
from unit.engines import hostile

KINDS = ["JPEG", "PNG", "GIF", "WEBP", "AVIF"]
SAMPLES = [
    *(hostile.encoded(kind) for kind in KINDS), hostile.encoded("JPEG", progressive=True), hostile.encoded("WEBP", lossless=True),
    hostile.animated_webp((8, 8), 3), hostile.gif(9, 9, 3), hostile.nested_avif(5), hostile.grid_avif(3),
    hostile.real_png(before=hostile.chunk(b"tEXt", b"a\0b")),
]  # fmt: skip


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (255, 256), (1000, 7), (64, 500)])
@pytest.mark.parametrize("kind", KINDS)
def test_size_and_format(kind, size):
    """Five formats, whatever the size; bytes and memory alike."""
    body = hostile.encoded(kind, size)
    for source in (body, memoryview(body)):
        info = probe(source)
        assert (info.format, info.width_px, info.height_px, info.frames) == (Format(kind.lower()), *size, 1)
    assert sniff(body) is info.format


def saved(picture, kind, **options):
    out = BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


@pytest.mark.parametrize(
    ("mode", "kind", "channels", "alpha", "bits"),
    [
        ("L", "PNG", 1, False, 8), ("LA", "PNG", 2, True, 8), ("RGB", "PNG", 3, False, 8), ("RGBA", "PNG", 4, True, 8),
        ("I;16", "PNG", 1, False, 16), ("P", "PNG", 3, False, 8), ("1", "PNG", 1, False, 1), ("L", "JPEG", 1, False, 8),
        ("RGB", "JPEG", 3, False, 8), ("CMYK", "JPEG", 4, False, 8), ("RGB", "WEBP", 3, False, 8), ("RGBA", "WEBP", 4, True, 8),
        ("RGB", "AVIF", 3, False, 8), ("RGBA", "AVIF", 4, True, 8),
    ],
)  # fmt: skip
def test_channels_alpha_and_bits(mode, kind, channels, alpha, bits):
    """What decides how many bytes the pixels will take."""
    info = probe(saved(Image.new(mode, (20, 10)), kind))
    assert (info.channels, info.has_alpha, info.bits) == (channels, alpha, bits)


@pytest.mark.parametrize("kind", ["GIF", "WEBP"])
def test_frames(kind):
    """Frames are counted without decoding one."""
    frames = [Image.new("RGB", (20, 10), (n, 0, 0)) for n in range(0, 250, 25)]
    assert probe(saved(frames[0], kind, save_all=True, append_images=frames[1:])).frames == 10


def test_scans_interlace_and_metadata():
    """Progressive scans, interlacing, text, EXIF and profiles."""
    assert probe(hostile.encoded("JPEG", progressive=True)).scans > 2
    assert probe(hostile.encoded("JPEG")).scans == 1
    assert probe(hostile.many_scans(300)).scans > 300
    assert probe(hostile.png(9, 9, interlace=1)).interlaced
    for kind in ("JPEG", "PNG", "WEBP", "AVIF"):
        info = probe(hostile.encoded(kind, exif=b"Exif\0\0II*\0\x08\0\0\0" + bytes(5000), icc_profile=bytes(3000)))
        assert 3000 <= info.icc_bytes < 3200 or (kind == "PNG" and info.icc_bytes > 0), "compressed in PNG"
        assert 5000 <= info.metadata_bytes < 6000 or kind == "AVIF"


def test_repeated_baseline_scans_are_counted():
    """D07: scans of a sequential JPEG count, too, where the first does not hold all components."""
    whole = hostile.encoded("JPEG", grey=True)
    at = whole.index(b"\xff\xc0")
    two = whole[: at + 9] + b"\x02" + whole[at + 10 :]  # says it has two components; the scan has one
    scan = two[two.index(b"\xff\xda") : -2]
    assert probe(two[:-2] + scan * 500 + b"\xff\xd9").scans >= 500


@pytest.mark.parametrize(
    ("body", "size"),
    [
        (hostile.png(50_000, 50_000), (50_000, 50_000)), (hostile.png(1_000_000, 1), (1_000_000, 1)),
        (hostile.jpeg(65_500, 65_500), (65_500, 65_500)), (hostile.gif(65_535, 65_535), (65_535, 65_535)),
        (hostile.gif(10, 10, at=(60_000, 50_000)), (60_010, 50_010)), (hostile.avif(60_000, 60_000), (60_000, 60_000)),
        (hostile.riff(hostile.vp8l(16_383, 16_383)), (16_383, 16_383)),
        (hostile.riff(hostile.vp8x(1 << 24, 1 << 24, 2), hostile.anmf(8, 8)), (1 << 24, 1 << 24)),
    ],
)  # fmt: skip
def test_huge_claims_are_believed(body, size):
    """D01, D03: the claim itself is what the limits judge."""
    info = probe(body)
    assert (info.width_px, info.height_px) == size


@pytest.mark.parametrize(
    "body",
    [
        hostile.real_png(before=hostile.ihdr(9, 9)), hostile.png(0, 5), hostile.png(5, 5, colour=5), hostile.jpeg(0, 5),
        hostile.jpeg(5, 0), hostile.riff(hostile.vp8x(500, 500), hostile.vp8l(16, 16)), hostile.riff(hostile.vp8x(500, 500)),
        hostile.animated_webp((8, 8), 3, width=9), hostile.animated_webp((8, 8), 3, at=(2, 0)), hostile.animated_webp((8, 8), 0),
        hostile.riff(b""), hostile.riff(hostile.webp_chunk(b"VP8 ", bytes(30))), hostile.FTYP, hostile.nested_avif(3000),
        hostile.grid_avif(62_500), hostile.FTYP + hostile.box(b"free", b"") * 5000, hostile.FTYP + b"\0\0\0\4meta" + bytes(50),
        hostile.FTYP + b"\0\0\0\1meta" + bytes(8) + bytes(50), hostile.gif(0, 0), b"GIF89a", b"\xff\xd8\xff", b"\xff\xd8\xff\xd9",
        hostile.PNG, b"RIFF\0\0\0\0WEBP",
        hostile.with_segments(hostile.encoded("JPEG"), hostile.segment(0xC0, bytes(15))),
    ],
)  # fmt: skip
def test_contradictions(body):
    """D05, D09, D10: headers that contradict themselves, break off or go round in circles."""
    with pytest.raises(ImageCorrupt):
        probe(body)


@pytest.mark.parametrize("head", [b"", b"\0", b"<svg", b"%PDF-1.7", b"II*", b"B", b"vips", b"\0\0\2\0" + bytes(12), b"\x00\x00\x00\x18ftypmif1" + bytes(12),
                                  b"\x00\x00\x00\x0cftypmp42", b"RIFF\0\0\0\0WAVE", b"GIF88a", b"\xff\xd8", b"#EXTM3U", b"\x1f\x8b",
                                  b"\x00\x00\x00\x1cftypavif\0\0\0\0mif1heic" + bytes(4)])  # fmt: skip
def test_everything_else_is_unsupported(head):
    """D14, F07: the formats that are read by their first bytes, and no other; some TGAs begin as cursors do."""
    with pytest.raises(UnsupportedSourceType):
        probe(head)


FLOODS = {
    "jpeg segments": hostile.with_segments(hostile.encoded("JPEG"), hostile.segment(0xE5, b"") * 2_000_000),
    "jpeg restarts": hostile.with_segments(hostile.encoded("JPEG"), b"\xff\xd0" * 4_000_000),
    "jpeg filling": hostile.with_segments(hostile.encoded("JPEG"), b"\xff" * 8_000_000),
    "jpeg zeros": hostile.with_segments(hostile.encoded("JPEG"), hostile.segment(0xE5, b""), bytes(8_000_000)),
    "png chunks": hostile.real_png(before=b"\0\0\0\0junk\0\0\0\0" * 600_000),
    "gif tiny blocks": hostile.gif(9, 9)[:-4] + b"\x01\xff" * 15_000_000,
    "gif frames": hostile.gif(1, 1, 500_000),
    "gif extensions": hostile.gif(9, 9)[:-1] + b"!\xfe\x00" * 2_500_000,
    "webp chunks": hostile.riff(hostile.vp8x(8, 8, 2), hostile.webp_chunk(b"junk", b"") * 1_000_000),
    "avif boxes": hostile.FTYP + hostile.box(b"free", b"") * 1_000_000,
}


@pytest.mark.parametrize("flood", sorted(FLOODS))
def test_reading_stays_cheap(flood):
    """D04, D06, D09: eight megabytes of blocks, segments or boxes take under half a second to refuse or to count."""
    begun = time.process_time()
    with pytest.raises(ImageCorrupt):
        probe(FLOODS[flood])
    assert time.process_time() - begun < 0.5


def survives(body):
    try:
        info = probe(body)
    except (ImageCorrupt, UnsupportedSourceType):
        return
    assert min(info.width_px, info.height_px, info.frames) >= 1


@given(st.binary(max_size=300), st.sampled_from(SAMPLES), st.integers(0, 40))
@settings(max_examples=300)
def test_noise(noise, sample, kept):
    """Arbitrary bytes after any beginning: an answer or one of our errors."""
    survives(noise)
    survives(sample[:kept] + noise)


@given(st.sampled_from(SAMPLES), st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=6))
@settings(max_examples=400)
def test_changed_bytes(sample, changes):
    """Any few bytes changed: an answer or one of our errors."""
    body = bytearray(sample)
    for at, value in changes:
        body[at % len(body)] = value
    survives(bytes(body))


def test_every_truncation():
    """Cut anywhere: an answer or one of our errors."""
    for sample in SAMPLES:
        for length in range(min(len(sample), 600)):
            survives(sample[:length])
            survives(memoryview(sample)[:length])
