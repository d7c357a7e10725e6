"""The bell goes on listening, whatever it meets."""

import asyncio
import contextlib

from imagemill.cache.redis_bell import Bell
from imagemill.settings import Level2, Secret


async def test_certificates_that_are_gone_for_a_moment_do_not_end_it(tmp_path):
    """They are read anew for each connection, and may be being replaced just then."""
    settings = Level2(url=Secret("rediss://127.0.0.1:1"), ca_file=str(tmp_path / "ca.pem"), probe_s=0.02)
    listening = asyncio.create_task(Bell(settings, "done").listen())

    await asyncio.sleep(0.2)

    assert not listening.done()
    listening.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await listening
