"""Never larger: the source instead of a rendition that outgrows it, its picture and nothing else (threat D15)."""

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageSequence

from golden import pictures
from golden.mill import mill
from imagemill.engines.rewrite import apng, av1, avif, webp
from imagemill.model.errors import ImageCorrupt
from imagemill.settings import Engine

CANARY = b"<script>canary()</script>"
ON, OFF = Engine(never_larger=True), Engine()


def photo():
    return pictures.photo(300, 200)


def palette():
    return photo().quantize(40)


def looped():
    frames = [photo().crop((n, n, n + 60, n + 40)).quantize(16) for n in range(3)]
    return pictures.encoded(
        frames[0], "GIF", save_all=True, append_images=frames[1:], duration=[40, 120, 70], loop=5, optimize=False
    )


def moving(kind, palette=False, **options):
    """Three frames that are one small part of the picture each, at their own times."""
    whole = photo().convert("RGBA")
    frames = []
    for n in range(3):
        frame = whole.copy()
        frame.paste((255, 60 * n, 0, 255), (40 + 20 * n, 30, 90 + 20 * n, 70))
        frames.append(frame.convert("RGB").quantize(palette=whole.convert("RGB").quantize(30)) if palette else frame)
    return pictures.encoded(
        frames[0], kind, save_all=True, append_images=frames[1:], duration=[50, 130, 70], loop=3, **options
    )


MADE = {
    "jpeg": lambda: pictures.encoded(photo(), "JPEG", quality=25), "progressive": lambda: pictures.encoded(photo(), "JPEG", quality=25, progressive=True),
    "grey jpeg": lambda: pictures.encoded(photo().convert("L"), "JPEG", quality=25), "fine jpeg": lambda: pictures.encoded(photo(), "JPEG", quality=25, subsampling=0),
    "png": lambda: pictures.encoded(photo(), "PNG", optimize=True), "palette": lambda: pictures.encoded(palette(), "PNG", optimize=True),
    "few colours": lambda: pictures.encoded(photo().quantize(4), "PNG", optimize=True, bits=2), "alpha": lambda: pictures.encoded(pictures.disc(), "PNG", optimize=True),
    "grey png": lambda: pictures.encoded(photo().convert("L"), "PNG", optimize=True),
    "webp": lambda: pictures.encoded(photo(), "WEBP", quality=20, method=6), "webp alpha": lambda: pictures.encoded(pictures.disc(), "WEBP", quality=20, method=6),
    "avif": lambda: pictures.encoded(photo(), "AVIF", quality=20, speed=4), "avif alpha": lambda: pictures.encoded(pictures.disc(), "AVIF", quality=20, speed=4),
    "avif 444": lambda: pictures.encoded(photo(), "AVIF", quality=20, speed=4, subsampling="4:4:4"),
    "apng": lambda: moving("PNG", optimize=True), "moving webp": lambda: moving("WEBP", quality=10, method=6),
}  # fmt: skip


@pytest.fixture(scope="module")
def sources():
    return {name: make() for name, make in MADE.items()}


def pixels(body):
    """All frames, as an independent decoder sees them."""
    with Image.open(io.BytesIO(body)) as picture:
        return [np.array(frame.convert("RGBA")) for frame in ImageSequence.Iterator(picture)]


def assert_same(one, other):
    assert len(pixels(one)) == len(pixels(other))
    assert all(np.array_equal(a, b) for a, b in zip(pixels(one), pixels(other), strict=True))


@pytest.mark.parametrize("name", MADE)
def test_never_larger(name, sources):
    """Not larger than the source, of identical pixels; without the setting as ever."""
    source = sources[name]
    assert len(mill(source, settings=OFF).body) > len(source)

    made = mill(source, settings=ON)

    assert len(made.body) <= len(source)
    assert_same(made.body, source)


@pytest.mark.parametrize(
    "asked", [{"width": 299}, {"crop": "200,100"}, {"flip": 1}, {"blur": 1}, {"rotate": 180}, {"format": "png"}]
)
def test_changes_are_made(asked, sources):
    """Where a pixel or the format was to change, it does."""
    made = mill(sources["jpeg"], settings=ON, **asked)
    assert made.body == mill(sources["jpeg"], settings=OFF, **asked).body


@pytest.mark.parametrize("asked", [{"quality": 95}, {"speed": "small"}, {"width": 5000}, {"background": "fff"}])
def test_what_changes_no_pixel(asked, sources):
    """How it is encoded, a box that is larger, a ground that nothing shines through."""
    made = mill(sources["progressive"], settings=ON, **asked)
    assert len(made.body) <= len(sources["progressive"])


def test_a_smaller_rendition_stays():
    """What an encoder does better is its own."""
    source = pictures.encoded(photo(), "JPEG", quality=98)
    assert mill(source, settings=ON).body == mill(source, settings=OFF).body


def chunk_after(source, at, kind=b"tEXt", body=b"Comment\0" + CANARY):
    return source[:at] + pictures.chunk(kind, body) + source[at:]


def segment(marker, body):
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def webp_with(source, *chunks):
    body = source[8:] + b"".join(k + struct.pack("<I", len(b)) + b + b"\0" * (len(b) & 1) for k, b in chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def stuffed_pixels(png):
    """A PNG with the canary behind the end of its compressed pixels, within their chunk."""
    at = png.index(b"IDAT") - 4
    (length,) = struct.unpack(">I", png[at : at + 4])
    return png[:at] + pictures.chunk(b"IDAT", png[at + 8 : at + 8 + length] + CANARY) + pictures.chunk(b"IEND", b"")


def stuffed_scan(jpeg):
    """A JPEG with the canary between the last coded pixel and the end marker."""
    return jpeg[:-2] + CANARY + jpeg[-2:]


def stuffed_stream(webp):
    body = webp[20:] + CANARY
    body = webp[8:16] + struct.pack("<I", len(body)) + body + b"\0" * (len(body) & 1)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def stuffed_palette(png):
    """A PNG palette with the canary in colours that no pixel has."""
    at = png.index(b"PLTE") - 4
    (length,) = struct.unpack(">I", png[at : at + 4])
    colours = png[at + 8 : at + 8 + length] + CANARY + b"!!"
    return png[:at] + pictures.chunk(b"PLTE", colours) + png[at + 12 + length :]


def thumbnail(jpeg):
    return jpeg[:2] + segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\3\3" + CANARY + b"!!") + jpeg[20:]


CARRIERS = {
    "jpeg comment": ("jpeg", lambda s: s[:2] + segment(0xFE, CANARY) + s[2:]), "jpeg app": ("progressive", lambda s: s[:20] + segment(0xE7, CANARY) + s[20:]),
    "jpeg exif": ("jpeg", lambda s: s[:20] + segment(0xE1, b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0" + CANARY) + s[20:]), "jpeg thumbnail": ("jpeg", thumbnail),
    "jpeg appended": ("jpeg", lambda s: s + CANARY), "jpeg scan": ("jpeg", stuffed_scan), "jpeg progressive scan": ("progressive", stuffed_scan),
    "jpeg table": ("jpeg", lambda s: s[:20] + segment(0xDB, b"\3" + (CANARY * 3)[:64]) + s[20:]), "jpeg adobe": ("grey jpeg", lambda s: s[:20] + segment(0xEE, b"Adobe\0\x64\0\0\0\0\0" + CANARY) + s[20:]),
    "png text": ("png", lambda s: chunk_after(s, 33)), "png unknown": ("palette", lambda s: chunk_after(s, 33, b"cnRy", CANARY)), "png appended": ("alpha", lambda s: s + CANARY),
    "png after end": ("png", lambda s: chunk_after(s, len(s))), "png pixels": ("png", stuffed_pixels), "png palette": ("palette", stuffed_palette),
    "png suggested": ("png", lambda s: chunk_after(s, 33, b"PLTE", CANARY + b"!!")), "png background": ("alpha", lambda s: chunk_after(s, 33, b"bKGD", CANARY)),
    "webp unknown": ("webp", lambda s: webp_with(s, (b"CNRY", CANARY))), "webp exif": ("webp alpha", lambda s: webp_with(s, (b"EXIF", CANARY))),
    "webp appended": ("webp", lambda s: s + CANARY), "webp stream": ("webp", stuffed_stream),
}  # fmt: skip


@pytest.mark.parametrize("settings", [ON, OFF], ids=["never larger", "as ever"])
@pytest.mark.parametrize("carrier", CARRIERS)
def test_nothing_hides(carrier, settings, sources):
    """D15: whatever was laid in, behind or between, no output has it; the pixels are those of the clean source."""
    name, stuff = CARRIERS[carrier]
    stuffed = stuff(sources[name])
    assert CANARY in stuffed
    try:
        made = mill(stuffed, settings=settings).body
    except Exception as e:
        assert settings is not None and type(e).__name__ == "ImageCorrupt", e  # noqa: PT017, PT018
        return
    assert CANARY not in made
    assert CANARY[8:16] not in made


def test_animation():
    """GIF: every frame, its time and how often it is played; colours and pixels stay, comments go."""
    source = looped()
    at = 13 + 3 * (2 << (source[10] & 7)) if source[10] & 0x80 else 13
    stuffed = source[:at] + b"\x21\xfe" + bytes([len(CANARY)]) + CANARY + b"\0" + source[at:] + CANARY
    from imagemill.engines.rewrite.gif import rewritten

    made = rewritten(stuffed)

    assert CANARY not in made
    assert_same(made, source)
    with Image.open(io.BytesIO(made)) as one, Image.open(io.BytesIO(source)) as two:
        times = [[frame.info["duration"] for frame in ImageSequence.Iterator(picture)] for picture in (one, two)]
        assert times[0] == times[1] == [40, 120, 70]
        assert one.info["loop"] == two.info["loop"] == 5


MOVING = {
    "apng": (apng, lambda: moving("PNG", optimize=True)), "palette": (apng, lambda: moving("PNG", palette=True, optimize=True)),
    "lossy": (webp, lambda: moving("WEBP", quality=10, method=6)), "lossless": (webp, lambda: moving("WEBP", lossless=True, method=6)),
}  # fmt: skip


@pytest.mark.parametrize("name", MOVING)
def test_moving(name):
    """APNG and WebP: every frame, its time and how often it is played; nothing between, behind or within is kept."""
    writer, source = MOVING[name][0], MOVING[name][1]()
    made = writer.rewritten(source)
    assert_same(made, source)
    with Image.open(io.BytesIO(made)) as one, Image.open(io.BytesIO(source)) as two:
        assert one.info.get("loop") == two.info.get("loop") == 3
        assert times(one) == times(two) == [50, 130, 70]
    for stuffed in stuffed_movings(source):
        again = writer.rewritten(stuffed)
        assert again is None or (CANARY not in again and again == made)
        assert CANARY not in mill(stuffed, settings=ON).body


def times(picture):
    shown = []
    for frame in ImageSequence.Iterator(picture):
        frame.load()
        shown.append(frame.info["duration"])
    return shown


def stuffed_movings(source):
    """*source* with something in each place where there may be something."""
    yield source + CANARY
    if source.startswith(b"\x89PNG"):
        for kind in (b"IDAT", b"fcTL", b"fdAT", b"IEND"):
            yield chunk_after(source, source.index(kind) - 4)
            yield chunk_after(source, source.rindex(kind) - 4, b"prVt")
        return
    end = len(source)
    for body in (b"EXIF", b"XMP ", b"junk"):
        extra = body + struct.pack("<I", len(CANARY) + 1) + CANARY + b"\0"
        yield b"RIFF" + struct.pack("<I", end - 8 + len(extra)) + source[8:] + extra


def test_what_lies_behind_the_pixels_of_a_frame(sources):
    """D15: a stream of a frame that is longer than its pixels need gives the file away; the rendition is made."""
    apng_file = sources["apng"]
    last = apng_file.rindex(b"fdAT")
    (length,) = struct.unpack(">I", apng_file[last - 4 : last])
    body = apng_file[last + 4 : last + 4 + length] + CANARY
    longer = apng_file[: last - 4] + pictures.chunk(b"fdAT", body) + apng_file[last + 8 + length :]
    assert CANARY not in (apng.rewritten(longer) or b"")
    webp_file = sources["moving webp"]
    first = webp_file.index(b"ANMF")
    (outer,) = struct.unpack("<I", webp_file[first + 4 : first + 8])
    frame = webp_file[first + 8 : first + 8 + outer]
    at = frame.index(b"VP8 ")
    (inner,) = struct.unpack("<I", frame[at + 4 : at + 8])
    stuffing = CANARY + b"\0" * (len(CANARY) + inner & 1)
    longer_frame = (
        frame[: at + 4] + struct.pack("<I", inner + len(stuffing)) + frame[at + 8 : at + 8 + inner] + stuffing
    )
    whole = (
        webp_file[: first + 4]
        + struct.pack("<I", len(longer_frame))
        + longer_frame
        + webp_file[first + 8 + outer + (outer & 1) :]
    )
    whole = b"RIFF" + struct.pack("<I", len(whole) - 8) + whole[8:]
    assert CANARY in webp.rewritten(whole)  # which is why each stream is tried without its end
    assert CANARY not in mill(whole, settings=ON).body


def unit(kind, body):
    assert len(body) < 128
    return bytes([kind << 3 | 2, len(body)]) + body


def rebuilt(source, change):
    """*source*, an AVIF of ours, with *change* made to the stream of its picture."""
    items = avif._items(source)

    class Stuffed(av1.Still):
        @property
        def data(self):
            return change(super().data)

    stuffed = Stuffed(items[0].still.sequence, items[0].still.frame)
    return avif._written([avif._Item(items[0].properties, stuffed), *items[1:]])


AVIF_CARRIERS = {
    "appended": lambda s: s + CANARY, "free": lambda s: s + avif._box(b"free", CANARY), "uuid": lambda s: s + avif._box(b"uuid", CANARY),
    "between": lambda s: s[: s.index(b"ftyp") - 4] + avif._box(b"ftyp", b"avif\0\0\0\0avifmif1" + CANARY[:24]) + s[4 + int.from_bytes(s[:4], "big") - 4 :],
    "metadata unit": lambda s: rebuilt(s, lambda data: unit(5, b"\4\xb5" + CANARY + b"\x80") + data), "padding unit": lambda s: rebuilt(s, lambda data: data + unit(15, CANARY)),
    "behind the frame": lambda s: rebuilt(s, lambda data: av1._unit(1, av1.read(data).sequence) + av1._unit(6, av1.read(data).frame + CANARY)),
    "behind the sequence": lambda s: rebuilt(s, lambda data: av1._unit(1, av1.read(data).sequence + CANARY) + av1._unit(6, av1.read(data).frame)),
}  # fmt: skip


@pytest.mark.parametrize("carrier", AVIF_CARRIERS)
@pytest.mark.parametrize("name", ["avif", "avif alpha"])
def test_nothing_hides_in_an_avif(name, carrier, sources):
    """D15: boxes, units and the ends of streams; whatever becomes of it, no output has it."""
    clean = avif.rewritten(sources[name])
    stuffed = AVIF_CARRIERS[carrier](clean)
    assert CANARY[:24] in stuffed
    try:
        made = mill(stuffed, settings=ON).body
    except ImageCorrupt:
        return
    assert CANARY[8:20] not in made
    if carrier in {"appended", "free", "uuid", "metadata unit", "padding unit"}:
        assert made == clean


@pytest.mark.parametrize("name", ["avif", "avif alpha"])
def test_a_longer_sequence_is_not_known(name, sources):
    """D15: what follows its last bit is none of it, whatever a decoder makes of that."""
    clean = avif.rewritten(sources[name])
    assert avif.rewritten(AVIF_CARRIERS["behind the sequence"](clean)) is None


@pytest.mark.parametrize("name", ["avif", "avif alpha"])
def test_damaged_avifs(name, sources):
    """Whatever is cut off or changed: nothing, or a file of known boxes; never an error."""
    source = sources[name]
    for n in range(0, len(source), 7):
        for broken in (source[:n], source[:n] + b"\xff\xff" + source[n + 2 :], source[:n] + b"\0" + source[n + 1 :]):
            made = avif.rewritten(broken)
            assert made is None or made.startswith(b"\0\0\0\x1cftypavif")


def test_avifs_that_are_not_known():
    """More bits, a profile, turned ones, tiles: those stay as they were encoded."""
    for other in (
        mill(pictures.encoded(photo(), "PNG"), format="avif", bits=10).body, pictures.encoded(photo(), "AVIF", icc_profile=pictures.swapped_profile()),
        pictures.encoded(photo(), "AVIF", exif=pictures.exif(6)), pictures.encoded(pictures.photo(1200, 1100), "AVIF", speed=9, advanced={"tile-columns": "1"}, autotiling=False),
        moving("AVIF", speed=9),
    ):  # fmt: skip
        assert avif.rewritten(other) is None


def test_gif_through_the_mill():
    """A GIF that ours would outgrow comes back as it was; what is behind its pixels does not."""
    few = pictures.corners(400, 300).quantize(4)
    source = pictures.encoded(few, "GIF", optimize=True)
    for file in (source, source + CANARY):
        made = mill(file, settings=ON)
        assert len(made.body) <= len(source)
        assert CANARY not in made.body
        assert_same(made.body, source)


@pytest.mark.parametrize(
    "source",
    [
        lambda: pictures.encoded(photo(), "JPEG", quality=25, icc_profile=pictures.swapped_profile()),
        lambda: pictures.encoded(photo(), "JPEG", quality=25, exif=pictures.exif(6)),
        lambda: pictures.encoded(photo().convert("CMYK"), "JPEG", quality=25),
        lambda: pictures.encoded(photo(), "PNG", optimize=True, icc_profile=pictures.swapped_profile()),
        lambda: pictures.encoded(photo(), "WEBP", quality=20, icc_profile=pictures.swapped_profile()),
        lambda: pictures.png16(np.random.default_rng(1).integers(0, 65_536, (40, 60, 3), np.uint16)),
    ],
    ids=["jpeg profile", "turned", "cmyk", "png profile", "webp profile", "16 bits"],
)
def test_what_a_source_would_break(source):
    """Other colours, turned ones, more bits than are asked for: those are made, whatever they weigh."""
    body = source()
    assert mill(body, settings=ON).body == mill(body, settings=OFF).body
