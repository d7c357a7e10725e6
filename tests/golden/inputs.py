"""A source of every kind that is read beside the first five, each with the pixels that it stands for.

BMP, ICO, APNG and the odd TIFFs are written here byte by byte, so that what reads them has nothing in common with what
wrote them. HEIC lies beside, as nothing that is installed here writes it: from `pictures`, with libheif and x265.
"""

import io
import struct
import zlib
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms

from golden import pictures
from imagemill.engines.decoders import heic, jxl, pyvips

HEIC = Path(__file__).parent / "heic"


def rgba(picture):
    return np.asarray(picture.convert("RGBA"), float)


def bmp(pixels, bits=24, *, top_down=False, header=40):
    """Rows of RGB or RGBA as a bitmap of 8 (grey palette), 16 (565), 24 or 32 bits; with masks where it takes them."""
    height, width = pixels.shape[:2]
    rows = pixels if top_down else pixels[::-1]
    if bits == 16:
        r, g, b = (rows[..., n].astype(np.uint16) for n in range(3))
        body = ((r >> 3 << 11) | (g >> 2 << 5) | (b >> 3)).astype("<u2")
        masks = struct.pack("<IIII", 0xF800, 0x07E0, 0x001F, 0)
    elif bits == 32:
        body = rows[..., [2, 1, 0, 3]].astype(np.uint8)
        masks = struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    else:
        body = rows[..., [2, 1, 0]].astype(np.uint8) if bits == 24 else rows[..., 0].astype(np.uint8)
        masks = b""
    stride = -(-width * bits // 32) * 4
    lines = [row.tobytes().ljust(stride, b"\0") for row in body]
    palette = b"".join(bytes([n, n, n, 0]) for n in range(256)) if bits == 8 else b""
    fields = struct.pack(
        "<IiiHHIIiiII", header, width, -height if top_down else height, 1, bits, 3 if masks else 0, 0, 0, 0, 0, 0
    )
    info = (fields + masks).ljust(header, b"\0") if header > 40 else fields + masks[:12]
    start = 14 + len(info) + len(palette)
    return b"BM" + struct.pack("<IHHI", start + stride * height, 0, 0, start) + info + palette + b"".join(lines)


def icon(*pictures_, kind=1, lie=None):
    """An icon (2: a cursor) of bitmaps with masks, given as RGBA arrays, and of PNGs, given as bytes."""
    head, bodies = struct.pack("<HHH", 0, kind, len(pictures_)), b""
    for one in pictures_:
        body, width, height = _entry(one)
        width, height = lie or (width, height)
        hot = (3, 5) if kind == 2 else (1, 32)
        at = 6 + 16 * len(pictures_) + len(bodies)
        head += bytes([width & 255, height & 255, 0, 0]) + struct.pack("<HHII", *hot, len(body), at)
        bodies += body
    return head + bodies


def _entry(one):
    if isinstance(one, bytes):
        return one, *struct.unpack_from(">II", one, 16)
    height, width = one.shape[:2]
    head = struct.pack("<IiiHHIIiiII", 40, width, height * 2, 1, 32, 0, 0, 0, 0, 0, 0)
    mask = bytes(-(-width // 32) * 4 * height)
    return head + one[::-1, :, [2, 1, 0, 3]].astype(np.uint8).tobytes() + mask, width, height


def masked_icon(pixels, hidden, alpha=None):
    """An icon seen through the mask alone: of 24 bits, or of 32 with an *alpha* that says nothing."""
    height, width = hidden.shape
    bits = 24 if alpha is None else 32
    colours = pixels[::-1, :, [2, 1, 0]]
    colours = colours if alpha is None else np.dstack([colours, np.full((height, width), alpha)])
    head = struct.pack("<IiiHHIIiiII", 40, width, height * 2, 1, bits, 0, 0, 0, 0, 0, 0)
    lines = [row.tobytes().ljust(-(-width * bits // 32) * 4, b"\0") for row in colours.astype(np.uint8)]
    mask = [np.packbits(row).tobytes().ljust(-(-width // 32) * 4, b"\0") for row in hidden[::-1]]
    body = head + b"".join(lines) + b"".join(mask)
    return (
        struct.pack("<HHH", 0, 1, 1)
        + bytes([width, height, 0, 0])
        + struct.pack("<HHII", 1, bits, len(body), 22)
        + body
    )


def apng(canvas, frames, plays=0, *, hidden=None, before=b""):
    """An APNG of ``(pixels, (x, y), (num, den), dispose, blend)``; *hidden* is a picture that is no frame."""
    height, width = canvas
    out = [b"\x89PNG\r\n\x1a\n", pictures.chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)), before,
           pictures.chunk(b"acTL", struct.pack(">II", len(frames), plays))]  # fmt: skip
    if hidden is not None:
        out.append(pictures.chunk(b"IDAT", _deflated(hidden)))
    number = 0
    for n, (pixels, (x, y), (num, den), dispose, blend) in enumerate(frames):
        h, w = pixels.shape[:2]
        out.append(pictures.chunk(b"fcTL", struct.pack(">IIIIIHHBB", number, w, h, x, y, num, den, dispose, blend)))
        number += 1
        if n == 0 and hidden is None:
            out.append(pictures.chunk(b"IDAT", _deflated(pixels)))
        else:
            out.append(pictures.chunk(b"fdAT", struct.pack(">I", number) + _deflated(pixels)))
            number += 1
    return b"".join([*out, pictures.chunk(b"IEND", b"")])


def _deflated(pixels):
    return zlib.compress(b"".join(b"\0" + row.astype(np.uint8).tobytes() for row in pixels))


def composed(canvas, frames):
    """What each frame of `apng` looks like: written from the specification, 12.5 of PNG's third edition."""
    shown, seen = np.zeros((*canvas, 4)), []
    for pixels, (x, y), _, dispose, blend in frames:
        before = shown.copy()
        h, w = pixels.shape[:2]
        spot = shown[y : y + h, x : x + w]
        new = pixels.astype(float)
        if blend:
            top, low = new[..., 3:] / 255, spot[..., 3:] / 255
            alpha = top + low * (1 - top)
            colour = (new[..., :3] * top + spot[..., :3] * low * (1 - top)) / np.maximum(alpha, 1e-9)
            new = np.dstack([colour, alpha * 255])
        shown[y : y + h, x : x + w] = new
        seen.append(shown.copy())
        if dispose == 1:
            shown[y : y + h, x : x + w] = 0
        elif dispose == 2:
            shown = before
    return seen


def tiff(pixels, format_="uchar", space="srgb", **options):
    """A TIFF of an array of samples, by libvips."""
    height, width, bands = pixels.shape
    image = pyvips.Image.new_from_memory(np.ascontiguousarray(pixels), width, height, bands, format_)
    return image.copy(interpretation=space).tiffsave_buffer(**options)


def tiff_apart(pixels):
    """A TIFF whose red, green and blue each have a strip of their own: libvips reads it in strips, Pillow always."""
    height, width, bands = pixels.shape
    planes = [pixels[..., n].astype(np.uint8).tobytes() for n in range(bands)]
    fields = [(256, 3, 1, width), (257, 3, 1, height), (258, 3, bands, None), (259, 3, 1, 1), (262, 3, 1, 2), (273, 4, bands, None),
              (277, 3, 1, bands), (278, 3, 1, height), (279, 4, bands, None), (284, 3, 1, 2)]  # fmt: skip
    rest = 8 + 2 + 12 * len(fields) + 4
    data = rest + 2 * bands + 8 * bands
    extra = struct.pack(f"<{bands}H", *[8] * bands)
    offsets, counts = [], []
    for plane in planes:
        offsets.append(data + sum(counts))
        counts.append(len(plane))
    where = {258: rest, 273: rest + 2 * bands, 279: rest + 6 * bands}
    extra += struct.pack(f"<{bands}I", *offsets) + struct.pack(f"<{bands}I", *counts)
    entries = b"".join(
        struct.pack("<HHII", tag, kind, count, where.get(tag, value)) for tag, kind, count, value in fields
    )
    return b"II*\0" + struct.pack("<IH", 8, len(fields)) + entries + bytes(4) + extra + b"".join(planes)


def pages(*pictures_):
    """A TIFF of several pages; of copies, as Pillow leaves at a picture how it was written last, maybe as a JPEG."""
    first, *others = (picture.copy() for picture in pictures_)
    return pictures.encoded(first, "TIFF", save_all=True, append_images=others)


def jxl_of(picture, **options):
    import pillow_jxl  # noqa: F401 - it registers itself

    return pictures.encoded(picture, "JXL", **{"lossless": True, "num_threads": 0} | options)


def deep(height=80, width=120):
    """A ramp of sixteen bits in each of three channels."""
    y, x = np.mgrid[0:height, 0:width]
    return np.dstack([x * 65535 // (width - 1), y * 65535 // (height - 1), 65535 - x * 65535 // (width - 1)]).astype(
        np.uint16
    )


def opaque(samples):
    return np.dstack([samples, np.full(samples.shape[:2], 255.0)])


@cache
def all_of_them():
    """Name to ``(file, pixels, tolerance)``: the mean difference that the coding itself is allowed."""
    photo, disc, corners = pictures.photo(240, 160), pictures.disc(size=96), pictures.corners()
    cmyk = corners.convert("CMYK")
    made = {
        "tiff": (tiff(np.asarray(photo)), rgba(photo), 1),
        "tiff lzw tiled": (tiff(np.asarray(photo), compression="lzw", tile=True, tile_width=64, tile_height=64), rgba(photo), 1),
        "tiff jpeg": (tiff(np.asarray(photo), compression="jpeg", Q=95), rgba(photo), 4),
        "tiff big": (tiff(np.asarray(photo), bigtiff=True), rgba(photo), 1),
        "tiff motorola": (pictures.encoded(photo, "TIFF", big_endian=True), rgba(photo), 1),
        "tiff alpha": (tiff(np.asarray(disc)), rgba(disc), 1),
        "tiff premultiplied": (tiff(np.asarray(disc), premultiply=True), rgba(disc), 2),
        "tiff grey": (pictures.encoded(photo.convert("L"), "TIFF"), rgba(photo.convert("L")), 1),
        "tiff fax": (pictures.encoded(photo.convert("1"), "TIFF", compression="group4"), rgba(photo.convert("1")), 1),
        "tiff palette": (pictures.encoded(photo.quantize(64), "TIFF"), rgba(photo.quantize(64)), 1),
        "tiff 16": (tiff(deep(), "ushort", "rgb16"), opaque(deep() / 257), 1),
        "tiff float": (tiff(_linear(deep() / 65535), "float", "scrgb"), opaque(deep() / 257), 1),
        "tiff uint": (tiff(deep().astype(np.uint32) * 65537, "uint", "rgb16"), opaque(deep() / 257), 1),
        "tiff lab": (_lab(photo), rgba(photo), 2),
        "tiff apart": (tiff_apart(np.asarray(photo)), rgba(photo), 1),
        "tiff cmyk": (pictures.encoded(cmyk, "TIFF"), _printed(cmyk), 1),
        "bmp 24": (bmp(np.asarray(photo)), rgba(photo), 1),
        "bmp top down": (bmp(np.asarray(photo), top_down=True), rgba(photo), 1),
        "bmp 8": (bmp(np.asarray(photo), 8), rgba(photo.getchannel("R")), 1),
        "bmp 565": (bmp(np.asarray(photo), 16), rgba(photo), 5),
        "bmp alpha": (bmp(np.asarray(disc), 32, header=108), rgba(disc), 1),
        "bmp alpha v5": (bmp(np.asarray(disc), 32, header=124), rgba(disc), 1),
        "ico": (icon(np.asarray(disc)), rgba(disc), 1),
        "ico png": (icon(pictures.encoded(disc, "PNG")), rgba(disc), 1),
        "cur": (icon(np.asarray(disc), kind=2), rgba(disc), 1),
        "avif grey": (pictures.encoded(photo.convert("L"), "AVIF", quality=95), rgba(photo.convert("L")), 3),
        "avif grey limited": (pictures.encoded(photo.convert("L"), "AVIF", quality=95, range="limited"), rgba(photo.convert("L")), 3),
    }  # fmt: skip
    if heic.AVAILABLE:
        made |= {
            "heic": ((HEIC / "opaque.heic").read_bytes(), rgba(photo), 3), "heic alpha": ((HEIC / "alpha.heic").read_bytes(), rgba(disc), 3),
            "heic turned": ((HEIC / "turned.heic").read_bytes(), np.rot90(rgba(corners), -1), 6),
            "heic mirrored": ((HEIC / "mirrored.heic").read_bytes(), rgba(corners).transpose(1, 0, 2), 6),
            "heic deep": ((HEIC / "deep.heic").read_bytes(), opaque(deep() / 257), 6),
            "heic profile": ((HEIC / "profile.heic").read_bytes(), rgba(photo)[..., [2, 1, 0, 3]], 3),
        }  # fmt: skip
    if jxl.AVAILABLE:
        made |= {
            "jxl": (jxl_of(photo), rgba(photo), 1), "jxl alpha": (jxl_of(disc), rgba(disc), 1), "jxl grey": (jxl_of(photo.convert("L")), rgba(photo.convert("L")), 1),
            "jxl lossy": (jxl_of(photo, lossless=False, quality=95), rgba(photo), 3), "jxl boxed": (jxl_of(photo, use_container=True), rgba(photo), 1),
            "jxl 16": (jxl_of(Image.fromarray(deep()[..., 0])), opaque(_lit(np.repeat(deep()[..., :1], 3, axis=2) / 65535)), 1),
        }  # fmt: skip
    return made


def _linear(samples):
    return np.where(samples <= 0.04045, samples / 12.92, ((samples + 0.055) / 1.055) ** 2.4).astype(np.float32)


def _lab(picture):
    array = np.asarray(picture)
    image = pyvips.Image.new_from_memory(array.tobytes(), picture.width, picture.height, 3, "uchar")
    return image.copy(interpretation="srgb").colourspace("lab").tiffsave_buffer()


def _printed(cmyk):
    """Through libvips' profile for print, by colorimetry."""
    profile = ImageCms.ImageCmsProfile(io.BytesIO(bytes(pyvips.Operation.call("profile_load", "cmyk"))))
    srgb = ImageCms.createProfile("sRGB")
    relative = ImageCms.Intent.RELATIVE_COLORIMETRIC
    return rgba(ImageCms.profileToProfile(cmyk, profile, srgb, renderingIntent=relative, outputMode="RGB"))


def _lit(light):
    """Linear light as sRGB, 0 to 255: what this writer of JPEG XL takes sixteen bits for, and says so in the file."""
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055) * 255


def read(body):
    return rgba(Image.open(io.BytesIO(body)))
