"""Memory that jobs have left comes back, without a rest and after small ones too (threat D20)."""

import re
from io import BytesIO
from pathlib import Path

from PIL import Image

from imagemill.engines import process
from imagemill.model.media import Format
from imagemill.model.recipe import Encode, Resize
from integration.engines.test_pool import SMALL, grows_and_gives_back, outcome, picture, pool, run, until


def shared_kb() -> int:
    """What lies in the memory that this process shares with its workers."""
    maps = Path("/proc/self/smaps").read_text()
    found = re.findall(r"^[0-9a-f]+-[0-9a-f]+ \S+ \S+ \S+ \S+ +/memfd:(?:source|output).*\nSize:.*\n(?:\w+:.*\n)*?Rss: +(\d+) kB", maps, re.MULTILINE)  # fmt: skip
    return sum(map(int, found))


async def test_the_shared_memory_of_small_jobs_is_given_back(monkeypatch):
    """A few hundred kilobytes, kept while jobs follow each other, and gone when none has come for a while."""
    monkeypatch.setattr(process, "_REST_S", 1000.0)
    source = picture((700, 500), "PNG", compress_level=0)
    async with pool(1) as p:
        await run(p, source)
        assert shared_kb() >= len(source) // 1024

        monkeypatch.setattr(process, "_REST_S", 0.05)
        await run(p, SMALL)
        await until(lambda: shared_kb() == 0, 30.0)

        assert await outcome(p, SMALL) == 8


async def test_a_worker_gives_back_under_load_too():
    """It is never idle for long enough, and yet does not keep the most that any of its jobs has left."""
    await grows_and_gives_back("never_idle")


async def test_a_picture_of_more_than_100_mb_is_decoded_in_memory():
    """Within all limits, and in a format that is decoded whole: libvips would go through a file, and has none."""
    out = BytesIO()
    Image.linear_gradient("L").resize((6400, 6000)).convert("RGB").save(out, "WEBP", quality=30, method=0)
    async with pool(1) as p:
        (made,) = await run(p, out.getvalue(), (Resize(64), Encode(Format.PNG)))

        assert (made.rendition.width_px, made.rendition.height_px) == (64, 60)
