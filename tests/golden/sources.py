"""One picture in every kind of file that operations have to hold for, each with its true pixels.

All are 120 x 80 once they are upright. The truth is what an independent decoder (Pillow, and littleCMS through it where
there is a profile) makes of the file, or the samples that were written: RGBA of 0 to 255, not premultiplied, as floats.

To hold an operation to a second implementation of it, on all of them::

    @sources.everywhere
    def test_negate(source):
        source.check(lambda pixels: reference.negated(pixels), 1.0, negate="1")
"""

import io
import itertools
import struct
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image, ImageCms

from golden import pictures, reference
from golden.mill import mill
from imagemill.engines.decoded import pyvips

WIDTH, HEIGHT = 120, 80
DELAYS_MS = (40, 120, 70)
LOSSY = 2.5
"""Levels, mean, that WebP of quality 100 may add to the tolerance: it keeps half of the colour's resolution."""


class Source(NamedTuple):
    """An encoded picture, and what every decoder should make of it."""

    name: str
    body: bytes
    frames: tuple[np.ndarray, ...]
    delays_ms: tuple[int, ...] = ()

    @property
    def pixels(self):
        """Those of the first frame."""
        return self.frames[0]

    def check(self, operation: Callable[[np.ndarray], np.ndarray], tolerance=1.0, **given):
        """Hold what *given* parameters make of it to *operation*: sizes exactly, pixels within a mean of *tolerance*.

        Every frame is looked at, and when it is shown. What was rendered is returned.
        """
        made = self.rendered(**given)
        found = frames_of(made.body)

        assert len(found) == len(self.frames) == made.frames
        for number, (frame, seen) in enumerate(zip(self.frames, found, strict=True)):
            wanted = operation(frame)
            assert (made.height_px, made.width_px) == seen.shape[:2] == wanted.shape[:2]
            off = reference.difference(seen, wanted)
            assert off <= tolerance + (LOSSY if self.delays_ms else 0), (self.name, number, off)
        if self.delays_ms:
            assert delays_ms_of(made.body) == self.delays_ms
        return made

    def rendered(self, **given):
        """What *given* parameters make of it, in a format that holds all of it: PNG, or WebP where it moves."""
        written = {"format": "webp", "quality": "100"} if self.delays_ms else {"format": "png"}
        return mill(self.body, **written | given)


def frames_of(body):
    """All frames of an encoded picture, as Pillow reads them."""
    picture = Image.open(io.BytesIO(body))
    made = []
    for number in range(getattr(picture, "n_frames", 1)):
        picture.seek(number)
        made.append(np.asarray(picture.convert("RGBA"), float))
    return tuple(made)


def delays_ms_of(body):
    """How long each frame is shown."""
    picture = Image.open(io.BytesIO(body))
    made = []
    for number in range(picture.n_frames):
        picture.seek(number)
        picture.load()
        made.append(int(picture.info["duration"]))
    return tuple(made)


@cache
def _photo():
    return pictures.photo(WIDTH, HEIGHT)


def _still(name, body):
    return Source(name, body, frames_of(body))


def _opaque():
    return _still("opaque", pictures.encoded(_photo(), "PNG"))


def _grey():
    return _still("grey", pictures.encoded(_photo().convert("L"), "PNG"))


def _alpha():
    """All densities, in every row; the wholly transparent has a loud colour that must never be seen."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    alpha = np.clip(np.hypot(x - WIDTH / 2, y - HEIGHT / 2) * 8 - 40, 0, 255).astype(np.uint8)
    colour = np.where(alpha[..., None] > 0, np.asarray(_photo()), np.array([0, 255, 0], np.uint8))
    return _still("alpha", pictures.encoded(Image.fromarray(np.dstack([colour, alpha]), "RGBA"), "PNG"))


def _cmyk():
    """Without a profile: then libvips' own for CMYK is what it is read by, colorimetrically."""
    body = pictures.encoded(_photo().convert("CMYK"), "JPEG", quality=97, subsampling=0)
    own = pyvips.Operation.call("profile_load", "cmyk")
    return Source("cmyk", body, (_seen(body, own, ImageCms.Intent.RELATIVE_COLORIMETRIC, 0),))


def _cmyk_profile():
    profile = cmyk_profile()
    body = pictures.encoded(_photo().convert("CMYK"), "JPEG", quality=97, subsampling=0, icc_profile=profile)
    return Source("cmyk-profile", body, (_seen(body, profile),))


def _rgb_profile():
    profile = pictures.swapped_profile()
    body = pictures.encoded(_photo(), "PNG", icc_profile=profile)
    return Source("rgb-profile", body, (_seen(body, profile),))


def _deep():
    """16 bits a sample, none of which are whole multiples of the eight-bit ones."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    samples = np.dstack([x * 65535 // 119, y * 65535 // 79, 65535 - x * 65535 // 119, 20000 + y * 45535 // 79])
    return Source("deep", pictures.png16(samples), (samples / 257,))


def _rotated():
    """Stored on its side (EXIF 6), as cameras do."""
    stored = _photo().transpose(Image.Transpose.ROTATE_90)
    body = pictures.encoded(stored, "JPEG", quality=97, subsampling=0, exif=pictures.exif(6))
    return Source("rotated", body, (reference.upright(body),))


def _animated_webp():
    ground = np.asarray(pictures.gradient(WIDTH, HEIGHT))
    frames = [
        Image.fromarray(np.ascontiguousarray(one)) for one in (ground, ground[:, ::-1] // 2, 255 - ground[::-1] // 4)
    ]
    return _animated("animated-webp", frames, "WEBP", lossless=True)


def _animated_gif():
    """Three large stripes on nothing, which move."""
    colours = [(0, 0, 0), (200, 60, 40), (50, 170, 80), (70, 80, 190)]
    frames = []
    for number in range(len(DELAYS_MS)):
        frame = Image.new("P", (WIDTH, HEIGHT), 0)
        frame.putpalette([part for colour in colours for part in colour])
        for stripe in range(3):
            top = 8 + 24 * ((stripe + number) % 3)
            frame.paste(stripe + 1, (20 + 8 * number, top, 100 + 4 * stripe, top + 24))
        frames.append(frame)
    return _animated("animated-gif", frames, "GIF", disposal=2, transparency=0)


def _animated(name, frames, kind, **options):
    body = pictures.encoded(
        frames[0], kind, save_all=True, append_images=frames[1:], duration=list(DELAYS_MS), loop=0, **options
    )
    return Source(name, body, frames_of(body), DELAYS_MS)


def _seen(body, profile, intent=ImageCms.Intent.PERCEPTUAL, flags=ImageCms.Flags.BLACKPOINTCOMPENSATION):
    """What littleCMS makes of a picture with this profile."""
    srgb = ImageCms.createProfile("sRGB")
    given = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    seen = ImageCms.profileToProfile(Image.open(io.BytesIO(body)), given, srgb, intent, "RGB", flags=flags)
    return np.asarray(seen.convert("RGBA"), float)


@cache
def cmyk_profile():
    """A small CMYK profile made here, which takes cyan for yellow and yellow for cyan: it cannot be ignored unseen."""
    steps = np.linspace(0, 1, 9)
    inks = np.array(list(itertools.product(steps, repeat=4)))
    red, green, blue = ((1 - inks[:, n]) * (1 - inks[:, 3]) for n in (2, 1, 0))
    table = _lut16(len(steps), _lab(np.stack([red, green, blue], 1)))
    tags = {b"desc": _description("swapped inks"), b"wtpt": _xyz(0.9642, 1.0, 0.8249), b"A2B0": table}
    at, index, bodies = 128 + 4 + 12 * len(tags), b"", b""
    for name, tag in tags.items():
        index += struct.pack(">4sII", name, at + len(bodies), len(tag))
        bodies += tag + b"\0" * (-len(tag) % 4)
    size = at + len(bodies)
    head = struct.pack(">I4sI4s4s4s", size, b"none", 0x02400000, b"prtr", b"CMYK", b"Lab ")
    head += struct.pack(">6H4s", 2020, 1, 1, 0, 0, 0, b"acsp") + b"\0" * 28 + _xyz(0.9642, 1.0, 0.8249)[8:]
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + index + bodies


def _lab(rgb):
    """Lab (D50) of sRGB colours, in the sixteen bits of an ICC.1:2001 table."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    to_d50 = np.array([[0.4361, 0.3851, 0.1431], [0.2225, 0.7169, 0.0606], [0.0139, 0.0971, 0.7141]])
    relative = linear @ to_d50.T / np.array([0.9642, 1.0, 0.8249])
    f = np.where(relative > (6 / 29) ** 3, np.cbrt(relative), relative / (3 * (6 / 29) ** 2) + 4 / 29)
    light, a, b = 116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])
    scaled = np.stack([light * 652.8, (a + 128) * 256, (b + 128) * 256], 1)
    return np.clip(scaled.round(), 0, 65535).astype(">u2")


def _lut16(points, values):
    """A ``mft2`` tag (ICC.1:2001, 6.5.7) from four inks to Lab, with straight curves."""
    identity = struct.pack(">9i", *(65536 if n % 4 == 0 else 0 for n in range(9)))
    straight = struct.pack(">HH", 0, 65535)
    head = struct.pack(">4sI4B", b"mft2", 0, 4, 3, points, 0)
    return head + identity + struct.pack(">HH", 2, 2) + straight * 4 + values.tobytes() + straight * 3


def _xyz(x, y, z):
    return struct.pack(">4sI3i", b"XYZ ", 0, *(round(n * 65536) for n in (x, y, z)))


def _description(text):
    ascii_ = text.encode() + b"\0"
    return struct.pack(">4sII", b"desc", 0, len(ascii_)) + ascii_ + b"\0" * (4 + 4 + 2 + 1 + 67)


_MAKERS = (
    _opaque, _grey, _alpha, _cmyk, _cmyk_profile, _rgb_profile, _deep, _rotated, _animated_webp, _animated_gif,
)  # fmt: skip
_NAMED = {maker.__name__[1:].replace("_", "-"): maker for maker in _MAKERS}
NAMES = tuple(_NAMED)


@cache
def source(name):
    """The source of that name."""
    return _NAMED[name]()


everywhere = pytest.mark.parametrize("source", NAMES, indirect=True)
"""One test for each of them: its argument ``source`` (a fixture of `conftest`) is the `Source`."""
