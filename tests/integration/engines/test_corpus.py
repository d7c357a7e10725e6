"""Every file of a corpus of bad and good pictures through real workers. Skipped where there is no corpus.

``IMAGEMILL_CORPUS`` names its folder: ``bad/``, ``good/``, and ``facts.tsv`` on the good ones.
"""

import asyncio
import csv
import os
import random
from contextlib import aclosing
from io import BytesIO
from pathlib import Path
from warnings import catch_warnings

import msgspec
import numpy as np
import pytest
from PIL import Image, ImageOps

from imagemill.engines.base import Task
from imagemill.engines.headers import probe, sniff
from imagemill.engines.pool import Pool
from imagemill.engines.vips import Vips
from imagemill.model.description import Description
from imagemill.model.errors import BadOption, ImageCorrupt, LimitExceeded, UnsupportedSourceType
from imagemill.model.media import Format
from imagemill.model.recipe import AutoOrient, Describe, Encode, Frames, Resize
from imagemill.settings import Engine, Limits
from integration.engines.test_hostile import cpu_ms

HERE = Path(__file__).parents[3]
CORPUS = Path(os.environ.get("IMAGEMILL_CORPUS") or HERE.parent / "shared" / "corpus")
pytestmark = [
    pytest.mark.skipif(not (CORPUS / "bad").is_dir(), reason="no corpus: set IMAGEMILL_CORPUS"),
    pytest.mark.timeout(240),
]
DOCUMENTED = (UnsupportedSourceType, ImageCorrupt, LimitExceeded, BadOption)
FACTS = {"JPEG", "PNG", "WEBP", "AVIF", "GIF", "TIFF", "BMP", "ICO", "CUR", "HEIF"}
OVER = "side", "pixels", "total_pixels", "scans", "metadata_bytes", "channels"
NAMED = {
    # D01: over-limit headers
    "png_50000x50000_1bit.png": OVER, "png_65535x65535_truncated.png": OVER, "png_over_int32.png": OVER, "png_1x_max.png": OVER,
    "jpeg_65500x65500_header.jpg": OVER, "jpeg_65535x65535_header.jpg": OVER, "jpeg_20000x20000_full.jpg": OVER,
    "gif_65535x65535_1frame.gif": OVER, "webp_16383x16383.webp": OVER, "webp_16384x16384.webp": OVER,
    "libvips__17000x17000.avif": OVER, "avif_ispe_60000.avif": (*OVER, "image_corrupt"),
    # D02, D03, D08
    "png_12000x12000_rgba16.png": OVER, "png_1000000x1_thin.png": OVER, "png_30000x30000_1bit_interlaced.png": OVER,
    # D04
    "gif_30000x30000_500frames.gif": OVER, "gif_10000_frames_1x1.gif": ("ok",), "webp_anim_huge_canvas_2000.webp": OVER,
    "apng_10000_frames.png": ("ok",), "avif_seq_400_frames.avif": ("ok",),
    # D05
    "webp_canvas_lie.webp": ("image_corrupt",), "webp_canvas_24bit.webp": (*OVER, "image_corrupt"),
    "png_two_ihdr.png": ("image_corrupt",),
    # D06
    "png_ztxt_1gb.png": ("ok", "image_corrupt", *OVER), "png_itxt_256mb.png": ("ok", "image_corrupt", *OVER),
    "png_iccp_256mb.png": ("ok", "image_corrupt", *OVER), "png_30000_text_chunks.png": ("image_corrupt", *OVER),
    "jpeg_exif_ifd_cycle.jpg": ("ok",), "jpeg_exif_count_4g.jpg": ("ok",), "jpeg_icc_size_lie.jpg": ("ok",),
    "libpng__huge_zTXt_chunk.png": OVER, "jpeg_10000_app_segments.jpg": ("ok", "image_corrupt", *OVER),
    # D07
    "jpeg_progressive_3000_scans.jpg": OVER, "jpeg_progressive_20000_scans_small.jpg": OVER,
    # D09, D10
    "heif_nested_boxes_3000.avif": ("image_corrupt",), "avif_grid_62500.avif": ("image_corrupt", *OVER),
    # D11
    "jpeg_half.jpg": ("image_corrupt",), "jpeg_no_eoi.jpg": ("image_corrupt",), "avif_truncated.avif": ("image_corrupt",),
    "webp_truncated.webp": ("image_corrupt",), "libvips__truncated.gif": ("image_corrupt",), "libpng__badcrc.png": ("image_corrupt",),
}  # fmt: skip
CHEAP = {"side", "pixels", "scans"}


def files(folder):
    return sorted(p for p in (CORPUS / folder).iterdir() if p.is_file())


async def run(pool, source, format_=Format.PNG):
    """The outcome as one word, and the digest where it is a picture."""
    try:
        async with aclosing(pool.run(source, [Task((AutoOrient(), Resize(256), Encode(format_)))])) as results:
            async for made in results:
                return "ok", made.rendition.etag
    except DOCUMENTED as e:
        return (e.limit if isinstance(e, LimitExceeded) else e.code), ""
    raise AssertionError


async def all_of_them():
    """Outcome, digest and CPU of every file as PNG; outcome of every fourth as WebP; what happened to workers."""
    events = []
    pool = Pool(Engine(deadline_s=60, max_jobs=10**6), Limits(), workers=1, observe=events.append)
    await pool.start()
    found, lost = {}, {}
    try:
        for folder in ("bad", "good"):
            for n, path in enumerate(files(folder)):
                source = path.read_bytes()
                while not pool.pids():
                    await asyncio.sleep(0.01)
                (pid,) = pool.pids()
                before = cpu_ms(pid)
                outcome, digest = await run(pool, source)
                found[f"{folder}/{path.name}"] = outcome, digest, cpu_ms(pid) - before if not events else 0.0
                if n % 4 == 0:
                    await run(pool, source, Format.WEBP)  # all frames, where there are several
                if events:
                    lost[path.name] = [f"{e.name} {e.reason}" for e in events]
                    events.clear()
    finally:
        await pool.close()
    return found, lost


@pytest.fixture(scope="module")
def seen():
    return asyncio.run(all_of_them())


def is_read(name, format_):
    """Whether a file is of a format that is read; the facts do not know of vector pictures."""
    return format_ in FACTS or name.endswith(".svg")


def test_no_worker_is_lost(seen):
    """D11, D12: whatever the file, the answer is a picture or a documented error; nothing crashes or meets the deadline."""
    found, lost = seen
    assert len(found) > 1000
    assert lost == {}


def test_good_pictures_are_accepted(seen):
    """What is good and of an accepted format is made; what is of another is told so."""
    found, _ = seen
    formats = {row["file"]: row["format"] for row in facts()}
    refused = {
        name: outcome
        for name, (outcome, _, _) in found.items()
        if name.startswith("good/")
        and outcome != ("ok" if is_read(name, formats.get(name)) else "unsupported_source_type")
    }
    assert refused == {}


@pytest.mark.parametrize("name", NAMED)
def test_named_row(name, seen):
    """Each P0 row of the decoders on the files made for it."""
    if f"bad/{name}" not in seen[0]:
        pytest.skip(f"{name} is not in this corpus")
    outcome, _, cpu = seen[0][f"bad/{name}"]
    assert outcome in NAMED[name]
    assert cpu < (100 if outcome in CHEAP else 1000)


def test_over_limit_headers_are_cheap(seen):
    """D01: every refusal by size took under 100 ms of CPU."""
    dear = {name: cpu for name, (outcome, _, cpu) in seen[0].items() if outcome in CHEAP and cpu > 100}
    assert dear == {}


def test_nothing_bad_is_dear(seen):
    """D06, D07, D09: no bad file takes more than a second."""
    dear = {name: cpu for name, (_, _, cpu) in seen[0].items() if name.startswith("bad/") and cpu > 1000}
    assert dear == {}


def facts():
    with (CORPUS / "facts.tsv").open() as file:
        return list(csv.DictReader(file, delimiter="\t"))


HIDDEN = {"delay_round", "delay_short_max", "dispose_op_previous", "num_plays_1"}
"""APNGs whose first picture is no frame: Pillow, which the facts are by, counts it."""
MASKED = {"good/libvips__sample.cur", "good/sharp__animated-loop-3.gif"}
"""Pillow leaves a cursor's mask out, and what is see-through in later frames only."""
ELSEWHERE = {
    "good/pillow__xmp_tags_orientation.png": "turned by XMP, which does not count here",
    "good/libavif__abc_color_irot_alpha_NOirot.avif": "its transparency is turned otherwise than its colours",
}


UNTOLD = HIDDEN | {"xmp_tags_orientation", "test_extents_transparency"}


@pytest.mark.parametrize("kind", sorted(FACTS))
def test_facts(kind):
    """Our header reader agrees with two other decoders on size, frames or pages, and transparency."""
    wrong = {}
    for row in facts():
        path = CORPUS / row["file"]
        if row["format"] != kind or not path.exists():
            continue
        info = probe(path.read_bytes())
        hidden = any(row["file"].endswith(f"{name}.png") for name in HIDDEN)
        sides = {info.width_px, info.height_px} == {int(row["width"]), int(row["height"])}
        frames = (info.pages if kind == "TIFF" else info.frames + hidden) == int(row["frames"])
        alpha = row["file"] in MASKED or info.has_alpha == (row["has_alpha"] == "1")
        if not (sides and frames and alpha):
            wrong[row["file"]] = info
    # its second frame has no pixels, which Pillow counts and libvips does not
    wrong.pop("good/pillow__test_extents_transparency.gif", None)
    assert wrong == {}


@pytest.mark.parametrize("kind", sorted(FACTS))
def test_what_is_told(kind):
    """``GET /info``: upright size, frames or pages, transparency, orientation and profile are those of the facts."""
    engine, wrong = Vips(Limits(), Engine()), {}
    for row in facts():
        path = CORPUS / row["file"]
        if row["format"] != kind or not path.exists() or any(path.stem.endswith(name) for name in UNTOLD):
            continue
        body = path.read_bytes()
        (made,) = engine.run(memoryview(body), probe(body), [Task((Describe(),))])
        told = msgspec.json.decode(made.body, type=Description)
        found = {
            "width": told.width, "height": told.height, "frames": told.pages if kind == "TIFF" else told.frames,
            "has_alpha": int(told.alpha or row["file"] in MASKED), "exif_orientation": told.orientation,
            "icc_bytes": bool(told.icc_profile),
        }  # fmt: skip
        wanted = {name: int(row[name] or 0) for name in found}
        wanted["icc_bytes"] = bool(wanted["icc_bytes"])
        wanted["has_alpha"] |= row["file"] in MASKED
        wanted["exif_orientation"] = wanted["exif_orientation"] or 1
        if kind == "TIFF":  # Pillow has turned it before it is asked, and then says that it is upright
            found["exif_orientation"] = wanted["exif_orientation"]
        if found != wanted:
            wrong[row["file"]] = found, wanted
    assert wrong == {}


@pytest.mark.parametrize("kind", sorted(FACTS))
def test_facts_of_what_is_made(kind):
    """Upright size, transparency and orientation of a rendition of every good file are those of the facts.

    Orientation: of the eight ways to lay the picture that Pillow makes of it upright, none is nearer than as it is.
    """
    engine, wrong = Vips(Limits(), Engine()), {}
    for row in facts():
        path = CORPUS / row["file"]
        if row["format"] != kind or not path.exists():
            continue
        body = path.read_bytes()
        (made,) = engine.run(memoryview(body), probe(body), [Task((AutoOrient(), Encode(Format.PNG)))])
        found = Image.open(BytesIO(made.body))
        same = found.size == (int(row["width"]), int(row["height"]))
        alpha = row["file"] in MASKED or ("A" in found.mode) == (row["has_alpha"] == "1")
        upright = row["file"] in ELSEWHERE or kind == "HEIF" or lies_as(found, path)
        if not (same and alpha and upright):
            wrong[row["file"]] = found.size, found.mode, upright
    assert wrong == {}


def lies_as(found, path):
    """Whether *found* lies as Pillow shows the file of *path* upright."""
    with catch_warnings(action="ignore"), Image.open(path) as opened:
        if opened.mode.startswith(("I", "F", "La")) or min(found.size) < 8:
            return True
        wanted = small(ImageOps.exif_transpose(opened))
    seen = small(found)
    others = [np.rot90(side, n) for side in (wanted, wanted[:, ::-1]) for n in range(4)]
    distances = [np.abs(seen - other).mean() for other in others]
    return distances[0] <= min(distances) + 0.5


def small(picture):
    """Grey on grey, brought to one square, its levels evened out: colours differ by profile, places do not."""
    rgba = picture.convert("RGBA")
    ground = Image.new("RGBA", rgba.size, (128, 128, 128, 255))
    pixels = np.asarray(Image.alpha_composite(ground, rgba).convert("L").resize((24, 24), Image.Resampling.BOX), float)
    return (pixels - pixels.mean()) / max(1.0, pixels.std()) * 50


@pytest.mark.parametrize("kind", ["GIF", "WEBP"])
def test_frames_of_what_moves(kind):
    """D18: every frame of every good animation is the one that Pillow shows, whatever its offset and disposal.

    One apart: where a frame is cleared, Pillow paints the colour that the file calls its background, and viewers do not.
    """
    engine, wrong = Vips(Limits(), Engine()), {}
    for row in facts():
        path = CORPUS / row["file"]
        if row["format"] != kind or int(row["frames"]) == 1 or not path.exists() or "dispose_bgnd" in path.name:
            continue
        body = path.read_bytes()
        info = probe(body)
        with Image.open(path) as theirs:
            for n in range(info.frames):
                (made,) = engine.run(memoryview(body), info, [Task((Frames(n), Encode(Format.PNG)))])
                theirs.seek(n)
                distance = np.abs(on_grey(Image.open(BytesIO(made.body))) - on_grey(theirs)).mean()
                if distance > 3:
                    wrong[row["file"], n] = round(float(distance), 1)
    assert wrong == {}


def on_grey(picture):
    rgba = picture.convert("RGBA")
    return np.asarray(Image.alpha_composite(Image.new("RGBA", rgba.size, (128, 128, 128, 255)), rgba), float)


async def test_corrupt_files_end_the_same_way_in_any_worker(seen):
    """D13: a sample of corrupt files gives identical bytes, or the same error, in workers warmed by other pictures."""
    chance = random.Random(5)
    bad = [p for p in files("bad") if accepted(p)]
    warm = [p for p in files("good") if accepted(p)]
    sample = chance.sample(bad, min(80, len(bad)))
    pools = [Pool(Engine(deadline_s=60), Limits(), workers=1) for _ in range(2)]
    for pool in pools:
        await pool.start()
    try:
        for _ in range(3):
            chance.shuffle(sample)
            for path in sample:
                pool = chance.choice(pools)
                await run(pool, chance.choice(warm).read_bytes())
                assert await run(pool, path.read_bytes()) == seen[0][f"bad/{path.name}"][:2], path.name
    finally:
        for pool in pools:
            await pool.close()


def accepted(path):
    try:
        with path.open("rb") as file:
            return bool(sniff(file.read(256))) and path.stat().st_size < 1 << 20
    except UnsupportedSourceType:
        return False
