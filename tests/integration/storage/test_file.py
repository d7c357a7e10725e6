"""Writers that are killed in the middle."""

import os
import subprocess
import sys
import time

from imagemill.storage.file import FileStore, Settings
from imagemill.storage.staged import FOLDER

PAUSES_S = (0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.09, 0.1, 0.8, 3.0, 12.0)
"""The last ones only where a busy machine has written nothing whole by then."""


def test_a_folder_is_never_seen_half_written(tmp_path):
    """J01: writers of `storage.file` are killed at any moment; every object stays whole, and what they left is swept."""
    writer = f"""
import asyncio, sys
from pathlib import Path
from imagemill.storage.base import Terms
from imagemill.storage.file import FileStore, Settings
async def main():
    store = FileStore(Settings(root=Path({str(tmp_path)!r}), write=True))
    print("ready", flush=True)
    while True:
        for n in (1, 2):
            await store.put("a/b", bytes([n]) * 3_000_000, Terms())
asyncio.run(main())
"""
    path, rounds = tmp_path / "a" / "b", 0
    for pause_s in PAUSES_S:
        process = subprocess.Popen([sys.executable, "-c", writer], stdout=subprocess.PIPE)
        process.stdout.readline()
        time.sleep(pause_s)
        process.kill()
        process.wait()
        process.stdout.close()
        if path.exists():
            assert path.read_bytes() in {b"\x01" * 3_000_000, b"\x02" * 3_000_000}
            rounds += 1
        if rounds and pause_s >= 0.1:
            break
    left = list((tmp_path / FOLDER).iterdir())
    for name in left:
        os.utime(name, (0, 0))

    FileStore(Settings(root=tmp_path, write=True))

    assert rounds
    assert left
    assert list((tmp_path / FOLDER).iterdir()) == []
