"""Files read by others than the engine: Pillow, and what the specifications say where Pillow does not tell.

Pixels are arrays of rows, columns, bands, in the depth of the file.
"""

import io
import struct
import zlib

import numpy as np
from PIL import Image, ImageCms

SAMPLE_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1}


def opened(body):
    picture = Image.open(io.BytesIO(body))
    picture.load()
    return picture


def tiff(body):
    """Tags of the first directory, as tuples or bytes, and the pixels: TIFF 6.0, compression 8, predictor 2."""
    order = {b"II": "<", b"MM": ">"}[body[:2]]
    magic, at = struct.unpack_from(f"{order}HI", body, 2)
    assert magic == 42
    assert at % 2 == 0
    (count,) = struct.unpack_from(f"{order}H", body, at)
    tags = {}
    for n in range(count):
        tag, kind, many = struct.unpack_from(f"{order}HHI", body, at + 2 + 12 * n)
        size, inline = SAMPLE_SIZES[kind] * many, at + 10 + 12 * n
        start = inline if size <= 4 else struct.unpack_from(f"{order}I", body, inline)[0]
        raw = body[start : start + size]
        tags[tag] = struct.unpack(f"{order}{many}{'H' if kind == 3 else 'I'}", raw) if kind in {3, 4} else raw
    assert list(tags) == sorted(tags)
    assert struct.unpack_from(f"{order}I", body, at + 2 + 12 * count) == (0,)
    parts = zip(tags[0x0111], tags[0x0117], strict=True)
    raw = b"".join(zlib.decompress(body[start : start + size]) for start, size in parts)
    kind = np.dtype(np.uint16 if tags[0x0102][0] == 16 else np.uint8).newbyteorder(order)
    rows = np.frombuffer(raw, kind).reshape(tags[0x0101][0], tags[0x0100][0], tags[0x0115][0])
    return tags, np.cumsum(rows, axis=1, dtype=np.uint64).astype(kind.newbyteorder("="))


def boxes(body, at=0, end=None):
    """Name and payload of each box of an ISO file, those inside others too."""
    end = len(body) if end is None else end
    while at + 8 <= end:
        size, name = struct.unpack_from(">I4s", body, at)
        yield name, body[at + 8 : at + size]
        if name in {b"moov", b"trak", b"mdia", b"edts", b"iprp", b"ipco"}:
            yield from boxes(body, at + 8, at + size)
        if name == b"meta":
            yield from boxes(body, at + 12, at + size)
        at += size


def avif_plays(body):
    """How often an image sequence is shown: ISO/IEC 14496-12, 8.6.6; 0 = for ever."""
    found = dict(boxes(body))
    (whole,) = struct.unpack_from(">Q", found[b"tkhd"], 28)
    (once,) = struct.unpack_from(">Q", found[b"elst"], 8)
    return 0 if whole == 2**64 - 1 else -(-whole // once)


def p3_of(rgb):
    """sRGB of eight bits as Display P3, by the primaries of both (D65, one transfer curve)."""
    linear = rgb / 255
    linear = np.where(linear <= 0.04045, linear / 12.92, ((linear + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    p3_to_xyz = np.array(
        [[0.4865709, 0.2656677, 0.1982173], [0.2289746, 0.6917385, 0.0792869], [0, 0.0451134, 1.0439444]]
    )
    linear = np.clip(linear @ (np.linalg.inv(p3_to_xyz) @ to_xyz).T, 0, 1)
    return 255 * np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)


def as_srgb(picture):
    """The pixels of a picture with a profile, brought to sRGB by littleCMS."""
    profile = ImageCms.ImageCmsProfile(io.BytesIO(picture.info["icc_profile"]))
    made = ImageCms.profileToProfile(picture.convert("RGB"), profile, ImageCms.createProfile("sRGB"))
    return np.asarray(made, float)
