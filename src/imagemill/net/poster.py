"""Send one message to an address that a caller supplied: judged at every call, and never led anywhere else.

Keys     any URL that `guard.parse` accepts and ``[callbacks]`` allows.
Units    seconds; bytes of the message as sent.
Errors   `BadRequest`, `SourceForbidden`, `SourceTimeout`, `SourceBadResponse`, `Overloaded`. Blocked, refused and
         unknown are all `SourceForbidden`: no oracle for port scans.
Source   aiohttp 3.14 sends a POST once, also where it would ask again by another method.
"""

import asyncio
import ssl
from collections.abc import Mapping
from contextlib import suppress
from typing import Self

import aiohttp
from yarl import URL

from imagemill import __version__
from imagemill.net.connection import FOREIGN, Connections, Failed, Hop, Manner, Resolver, told, translate
from imagemill.net.guard import Policy, Target, check, parse
from imagemill.settings import Callbacks

MAX_ANSWER_BYTES = 4096
"""Of an answer's body that are read, and thrown away."""
MAX_WORDS_S = 0.5
"""How long an answer's body is listened to, so that its sender sees no reset."""
RESOLVE_S = 2.0
"""Longest look-up of `judge`."""
_WHO = "the receiver"
_NAME = "callback URL"


class Poster:
    """Posts JSON to addresses that callers supplied, within every bound of ``[callbacks]``; a connection a message."""

    def __init__(
        self, callbacks: Callbacks, *, resolver: Resolver | None = None, ssl_context: ssl.SSLContext | None = None
    ) -> None:
        """Hold settings; nothing is opened before the first `post`.

        Args:
            callbacks: Who may be called.
            resolver: Stands in for the system's, in tests.
            ssl_context: Stands in for the system's trust, in tests; its lower bound is raised to TLS 1.2.
        """
        self._policy = Policy.of_callbacks(callbacks)
        manner = Manner(
            who=_WHO,
            headers={
                "User-Agent": f"imagemill/{__version__}",
                "Content-Type": "application/json",
                "Accept": "*/*",
                "Accept-Encoding": "identity",
            },
            connect_s=callbacks.timeout_s,
            buffer_bytes=MAX_ANSWER_BYTES,
            keep_alive=False,
        )
        self._out = Connections(self._policy, manner, resolver, ssl_context)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Drop every connection and thread; look-ups under way are left to end alone."""
        await self._out.close()

    def check(self, url: str) -> Target:
        """Refuse what no change of DNS could allow, or say where *url* leads; nothing is looked up.

        Raises:
            BadRequest: *url* is not one plain http(s) URL.
            SourceForbidden: scheme, port, literal address or allow-list.
        """
        target = parse(url, _NAME)
        check(target, self._policy)
        return target

    async def judge(self, url: str) -> str:
        """Say what `post` would say of the address, or give its canonical form; no packet goes there.

        A look-up that takes too long passes: every `post` judges again.

        Raises:
            BadRequest: *url* is not one plain http(s) URL.
            SourceForbidden: blocked, or no such name; always the same words.
        """
        return await self._out.judge(self.check(url), RESOLVE_S)

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], timeout_s: float) -> int:
        """Send *body* and give the status of the answer, whatever it is; a redirect is an answer like any other.

        The name is looked up anew and the address judged; within *timeout_s* from then the answer's head must be
        there. What follows it changes nothing: at most 4 KiB of it are read, for half a second at most.

        Raises:
            BadRequest: *url* is not one plain http(s) URL.
            SourceForbidden: blocked, refused, or no such name.
            SourceTimeout: no answer in time.
            SourceBadResponse: the connection broke, or what came is no HTTP, or has too large a head.
            Overloaded: there are no sockets left here.
        """
        target = self.check(url)
        ends_s = asyncio.get_running_loop().time() + timeout_s
        try:
            async with asyncio.timeout_at(ends_s):
                response = await self._ask(target, body, headers, timeout_s)
        except Failed as e:
            raise e.error from e.__cause__
        except FOREIGN as e:
            raise translate(e, _WHO, in_body=False).error from e
        try:
            await _hear_out(response, ends_s)
        finally:
            response.close()
        return response.status

    async def _ask(
        self, target: Target, body: bytes, headers: Mapping[str, str], timeout_s: float
    ) -> aiohttp.ClientResponse:
        addresses = await self._out.addresses(target, timeout_s)
        with told(Hop(addresses, timeout_s, keep=False)):
            url = URL(target.url, encoded=True)
            return await self._out.session.post(url, data=body, headers=headers, allow_redirects=False)


async def _hear_out(response: aiohttp.ClientResponse, ends_s: float) -> None:
    """Read a little of the body: whoever closes on unread bytes resets the connection."""
    left_bytes = MAX_ANSWER_BYTES
    now_s = asyncio.get_running_loop().time()
    with suppress(*FOREIGN):
        async with asyncio.timeout_at(min(now_s + MAX_WORDS_S, ends_s)):
            while left_bytes > 0 and (chunk := await response.content.read(left_bytes)):
                left_bytes -= len(chunk)
