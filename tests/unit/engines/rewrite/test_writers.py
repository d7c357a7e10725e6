"""What each writer keeps of a file by itself: its picture up to the last byte that makes it, or nothing at all."""

import base64
import io
import random
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from imagemill.engines.decoded import pyvips
from imagemill.engines.rewrite import apng, gif, jpeg, png, webp

CANARY = b"<script>canary()</script>"


def encoded(kind, picture=None, **options):
    out = io.BytesIO()
    (picture or Image.radial_gradient("L").resize((40, 30)).convert("RGB")).save(out, kind, **options)
    return out.getvalue()


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


HEADER = struct.pack(">IIBBBBB", 4, 2, 8, 0, 0, 0, 0)


def made_png(raw, *, header=HEADER, before=b"", tail=b""):
    pixels = chunk(b"IDAT", zlib.compress(raw) + tail)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + before + pixels + chunk(b"IEND", b"")


ROWS = b"\0abcd" * 2


def test_png_is_cut_where_its_pixels_end():
    """Behind the compressed stream nothing stays; split pixels are joined."""
    assert png.rewritten(made_png(ROWS, tail=CANARY)) == made_png(ROWS)


@pytest.mark.parametrize(
    "file",
    [
        made_png(ROWS, header=HEADER + CANARY), made_png(ROWS, header=HEADER[:12]), made_png(ROWS + CANARY), made_png(ROWS[:-1]), made_png(ROWS, before=chunk(b"CnRY", CANARY)), made_png(ROWS, before=chunk(b"iCCP", CANARY)),
        made_png(ROWS, before=chunk(b"tRNS", CANARY)), made_png(ROWS, header=struct.pack(">IIBBBBB", 4, 2, 16, 0, 0, 0, 0)), made_png(ROWS)[:-12],
        made_png(ROWS)[:-20] + b"\0" * 20, made_png(ROWS, before=chunk(b"IHDR", b"x" * 13)), made_png(ROWS, header=struct.pack(">IIBBBBB", 4, 2, 8, 3, 0, 0, 0)),
    ],
)  # fmt: skip
def test_png_that_is_not_known(file):
    """More pixels or less, chunks that must be understood, colours of its own, a palette that is not there."""
    assert png.rewritten(file) is None


@pytest.mark.parametrize("size", [(1, 1), (7, 5), (33, 9)])
@pytest.mark.parametrize("mode", ["L", "1", "P", "RGB", "RGBA", "LA"])
def test_png_sizes(mode, size):
    """Every kind of pixel, as it was written: byte for byte, but for what is not the picture."""
    picture = Image.radial_gradient("L").resize(size).convert(mode)
    file = encoded("PNG", picture)
    with Image.open(io.BytesIO(png.rewritten(file))) as made, Image.open(io.BytesIO(file)) as source:
        assert made.convert("RGBA").tobytes() == source.convert("RGBA").tobytes()


@pytest.mark.parametrize("bands", [1, 3])
@pytest.mark.parametrize("size", [(1, 1), (2, 1), (4, 3), (5, 5), (7, 5), (8, 8), (9, 3), (3, 9), (33, 17)])
def test_png_interlaced(size, bands):
    """Seven passes, of which small pictures have fewer, and every byte of them counts."""
    y, x = np.mgrid[0 : size[1], 0 : size[0]]
    pixels = np.dstack([(x * 31 + y * 7 + n) % 256 for n in range(bands)]).astype(np.uint8)
    file = pyvips.Image.new_from_array(pixels).pngsave_buffer(interlace=True, keep="none")
    assert file[28] == 1
    made = png.rewritten(file)
    with Image.open(io.BytesIO(made)) as picture:
        assert np.array_equal(np.asarray(picture).reshape(pixels.shape), pixels)


def stuffed(file):
    """A GIF with the canary in the sub-blocks behind the end code of its first picture."""
    at = 13 + (3 * (2 << (file[10] & 7)) if file[10] & 0x80 else 0)
    while file[at] == 0x21:
        at += 2
        while file[at]:
            at += 1 + file[at]
        at += 1
    begin = at = at + 11 + (3 * (2 << (file[at + 9] & 7)) if file[at + 9] & 0x80 else 0)
    while file[at]:
        at += 1 + file[at]
    assert at > begin
    return file[:at] + bytes([len(CANARY)]) + CANARY + file[at:]


def test_gif_is_cut_where_its_pixels_end():
    """Behind the end code nothing stays, though decoders never look there."""
    clean = encoded("GIF", Image.radial_gradient("L").resize((90, 70)))
    assert CANARY in stuffed(clean)
    assert gif.rewritten(stuffed(clean)) == gif.rewritten(clean)
    assert CANARY not in gif.rewritten(clean)


def test_gif_colours_that_no_pixel_has():
    """A palette is a place to write in."""
    picture = Image.new("P", (8, 8), 0)
    picture.putpalette([1, 2, 3, *CANARY, 0, 0])
    picture.putpixel((0, 0), 1)
    file = bytearray(encoded("GIF", picture, optimize=False))
    at = 13 + 6
    file[at : at + len(CANARY[3:])] = CANARY[3:]
    assert CANARY[8:] in bytes(file)
    assert CANARY[8:] not in (gif.rewritten(bytes(file)) or b"")


def test_gif_of_parts_that_are_not_known():
    """What is no picture, no extension and no end is not read as one of them."""
    file = encoded("GIF", Image.radial_gradient("L").resize((9, 7)))
    at = file.index(b"\x2c", 13 + 3 * (2 << (file[10] & 7)))
    assert gif.rewritten(file)
    for kind in (0x2B, 0x2D, 0x22, 0x3A, 0x3C, 0x00):
        assert gif.rewritten(file[:at] + bytes([kind]) + file[at + 1 :]) is None


@pytest.mark.parametrize(
    ("writer", "file"),
    [(jpeg, encoded("JPEG")), (jpeg, encoded("JPEG", progressive=True)), (png, encoded("PNG")), (gif, encoded("GIF")), (webp, encoded("WEBP"))],
)  # fmt: skip
def test_damaged_files_are_left_or_whole(writer, file):
    """Whatever is flipped or cut: None or bytes, never an exception; twice is as once."""
    chance = random.Random(7)
    assert writer.rewritten(file)
    for _ in range(300):
        changed = bytearray(file[: chance.choice([len(file), chance.randrange(len(file))])])
        for _ in range(chance.randint(0, 3)):
            if changed:
                changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
        made = writer.rewritten(bytes(changed))
        assert made is None or writer.rewritten(made) == made


def test_jpeg_of_kinds_that_are_not_known():
    """Twelve bits, two frames, arithmetic coding, a table twice, no scan."""
    file = encoded("JPEG")
    frame, table = file.index(b"\xff\xc0"), file.index(b"\xff\xdb")
    (length,) = struct.unpack(">H", file[table + 2 : table + 4])
    whole = file[table : table + 2 + length]
    for broken in (
        file[: frame + 4] + b"\x0c" + file[frame + 5 :], file[:frame] + file[frame : frame + 19] + file[frame:],
        file[: frame + 1] + b"\xc9" + file[frame + 2 :], file[:table] + whole + file[table:], b"\xff\xd8\xff\xd9", b"\xff\xd8" + whole + b"\xff\xd9",
    ):  # fmt: skip
        assert jpeg.rewritten(broken) is None


@pytest.mark.parametrize("marker", [b"\xff\xdb", b"\xff\xc4", b"\xff\xc0", b"\xff\xda", b"\xff\xdd"])
def test_jpeg_segments_hold_not_a_byte_more(marker):
    """D15: what a segment could hold behind what it says is no part of a picture."""
    file = encoded("JPEG", restart_marker_blocks=4)
    assert jpeg.rewritten(file)
    at = file.index(marker)
    (length,) = struct.unpack(">H", file[at + 2 : at + 4])
    end = at + 2 + length
    for more in (CANARY[:9], 3 * file[end - 3 : end]):  # the second is what its own end might go on with
        grown = file[: at + 2] + struct.pack(">H", length + 9) + file[at + 4 : end] + more + file[end:]
        assert jpeg.rewritten(grown) is None


def test_webp_shortened_versions():
    """One for each stream: of transparency, of a lossy picture as a whole and of its first partition, of a lossless one."""
    alpha = Image.radial_gradient("L").resize((40, 30))
    clear = Image.merge("RGBA", [alpha] * 4)
    counts = [len(short) for file in
              (encoded("WEBP"), encoded("WEBP", clear), encoded("WEBP", lossless=True)) for _, short in webp.streams(webp.rewritten(file))]  # fmt: skip
    assert counts == [2, 3, 1]


IN_TWO_PARTS = base64.b64decode(
    "UklGRmIAAABXRUJQVlA4IFYAAACQBQCdASogACAALy243G4nNLS0lIMsS0gABoL/wFyzUQ8nMbuZvkR91zWoJEenCPUmzE1vgAAQAAD+1dEeNMZ27Li6"
    "jrTGrYAApFZ+LQTy+AXMwAAAAA=="
)
"""Of libwebp 1.6 with ``method = 2`` and ``partitions = 1``."""


def test_webp_of_several_parts():
    """What lies between the streams of one picture cannot be seen from outside (D15): so such a file is not known."""
    frame, hidden = IN_TWO_PARTS[20:], CANARY + b"\n"
    (tag,) = struct.unpack("<I", frame[:3] + b"\0")
    at = 10 + (tag >> 5)
    first = int.from_bytes(frame[at : at + 3], "little")
    end = at + 3 + first
    stuffed = frame[:at] + (first + len(hidden)).to_bytes(3, "little") + frame[at + 3 : end] + hidden + frame[end:]
    file = b"RIFF" + struct.pack("<I", len(stuffed) + 12) + b"WEBPVP8 " + struct.pack("<I", len(stuffed)) + stuffed

    assert Image.open(io.BytesIO(file)).tobytes() == Image.open(io.BytesIO(IN_TWO_PARTS)).tobytes()
    assert webp.rewritten(file) is None
    assert webp.rewritten(IN_TWO_PARTS) is None


@pytest.mark.parametrize("quality", [1, 30, 80, 100])
@pytest.mark.parametrize("method", [0, 4, 6])
def test_webp_of_one_part(quality, method):
    """Whatever its header says before: segments, filters."""
    picture = Image.radial_gradient("L").resize((90, 70)).convert("RGB")
    file = encoded("WEBP", picture, quality=quality, method=method)

    assert webp.rewritten(file) == file


@pytest.mark.parametrize("text", [b"<b>", b"aa", b"cc\0"])
@pytest.mark.parametrize("kind", [0x00, 0x11])
def test_jpeg_codes_that_nothing_has(text, kind):
    """Symbols of no coefficient, or there twice: a text in a table that is used for others (D15)."""
    file = encoded("JPEG")
    at = next(n for n in range(len(file)) if file[n : n + 2] == b"\xff\xc4" and file[n + 4] == kind)
    end = at + 2 + int.from_bytes(file[at + 2 : at + 4], "big")
    stuffed = file[: end - len(text)] + text + file[end:]

    assert jpeg.rewritten(file) == file
    assert jpeg.rewritten(stuffed) is None


def test_webp_extended_header():
    """No flag but that of transparency, nothing in what is reserved, and the size as it was."""
    clear = Image.merge("RGBA", [Image.radial_gradient("L").resize((40, 30))] * 4)
    made = webp.rewritten(encoded("WEBP", clear, exif=b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0"))
    assert made[12:30] == b"VP8X\x0a\0\0\0" + bytes([0x10, 0, 0, 0, 39, 0, 0, 29, 0, 0])
    assert webp.rewritten(encoded("WEBP"))[12:16] == b"VP8 "
    moving = webp.rewritten(encoded("WEBP", clear, save_all=True, append_images=[clear.rotate(180)], loop=3))
    assert moving[12:30] == b"VP8X\x0a\0\0\0" + bytes([0x12, 0, 0, 0, 39, 0, 0, 29, 0, 0])
    assert moving[30:44] == b"ANIM\x06\0\0\0" + bytes([0, 0, 0, 0, 3, 0])


def test_webp_that_moves_and_does_not():
    """A picture beside the frames is none of them."""
    frames = [Image.radial_gradient("L").resize((9, 7)).convert("RGB").rotate(90 * n) for n in range(2)]
    file = encoded("WEBP", frames[0], save_all=True, append_images=frames[1:], lossless=True)
    still = encoded("WEBP", frames[0], lossless=True)[12:]
    assert webp.rewritten(file)
    both = file[12:] + still
    assert webp.rewritten(b"RIFF" + struct.pack("<I", len(both) + 4) + b"WEBP" + both) is None


PLAYED = chunk(b"acTL", struct.pack(">II", 2, 3))


def control(number, width=4, height=2, left=0, top=0, dispose=0, blend=0):
    return chunk(b"fcTL", struct.pack(">IIIIIHHBB", number, width, height, left, top, 1, 10, dispose, blend))


def made_apng(*parts):
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", HEADER) + b"".join(parts) + chunk(b"IEND", b"")


FIRST, PIXELS = control(0), zlib.compress(ROWS)
IDAT, SECOND = chunk(b"IDAT", PIXELS), chunk(b"fdAT", b"\0\0\0\2" + PIXELS)
SMALL = chunk(b"fdAT", b"\0\0\0\2" + zlib.compress(b"\0a" * 1))


def test_apng_as_it_was():
    """Frames of any place within the canvas, their pixels joined and cut at their end."""
    plain = made_apng(PLAYED, FIRST, IDAT, control(1), SECOND)
    assert apng.rewritten(plain) == plain
    split = made_apng(
        PLAYED,
        chunk(b"tEXt", CANARY),
        FIRST,
        chunk(b"IDAT", PIXELS[:3]),
        chunk(b"IDAT", PIXELS[3:] + CANARY),
        control(1),
        SECOND,
    )
    assert apng.rewritten(split) == plain
    last = made_apng(PLAYED, FIRST, IDAT, control(1, 1, 1, 3, 1, 2, 1), SMALL)
    assert apng.rewritten(last) == last


@pytest.mark.parametrize(
    "parts",
    [
        (FIRST, IDAT, control(1), SECOND), (PLAYED, PLAYED, FIRST, IDAT, control(1), SECOND), (PLAYED, IDAT, FIRST, SECOND), (PLAYED, FIRST, IDAT, control(1), IDAT),
        (PLAYED, FIRST, SECOND, control(1), SECOND), (PLAYED, FIRST, IDAT, SECOND), (PLAYED, FIRST, IDAT, control(1)), (PLAYED,),
        (PLAYED, FIRST, IDAT, control(1, 1, 1, 4, 0), SMALL), (PLAYED, FIRST, IDAT, control(1, 1, 1, 0, 2), SMALL), (PLAYED, FIRST, IDAT, control(1, 2, 1, 3, 0), SMALL),
        (PLAYED, FIRST, IDAT, control(1, 1, 2, 0, 1), SMALL), (PLAYED, FIRST, IDAT, control(1, 1, 1, dispose=3), SMALL), (PLAYED, FIRST, IDAT, control(1, 1, 1, blend=2), SMALL),
        (PLAYED, FIRST, IDAT, control(1, 1, 2), SMALL), (PLAYED, FIRST, IDAT, control(1, 0, 1), chunk(b"fdAT", b"\0\0\0\2" + zlib.compress(b""))),
        (PLAYED, FIRST, IDAT, control(1, 1, 0), chunk(b"fdAT", b"\0\0\0\2" + zlib.compress(b""))), (PLAYED, FIRST, IDAT, control(1)[:-4] + b"\0\0\0\0", SECOND),
        (chunk(b"acTL", struct.pack(">IIB", 2, 3, 1)), FIRST, IDAT, control(1), SECOND), (PLAYED, chunk(b"CnRY", b""), FIRST, IDAT, control(1), SECOND),
        (PLAYED, chunk(b"iCCP", CANARY), FIRST, IDAT, control(1), SECOND),
        (PLAYED, chunk(b"fcTL", struct.pack(">IIIIIHHBBB", 0, 4, 2, 0, 0, 1, 10, 0, 0, 0)), IDAT, control(1), SECOND),
    ],
)  # fmt: skip
def test_apng_that_is_not_known(parts):
    """Frames out of place or order, of nothing, with pixels too few, or with what must be understood."""
    assert apng.rewritten(made_apng(*parts)) is None
