"""The decoder rows of the threat list for the formats beside the first five, by real workers."""

import asyncio
import random
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from golden import inputs, pictures
from imagemill.model.media import Format
from imagemill.model.recipe import AutoOrient, Encode, Frames, Resize
from integration.engines.test_hostile import SMALL_PNG, SMALL_WEBP, Judge
from unit.engines import hostile
from unit.engines.building import actl, bitmap, boxed, icon, item, jxl, page, tiff

SOURCES = inputs.all_of_them()
DEEP = {258: (3, [16] * 4), 277: (3, [4])}
DATA = {273: (4, [8]), 278: (4, [2**31]), 279: (4, [2**32 - 1])}


def filled(width, height, **more):
    """A TIFF that says it is deflated into one strip: of nothing at all."""
    whole = tiff(page(width, height, bits=[8] * 3, samples=[3], compression=[8], colours=[2], **more) | DATA)
    return whole + zlib.compress(bytes(1 << 20))


def apng(frames, size=(8, 8), canvas=(8, 8)):
    square = np.zeros((*size, 4), np.uint8)
    return inputs.apng(canvas, [(square, (0, 0), (1, 50), 0, 0)] * frames)


CASES = {
    # D01, D03: over-limit headers, whatever follows them
    "tiff 60000²": (filled(60_000, 60_000), SMALL_PNG, {"side"}), "tiff thin": (filled(1_000_000, 1), SMALL_PNG, {"side"}),
    "tiff 10000²": (filled(10_000, 10_000), SMALL_PNG, {"pixels"}), "bmp 2³¹": (bitmap(width=2**31 - 1, height=-(2**31)), SMALL_PNG, {"side"}),
    "bmp 10000²": (bitmap(width=10_000, height=10_000), SMALL_PNG, {"pixels"}), "heic 60000²": (item((60_000, 60_000)), SMALL_PNG, {"side"}),
    "jxl 2³⁰": (jxl(2**30, 2**30).put(1, 1).codestream(), SMALL_PNG, {"side"}), "jxl boxed": (boxed(jxl(16_000, 16_000).put(1, 1).codestream()), SMALL_PNG, {"pixels"}),
    # D02: the area is allowed, the bytes are not
    "tiff bytes": (tiff(page(8_000, 6_000) | DEEP | {258: (3, [64] * 4)}), SMALL_PNG, {"decoded_bytes"}),
    # D05: an icon's list lies, a PNG inside is large; a picture that is not there
    "ico png large": (icon(hostile.png(60_000, 60_000)), SMALL_PNG, {"side"}),
    "ico png lies": (icon(hostile.png(7_000, 7_000)), SMALL_PNG, {"image_corrupt"}),
    "bmp nothing": (bitmap(width=7_000, height=7_000), SMALL_PNG, {"image_corrupt"}),
    "heic nothing": (item((7_000, 7_000)), SMALL_PNG, {"image_corrupt"}),
    "jxl nothing": (jxl(4_000, 4_000).put(1, 1).codestream(), SMALL_PNG, {"image_corrupt"}),
    "tiff nothing": (tiff(page(7_000, 7_000)), SMALL_PNG, {"image_corrupt"}),
    "tiff strip bomb": (filled(7_000, 7_000), SMALL_PNG, {"image_corrupt"}),
    "tiff tiles": (tiff(page(100, 100, tile_width=[65_536], tile_height=[65_536])), SMALL_PNG, {"image_corrupt"}),
    # D04: pages and frames
    "tiff 5000 pages": (tiff(*[page()] * 5000), SMALL_PNG, {"image_corrupt"}),
    "tiff circle": (b"II*\0\x08\0\0\0" + struct.pack("<H", 0) + struct.pack("<I", 8), SMALL_PNG, {"image_corrupt"}),
    "apng 2³² frames": (hostile.real_png(before=actl(2**32 - 1)), SMALL_PNG, {"image_corrupt"}),
    "apng 2³² frames kept": (hostile.real_png(before=actl(2**32 - 1)), SMALL_WEBP, {"frames", "total_pixels"}),
    "apng 500 frames": (apng(500), SMALL_WEBP, {"frames"}), "apng outside": (apng(3, size=(9, 8)), SMALL_PNG, {"image_corrupt"}),
    # D06: metadata
    "tiff xmp": (tiff(page(xmp=[0] * (2 << 20))), SMALL_PNG, {"metadata_bytes"}), "tiff icc": (tiff(page(icc=[0] * (2 << 20))), SMALL_PNG, {"icc_bytes"}),
    "jxl exif": (SOURCES.get("jxl boxed", (boxed(b""),))[0] + hostile.box(b"Exif", bytes(2 << 20)), SMALL_PNG, {"metadata_bytes", "image_corrupt"}),
    # D10: derived pictures
    "heic tiles": (item((100, 100), more=hostile.box(b"iref", bytes(4) + hostile.box(b"dimg", struct.pack(">HH", 1, 60_000) + b"\0\2" * 60_000))), SMALL_PNG, {"image_corrupt"}),
}  # fmt: skip


@pytest.fixture(scope="module")
def verdicts():
    """Every case by one worker, once."""

    async def all_of_them():
        async with Judge() as judge:
            await judge(hostile.encoded("JPEG"))
            return {name: await judge(body, recipe) for name, (body, recipe, _) in CASES.items()}

    return asyncio.run(all_of_them())


@pytest.mark.parametrize("case", CASES)
def test_bomb(case, verdicts):
    """D01-D10: a named refusal, and cheap; the worker lives on."""
    word, cpu = verdicts[case]
    assert word in CASES[case][2]
    assert cpu < 1000


MUTATED = ["tiff", "tiff lzw tiled", "tiff apart", "bmp 24", "ico", "ico png", "heic", "heic alpha", "jxl", "avif grey"]


@pytest.mark.parametrize("name", [*MUTATED, "apng", "avif moving"])
async def test_changed_files_end_the_same_way_every_time(name):
    """D11, D13: flipped, cut and doubled files: a picture or an error, and the same one from differently warmed workers."""
    if name in MUTATED and name not in SOURCES:
        pytest.skip(f"no decoder of {name}")
    chance = random.Random(name)
    recipe = (AutoOrient(), Encode(Format.PNG))
    if name == "apng":
        body = inputs.apng(
            (40, 60), [(np.full((40, 60, 4), n * 50, np.uint8), (0, 0), (1, 20), n % 3, n % 2) for n in range(4)]
        )
        recipe = (Frames(2), *recipe)
    elif name == "avif moving":
        frames = [pictures.gradient(60, 40), pictures.corners(60, 40), pictures.photo(60, 40)]
        body = pictures.encoded(frames[0], "AVIF", save_all=True, append_images=frames[1:], duration=50)
        recipe = (Frames(1), *recipe)
    else:
        body = SOURCES[name][0]
    mutants = []
    for _ in range(12):
        changed = bytearray(body)
        for _ in range(chance.randint(1, 4)):
            changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
        cut = chance.randrange(len(changed))
        mutants += [bytes(changed), bytes(changed[:cut]), bytes(changed[:cut] + changed[cut // 2 :])]
    async with Judge() as one, Judge() as other:
        first = [(await one(m, recipe))[0] for m in mutants]
        for judge in (other, one):
            await judge(hostile.encoded("PNG", (chance.randrange(50, 400), 300)))
            chance.shuffle(order := list(range(len(mutants))))
            again = {n: (await judge(mutants[n], recipe))[0] for n in order}
            assert [again[n] for n in range(len(mutants))] == first


@pytest.mark.parametrize("name", ["heic", "jxl", "bmp 24", "ico", "tiff float", "avif grey"])
async def test_twenty_runs_are_alike(name):
    """D13: nothing of the memory of others gets into a picture: equal bytes from workers that saw other pictures before."""
    if name not in SOURCES:
        pytest.skip(f"no decoder of {name}")
    body = SOURCES[name][0]
    chance = random.Random(7)
    others = [one[0] for one in SOURCES.values()]
    small = (AutoOrient(), Resize(50), Encode(Format.PNG))
    async with Judge() as one, Judge() as other:
        made = set()
        for _ in range(10):
            for judge in (one, other):
                await judge(chance.choice(others), small)
                made.add((await judge(body))[0])
    assert len(made) == 1
    assert len(made.pop()) == 40, "an etag"


def test_png_in_an_icon_is_what_it_says():
    """D14: what lies in an icon and is neither a bitmap nor a PNG is refused, not guessed."""

    async def judged():
        async with Judge() as judge:
            return [(await judge(icon(hostile.encoded(kind))))[0] for kind in ("JPEG", "GIF", "WEBP")]

    assert set(asyncio.run(judged())) == {"image_corrupt"}
    assert Image.MAX_IMAGE_PIXELS is None


def paletted(kind):
    """A picture of two colours, of which most pixels name a colour that is not there."""
    size, two = (16, 16), [255, 0, 0, 0, 255, 0]
    rows = b"".join(b"\0" + bytes((x * 16 + y) % 256 for x in range(size[0])) for y in range(size[1]))
    ends = hostile.chunk(b"IDAT", zlib.compress(rows)) + hostile.chunk(b"IEND", b"")
    header = b"\x89PNG\r\n\x1a\n" + hostile.ihdr(*size, 8, 3)
    match kind:
        case "png":
            return header + hostile.chunk(b"PLTE", bytes(two)) + ends
        case "png without":
            return header + ends
        case "png transparent":
            return header + hostile.chunk(b"PLTE", bytes(two)) + hostile.chunk(b"tRNS", b"\0\x80") + ends
    picture = Image.frombytes("P", size, bytes(range(256)))
    picture.putpalette(two + [9] * 762)
    body = bytearray(hostile.saved(picture, "BMP" if kind == "bmp" else "GIF"))
    if kind == "bmp":  # says it has two colours, and that its pixels lie behind those
        body[46:50], body[10:14] = struct.pack("<I", 2), struct.pack("<I", 62)
        del body[62:1078]
    else:  # a palette of two, and none
        body[10] = 0x80 if kind == "gif" else 0
        del body[19 if kind == "gif" else 13 : 13 + 768]
    return bytes(body)


async def test_colours_that_are_not_there():
    """D18: an error or a picture, and the same bytes from workers that have just drawn others: nothing stale shows."""
    bright, small = hostile.encoded("PNG", (300, 200)), (Encode(Format.PNG),)
    async with Judge() as one, Judge() as other:
        await one(bright)
        for kind in ("png", "png without", "png transparent", "bmp", "gif", "gif without"):
            found = {(await judge(paletted(kind), small))[0] for judge in (one, other, one)}
            assert len(found) == 1, kind
        assert [*one.events, *other.events] == []
