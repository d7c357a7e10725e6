"""What a font file says of itself: as FreeType reads it, or an error."""

import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ImageFont

from imagemill.engines import sfnt, typefaces

FILES = sorted(typefaces.home().glob("*.ttf"))
REGULAR = (typefaces.home() / "DejaVuSans.ttf").read_bytes()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_names(path):
    """Family and style are those that FreeType finds; weight and slant are those of the style."""
    (found,) = sfnt.described(memoryview(path.read_bytes()))

    assert (found.family, found.style) == ImageFont.truetype(str(path)).getname()
    assert (found.index, found.weight, found.width, found.slant) == (
        0,
        700 if "Bold" in path.stem else 400,
        5,
        "normal",
    )


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_coverage(path):
    """A character is there where FreeType draws something else for it than for one that cannot be there."""
    face = ImageFont.truetype(str(path), 20, layout_engine=ImageFont.Layout.BASIC)
    nothing = bytes(face.getmask("\U0010fffe"))
    covered = sfnt.coverage(memoryview(path.read_bytes()), 0)

    codes = [
        *range(0x21, 0x7F),
        *range(0x4E00, 0x4E10),
        *range(0x3A0, 0x3F0),
        *range(0x590, 0x700),
        *range(0x2190, 0x2200),
        *range(0x1F600, 0x1F650),
    ]
    wrong = [hex(c) for c in codes if (chr(c) in covered) == (bytes(face.getmask(chr(c))) == nothing)]

    assert [code for code in wrong if code != "0x61c"] == []  # a mark that is there, and looks like nothing


def collected(*fonts):
    """A collection of whole fonts, whose tables' offsets are from the collection's beginning."""
    at, starts, bodies = 12 + 4 * len(fonts), [], b""
    for font in fonts:
        start = at + len(bodies)
        (count,) = struct.unpack_from(">H", font, 4)
        moved = bytearray(font)
        for n in range(count):
            where = 12 + 16 * n + 8
            struct.pack_into(">I", moved, where, struct.unpack_from(">I", font, where)[0] + start)
        starts.append(start)
        bodies += bytes(moved)
    return b"ttcf" + struct.pack(">HHI", 1, 0, len(fonts)) + struct.pack(f">{len(fonts)}I", *starts) + bodies


def test_collection():
    """Each face of a collection is told apart."""
    both = memoryview(collected(*(path.read_bytes() for path in FILES)))

    assert [(face.index, face.weight) for face in sfnt.described(both)] == [(0, 700), (1, 400)]
    assert "ʩ" in sfnt.coverage(both, 1)


def minimal(cmap, **tables):
    """A font of no glyphs, with this map."""
    names = [("Name", 1), ("Bold", 2)]
    strings = b"".join(text.encode("utf-16-be") for text, _ in names)
    records = b"".join(struct.pack(">6H", 3, 1, 0x409, n, 8, 8 * at) for at, (_, n) in enumerate(names))
    made = {"cmap": cmap, "glyf": b"\0", "name": struct.pack(">3H", 0, 2, 6 + 24) + records + strings} | tables
    index, at, body = b"", 12 + 16 * len(made), b""
    for tag, data in made.items():
        index += struct.pack(">4sIII", tag.encode(), 0, at + len(body), len(data))
        body += data
    return memoryview(b"\0\1\0\0" + struct.pack(">HHHH", len(made), 0, 0, 0) + index + body)


def mapped(table, encoding=(3, 10)):
    return struct.pack(">HHHHI", 0, 1, *encoding, 12) + table


def test_map_of_all_planes():
    """Format 12: groups of characters; the glyph for what is missing is none."""
    groups = [(0x41, 0x43, 5), (0x1F600, 0x1F601, 0), (0x20000, 0x20000, 9)]
    table = struct.pack(">HHIII", 12, 0, 16 + 36, 0, 3) + b"".join(struct.pack(">3I", *group) for group in groups)

    found = sfnt.coverage(minimal(mapped(table)), 0)

    assert [c for c in "@ABCD\U0001f600\U0001f601\U0001f602\U00020000" if c in found] == [
        "A",
        "B",
        "C",
        "\U0001f601",
        "\U00020000",
    ]


def test_map_of_one_plane():
    """Format 4: by a delta, or by a list of glyphs in which 0 is none."""
    ends, starts, deltas, offsets, glyphs = (0x42, 0x52, 0xFFFF), (0x41, 0x50, 0xFFFF), (7, 0, 1), (0, 4, 0), (3, 0, 4)
    table = struct.pack(">7H", 4, 16 + 24 + 6, 0, 6, 0, 0, 0) + struct.pack(">3H", *ends) + b"\0\0"
    table += b"".join(struct.pack(">3H", *part) for part in (starts, deltas, offsets, glyphs))

    found = sfnt.coverage(minimal(mapped(table, (3, 1))), 0)

    assert [c for c in "@ABCOPQRS\uffff" if c in found] == ["A", "B", "P", "R"]


@pytest.mark.parametrize("body", [minimal(mapped(struct.pack(">H", 6))), minimal(mapped(b"", (1, 0))), minimal(b"")])
def test_no_map_that_is_known(body):
    """A font whose characters cannot be told is of no use."""
    with pytest.raises(ValueError):
        sfnt.coverage(body, 0)


def test_without_outlines_or_names():
    """What cannot be scaled, or called, is passed over."""
    assert sfnt.described(minimal(b""))[0].family == "Name"
    assert sfnt.described(memoryview(bytes(minimal(b"")).replace(b"glyf", b"CBDT"))) == ()
    assert sfnt.described(memoryview(bytes(minimal(b"")).replace("Name".encode("utf-16-be"), b"\0" * 8))) != ()


@pytest.mark.parametrize("length", [0, 3, 4, 11, 12, 40, 300, 1000, 50_000])
def test_cut_off(length):
    """A file that ends early is an error of one kind, or has said enough."""
    short = memoryview(REGULAR[:length])
    for reader in (sfnt.described, lambda data: sfnt.coverage(data, 0)):
        with pytest.raises(ValueError):
            reader(short)


@given(st.binary(max_size=300))
def test_any_bytes(junk):
    """Whatever bytes there are: faces, or one kind of error."""
    for body in (junk, b"\0\1\0\0" + junk, b"ttcf" + junk, REGULAR[:600] + junk):
        for reader in (sfnt.described, lambda data: sfnt.coverage(data, 0)):
            with suppress(ValueError):
                reader(memoryview(body))
