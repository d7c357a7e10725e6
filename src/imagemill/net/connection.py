"""Connect to judged addresses only: what the fetching client and the poster have in common.

Units    bytes; seconds.
Errors   `Failed` carries an error of ours and what it says of the host. A refused connection and a name that does not
         exist answer as a blocked address does: no oracle for port scans.
Source   aiohttp 3.14: literal addresses bypass its resolver, so the socket factory judges again; a pooled connection
         was judged when it was opened.
"""

import asyncio
import errno
import socket
import ssl
import weakref
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import lru_cache, partial
from ipaddress import ip_address
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_exceptions import HttpProcessingError
from msgspec import Struct

from imagemill.model.errors import (
    ImagemillError,
    Overloaded,
    SourceBadResponse,
    SourceForbidden,
    SourceTimeout,
    SourceTruncated,
)
from imagemill.net.guard import Policy, Target, check, fixed_address, judge

Resolver = Callable[[str, int], Awaitable[list[str]]]
"""Host and port to addresses; `OSError` when there are none."""

MAX_HEADERS = 128
MAX_FIELD_BYTES = 8190
MAX_INTERIM = 16
"""1xx answers before the real one."""
MAX_FRAMING_BYTES = 512 * 1024
"""Bytes on the wire that are not body, beyond as many as the body has."""
RESOLVER_THREADS = 64
KEEP_ALIVE_S = 10.0
FOREIGN = (aiohttp.ClientError, HttpProcessingError, OSError, ValueError)
"""What the library may raise; `translate` makes it ours."""

_OURS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL})


class Failed(Exception):
    """An error of ours, and what it says of the host."""

    def __init__(self, error: ImagemillError, *, unwell: bool, again: bool = False) -> None:
        super().__init__(error)
        self.error = error
        self.unwell = unwell
        self.again = again


class Hop:
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


_judged = lru_cache(maxsize=1024)(judge)
"""A verdict is a function of address and policy; each new request asks for it twice."""

# the library calls back without saying for whom; tasks it starts inherit the context
_HOP: ContextVar[Hop] = ContextVar("hop")


@contextmanager
def told(hop: Hop) -> Iterator[None]:
    """Let whatever the library does inside know that it serves *hop*."""
    token = _HOP.set(hop)
    try:
        yield
    finally:
        _HOP.reset(token)


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


class Manner(Struct, frozen=True):
    """How one user of `Connections` behaves: constant, whoever is called."""

    who: str
    """Whom messages blame: ``the source``."""
    headers: dict[str, str]
    connect_s: float
    buffer_bytes: int
    """Read ahead from one connection, before flow control stops it."""
    keep_alive: bool = True
    """Whether a connection may serve another request."""


class Connections:
    """One session of the HTTP library that opens sockets to judged addresses, and to nothing else."""

    def __init__(
        self,
        policy: Policy,
        manner: Manner,
        resolver: Resolver | None = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        """Hold what is given; nothing is opened before the first use of `session`.

        Args:
            policy: What may be reached.
            manner: What is the same for every call.
            resolver: Stands in for the system's, in tests.
            ssl_context: Stands in for the system's trust, in tests; its lower bound is raised to TLS 1.2.
        """
        self._policy = policy
        self._manner = manner
        self._resolver = resolver or self._ask_system
        self._threads = ThreadPoolExecutor(RESOLVER_THREADS, "resolve")
        self._ssl = ssl_context or ssl.create_default_context()
        self._ssl.minimum_version = max(self._ssl.minimum_version, ssl.TLSVersion.TLSv1_2)
        self._open_sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._session: aiohttp.ClientSession | None = None

    @property
    def open_sockets(self) -> int:
        """Sockets that are in use or idle."""
        return len(self._open_sockets)

    async def close(self) -> None:
        """Drop every connection and thread; look-ups under way are left to end alone."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def judge(self, target: Target, timeout_s: float) -> str:
        """Refuse *target* now rather than later, or give its URL; nothing is connected to.

        A look-up that takes longer than *timeout_s* passes: it says nothing of the address, which is judged again
        whenever it is called.

        Raises:
            SourceForbidden: blocked, or no such name; always the same words.
        """
        check(target, self._policy)
        with suppress(Failed):
            await self.addresses(target, timeout_s)
        return target.url

    async def addresses(self, target: Target, timeout_s: float) -> list[str]:
        """Look the host up, once, and judge every answer: one bad address condemns the name.

        Raises:
            Failed: with `SourceTimeout`, where the look-up takes longer than *timeout_s*.
            SourceForbidden: blocked, or no such name.
        """
        fixed = fixed_address(target.host)
        addresses = [fixed] if fixed else await self._looked_up(target, timeout_s)
        for address in addresses:
            if reason := _judged(address, self._policy):
                raise SourceForbidden(f"{address}: {reason}")
        if not addresses:
            raise SourceForbidden("no address")
        return list(dict.fromkeys(addresses))

    async def _looked_up(self, target: Target, timeout_s: float) -> list[str]:
        try:
            async with asyncio.timeout(timeout_s):
                return await self._resolver(target.host, target.port)
        except TimeoutError as e:  # the resolver's fault, or a queue's before it: the host is not blamed
            raise Failed(SourceTimeout(f"{self._manner.who} is too slow"), unwell=False) from e
        except (OSError, ValueError) as e:
            raise SourceForbidden("no such name", unreachable=True) from e

    async def _ask_system(self, host: str, port: int) -> list[str]:
        loop = asyncio.get_running_loop()
        # bytes, so that nothing maps the name to another one on the way
        look_up = partial(socket.getaddrinfo, host.encode("ascii"), port, type=socket.SOCK_STREAM)
        return [str(info[4][0]) for info in await loop.run_in_executor(self._threads, look_up)]

    @property
    def session(self) -> aiohttp.ClientSession:
        """The session; use it only where `told` has said for which hop."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=_Connector(
                    resolver=_Judged(),
                    use_dns_cache=False,
                    socket_factory=self.socket,
                    ssl=self._ssl,
                    limit=0,  # whoever calls bounds itself before
                    timeout_ceil_threshold=3600,
                    **({"keepalive_timeout": KEEP_ALIVE_S} if self._manner.keep_alive else {"force_close": True}),
                ),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._manner.connect_s),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers=self._manner.headers,
                auto_decompress=False,
                trust_env=False,
                requote_redirect_url=False,
                read_bufsize=self._manner.buffer_bytes,
                max_line_size=MAX_FIELD_BYTES,
                max_field_size=MAX_FIELD_BYTES,
                max_headers=MAX_HEADERS,
                trace_configs=[_tracing()],
            )
        return self._session

    def socket(self, info: tuple[Any, ...]) -> socket.socket:
        """Open a socket to a judged address, or none: the last look before a packet leaves."""
        family, kind, protocol, _, address = info
        known = ip_address(address[0]) in _HOP.get().judged
        scoped = family == socket.AF_INET6 and len(address) > 3 and address[3]  # noqa: PLR2004
        if not known or scoped or _judged(address[0], self._policy):
            raise PermissionError(errno.EACCES, "not a judged address")
        opened = socket.socket(family, kind, protocol)
        self._open_sockets.add(opened)
        return opened


def _tracing() -> aiohttp.TraceConfig:
    async def asked(*_: object) -> None:
        _HOP.get().asked()

    config = aiohttp.TraceConfig()
    config.on_request_headers_sent.append(asked)
    return config


def translate(e: Exception, who: str, *, in_body: bool) -> Failed:
    """Say what a foreign error means to us, and what it says of the host."""
    match e:
        case TimeoutError():
            return Failed(SourceTimeout(f"{who} is too slow"), unwell=True)
        case aiohttp.ClientSSLError():
            return Failed(SourceBadResponse(f"no secure connection to {who}"), unwell=False)
        case aiohttp.ClientConnectorError():
            return _unconnected(e.os_error, who)
        case aiohttp.ClientPayloadError() if in_body:
            return Failed(SourceTruncated(f"{who}'s body ended early"), unwell=False, again=True)
        case aiohttp.ServerDisconnectedError() | OSError():
            # before the answer the library has tried twice by itself
            return Failed(SourceBadResponse(f"{who} dropped the connection"), unwell=True, again=in_body)
    return Failed(SourceBadResponse(f"{who} does not speak HTTP"), unwell=False)


def _unconnected(e: OSError, who: str) -> Failed:
    if e.errno in _OURS:
        return Failed(Overloaded("no socket to be had"), unwell=False)
    if isinstance(e, ConnectionResetError | ConnectionAbortedError | BrokenPipeError | ssl.SSLError):
        return Failed(SourceBadResponse(f"{who} dropped the connection"), unwell=True, again=True)
    return Failed(SourceForbidden("connection refused", unreachable=True), unwell=True)
