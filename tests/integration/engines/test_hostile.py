"""The decoder rows of the threat list on files made here, so that a clone without the corpus proves them, too."""

import asyncio
import random
import time
import zlib
from contextlib import aclosing
from io import BytesIO

import pytest
from msgspec.structs import replace
from PIL import Image

from imagemill.engines.base import Task
from imagemill.engines.headers import probe
from imagemill.engines.pool import Pool
from imagemill.engines.vips import Vips, pyvips
from imagemill.model.errors import ImageCorrupt, ImagemillError, LimitExceeded, PageMissing, UnsupportedSourceType
from imagemill.model.media import READABLE, Format
from imagemill.model.recipe import AutoOrient, Blur, Encode, Resize, Trim
from imagemill.settings import Engine, Limits
from unit.engines import hostile

SMALL_PNG = (AutoOrient(), Resize(256), Encode(Format.PNG))
SMALL_WEBP = (AutoOrient(), Resize(256), Encode(Format.WEBP))


def cpu_ms(pid):
    """CPU that a worker has used so far."""
    with open(f"/proc/{pid}/schedstat") as file:  # noqa: PTH123 - read a thousand times
        return int(file.read().split()[0]) / 1e6


class Judge:
    """One worker; what it says of a source, and what that cost it."""

    def __init__(self):
        self.events = []
        self.pool = Pool(Engine(), Limits(), workers=1, observe=self.events.append)

    async def __aenter__(self):
        await self.pool.start()
        return self

    async def __aexit__(self, *_):
        await self.pool.close()

    async def __call__(self, source, recipe=SMALL_PNG):
        """The outcome as one word, and CPU milliseconds."""
        (pid,) = self.pool.pids()
        before = cpu_ms(pid)
        outcome = await self.outcome(source, recipe)
        assert not self.events, f"{self.events}: a worker was lost"
        return outcome, cpu_ms(pid) - before

    async def outcome(self, source, recipe):
        try:
            async with aclosing(self.pool.run(source, [Task(recipe)])) as results:
                async for made in results:
                    return made.rendition.etag
        except LimitExceeded as e:
            return e.limit
        except (ImageCorrupt, PageMissing, UnsupportedSourceType) as e:
            return e.code
        raise AssertionError


def bomb(name, megabytes):
    packed = zlib.compress(bytes(megabytes << 20), 9)
    return {
        b"zTXt": hostile.chunk(b"zTXt", b"k\0\0" + packed), b"iTXt": hostile.chunk(b"iTXt", b"k\0\1\0\0\0" + packed),
        b"iCCP": hostile.chunk(b"iCCP", b"k\0\0" + packed),
    }[name]  # fmt: skip


CASES = {
    # D01, D03: over-limit headers, whatever follows them
    "png 50000²": (hostile.png(50_000, 50_000, 1, 0), {"side"}), "png thin": (hostile.png(1_000_000, 1), {"side"}),
    "png 12000²": (hostile.png(12_000, 12_000, 16, 6), {"pixels"}), "jpeg 65500²": (hostile.jpeg(65_500, 65_500), {"side"}),
    "gif 65535²": (hostile.gif(65_535, 65_535), {"side"}), "webp 16383²": (hostile.riff(hostile.vp8l(16_383, 16_383)), {"pixels"}),
    "webp canvas": (hostile.riff(hostile.vp8x(16_383, 16_383, 2), hostile.anmf(8, 8)), {"pixels"}),
    "avif 60000²": (hostile.avif(60_000, 60_000), {"side"}), "gif frame outside": (hostile.gif(10, 10, at=(60_000, 9)), {"side"}),
    # D02, D08: the area is allowed, the bytes are not; interlaced ones count whole
    "png rgba16": (hostile.png(8_300, 6_000, 16, 6), {"image_corrupt"}),
    "png interlaced": (hostile.png(30_000, 30_000, 1, 0, interlace=1), {"side"}),
    # D04: frames (the first is enough for a still)
    "gif frames": (hostile.gif(1, 1, 10_000), {"image_corrupt", "ok"}),
    # D05: dimension lies
    "png two ihdr": (hostile.real_png(before=hostile.ihdr(9, 9)), {"image_corrupt"}),
    "png ihdr after": (hostile.real_png(after=hostile.ihdr(60_000, 60_000)), {"image_corrupt", "ok"}),
    "webp vp8x lie": (hostile.riff(hostile.vp8x(500, 500), hostile.vp8l(16, 16)), {"image_corrupt"}),
    "webp small canvas": (hostile.riff(hostile.vp8x(16, 16), hostile.vp8l(16_000, 16_000)), {"image_corrupt"}),
    "avif ispe large": (hostile.avif(4_000, 3_000), {"image_corrupt"}), "avif ispe small": (hostile.avif(2, 2), {"image_corrupt"}),
    # D06: metadata
    "zTXt 256 MiB": (hostile.real_png(before=bomb(b"zTXt", 256)), {"ok", "image_corrupt"}),
    "iTXt 256 MiB": (hostile.real_png(before=bomb(b"iTXt", 256)), {"ok", "image_corrupt"}),
    "iCCP 256 MiB": (hostile.real_png(before=bomb(b"iCCP", 256)), {"ok", "image_corrupt"}),
    "png 30000 chunks": (hostile.real_png(before=hostile.chunk(b"tEXt", b"a\0b") * 30_000), {"image_corrupt"}),
    "png metadata": (hostile.real_png(before=hostile.chunk(b"eXIf", bytes(2 << 20))), {"metadata_bytes"}),
    "gif metadata": (hostile.gif_comments(2 << 20), {"metadata_bytes"}),
    "avif metadata": (hostile.encoded("AVIF") + hostile.box(b"uuid", bytes(2 << 20)), {"metadata_bytes"}),
    "jpeg metadata": (hostile.with_segments(hostile.encoded("JPEG"), *[hostile.segment(0xE5, bytes(60_000))] * 20), {"metadata_bytes"}),
    "jpeg icc": (hostile.with_segments(hostile.encoded("JPEG"), *[hostile.segment(0xE2, b"ICC_PROFILE\0" + bytes(60_000))] * 20), {"icc_bytes"}),
    # D07: scans
    "jpeg scans": (hostile.many_scans(20_000), {"scans"}),
    # D09, D10: circles and derived items
    "avif nested": (hostile.nested_avif(3_000), {"image_corrupt"}), "avif grid": (hostile.grid_avif(62_500), {"image_corrupt"}),
    "avif grid small": (hostile.grid_avif(5_000), {"image_corrupt"}),
}  # fmt: skip


@pytest.fixture(scope="module")
def verdicts():
    """Every case by one worker, once."""

    async def all_of_them():
        async with Judge() as judge:
            await judge(hostile.encoded("JPEG"))
            return {name: await judge(body) for name, (body, _) in CASES.items()}

    return asyncio.run(all_of_them())


@pytest.mark.parametrize("case", CASES)
def test_bomb(case, verdicts):
    """D01-D10: a named refusal (or a picture, where the bomb was skipped), and cheap."""
    outcome, cpu = verdicts[case]
    word = "ok" if len(outcome) == 40 else outcome
    assert word in CASES[case][1]
    assert cpu < (100 if word in {"side", "pixels", "scans"} else 1000)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "AVIF"])
async def test_changed_files_end_the_same_way_every_time(kind):
    """D11, D13: flipped, cut and doubled files: a picture or an error, and the same one from a differently warmed worker."""
    chance = random.Random(kind)
    body = hostile.encoded(kind, (120, 90))
    mutants = []
    for _ in range(40):
        changed = bytearray(body)
        for _ in range(chance.randint(1, 4)):
            changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
        cut = chance.randrange(len(changed))
        mutants += [bytes(changed), bytes(changed[:cut]), bytes(changed[:cut] + changed[cut // 2 :])]
    async with Judge() as one, Judge() as other:
        first = [(await one(m))[0] for m in mutants]
        chance.shuffle(order := list(range(len(mutants))))
        again = {n: (await other(mutants[n]))[0] for n in order}
    assert [again[n] for n in range(len(mutants))] == first


async def test_no_trace_of_the_picture_before():
    """D13: after a bright picture, a broken dark one shows nothing of it."""
    bright = hostile.encoded("PNG", (400, 300))
    dark = hostile.encoded("GIF", (400, 300))
    broken = dark[: len(dark) // 2] + b"\0" * 40 + b";"
    async with Judge() as judge:
        fresh = (await judge(broken))[0]
        for _ in range(5):
            await judge(bright)
            assert (await judge(broken))[0] == fresh


def test_no_result_is_kept_for_the_next():
    """D13: libvips remembers no operation, so that nobody is given what was made of another's picture."""
    pyvips.cache_set_max(100)
    engine = Vips(Limits(), Engine())
    for _ in range(2):
        list(engine.run(memoryview(body := hostile.encoded("PNG")), probe(body), [Task(SMALL_PNG)]))

    assert (pyvips.cache_get_max(), pyvips.cache_get_size()) == (0, 0)


async def test_decoded_bytes_limit_on_a_real_file():
    """D02: sixteen bits of four channels are counted as they will be decoded."""
    limits = Limits(decoded_bytes=1 << 20)
    pool = Pool(Engine(), limits, workers=1)
    await pool.start()
    try:
        for source, refused in (
            (hostile.png(500, 500, 16, 6), True), (hostile.png(500, 500, 8, 6), False), (hostile.png(700, 600, 8, 3), True),
        ):  # fmt: skip
            with pytest.raises(ImagemillError) as caught:
                await anext(pool.run(source, [Task(SMALL_PNG)]))
            assert (getattr(caught.value, "limit", "") == "decoded_bytes") == refused
    finally:
        await pool.close()


async def test_memory_that_runs_out_is_a_limit():
    """Also where libvips, and not Python, asks for it; its worker goes on."""
    large, events = BytesIO(), []
    Image.new("RGB", (8_000, 6_000)).save(large, "WEBP", method=0)
    pool = Pool(Engine(address_space_bytes=800 << 20), Limits(), workers=1, observe=events.append)
    await pool.start()
    try:
        with pytest.raises(LimitExceeded, match="more memory than a worker has") as caught:
            await anext(pool.run(large.getvalue(), [Task(SMALL_WEBP)]))
        made = await anext(pool.run(hostile.encoded("WEBP"), [Task(SMALL_WEBP)]))
    finally:
        await pool.close()

    assert caught.value.limit == "memory"
    assert (made.rendition.format, events) == (Format.WEBP, [])


@pytest.mark.parametrize("claim", [{"width_px": 41}, {"height_px": 29}, {"width_px": 30, "height_px": 40}])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF"])
def test_decoder_and_reader_have_to_agree(kind, claim):
    """D01, D05: where the decoder's header says something else than ours, the picture is refused."""
    source = hostile.encoded(kind)
    engine = Vips(Limits(), Engine())
    with pytest.raises(ImageCorrupt, match="decoder 40 × 30"):
        list(engine.run(memoryview(source), replace(probe(source), **claim), [Task(SMALL_PNG)]))


@pytest.mark.parametrize("claim", [(20, 15), (39, 39), (1, 1)])
def test_an_avif_is_not_larger_than_it_says(claim):
    """D01, D05: what the decoder would give beyond the sides that were judged is refused."""
    source = hostile.encoded("AVIF")
    claimed = replace(probe(source), width_px=claim[0], height_px=claim[1])
    with pytest.raises(ImageCorrupt, match="decoder 40 × 30"):
        list(Vips(Limits(), Engine()).run(memoryview(source), claimed, [Task(SMALL_PNG)]))


def test_another_codec_in_an_avif(monkeypatch):
    """F07, D14: an AVIF by its brand that holds HEVC is refused, should a decoder for it ever be built in."""
    picture = pyvips.Image.black(40, 30, bands=3).copy()
    picture.set_type(pyvips.GValue.gstr_type, "heif-compression", "hevc")
    monkeypatch.setattr(pyvips.Image, "heifload_buffer", staticmethod(lambda *_, **__: picture), raising=False)
    source = hostile.encoded("AVIF")
    with pytest.raises(ImageCorrupt, match="another codec"):
        list(Vips(Limits(), Engine()).run(memoryview(source), probe(source), [Task(SMALL_PNG)]))


@pytest.mark.parametrize("claimed", sorted(READABLE))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "AVIF"])
def test_one_loader_and_no_guess(kind, claimed):
    """F07, D14: the loader is the one of the format that was sniffed; the library does not look for a better one."""
    if claimed == kind.lower():
        return
    source = hostile.encoded(kind)
    with pytest.raises(ImageCorrupt):
        list(
            Vips(Limits(), Engine()).run(memoryview(source), replace(probe(source), format=claimed), [Task(SMALL_PNG)])
        )


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_one_decode_for_all_recipes(kind):
    """Eight renditions of one source cost less than five runs of one: its pixels are decoded once."""
    out = BytesIO()
    Image.effect_noise((1200, 900), 60).convert("RGB").save(out, kind, quality=95)
    source = out.getvalue()

    def least_cpu_s(count):
        tasks = [Task((Resize(16 + n), Encode(Format.PNG))) for n in range(count)]
        times = []
        for _ in range(3):
            begun = time.process_time()
            assert len(list(Vips(Limits(), Engine()).run(memoryview(source), probe(source), tasks))) == count
            times.append(time.process_time() - begun)
        return min(times)

    assert least_cpu_s(8) < 5 * least_cpu_s(1)


def test_limits_hold_for_what_the_decoder_says():
    """D02, D05: channels and frames that only the decoder knows are judged, too."""
    source = hostile.encoded("PNG")
    with pytest.raises(LimitExceeded) as caught:
        list(
            Vips(Limits(channels=2), Engine()).run(
                memoryview(source), replace(probe(source), channels=1), [Task(SMALL_PNG)]
            )
        )
    assert caught.value.limit == "channels"


def test_each_border_looks_again():
    """V05: what was done before a border is done once more for each that follows, and is counted as often."""
    source = memoryview(hostile.encoded("PNG", (1000, 1000)))
    engine = Vips(Limits(cpu_s=0.5), Engine())

    def make(*recipe):
        return list(engine.run(source, probe(source), [Task((*recipe, Encode(Format.JPEG)))]))

    assert make(Trim(), *[Blur(300)] * 7)
    with pytest.raises(LimitExceeded, match="estimated CPU"):
        make(*[Trim(), Blur(300)] * 7)
