"""What one picture takes of a worker: resident memory at the most, in MB, a fresh worker for each.

    python bench/worker_memory.py

Shared memory is left out: it holds the source as downloaded and the rendition as encoded.
"""

import asyncio
from contextlib import aclosing
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from imagemill.engines.base import Task
from imagemill.engines.pool import Pool
from imagemill.model.media import Format
from imagemill.model.recipe import Encode, Fit, Resize
from imagemill.settings import Engine, Limits

SIDES = {12: (4000, 3000), 50: (8160, 6120)}
WORK = [
    ("JPEG", {"quality": 85}, 512, Format.JPEG), ("JPEG", {"quality": 85}, 1600, Format.WEBP),
    ("JPEG", {"quality": 85, "progressive": True}, 512, Format.JPEG), ("PNG", {}, 800, Format.PNG),
    ("WEBP", {"quality": 80}, 512, Format.JPEG), ("AVIF", {"quality": 60, "speed": 9}, 512, Format.JPEG),
    ("JPEG", {"quality": 85}, 1600, Format.AVIF), ("JPEG", {"quality": 85}, 4000, Format.JPEG),
]  # fmt: skip


def picture(side, kind, options):
    """Smooth, with some noise: photographs are neither flat nor static."""
    small = np.random.default_rng(1).integers(0, 256, (side[1] // 64 + 1, side[0] // 64 + 1, 3), np.uint8)
    out = BytesIO()
    Image.fromarray(small).resize(side, Image.Resampling.BICUBIC).save(out, kind, **options)
    return out.getvalue()


def resident_mb(pid, field):
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    sizes = {name: int(rest.split()[0]) / 1024 for name, _, rest in (li.partition(":") for li in lines) if "kB" in rest}
    return sizes[field]


async def taken(source, ops):
    pool = Pool(Engine(deadline_s=25.0), Limits(cpu_s=100.0, source_bytes=64 << 20), workers=1)
    await pool.start()
    try:
        (pid,) = pool.pids()
        start = resident_mb(pid, "RssAnon")
        async with aclosing(pool.run(source, [Task(ops)])) as results:
            _ = [made async for made in results]
        peak = resident_mb(pid, "VmHWM") - resident_mb(pid, "RssFile") - resident_mb(pid, "RssShmem")
        return start, peak - start
    finally:
        await pool.close()


async def main():
    print("| source | to | 12 MP | 50 MP |\n|---|---|---|---|")
    start = 0.0
    for kind, options, width, out in WORK:
        cells = []
        for side in SIDES.values():
            start, more = await taken(picture(side, kind, options), (Resize(width, width, Fit.INSIDE), Encode(out)))
            cells.append(f"{more:.0f}")
        name = f"{'progressive ' if 'progressive' in options else ''}{kind}"
        print(f"| {name} | {width} px {out.value.upper()} | {' | '.join(cells)} |", flush=True)
    print(f"\nbeside {start:.0f} MB of its own, without any picture")


if __name__ == "__main__":
    asyncio.run(main())
