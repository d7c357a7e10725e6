"""The bell goes on listening, whatever it meets."""

import asyncio
import contextlib
import threading

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


async def test_reading_certificates_keeps_nobody_waiting(monkeypatch):
    """While Redis is away they are read once a second, in tens of milliseconds: the loop turns meanwhile."""
    begun, turned, ended = threading.Event(), threading.Event(), []

    def connect(_settings, *, timeout_s):
        begun.set()
        ended.append(turned.wait(60))
        raise OSError(timeout_s)

    monkeypatch.setattr("imagemill.cache.redis_bell.connect", connect)
    listening = asyncio.create_task(Bell(Level2(url=Secret("rediss://127.0.0.1:1")), "done").listen())

    while not begun.is_set():
        await asyncio.sleep(0.001)
    turned.set()
    while not ended:
        await asyncio.sleep(0.001)

    assert ended == [True]
    listening.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await listening
