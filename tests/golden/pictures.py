"""Small pictures made in code: every kind of source that the engine accepts, with known pixels."""

import io
import struct
import zlib
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms

import imagemill

SAMPLE = Path(imagemill.__file__).parent / "samples" / "dandelion.jpg"


def encoded(picture, kind, **options):
    out = io.BytesIO()
    picture.copy().save(out, kind, **options)  # Pillow leaves its encoder's options on what it saves
    return out.getvalue()


@cache
def photo(width=600, height=400):
    """The sample photograph, reduced."""
    return Image.open(SAMPLE).convert("RGB").resize((width, height), Image.Resampling.LANCZOS)


@cache
def gradient(width=256, height=160):
    """Smooth in every channel, different at every corner."""
    y, x = np.mgrid[0:height, 0:width]
    red, green = x * 255 / (width - 1), y * 255 / (height - 1)
    return Image.fromarray(np.dstack([red, green, 255 - (red + green) / 2]).round().astype(np.uint8))


@cache
def corners(width=120, height=80):
    """Four coloured quarters: what lies where is seen at a glance."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[: height // 2, : width // 2] = (250, 20, 20)
    pixels[: height // 2, width // 2 :] = (20, 250, 20)
    pixels[height // 2 :, : width // 2] = (20, 20, 250)
    pixels[height // 2 :, width // 2 :] = (240, 240, 20)
    return Image.fromarray(pixels)


@cache
def disc(hidden=(0, 0, 0), size=160):
    """A soft orange disc; *hidden* is the colour of wholly transparent pixels, which must never be seen."""
    y, x = np.mgrid[0:size, 0:size] - (size - 1) / 2
    alpha = np.clip((size * 0.4 - np.hypot(x, y)) * 12 + 128, 0, 255)
    colour = np.where(alpha[..., None] > 0, np.array([255, 140, 30]), np.array(hidden))
    return Image.fromarray(np.dstack([colour, alpha]).astype(np.uint8), "RGBA")


def png16(samples):
    """A 16-bit PNG of *samples*, height x width x 1 to 4, written chunk by chunk."""
    height, width, bands = samples.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    header = struct.pack(">IIBBBBB", width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[bands], 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def exif(orientation):
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags.tobytes()


@cache
def swapped_profile():
    """An RGB profile whose red is blue and whose blue is red: nobody can ignore it unseen."""
    whole = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    tags = {
        whole[at : at + 4]: at for at in range(132, 132 + 12 * struct.unpack(">I", whole[128:132])[0], 12)
    }  # fmt: skip
    red, blue = tags[b"rXYZ"], tags[b"bXYZ"]
    swapped = bytearray(whole)
    swapped[red + 4 : red + 12], swapped[blue + 4 : blue + 12] = whole[blue + 4 : blue + 12], whole[red + 4 : red + 12]
    return bytes(swapped)


def grey_profile(gamma=1.0):
    """A profile for grey, written by the specification (ICC.1, 7.2 and 7.3): linear light, so that it shows where used."""
    white = struct.pack(">III", 0xF6D6, 0x10000, 0xD32D)
    point, curve = b"XYZ \0\0\0\0" + white, b"curv\0\0\0\0" + struct.pack(">IH2x", 1, round(gamma * 256))
    table = struct.pack(">I4sII4sII", 2, b"wtpt", 156, len(point), b"kTRC", 156 + len(point), len(curve))
    head = struct.pack(
        ">I4sI4s4s4s12x4s28x", 156 + len(point) + len(curve), b"", 0x02100000, b"mntr", b"GRAY", b"XYZ ", b"acsp"
    )
    return (head + white).ljust(128, b"\0") + table + point + curve


def animation(kind, durations=(40, 120, 70, 300), loop=5, size=(60, 40)):
    """A square that wanders over a ground that changes colour from frame to frame."""
    frames = []
    for n in range(len(durations)):
        frame = Image.new("RGB", size, (40 + 50 * n, 200 - 50 * n, 90))
        frame.paste((250, 250, 250), (5 + 12 * n, 10, 15 + 12 * n, 20))
        frames.append(frame)
    options = {"lossless": True} if kind == "WEBP" else {}
    return encoded(
        frames[0], kind, save_all=True, append_images=frames[1:], duration=list(durations), loop=loop, **options
    )
