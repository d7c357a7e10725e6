"""What is told of metadata: what is there, bounded, and never an error, whatever a file claims (D06, D09)."""

import json
import struct

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms

from imagemill.engines.description import exif, iptc, profile, xmp
from imagemill.engines.description.words import MOST_CHARS, MOST_TEXT, Room, decoded

ARTIST, COPYRIGHT, EXPOSURE, FNUMBER, DATE, MAKER_NOTE, VERSION, COMMENT = (
    0x013B, 0x8298, 0x829A, 0x829D, 0x9003, 0x927C, 0x9000, 0x9286,
)  # fmt: skip


def written(**tables):
    made = Image.Exif()
    for tag, value in tables.pop("image", {}).items():
        made[tag] = value
    for pointer, table in tables.items():
        made.get_ifd(int(pointer.removeprefix("at_"), 16)).update(table)
    return made.tobytes()


def whole(found):
    """*found* as JSON, and that no longer than all metadata may be."""
    body = msgspec.json.encode(found)
    assert len(body) < 20 * MOST_CHARS
    return json.loads(body)


class TestExif:
    def test_tables_by_name(self):
        """Texts, numbers, rationals and places, under the names of the standard."""
        raw = written(
            image={ARTIST: "Jane Doe", COPYRIGHT: "Jane", 0x0112: 6},
            at_8769={EXPOSURE: 0.004, FNUMBER: 2.8, DATE: "2024:05:06 07:08:09", VERSION: b"0231"},
            at_8825={1: "N", 2: (48.0, 51.0, 29.5)},
        )

        found = exif.told(raw, Room())

        assert found["image"] == {"Artist": "Jane Doe", "Copyright": "Jane", "Orientation": 6}
        assert found["exif"] == {
            "ExposureTime": 0.004,
            "FNumber": 2.8,
            "DateTimeOriginal": "2024:05:06 07:08:09",
            "ExifVersion": "0231",
        }
        assert found["gps"] == {"GPSLatitudeRef": "N", "GPSLatitude": [48.0, 51.0, 29.5]}

    def test_bytes_are_counted_and_not_shown(self):
        """No binary dumps: a maker's note is only so long."""
        raw = written(at_8769={MAKER_NOTE: bytes(range(256)) * 4})

        assert exif.told(raw, Room())["exif"] == {"MakerNote": {"bytes": 1024}}

    @pytest.mark.parametrize(
        ("kind", "value", "shown"),
        [
            (7, b"ASCII\0\0\0hello", "hello"), (7, b"UNICODE\0\1\2\3", {"bytes": 11}), (2, "© é\0x".encode(), "© é"),
            (2, b"\xa9 old", "© old"), (129, "Ü".encode() + bytes(9), "Ü"), (7, bytes(9), {"bytes": 9}),
            (1, bytes(9), {"bytes": 9}), (2, bytes(9), None),
        ],
    )  # fmt: skip
    def test_texts(self, kind, value, shown):
        """In whichever encoding; of what is none, only the length."""
        entry = struct.pack("<HHII", COMMENT, kind, len(value), 26)
        raw = b"II*\0" + struct.pack("<IH", 8, 1) + entry + bytes(4) + value

        assert exif.told(raw, Room()).get("image") == (shown and {"UserComment": shown})

    def test_a_ring_of_tables_is_walked_once(self):
        """A pointer that leads back to where it stands (D09)."""
        entry = struct.pack("<HHII", 0x8769, 4, 1, 8)
        raw = b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", 1) + entry + bytes(4)

        assert exif.told(raw, Room()) == {}

    @pytest.mark.parametrize("below", [(1, 0), (0, 0)])
    def test_a_rational_without_a_denominator_is_none(self, below):
        """Left out; null among others."""
        entries = struct.pack("<HHII", EXPOSURE, 5, 1, 38) + struct.pack("<HHII", FNUMBER, 5, 2, 38)
        raw = b"II*\0" + struct.pack("<IH", 8, 2) + entries + bytes(4) + struct.pack("<IIII", *below, 1, 4)

        assert exif.told(raw, Room())["image"] == {"FNumber": [None, 0.25]}

    def test_what_is_not_a_number_is_null(self):
        """JSON has no NaN."""
        entry = struct.pack("<HHII", 0x9999, 12, 2, 26)
        raw = b"II*\0" + struct.pack("<IH", 8, 1) + entry + bytes(4) + struct.pack("<dd", float("nan"), float("inf"))

        assert whole(exif.told(raw, Room())) == {"image": {"0x9999": [None, None]}}

    @pytest.mark.parametrize("cut", range(0, 200, 7))
    def test_what_is_whole_is_told(self, cut):
        """A file that breaks off is no error, and what is missing is admitted."""
        raw = written(image={ARTIST: "Jane Doe" * 9, 0x0112: 6})[:cut]
        room = Room()

        found = exif.told(raw, room)

        assert found.get("image", {}).get("Artist") is None or cut >= 72
        assert found == {} or room.was_short or cut > 100

    def test_no_more_than_there_is_room_for(self):
        """Two hundred long texts: the first are told, and that it was too much."""
        raw = written(image={0xC000 + n: "x" * 1_900 for n in range(200)})
        room = Room()

        found = exif.told(raw, room)

        assert room.was_short
        assert 10 < len(found["image"]) < 20
        whole(found)

    @given(
        st.binary(max_size=400), st.sampled_from([b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08", b"Exif\0\0II*\0\x08\0\0\0"])
    )
    def test_junk(self, junk, head):
        """Whatever the bytes, an answer that is JSON."""
        whole(exif.told(head + junk, Room()))


def packet(inner, more=""):
    return (
        f"<?xpacket begin='' id='W5M0MpCehiHzreSzNTczkc9d'?>{more}<x:xmpmeta xmlns:x='adobe:ns:meta/'>"
        "<rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#' xmlns:dc='http://purl.org/dc/elements/1.1/'"
        " xmlns:xmp='http://ns.adobe.com/xap/1.0/' xmlns:a='urn:a'>"
        f"{inner}</rdf:RDF></x:xmpmeta><?xpacket end='w'?>"
    ).encode()


class TestXmp:
    def test_properties(self):
        """Attributes, texts, lists, alternatives, structures and references."""
        raw = packet(
            "<rdf:Description rdf:about='' xmp:Rating='4'>"
            "<dc:creator><rdf:Seq><rdf:li>Jane</rdf:li><rdf:li>Joe</rdf:li></rdf:Seq></dc:creator>"
            "<dc:title><rdf:Alt><rdf:li xml:lang='x-default'>Dawn</rdf:li><rdf:li xml:lang='de'>Morgen</rdf:li></rdf:Alt>"
            "</dc:title><xmp:CreatorTool>Tool 1</xmp:CreatorTool><dc:source rdf:resource='urn:x'/>"
            "<a:place rdf:parseType='Resource'><a:city>Ulm</a:city></a:place>"
            "<a:parts><rdf:Bag><rdf:li rdf:parseType='Resource'><a:n>1</a:n></rdf:li></rdf:Bag></a:parts>"
            "<a:address><rdf:Description a:street='High'><a:no>7</a:no></rdf:Description></a:address>"
            "</rdf:Description><rdf:Description rdf:about='' xmp:Label='red'/>"
        )

        assert xmp.told(raw, Room()) == {
            "xmp:Rating": "4",
            "dc:creator": ["Jane", "Joe"],
            "dc:title": "Dawn",
            "xmp:CreatorTool": "Tool 1",
            "dc:source": "urn:x",
            "a:place": {"a:city": "Ulm"},
            "a:parts": [{"a:n": "1"}],
            "a:address": {"a:street": "High", "a:no": "7"},
            "xmp:Label": "red",
        }

    @pytest.mark.parametrize(
        "doctype",
        [
            "<!DOCTYPE x [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;'>]>",
            "<!DOCTYPE x SYSTEM 'file:///etc/passwd'>",
            "<!DOCTYPE x [<!ENTITY e SYSTEM 'http://127.0.0.1/'>]>",
        ],
    )
    def test_a_document_type_ends_it(self, doctype):
        """No entity of a stranger is ever read."""
        room = Room()

        found = xmp.told(packet("<rdf:Description><dc:title>&b;</dc:title></rdf:Description>", doctype), room)

        assert (found, room.was_short) == ({}, True)

    @pytest.mark.parametrize("inner", ["<a:b>" * 400, "<a:b/>" * 9_000, "<rdf:Description><a:b>" + "<rdf:li>" * 200])
    def test_too_deep_or_too_many(self, inner):
        room = Room()

        assert (xmp.told(packet(inner), room), room.was_short) == ({}, True)

    def test_what_is_whole_is_told(self):
        """A packet that breaks off keeps what came before."""
        raw = packet("<rdf:Description xmp:Rating='4'/><rdf:Description xmp:Label='red'/>").split(
            b"<rdf:Description xmp:L"
        )[0]
        room = Room()

        assert (xmp.told(raw, room), room.was_short) == ({"xmp:Rating": "4"}, True)

    @given(st.binary(max_size=300) | st.text("<>/rdf:li='x &;!", max_size=200).map(str.encode))
    def test_junk(self, junk):
        whole(xmp.told(junk, Room()))
        whole(xmp.told(packet(junk.decode("latin-1")), Room()))


def data_set(number, value, record=2):
    return struct.pack(">BBBH", 0x1C, record, number, len(value)) + value


def resource(number, value, name=b""):
    pascal = bytes([len(name)]) + name
    pascal += bytes(len(pascal) % 2)
    return b"8BIM" + struct.pack(">H", number) + pascal + struct.pack(">I", len(value)) + value + bytes(len(value) % 2)


class TestIptc:
    RECORD = (
        data_set(90, b"\x1b%G", 1) + data_set(25, b"sea") + data_set(25, "Öl".encode()) + data_set(120, b"A caption\0")
        + data_set(80, "Jos\xe9".encode("latin-1")) + data_set(200, b"no name")
    )  # fmt: skip
    TOLD = {"keywords": ["sea", "Öl"], "caption": "A caption", "byline": ["José"]}

    def test_a_record(self):
        """Named, several where several may be, UTF-8 or Latin-1."""
        assert iptc.told(self.RECORD, Room()) == self.TOLD

    @pytest.mark.parametrize("name", [b"", b"a", b"ab"])
    def test_in_the_resources_of_photoshop(self, name):
        """Found behind others, of odd and even length."""
        raw = b"Photoshop 3.0\0" + resource(0x03ED, b"odd", name) + resource(0x0404, self.RECORD, name)

        assert iptc.told(raw, Room()) == self.TOLD

    @given(
        st.binary(max_size=200),
        st.sampled_from([b"", b"Photoshop 3.0\0", b"Photoshop 3.0\x008BIM\x04\x04", b"\x1c\x02\x19"]),
    )
    def test_junk(self, junk, head):
        whole(iptc.told(head + junk, Room()))


class TestProfile:
    def test_both_kinds_of_description(self):
        """ICC 2 and 4 keep it differently."""
        two = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
        text = "Display P3".encode("utf-16-be")
        four = b"mluc" + bytes(4) + struct.pack(">II2s2sII", 1, 12, b"en", b"US", len(text), 28) + text
        old = b"desc" + bytes(4) + struct.pack(">I", 8) + b"Old one\0"

        def made(tag):
            return bytes(128) + struct.pack(">I4sII", 1, b"desc", 144, len(tag)) + tag

        assert profile.name(two) == "sRGB built-in"
        assert profile.name(made(four)) == "Display P3"
        assert profile.name(made(old)) == "Old one"

    @given(st.binary(max_size=300))
    def test_junk(self, junk):
        for head in (b"", bytes(128), bytes(128) + struct.pack(">I4sII", 1, b"desc", 144, 100)):
            assert isinstance(profile.name(head + junk), str)


class TestWords:
    def test_what_controls_is_replaced(self):
        """Escape sequences, direction marks and the like are not passed on to terminals and pages."""
        assert Room().text("a\x1b[31mb\u202ec\nd") == "a\N{REPLACEMENT CHARACTER}[31mb\N{REPLACEMENT CHARACTER}c\nd"

    def test_room(self):
        """One value is cut; what no longer fits is left out, and said to be."""
        room = Room(2 * MOST_TEXT)

        assert len(room.text("x" * (MOST_TEXT + 5))) == MOST_TEXT
        assert room.was_short
        assert room.text("y" * MOST_TEXT)
        assert room.text("z") is None

    def test_encodings(self):
        assert [decoded(raw) for raw in ("é".encode(), b"\xe9", b"a\0b")] == ["é", "é", "a"]
