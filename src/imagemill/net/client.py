"""Fetch what callers point at: the one way out, judged at every hop.

Keys     `get` takes any URL that `guard.parse` accepts.
Units    bytes of the body as sent; seconds.
Errors   those of `storage.base.Get`, and `SourceForbidden`, `Overloaded`, `DependencyDown`.
"""

import asyncio
import re
import ssl
import time
from collections.abc import Callable
from email.utils import formatdate
from hashlib import sha256
from io import BytesIO
from typing import Self
from urllib.parse import urljoin

import aiohttp
from msgspec import Struct
from msgspec.structs import replace
from yarl import URL

from imagemill import __version__
from imagemill.model.entry import MAX_DATE_S, Validators
from imagemill.model.errors import (
    BadRequest,
    ImagemillError,
    Overloaded,
    SourceBadResponse,
    SourceError,
    SourceForbidden,
    SourceNotFound,
    SourceTimeout,
    SourceTooLarge,
)
from imagemill.net.connection import FOREIGN, Connections, Failed, Hop, Manner, Resolver, told, translate
from imagemill.net.freshness import Freshness, etag, freshness, unix_time
from imagemill.net.guard import Policy, Target, check, parse
from imagemill.net.turns import Turns
from imagemill.settings import Fetch, Sources

Conditions = dict[str, str]
"""Headers that let a source say that nothing has changed; empty = it must answer in full."""

CHUNK_BYTES = 64 * 1024
_MOVED = frozenset({301, 302, 303, 307, 308})
_GONE = frozenset({404, 410})
_NOT_MODIFIED = 304
_ETAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e]*"')
_NONE_KNOWN = Validators()
_WHO = "the source"


class Fetched(Struct, frozen=True):
    """One body, and what its source said of it, as far as that can be believed."""

    body: bytes
    etag: str = ""
    last_modified_s: int = 0
    max_age_s: int | None = None
    storable: bool = True


class NotModified(Struct, frozen=True):
    """The source still has what its validators told, and says so anew for how long."""

    max_age_s: int | None = None
    storable: bool = True


class _Moved(Struct, frozen=True):
    location: str


Answer = Fetched | NotModified | _Moved


class Client:
    """Gets bodies from addresses that callers supplied, within every bound of ``[sources]`` and ``[fetch]``."""

    def __init__(
        self,
        sources: Sources,
        fetch: Fetch,
        *,
        resolver: Resolver | None = None,
        ssl_context: ssl.SSLContext | None = None,
        observe: Callable[[str, float], None] | None = None,
    ) -> None:
        """Hold settings; nothing is opened before the first `get`.

        Args:
            sources: What may be reached.
            fetch: How fast, and how much at a time.
            resolver: Stands in for the system's, in tests.
            ssl_context: Stands in for the system's trust, in tests; its lower bound is raised to TLS 1.2.
            observe: Called after each `get` with ``"ok"`` or the error's code, and the seconds it took.
        """
        self._policy = Policy.of(sources)
        self._fetch = fetch
        manner = Manner(
            who=_WHO,
            headers={
                "User-Agent": sources.user_agent or f"imagemill/{__version__}",
                "Accept": "image/*",
                "Accept-Encoding": "identity",
            },
            connect_s=fetch.connect_s,
            buffer_bytes=CHUNK_BYTES,
        )
        self._out = Connections(self._policy, manner, resolver, ssl_context)
        self._observe = observe or (lambda _code, _seconds: None)
        self._turns = Turns(fetch, time.monotonic)
        self._in_flight = 0
        self._buffered_bytes = 0

    @property
    def in_flight(self) -> int:
        """Calls of `get` that have not ended, waiting ones among them."""
        return self._in_flight

    @property
    def buffered_bytes(self) -> int:
        """Bytes of bodies that have not ended."""
        return self._buffered_bytes

    @property
    def known_hosts(self) -> int:
        """Hosts with a fetch or a fault to remember."""
        return self._turns.hosts

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Drop every connection and thread; look-ups under way are left to end alone."""
        await self._out.close()

    async def judge(self, url: str) -> str:
        """Say before any `get` what it would say of the address, or give its canonical form; no packet goes there.

        A look-up that takes too long passes: every `get` judges again.

        Raises:
            BadRequest: *url* is not one plain http(s) URL.
            SourceForbidden: blocked, or no such name; always the same words.
        """
        return await self._out.judge(parse(url), self._fetch.resolve_s)

    async def get(self, url: str, *, limit: int, known: Validators = _NONE_KNOWN) -> Fetched | NotModified:
        """Fetch one body of at most *limit* bytes, following redirects, judging each place before it is asked.

        With *known* validators the source may answer that nothing has changed. Only where it is asked first: where a
        redirect leads may have changed with all its validators the same, so what lies there is fetched in full.

        Raises:
            BadRequest: *url* is not one plain http(s) URL.
            SourceForbidden: blocked, refused, or no such name; always the same words.
            SourceNotFound: 404 or 410.
            SourceTooLarge: announced or found to exceed *limit*.
            SourceTruncated: the body ended early, twice.
            SourceTimeout: connect, first byte, rate or total time.
            SourceBadResponse: anything else but a plain 200 with an unencoded body.
            Overloaded: too much runs or waits here.
            DependencyDown: this host keeps failing and is not asked for a while.
        """
        begun_s = time.monotonic()
        outcome = "cancelled"
        self._in_flight += 1
        try:
            fetched = await self._follow(parse(url), limit, _conditions(known))
            outcome = "ok"
        except ImagemillError as e:
            outcome = e.code
            raise
        else:
            return fetched
        finally:
            self._in_flight -= 1
            self._observe(outcome, time.monotonic() - begun_s)

    async def _follow(self, target: Target, limit: int, conditions: Conditions) -> Fetched | NotModified:
        left_s = self._fetch.total_s
        seen: set[str] = set()
        while target.url not in seen and len(seen) <= self._fetch.redirects:
            seen.add(target.url)
            check(target, self._policy)
            async with self._turns.take(target.origin) as turn:
                begun_s = time.monotonic()
                try:
                    answer = await self._hop(target, limit, left_s, conditions)
                except Failed as e:
                    if e.unwell:
                        turn.unwell(refused=isinstance(e.error, SourceForbidden))
                    raise e.error from e.__cause__
                except SourceError:
                    turn.well()
                    raise
                turn.well()
                left_s -= time.monotonic() - begun_s
            if isinstance(answer, _Moved):
                target, conditions = _next(target, answer.location), {}
            else:
                return _from_elsewhere(answer) if len(seen) > 1 and isinstance(answer, Fetched) else answer
        raise SourceBadResponse("the source redirects in a loop, or too often")

    async def _hop(self, target: Target, limit: int, left_s: float, conditions: Conditions) -> Answer:
        try:
            async with asyncio.timeout(left_s):
                addresses = await self._out.addresses(target, self._fetch.resolve_s)
                # turns bound the connections in use, this bounds the idle ones
                keep = self._out.open_sockets < 2 * self._fetch.total
                hop = Hop(addresses, self._fetch.first_byte_s, keep=keep)
                with told(hop):
                    try:
                        return await self._ask(target, limit, hop, conditions)
                    except Failed as e:
                        if not e.again:
                            raise
                    return await self._ask(target, limit, hop, conditions)
        except TimeoutError as e:
            raise Failed(SourceTimeout("the source is too slow"), unwell=True) from e

    async def _ask(self, target: Target, limit: int, hop: Hop, conditions: Conditions) -> Answer:
        try:
            async with asyncio.timeout(self._fetch.connect_s + self._fetch.first_byte_s) as hop.waiting:
                url = URL(target.url, encoded=True)
                response = await self._out.session.get(url, headers=conditions, allow_redirects=False)
        except FOREIGN as e:
            raise translate(e, _WHO, in_body=False) from e
        try:
            return await self._answer(response, limit, hop, asked_if=bool(conditions))
        except FOREIGN as e:
            raise translate(e, _WHO, in_body=True) from e
        finally:
            response.close()  # a body read to its end has given its connection back already

    async def _answer(self, response: aiohttp.ClientResponse, limit: int, hop: Hop, *, asked_if: bool) -> Answer:
        if response.status in _MOVED:
            return _Moved(response.headers.get("Location", ""))
        if asked_if and response.status == _NOT_MODIFIED:
            said = _said(response)
            return NotModified(said.max_age_s, said.storable)
        _check_status(response.status)
        _check_coding(response)
        declared = response.headers.get("Content-Length", "")
        if declared and int(declared[:20]) > limit:
            raise SourceTooLarge(f"the source: {declared[:20]} > {limit} bytes")
        body = await self._body(response, limit)
        # a body that ends with its connection looks whole after a reset
        framed = declared or "Transfer-Encoding" in response.headers
        if not framed and hop.handler is not None and hop.handler.was_reset:
            raise ConnectionResetError
        return _fetched(body, response)

    async def _body(self, response: aiohttp.ClientResponse, limit: int) -> bytes:
        body, size = BytesIO(), 0  # unlike a bytearray it hands its bytes over without a copy
        pace = _Pace(end := asyncio.timeout(None), self._fetch)
        try:
            async with end:
                while chunk := await response.content.readany():
                    size += len(chunk)
                    self._buffered_bytes += len(chunk)
                    if size > limit:
                        raise SourceTooLarge(f"the source: more than {limit} bytes")
                    if self._buffered_bytes > self._fetch.inflight_bytes:
                        raise Overloaded("too many bytes of unfinished downloads")
                    body.write(chunk)
                    pace.size = size
            return body.getvalue()
        finally:
            pace.stop()
            self._buffered_bytes -= size


class _Pace:
    """Ends a download once the average since it began has fallen below the rate.

    The clock is looked at when the time is up that the bytes so far were good for, and not at every one of many chunks.
    """

    size = 0
    """Bytes so far."""

    def __init__(self, end: asyncio.Timeout, fetch: Fetch) -> None:
        self._end, self._fetch = end, fetch
        self._loop = asyncio.get_running_loop()
        self._begun_s = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None
        if fetch.min_bytes_per_s:
            self._timer = self._loop.call_at(self._begun_s + fetch.slow_start_s, self._look)

    def stop(self) -> None:
        """Look no more."""
        if self._timer:
            self._timer.cancel()

    def _look(self) -> None:
        due_s = self._begun_s + max(self._fetch.slow_start_s, self.size / self._fetch.min_bytes_per_s)
        if due_s > self._loop.time():
            self._timer = self._loop.call_at(due_s, self._look)
        else:
            self._end.reschedule(due_s)


def _next(target: Target, location: str) -> Target:
    """Read a ``Location`` against where it came from; whatever is not one more plain URL is forbidden."""
    if not location:
        raise SourceBadResponse("the source redirects to nowhere")
    try:
        # urljoin drops tabs and newlines before it reads: refuse them while they can be seen
        parse(f"http://location/{location.partition('#')[0]}")
        return parse(urljoin(target.url, location.partition("#")[0]))
    except (BadRequest, ValueError) as e:
        raise SourceForbidden("ill-formed redirect") from e


def _check_status(status: int) -> None:
    if status in _GONE:
        raise SourceNotFound("the source has no such object")
    if status == 429 or status >= 500:  # noqa: PLR2004
        raise Failed(SourceBadResponse(f"the source answered {status}"), unwell=True)
    if status != 200:  # noqa: PLR2004
        raise SourceBadResponse(f"the source answered {status}")


def _check_coding(response: aiohttp.ClientResponse) -> None:
    codings = {c.strip().lower() for value in response.headers.getall("Content-Encoding", ()) for c in value.split(",")}
    transfer = [value.strip().lower() for value in response.headers.getall("Transfer-Encoding", ())]
    if codings - {"identity", ""} or transfer not in ([], ["chunked"]):
        raise SourceBadResponse("the source answered with an encoded body; we asked for none")


def _conditions(known: Validators) -> Conditions:
    """Ask by the tag where there is one, and it can be sent as it came; else by the date (RFC 9110 section 13.1)."""
    if known.etag:
        return {"If-None-Match": known.etag} if etag(known.etag) and _ETAG.fullmatch(known.etag) else {}
    if 0 < known.last_modified_s <= MAX_DATE_S:
        return {"If-Modified-Since": formatdate(known.last_modified_s, usegmt=True)}
    return {}


def _said(response: aiohttp.ClientResponse) -> Freshness:
    headers = response.headers
    control = ",".join(headers.getall("Cache-Control", ()))
    return freshness(control, headers.get("Expires", ""), int(time.time()), headers.get("Age", ""))


def _fetched(body: bytes, response: aiohttp.ClientResponse) -> Fetched:
    headers, said = response.headers, _said(response)
    return Fetched(
        body=body,
        etag=etag(headers.get("ETag", "")),
        last_modified_s=unix_time(headers.get("Last-Modified", "")),
        max_age_s=said.max_age_s,
        storable=said.storable,
    )


def _from_elsewhere(fetched: Fetched) -> Fetched:
    """*fetched* with a tag that tells versions apart, and that nobody can be asked by."""
    told = fetched.etag or str(fetched.last_modified_s or "")
    return replace(fetched, etag=f"moved-{sha256(told.encode()).hexdigest()[:32]}") if told else fetched
