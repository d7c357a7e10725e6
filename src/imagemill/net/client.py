"""Fetch what callers point at: the one way out, judged at every hop.

Keys     `get` takes any URL that `guard.parse` accepts.
Units    bytes of the body as sent; seconds.
Errors   those of `storage.base.Get`, and `SourceForbidden`, `Overloaded`, `DependencyDown`. A refused connection and a
         name that does not exist answer as a blocked address does: no oracle for port scans.
Source   aiohttp 3.14: literal addresses bypass its resolver, so the socket factory judges again; a pooled connection
         was judged when it was opened.
"""

import asyncio
import errno
import re
import socket
import ssl
import time
import weakref
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from email.utils import formatdate
from functools import partial
from hashlib import sha256
from io import BytesIO
from ipaddress import ip_address
from typing import Any, Self
from urllib.parse import urljoin

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_exceptions import HttpProcessingError
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
    SourceTruncated,
)
from imagemill.net.freshness import Freshness, etag, freshness, unix_time
from imagemill.net.guard import Policy, Target, check, fixed_address, judge, parse
from imagemill.net.turns import Turns
from imagemill.settings import Fetch, Sources

Conditions = dict[str, str]
"""Headers that let a source say that nothing has changed; empty = it must answer in full."""
Resolver = Callable[[str, int], Awaitable[list[str]]]
"""Host and port to addresses; `OSError` when there are none."""

CHUNK_BYTES = 64 * 1024
MAX_HEADERS = 128
MAX_FIELD_BYTES = 8190
MAX_INTERIM = 16
"""1xx answers before the real one."""
MAX_FRAMING_BYTES = 512 * 1024
"""Bytes on the wire that are not body, beyond as many as the body has."""
RESOLVER_THREADS = 64
KEEP_ALIVE_S = 10.0

_MOVED = frozenset({301, 302, 303, 307, 308})
_GONE = frozenset({404, 410})
_NOT_MODIFIED = 304
_ETAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e]*"')
_NONE_KNOWN = Validators()
_OURS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL})
_FOREIGN = (aiohttp.ClientError, HttpProcessingError, OSError, ValueError)


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


class _Failed(Exception):
    """An error of ours, and what it says of the host."""

    def __init__(self, error: ImagemillError, *, unwell: bool, again: bool = False) -> None:
        super().__init__(error)
        self.error = error
        self.unwell = unwell
        self.again = again


class _Hop:
    """What the parts of the HTTP library are told of the hop they serve."""

    def __init__(self, addresses: list[str], first_byte_s: float, *, keep: bool) -> None:
        self.addresses = addresses
        self.judged = frozenset(ip_address(a) for a in addresses)
        self.keep = keep
        self.waiting: asyncio.Timeout | None = None
        self.handler: _Handler | None = None
        self._first_byte_s = first_byte_s

    def asked(self) -> None:
        """The request is out: from here on the first byte is awaited."""
        if self.waiting and not self.waiting.expired():
            self.waiting.reschedule(asyncio.get_running_loop().time() + self._first_byte_s)


# the library calls back without saying for whom; tasks it starts inherit the context
_HOP: ContextVar[_Hop] = ContextVar("hop")


class _Handler(ResponseHandler):
    """A connection that counts framing and interim answers, and remembers being reset."""

    was_reset = False
    _wire_bytes = 0
    _interim = 0

    def set_response_params(self, **params: Any) -> None:
        self._wire_bytes = self._interim = 0
        hop = _HOP.get()
        hop.handler = self
        super().set_response_params(**params)
        if not hop.keep:
            self.force_close()

    def data_received(self, data: bytes) -> None:
        self._wire_bytes += len(data)
        payload = self._payload
        super().data_received(data)
        payload = self._payload or payload
        body_bytes = getattr(payload, "total_bytes", 0)
        if self._wire_bytes > 2 * body_bytes + MAX_FRAMING_BYTES:
            self._give_up(payload)

    def _give_up(self, payload: Any) -> None:
        error = aiohttp.ClientPayloadError("more framing than body")
        self.set_exception(error)
        if payload is not None:
            payload.set_exception(error)
        if self.transport is not None:
            self.transport.abort()

    def connection_lost(self, exc: BaseException | None) -> None:
        self.was_reset = exc is not None
        super().connection_lost(exc)

    async def read(self) -> Any:
        message, payload = await super().read()
        self._interim += 100 <= message.code < 200  # noqa: PLR2004
        if self._interim > MAX_INTERIM:
            raise aiohttp.ClientPayloadError("too many interim answers")
        return message, payload


class _Connector(aiohttp.TCPConnector):
    """Connections with our handler; the rest is the library's."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)

        def handler() -> ResponseHandler:
            return _Handler(loop=self._loop)

        self._factory = partial(handler)


class _Judged(AbstractResolver):
    """Hands the library the addresses that were judged, and asks nobody."""

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_UNSPEC,  # noqa: ARG002 - the library's signature
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in _HOP.get().addresses
        ]

    async def close(self) -> None:
        """Nothing is held."""


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
        self._resolver = resolver or self._ask_system
        self._threads = ThreadPoolExecutor(RESOLVER_THREADS, "resolve")
        self._ssl = ssl_context or ssl.create_default_context()
        self._ssl.minimum_version = max(self._ssl.minimum_version, ssl.TLSVersion.TLSv1_2)
        self._headers = {
            "User-Agent": sources.user_agent or f"imagemill/{__version__}",
            "Accept": "image/*",
            "Accept-Encoding": "identity",
        }
        self._observe = observe or (lambda _code, _seconds: None)
        self._turns = Turns(fetch, time.monotonic)
        self._open_sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._session: aiohttp.ClientSession | None = None
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
        session, self._session = self._session, None
        if session is not None:
            await session.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

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
                except _Failed as e:
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
                addresses = await self._addresses(target)
                # turns bound the connections in use, this bounds the idle ones
                keep = len(self._open_sockets) < 2 * self._fetch.total
                hop = _Hop(addresses, self._fetch.first_byte_s, keep=keep)
                with _told(hop):
                    try:
                        return await self._ask(target, limit, hop, conditions)
                    except _Failed as e:
                        if not e.again:
                            raise
                    return await self._ask(target, limit, hop, conditions)
        except TimeoutError as e:
            raise _Failed(SourceTimeout("the source is too slow"), unwell=True) from e

    async def _addresses(self, target: Target) -> list[str]:
        """Look the host up, once, and judge every answer: one bad address condemns the name."""
        fixed = fixed_address(target.host)
        try:
            async with asyncio.timeout(self._fetch.resolve_s):
                addresses = [fixed] if fixed else await self._resolver(target.host, target.port)
        except TimeoutError as e:  # the resolver's fault, or a queue's before it: the host is not blamed
            raise _Failed(SourceTimeout("the source is too slow"), unwell=False) from e
        except (OSError, ValueError) as e:
            raise SourceForbidden("no such name", unreachable=True) from e
        for address in addresses:
            if reason := judge(address, self._policy):
                raise SourceForbidden(f"{address}: {reason}")
        if not addresses:
            raise SourceForbidden("no address")
        return list(dict.fromkeys(addresses))

    async def _ask_system(self, host: str, port: int) -> list[str]:
        loop = asyncio.get_running_loop()
        # bytes, so that nothing maps the name to another one on the way
        look_up = partial(socket.getaddrinfo, host.encode("ascii"), port, type=socket.SOCK_STREAM)
        return [str(info[4][0]) for info in await loop.run_in_executor(self._threads, look_up)]

    async def _ask(self, target: Target, limit: int, hop: _Hop, conditions: Conditions) -> Answer:
        try:
            async with asyncio.timeout(self._fetch.connect_s + self._fetch.first_byte_s) as hop.waiting:
                url = URL(target.url, encoded=True)
                response = await self._opened().get(url, headers=conditions, allow_redirects=False)
        except _FOREIGN as e:
            raise _translate(e, in_body=False) from e
        try:
            return await self._answer(response, limit, hop, asked_if=bool(conditions))
        except _FOREIGN as e:
            raise _translate(e, in_body=True) from e
        finally:
            response.close()  # a body read to its end has given its connection back already

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=_Connector(
                    resolver=_Judged(),
                    use_dns_cache=False,
                    socket_factory=self._socket,
                    ssl=self._ssl,
                    limit=0,  # turns are taken before
                    keepalive_timeout=KEEP_ALIVE_S,
                    timeout_ceil_threshold=3600,
                ),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._fetch.connect_s),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers=self._headers,
                auto_decompress=False,
                trust_env=False,
                requote_redirect_url=False,
                read_bufsize=CHUNK_BYTES,
                max_line_size=MAX_FIELD_BYTES,
                max_field_size=MAX_FIELD_BYTES,
                max_headers=MAX_HEADERS,
                trace_configs=[_tracing()],
            )
        return self._session

    def _socket(self, info: tuple[Any, ...]) -> socket.socket:
        """Open a socket to a judged address, or none: the last look before a packet leaves."""
        family, kind, protocol, _, address = info
        known = ip_address(address[0]) in _HOP.get().judged
        scoped = family == socket.AF_INET6 and len(address) > 3 and address[3]  # noqa: PLR2004
        if not known or scoped or judge(address[0], self._policy):
            raise PermissionError(errno.EACCES, "not a judged address")
        opened = socket.socket(family, kind, protocol)
        self._open_sockets.add(opened)
        return opened

    async def _answer(self, response: aiohttp.ClientResponse, limit: int, hop: _Hop, *, asked_if: bool) -> Answer:
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
        clock = asyncio.get_running_loop().time
        rate = self._fetch.min_bytes_per_s
        begun_s = clock()
        body, size = BytesIO(), 0  # unlike a bytearray it hands its bytes over without a copy
        try:
            async with asyncio.timeout_at(begun_s + self._fetch.slow_start_s if rate else None) as pace:
                while chunk := await response.content.readany():
                    size += len(chunk)
                    self._buffered_bytes += len(chunk)
                    if size > limit:
                        raise SourceTooLarge(f"the source: more than {limit} bytes")
                    if self._buffered_bytes > self._fetch.inflight_bytes:
                        raise Overloaded("too many bytes of unfinished downloads")
                    body.write(chunk)
                    if rate:
                        # when this passes without another byte, the average has fallen below the rate
                        pace.reschedule(begun_s + max(self._fetch.slow_start_s, size / rate))
            return body.getvalue()
        finally:
            self._buffered_bytes -= size


@contextmanager
def _told(hop: _Hop) -> Any:
    token = _HOP.set(hop)
    try:
        yield
    finally:
        _HOP.reset(token)


def _tracing() -> aiohttp.TraceConfig:
    async def asked(*_: object) -> None:
        _HOP.get().asked()

    config = aiohttp.TraceConfig()
    config.on_request_headers_sent.append(asked)
    return config


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
        raise _Failed(SourceBadResponse(f"the source answered {status}"), unwell=True)
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


def _translate(e: Exception, *, in_body: bool) -> _Failed:
    """Say what a foreign error means to us, and what it says of the host."""
    match e:
        case TimeoutError():
            return _Failed(SourceTimeout("the source is too slow"), unwell=True)
        case aiohttp.ClientSSLError():
            return _Failed(SourceBadResponse("no secure connection to the source"), unwell=False)
        case aiohttp.ClientConnectorError():
            return _unconnected(e.os_error)
        case aiohttp.ClientPayloadError() if in_body:
            return _Failed(SourceTruncated("the source's body ended early"), unwell=False, again=True)
        case aiohttp.ServerDisconnectedError() | OSError():
            # before the answer the library has tried twice by itself
            return _Failed(SourceBadResponse("the source dropped the connection"), unwell=True, again=in_body)
    return _Failed(SourceBadResponse("the source does not speak HTTP"), unwell=False)


def _unconnected(e: OSError) -> _Failed:
    if e.errno in _OURS:
        return _Failed(Overloaded("no socket to be had"), unwell=False)
    if isinstance(e, ConnectionResetError | ConnectionAbortedError | BrokenPipeError | ssl.SSLError):
        return _Failed(SourceBadResponse("the source dropped the connection"), unwell=True, again=True)
    return _Failed(SourceForbidden("connection refused", unreachable=True), unwell=True)
