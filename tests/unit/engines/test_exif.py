"""EXIF is read whatever it is, and written well."""

import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from imagemill.engines import exif


def sample(order="<"):
    tags = Image.Exif()
    tags.endian = order
    tags[0x010F], tags[0x0112], tags[0x013B], tags[0x8298] = "Maker", 6, "Anna Ä", "© 2026"
    tags[0x0100], tags[0x011A] = 4000, 72.5
    below = tags.get_ifd(0x8769)
    below[0x9003], below[0x829A], below[0x927C], below[0xA002] = "2026:01:02 03:04:05", (1, 125), b"x" * 99, 4000
    tags.get_ifd(0x8825).update({1: "N", 2: (48.0, 12.0, 30.5)})
    return tags.tobytes()[6:]


def seen(block):
    tags = Image.Exif()
    tags.load(block)
    return dict(tags), dict(tags.get_ifd(0x8769)), dict(tags.get_ifd(0x8825))


def pointing(times, *more):
    """A block whose directory has *times* entries of a thousand bytes, all the same ones, and *more* after them."""
    lines = [
        struct.pack("<HHII", tag, 7, 1000, 8 + 2 + 12 * (times + len(more)) + 4)
        for tag in range(0x9000, 0x9000 + times)
    ]
    return b"II*\0" + struct.pack("<IH", 8, times + len(more)) + b"".join([*lines, *more]) + bytes(4) + b"x" * 1000


def test_values_that_overlap_are_no_more_than_the_block():
    """A block of some thousand bytes that says it has hundreds of thousands stays one of some thousand."""
    block = pointing(400)
    assert 1000 <= sum(len(entry.raw) for entry in exif.read(block).top.entries.values()) <= len(block)


def test_a_directory_is_followed_once(monkeypatch):
    """However often it is pointed to: what points to itself through hundreds of entries would be walked for hours."""
    pointer = struct.pack("<HHII", 0x8769, 4, 1, 8)
    walked = []
    monkeypatch.setattr(exif, "_directory", lambda *given, walk=exif._directory: walked.append(1) or walk(*given))
    exif.read(pointing(1, *[pointer] * 400))
    assert len(walked) == 2


@pytest.mark.parametrize("prefix", [b"", b"Exif\0\0"])
def test_all_but_what_no_longer_holds(prefix):
    """Texts, times and places stay; orientation, sizes and maker's notes go."""
    top, below, gps = seen(exif.written(exif.read(prefix + sample())))

    before = seen(sample())
    assert {k: v for k, v in top.items() if k < 0x8000} == {t: before[0][t] for t in (0x010F, 0x011A, 0x013B)}
    assert below == {t: before[1][t] for t in (0x9003, 0x829A)}
    assert gps == before[2]


def test_copyright_alone():
    """Two tags, and no directory below."""
    top, below, gps = seen(exif.written(exif.copyright_of(exif.read(sample()))))
    assert set(top) == {0x013B, 0x8298}
    assert not below
    assert not gps


def test_both_byte_orders():
    """The one that a block came in is kept; values mean the same."""
    entry = exif.Entry(exif.SHORT, 1, b"\0\2")
    top = exif.Directory({0x0128: entry}, {0x8769: exif.Directory({0x8822: entry})})
    body = exif.written(exif.Block(">", top))
    assert body.startswith(b"MM")
    assert (seen(body)[0][0x0128], seen(body)[1]) == (2, {0x8822: 2})
    assert exif.written(exif.read(body)) == body


def test_nothing_is_nothing():
    """No block comes of no value."""
    for block in (b"", b"Exif\0\0", b"junk" * 20, b"II*\0\xff\xff\xff\xff"):
        assert exif.written(exif.read(block)) == b""


def test_a_text_without_an_end_gets_one():
    """ASCII ends with NUL."""
    body = exif.header("<", 8) + exif.laid_out(exif.Directory({0x013B: exif.Entry(exif.ASCII, 6, b"abcdef")}), "<", 8)
    assert exif.read(body).top.entries[0x013B].raw == b"abcdef\0"


def test_a_directory_that_points_to_itself():
    """No walk without end: each is read below the one that may hold it, and nowhere else."""
    top = exif.Directory({0x8769: exif.Entry(exif.LONG, 1, b"\x08\0\0\0"), 0x0131: exif.Entry(exif.ASCII, 2, b"a\0")})
    body = exif.header("<", 8) + exif.laid_out(top, "<", 8)
    assert exif.written(exif.read(body))


@given(st.binary(max_size=300), st.integers(0, 250), st.sampled_from([b"II*\0", b"MM\0*"]))
def test_whatever_comes_in_what_goes_out_is_well_formed(junk, at, magic):
    """Any bytes: what is written reads as itself, in two readers."""
    whole = bytearray(sample())
    whole[:4] = magic
    whole[8 + at : 8 + at + len(junk)] = junk

    body = exif.written(exif.read(bytes(whole)))

    assert exif.written(exif.read(body)) == body
    if body:
        picture = Image.new("L", (1, 1))
        out = io.BytesIO()
        picture.save(out, "JPEG", exif=b"Exif\0\0" + body)
        assert 0x0112 not in Image.open(out).getexif()
