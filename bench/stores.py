"""What does it cost to read and to write an object? CPU of this process for each, against a real S3 server.

python bench/stores.py [count]     needs .ci/servers versitygw; shows obstore beside it where that is installed
"""

import asyncio
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from hashlib import sha256
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from imagemill.settings import Secret
from imagemill.storage.base import Terms
from imagemill.storage.file import FileStore
from imagemill.storage.file import Settings as FileSettings
from imagemill.storage.s3 import S3Store
from imagemill.storage.s3 import Settings as S3Settings
from support.s3 import ACCESS_KEY, BUCKET, REGION, SECRET_KEY, S3Server, serving

ROUNDS = 5
LARGE_BYTES, CHUNK_BYTES = 64 << 20, 1 << 20
Call = Callable[[], Awaitable[object]]


def cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def measured(call: Call, count: int) -> tuple[float, float]:
    """Median over the rounds: CPU and wall time of one call, in microseconds."""
    cpu, wall = [], []
    await call()
    for _ in range(ROUNDS):
        begun, used = time.perf_counter(), cpu_s()
        for _ in range(count):
            await call()
        cpu.append((cpu_s() - used) / count * 1e6)
        wall.append((time.perf_counter() - begun) / count * 1e6)
    return statistics.median(cpu), statistics.median(wall)


def ours(store: S3Store | FileStore, size: int) -> dict[str, Call]:
    body = os.urandom(size)
    terms = Terms(sha256=sha256(body).hexdigest())
    return {
        "put": lambda: store.put(str(size), body, terms),
        "get": lambda: store.get(str(size), limit=size),
        "stat": lambda: store.stat(str(size)),
    }


async def streamed(store: S3Store | FileStore, verb: str) -> None:
    """One large object, chunk by chunk."""

    async def chunks() -> AsyncIterator[bytes]:
        for n in range(LARGE_BYTES // CHUNK_BYTES):
            yield bytes([n % 256]) * CHUNK_BYTES

    if verb == "write":
        await store.write("large", chunks(), Terms())
        return
    async with store.open("large") as opened:
        async for _ in opened.chunks:
            pass


def peers(server: S3Server, size: int) -> dict[str, Call]:
    try:
        import obstore  # noqa: PLC0415 - no dependency of ours
        from obstore.store import S3Store as Peer  # noqa: PLC0415 - as above
    except ModuleNotFoundError:
        return {}
    peer = Peer(
        BUCKET, endpoint=server.endpoint, region=REGION, access_key_id=ACCESS_KEY, secret_access_key=SECRET_KEY,
        client_options={"allow_http": True},
    )  # fmt: skip

    async def get() -> object:
        found = await obstore.get_async(peer, str(size))
        return bytes(await found.bytes_async())

    return {"obstore get": get}


async def main(count: int) -> None:
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder) / "s3") as server:
        given = {k: Secret(v) if "key" in k else v for k, v in server.settings(write=True).items()}
        stores = {
            "s3": S3Store(S3Settings(**given)),
            "file": FileStore(FileSettings(root=Path(folder), write=True)),
        }
        print(f"{count} calls, median of {ROUNDS} rounds; one after the other; {os.cpu_count()} cores")
        print("| call | bytes | CPU µs | wall µs |\n|---|---:|---:|---:|")
        for size in (50_000, 1_000_000):
            calls = {f"{n} {verb}": call for n, it in stores.items() for verb, call in ours(it, size).items()}
            for name, call in (calls | peers(server, size)).items():
                cpu, wall = await measured(call, count)
                print(f"| {name} | {size} | {cpu:.0f} | {wall:.0f} |")
        for name, store in stores.items():
            for verb in ("write", "open"):
                cpu, wall = await measured(partial(streamed, store, verb), 1)
                print(f"| {name} {verb} | {LARGE_BYTES} | {cpu:.0f} | {wall:.0f} |")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 100))
