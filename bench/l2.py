"""What the second level costs: CPU a read, renewals by several means, memory an entry, and compression (docs/adr/0007).

    python bench/l2.py [reads]

Starts a redis-server of its own on the loopback. CPU is of this process (client and loop, uvloop as in the service),
and of the server, in microseconds a read; the least of five rounds, with the spread to the greatest. The body is
30,000 random bytes. Goal: a read of the second level costs at most 300 µs more than a hit of the first.
"""

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
import zlib
from io import BytesIO
from pathlib import Path

import redis
import uvloop
from PIL import Image

try:
    import zstandard
except ImportError:
    zstandard = None

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from imagemill.cache.memory import MemoryCache
from imagemill.cache.redis import RedisCache
from imagemill.cache.redis_client import connect
from imagemill.model.entry import Entry
from imagemill.model.keys import etag
from imagemill.model.media import Format, Rendition
from imagemill.settings import Level2, Secret
from support.redis import standalone

ROUNDS = 5
BODY = os.urandom(30_000)
KEYS = [f"{n:064x}" for n in range(200)]
SAMPLE = Path(__file__).parents[1] / "src" / "imagemill" / "samples" / "dandelion.jpg"


def entry(body=BODY):
    return Entry(
        Rendition(body, Format.WEBP, etag(body), 800, 600),
        time.time(),
        source_key="ab" * 32,
        tags=("shop",),
        cost_ms=40,
    )


def server_us(admin):
    cpu = admin.info("cpu")
    return (cpu["used_cpu_user"] + cpu["used_cpu_sys"]) * 1e6


async def cpu(admin, work, count):
    """CPU a piece of *count*, here and in the server."""
    ours, theirs = [], []
    for _ in range(ROUNDS):
        there, here = server_us(admin), time.process_time()
        await work(count)
        await asyncio.sleep(0.05)
        ours.append((time.process_time() - here) * 1e6 / count)
        theirs.append((server_us(admin) - there) / count)
    return min(ours), max(ours), statistics.median(theirs)


def row(name, measured):
    least, most, there = measured
    print(f"{name:58} {least:7.0f} … {most:5.0f} {there:8.0f}")
    return least


async def reads(server, count):
    print(f"{'CPU, µs a read':58} {'client':>15} {'server':>8}")
    near = MemoryCache(64 << 20, 300.0, lambda e: len(e.rendition.body))
    for key in KEYS:
        near.put(key, entry(), 0.0, ttl_s=300)

    async def first(n):
        for at in range(n * 10):
            near.get(KEYS[at % 200], 1.0)

    least, most, _ = await cpu(server.admin, first, count)
    first_us = row("L1 hit", (least / 10, most / 10, 0))
    for name, secret in (("", ""), (", keyed checksum", "s" * 32)):
        settings = Level2(url=Secret(server.url), timeout_s=1.0, secret=Secret(secret), prefix=f"p{len(secret)}")
        stored = asyncio.Event()
        level = RedisCache(settings, stale_s=300, negative_s=10, observe=lambda event, _, s=stored: s.set() if event == "stored" else None)  # fmt: skip
        await level.start()
        for key in KEYS:
            stored.clear()
            level.put(key, entry(), None)
            await stored.wait()

        async def alone(n, level=level):
            for at in range(n):
                assert await level.get(KEYS[at % 200])

        async def eight(n, level=level):
            async def some(m):
                await alone(m, level)

            await asyncio.gather(*(some(n // 8) for _ in range(8)))

        async def rare(n, level=level):
            for at in range(n):
                assert await level.get(KEYS[at % 200])
                await asyncio.sleep(0.025)

        if not secret:
            row("L2 hit, renewal included: 40 a second", await cpu(server.admin, rare, 60))
        least = row(f"L2 hit, renewal included, one after another{name}", await cpu(server.admin, alone, count))
        row(f"L2 hit, renewal included, eight at a time{name}", await cpu(server.admin, eight, count))
        print(f"{'  above an L1 hit':58} {least - first_us:7.0f}   {'(goal: 300)'}")
        if not secret:
            level._renewals.add = lambda _name, _ms: None  # what it costs is the question
            row("L2 hit without renewal", await cpu(server.admin, alone, count))
            row("L2 hit without renewal: 40 a second", await cpu(server.admin, rare, 60))
        await level.close()


async def means(server, count):
    """The same value by the bare client, by the means that there are to keep what is read."""
    client = connect(Level2(url=Secret(server.url), timeout_s=1.0), timeout_s=None)
    names = [f"p0:{{{key}}}" for key in KEYS]

    async def each(n, *commands):
        for at in range(n):
            for command in commands:
                await client.execute_command(*(part if part is not None else names[at % 200] for part in command))

    async def batched(n):
        for at in range(0, n, 20):
            for step in range(20):
                await client.execute_command("GET", names[(at + step) % 200])
            pipe = client.pipeline(transaction=False)
            for step in range(20):
                pipe.execute_command("PEXPIRE", names[(at + step) % 200], 21_600_000 + at, "GT")
            await pipe.execute(raise_on_error=False)

    async def scan(n):
        for _ in range(n // 200):
            _, found = await client.execute_command("SCAN", 0, "MATCH", "p0:{*}", "COUNT", 1000)
            pipe = client.pipeline(transaction=False)
            for name in found:
                pipe.execute_command("OBJECT", "IDLETIME", name)
            await pipe.execute(raise_on_error=False)

    print(f"\n{'Bare client, µs a read':58} {'client':>15} {'server':>8}")
    row("GET", await cpu(server.admin, lambda n: each(n, ("GET", None)), count))
    row("GET, PEXPIRE GT in pipelines of 20", await cpu(server.admin, batched, count))
    row("GET, PEXPIRE GT each", await cpu(server.admin, lambda n: each(n, ("GET", None), ("PEXPIRE", None, 21_600_000, "GT")), count))  # fmt: skip
    row("GETEX PX", await cpu(server.admin, lambda n: each(n, ("GETEX", None, "PX", 21_600_000)), count))
    row("SCAN with OBJECT IDLETIME, a key and sweep, not a read", await cpu(server.admin, scan, max(count, 2000)))
    await client.aclose()


async def memory(server):
    print("\nMemory an entry, bytes")
    settings = Level2(url=Secret(server.url), timeout_s=1.0, prefix="mem")
    level = RedisCache(settings, stale_s=300, negative_s=10)
    await level.start()
    for size in (1_000, 10_000, 30_000, 100_000):
        key = f"{size:064x}"
        level.put(key, entry(os.urandom(size)), None)
        await asyncio.sleep(0.1)
        name = f"mem:{{{key}}}"
        used, length = server.admin.memory_usage(name), server.admin.strlen(name)
        print(
            f"  body {size:7,}   frame +{length - size:4}   in Redis +{used - size:6,}  ({(used - size) / size:5.1%})"
        )
    await level.close()


def compression():
    print("\nCompression of rendition bodies: bytes saved, CPU to compress and to expand")
    photo = Image.open(SAMPLE).convert("RGB")
    for side in (200, 512, 1200):
        for kind, options in (
            ("JPEG", {"quality": 80}),
            ("WEBP", {"quality": 79}),
            ("AVIF", {"quality": 63}),
            ("PNG", {}),
        ):
            out, picture = BytesIO(), photo.copy()
            picture.thumbnail((side, side))
            picture.save(out, kind, **options)
            body = out.getvalue()
            ways = {"zlib 1": (lambda b: zlib.compress(b, 1), zlib.decompress)}
            ways["zlib 6"] = (lambda b: zlib.compress(b, 6), zlib.decompress)
            if zstandard:
                ways["zstd 3"] = (zstandard.ZstdCompressor(3).compress, zstandard.ZstdDecompressor().decompress)
            said = []
            for name, (shrink, expand) in ways.items():
                small, there_us = timed(shrink, body)
                _, back_us = timed(expand, small)
                said.append(f"{name} {1 - len(small) / len(body):6.2%} {there_us:6.0f} {back_us:5.0f} µs")
            print(f"  {kind:4} {side:5} px {len(body):9,}   " + "   ".join(said))


def timed(work, argument):
    best = 1e9
    for _ in range(5):
        begun = time.process_time()
        for _ in range(5):
            result = work(argument)
        best = min(best, (time.process_time() - begun) * 1e6 / 5)
    return result, best


async def measure(server, count):
    await reads(server, count)
    await means(server, count)
    await memory(server)


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 3000
    version = subprocess.run(["redis-server", "--version"], capture_output=True, text=True, check=True).stdout.split()[
        2
    ]
    print(
        f"redis-server {version}, redis-py {redis.__version__}, Python {sys.version.split()[0]}, load {os.getloadavg()[0]:.1f}\n"
    )
    with tempfile.TemporaryDirectory() as folder, standalone(Path(folder)) as server:
        uvloop.run(measure(server, count))
    compression()


if __name__ == "__main__":
    main()
