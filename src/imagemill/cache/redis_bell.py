"""Hear from other nodes which keys are done, over one connection that only listens.

Units    seconds.
Errors   none: while nothing can be heard, whoever waits looks from time to time (see `RedisCache.wait`).
"""

import asyncio
import contextlib
from collections.abc import Iterator
from contextlib import contextmanager

from imagemill.cache.redis_client import Client, PubSub, close, connect
from imagemill.settings import Level2

QUIET_S = 15.0
"""After so much silence the other end is asked for a sign of life; after twice as much it is taken for dead."""


class Bell:
    """Rings for whoever waits for a key."""

    def __init__(self, settings: Level2, channel: str) -> None:
        self._settings = settings
        self._channel = channel
        self._waiting: dict[str, set[asyncio.Event]] = {}

    @contextmanager
    def waiting(self, key: str) -> Iterator[asyncio.Event]:
        """An event that is set when *key* is done, from now on until the block ends."""
        event = asyncio.Event()
        others = self._waiting.setdefault(key, set())
        others.add(event)
        try:
            yield event
        finally:
            others.discard(event)
            if not others and self._waiting.get(key) is others:
                del self._waiting[key]

    def ring(self, key: str) -> None:
        """Tell whoever waits for *key*."""
        for event in self._waiting.get(key, ()):
            event.set()

    async def listen(self) -> None:
        """Listen for as long as this runs; what cannot be reached is tried again."""
        while True:
            with contextlib.suppress(Exception):  # whatever it was: the link tells of it, we try again
                await self._hear_anew()
            await asyncio.sleep(self._settings.probe_s)

    async def _hear_anew(self) -> None:
        # over TLS this reads certificates: that takes longer than a request may lose, and they may be gone for a moment
        client = await asyncio.to_thread(connect, self._settings, timeout_s=None)
        try:
            await self._hear(client)
        finally:
            await close(client)

    async def _hear(self, client: Client) -> None:
        async with asyncio.timeout(max(1.0, self._settings.timeout_s)):
            await client.initialize()
        bell = client.pubsub()
        try:
            async with asyncio.timeout(max(1.0, self._settings.timeout_s)):
                await bell.subscribe(self._channel)
            silent = 0
            while silent <= 1:
                silent = 0 if await self._heard(bell) else silent + 1
                if silent:
                    await bell.ping()
        finally:
            with contextlib.suppress(Exception):
                await bell.aclose()

    async def _heard(self, bell: PubSub) -> bool:
        message = await bell.get_message(ignore_subscribe_messages=False, timeout=QUIET_S)
        if message is None:
            return False
        if message["type"] == "message" and isinstance(message["data"], bytes):
            self.ring(message["data"].decode("ascii", "replace"))
        return True
