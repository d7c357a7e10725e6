"""The file of the embedded engine, opened twice by one process and by others that come and go."""

import subprocess
import sys

from imagemill.jobs.embedded.database import Database
from imagemill.jobs.embedded.schema import FILE

ANOTHER = """
import asyncio, sys
from pathlib import Path
from imagemill.jobs.embedded.database import Database
async def main():
    db = Database(Path(sys.argv[1]))
    await db.open()
    await db.write(lambda db: db.execute("UPDATE meta SET epoch = epoch + 1"))
    await db.close()
asyncio.run(main())
"""


async def test_another_process_that_goes_takes_no_log_away(tmp_path):
    """A process that opens the file twice keeps its locks; without them, who closes last but one deletes the log."""
    first, second = Database(tmp_path / FILE), Database(tmp_path / FILE)
    await first.open()
    await second.open()
    log = tmp_path / f"{FILE}-wal"
    await first.write(lambda db: db.execute("UPDATE meta SET epoch = 41"))
    inode = log.stat().st_ino
    try:
        subprocess.run([sys.executable, "-c", ANOTHER, str(tmp_path / FILE)], check=True)

        assert log.stat().st_ino == inode
        assert await second.read(lambda db: db.execute("SELECT epoch FROM meta").fetchone()) == (42,)
    finally:
        await first.close()
        await second.close()
