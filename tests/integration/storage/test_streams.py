"""Large objects in little memory, measured in a process of its own."""

import json
import subprocess
import sys

import pytest

from imagemill.settings import MiB
from support.s3 import serving

LARGE_BYTES = 100 * MiB
MOST_BYTES = 64 * MiB

CHILD = """
import asyncio, json, os, sys
from imagemill.settings import Settings, Signing
from imagemill.storage.base import Terms
from imagemill.stores import open_all

MiB = 1024 * 1024
store = open_all(Settings(signing=Signing(mode="unsigned"), storage={"it": json.loads(sys.argv[1])})).all["it"]

def most_bytes():
    with open("/proc/self/status") as status:
        return int(next(line.split()[1] for line in status if line.startswith("VmHWM"))) * 1024

async def chunks(count):
    for n in range(count):
        yield bytes([n]) * MiB

async def main(count):
    await store.put("small", b"1", Terms())
    await store.get("small", limit=1)
    before = most_bytes()
    await store.write("large", chunks(count), Terms())
    written = most_bytes()
    seen = 0
    async with store.open("large") as opened:
        async for chunk in opened.chunks:
            assert chunk[0] == seen // MiB and chunk[-1] == (seen + len(chunk) - 1) // MiB
            seen += len(chunk)
    print(json.dumps([seen, written - before, most_bytes() - before]))

asyncio.run(main(int(sys.argv[2])))
"""


@pytest.mark.parametrize("kind", ["file", "s3"])
def test_large_objects_take_little_memory(tmp_path, kind):
    """100 MiB go in and come out again, and this process grows by no more than 64."""
    with serving(tmp_path / "s3") as server:
        file = {"kind": "file", "root": str(tmp_path), "write": True}
        table = server.settings(write=True) if kind == "s3" else file
        made = subprocess.run(
            [sys.executable, "-c", CHILD, json.dumps(table), str(LARGE_BYTES // MiB)],
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip
    assert made.returncode == 0, made.stderr

    seen, writing, both = json.loads(made.stdout)
    assert seen == LARGE_BYTES
    assert writing <= both < MOST_BYTES, f"{writing / MiB:.0f} MiB more to write, {both / MiB:.0f} MiB more in all"
