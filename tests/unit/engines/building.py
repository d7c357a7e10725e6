"""Files of TIFF, BMP, ICO, APNG, HEIF and JPEG XL that say of themselves whatever a test wants."""

import struct

from unit.engines import hostile


def tiff(*pages, order="<", big=False):
    """Directories of ``{tag: (type, values)}``, one after the other."""
    magic = {("<", False): b"II*\0", (">", False): b"MM\0*", ("<", True): b"II+\0", (">", True): b"MM\0+"}[order, big]
    body = magic + (struct.pack(order + "HHQ", 8, 0, 16) if big else struct.pack(order + "I", 8))
    for n, page in enumerate(pages):
        entries, extra = b"", b""
        size = 8 + 20 * len(page) + 8 if big else 2 + 12 * len(page) + 4
        for tag, (kind, values) in sorted(page.items()):
            data = struct.pack(f"{order}{len(values)}{ {1: 'B', 3: 'H', 4: 'I', 7: 'B'}[kind] }", *values)
            room = 8 if big else 4
            where = data.ljust(room, b"\0")
            if len(data) > room:
                where = struct.pack(order + ("Q" if big else "I"), len(body) + size + len(extra))
                extra += data
            entries += struct.pack(order + ("HHQ" if big else "HHI"), tag, kind, len(values)) + where
        after = len(body) + size + len(extra) if n < len(pages) - 1 else 0
        body += (
            struct.pack(order + ("Q" if big else "H"), len(page))
            + entries
            + struct.pack(order + ("Q" if big else "I"), after)
            + extra
        )
    return body


def page(width=9, height=7, **more):
    tags = {"bits": (258, 3), "samples": (277, 3), "planar": (284, 3), "extra": (338, 3), "format": (339, 3), "tile_width": (322, 4),
            "tile_height": (323, 4), "icc": (34675, 7), "compression": (259, 3), "xmp": (700, 1), "colours": (262, 3)}  # fmt: skip
    made = {256: (4, [width]), 257: (4, [height])}
    return made | {tags[name][0]: (tags[name][1], value) for name, value in more.items()}


def bitmap(size=40, width=5, height=5, bits=24, packing=0):
    return (
        b"BM"
        + bytes(8)
        + struct.pack("<II", 54, size)
        + struct.pack("<iiHHI", width, height, 1, bits, packing)
        + bytes(100)
    )


def icon(*bodies, count=None, at=None):
    head, rest = struct.pack("<HHH", 0, 1, len(bodies) if count is None else count), b""
    for body in bodies:
        where = 6 + 16 * len(bodies) + len(rest) if at is None else at
        head += bytes([16, 16, 0, 0]) + struct.pack("<HHII", 1, 32, len(body), where)
        rest += body
    return head + rest


def dib(width, height, bits=32):
    return struct.pack("<IiiHHI", 40, width, height * 2, 1, bits, 0) + bytes(60)


def actl(frames):
    return hostile.chunk(b"acTL", struct.pack(">II", frames, 0))


def hdlr(kind):
    return hostile.box(b"hdlr", bytes(8) + kind + bytes(13))


def track(kind=b"pict", size=(60, 40), frames=9, edit=b"", length=0):
    entry = struct.pack(">I", 86) + b"av01" + bytes(24) + struct.pack(">HH", *size) + bytes(50)
    stbl = hostile.box(b"stsd", bytes(4) + struct.pack(">I", 1) + entry) + hostile.box(
        b"stsz", bytes(8) + struct.pack(">I", frames)
    )
    mdia = hostile.box(b"mdia", hdlr(kind) + hostile.box(b"minf", hostile.box(b"stbl", stbl)))
    tkhd = hostile.box(b"tkhd", bytes(20) + struct.pack(">I", length) + bytes(60))
    return hostile.box(b"trak", tkhd + edit + mdia)


def elst(flags, once):
    return hostile.box(b"edts", hostile.box(b"elst", bytes([0, 0, 0, flags]) + struct.pack(">II", 1, once) + bytes(8)))


AVIS = hostile.box(b"ftyp", b"avis\0\0\0\0avifmif1")


def item(sides, *properties, of=1, more=b"", brand=b"heic"):
    """A picture of properties, associated one after the other, its ``ispe`` first."""
    props = hostile.ispe(*sides) + b"".join(properties)
    count = 1 + len(properties)
    ipma = hostile.box(b"ipma", bytes(4) + struct.pack(">IHB", 1, of, count) + bytes(range(1, count + 1)))
    pitm = hostile.box(b"pitm", bytes(4) + struct.pack(">H", 1))
    body = bytes(4) + pitm + more + hostile.box(b"iprp", hostile.box(b"ipco", props) + ipma)
    return hostile.box(b"ftyp", brand + bytes(4) + b"mif1") + hostile.box(b"meta", body)


class Bits:
    """Writes a JPEG XL header, lowest bit first."""

    def __init__(self):
        self.all, self.count = 0, 0

    def put(self, value, count):
        self.all |= value << self.count
        self.count += count
        return self

    def codestream(self):
        return b"\xff\x0a" + self.all.to_bytes(-(-self.count // 8) + 8, "little")


def jxl(width, height):
    """By the longest form of both sides, without a ratio; then all by default."""
    return Bits().put(0, 1).put(3, 2).put(height - 1, 30).put(0, 3).put(3, 2).put(width - 1, 30)


def boxed(codestream, name=b"jxlc"):
    return b"\0\0\0\x0cJXL \r\n\x87\n" + hostile.box(b"ftyp", b"jxl \0\0\0\0jxl ") + hostile.box(name, codestream)
