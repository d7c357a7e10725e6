"""Submit jobs, and say so once they are accepted: ``python -m support.job_submitter DIRECTORY COUNT CALLERS``."""

import asyncio
import os
import sys
from pathlib import Path

from imagemill.jobs.embedded.engine import EmbeddedEngine
from imagemill.settings import Jobs
from support.jobs import job


async def main():
    engine = EmbeddedEngine(Jobs(), Path(sys.argv[1]))
    await engine.start()
    os.write(1, b"ready\n")

    left = iter(range(int(sys.argv[2])))

    async def call():
        for _ in left:
            accepted = await engine.submit(job())
            os.write(1, f"accepted {accepted.id}\n".encode())

    await asyncio.gather(*(call() for _ in range(int(sys.argv[3]))))
    await engine.close()


if __name__ == "__main__":
    asyncio.run(main())
