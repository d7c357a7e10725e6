"""Files that lie, written byte by byte: small to send, large to believe."""

import struct
import zlib
from io import BytesIO

from PIL import Image

PNG = b"\x89PNG\r\n\x1a\n"


def encoded(kind, size=(40, 30), **options):
    out = BytesIO()
    picture = Image.linear_gradient("L").resize(size)
    (picture if options.pop("grey", False) else picture.convert("RGB")).save(out, kind, **options)
    return out.getvalue()


def saved(picture, kind):
    out = BytesIO()
    picture.save(out, kind)
    return out.getvalue()


def chunk(name, body):
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def ihdr(width, height, bits=8, colour=2, interlace=0):
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, interlace))


def png(width, height, bits=8, colour=2, interlace=0, before=b"", after=b""):
    idat = chunk(b"IDAT", zlib.compress(bytes(1000)))
    return PNG + ihdr(width, height, bits, colour, interlace) + before + idat + after + chunk(b"IEND", b"")


def real_png(before=b"", after=b""):
    """A whole 8 x 8 picture with chunks put in."""
    idat = chunk(b"IDAT", zlib.compress((b"\0" + bytes(24)) * 8))
    return PNG + ihdr(8, 8) + before + idat + after + chunk(b"IEND", b"")


def jpeg(width, height, bands=3):
    whole = encoded("JPEG")
    at = whole.index(b"\xff\xc0")
    return whole[: at + 5] + struct.pack(">HH", height, width) + whole[at + 9 :]


def segment(marker, body):
    return b"\xff" + bytes([marker]) + struct.pack(">H", len(body) + 2) + body


def with_segments(body, *segments):
    return body[:2] + b"".join(segments) + body[2:]


def many_scans(count):
    """A progressive JPEG whose last scan comes again and again."""
    whole = encoded("JPEG", progressive=True)
    last = whole.rindex(b"\xff\xda")
    return whole[:-2] + whole[last:-2] * count + b"\xff\xd9"


def gif(width, height, frames=1, at=(0, 0), size=None, flags=0x80):
    w, h = size or (width, height)
    frame = b"," + struct.pack("<HHHHB", *at, w, h, 0) + b"\x02\x02\x44\x01\x00"
    return b"GIF89a" + struct.pack("<HHBBB", width, height, flags, 0, 0) + bytes(6) + frame * frames + b";"


def gif_comments(count):
    """A picture after at least *count* bytes of comments."""
    whole = gif(8, 8)
    comment = b"!\xfe" + (b"\xff" + bytes(255)) * (count // 255 + 1) + b"\0"
    return whole[:19] + comment + whole[19:]


def riff(*parts):
    body = b"WEBP" + b"".join(parts)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def webp_chunk(name, body):
    return name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) & 1)


def u24(number):
    return struct.pack("<I", number)[:3]


def vp8x(width, height, flags=0):
    return webp_chunk(b"VP8X", bytes([flags, 0, 0, 0]) + u24(width - 1) + u24(height - 1))


def vp8l(width, height):
    return webp_chunk(b"VP8L", b"\x2f" + struct.pack("<I", (width - 1) | (height - 1) << 14) + bytes(20))


def anmf(width, height, at=(0, 0)):
    head = u24(at[0] // 2) + u24(at[1] // 2) + u24(width - 1) + u24(height - 1) + u24(50) + b"\0"
    return webp_chunk(b"ANMF", head + vp8l(width, height))


def animated_webp(canvas, frames, **frame):
    anim = webp_chunk(b"ANIM", bytes(6))
    return riff(vp8x(*canvas, flags=2), anim, *[anmf(**{"width": 8, "height": 8, **frame})] * frames)


def box(name, body):
    return struct.pack(">I", len(body) + 8) + name + body


FTYP = box(b"ftyp", b"avif\0\0\0\0avifmif1miaf")


def ispe(width, height):
    return box(b"ispe", bytes(4) + struct.pack(">II", width, height))


def avif(width, height):
    """A real AVIF that says it is of another size."""
    whole = encoded("AVIF", quality=50)
    at = whole.index(b"ispe") + 8
    return whole[:at] + struct.pack(">II", width, height) + whole[at + 8 :]


def nested_avif(depth):
    body = ispe(10, 10)
    for _ in range(depth):
        body = box(b"iprp", body)
    return FTYP + box(b"meta", bytes(4) + body)


def grid_avif(references):
    iref = box(b"iref", bytes(4) + box(b"dimg", struct.pack(">HH", 1, references & 0xFFFF) + b"\0\2" * references))
    return FTYP + box(b"meta", bytes(4) + iref + box(b"iprp", box(b"ipco", ispe(100, 100))))
