"""Two ports in one event loop, and a stop that loses nothing in flight."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import uvicorn
import uvloop

from imagemill.settings import Server
from imagemill.web import listening
from imagemill.web.connections import Connections, keep_small
from imagemill.web.protocol import make_protocol

_BACKLOG_ROUNDS = 20
_HANDSHAKE_S = 0.5
"""For the last of a handshake to come from far away; less than the second after which whom we turn away tries again."""
_STARTED_POLL_S = 0.005
_ADMIN_GRACE_S = 1


def run(serving: Coroutine[None, None, int]) -> int:
    """Run *serving* on uvloop."""
    return uvloop.run(serving)


class _Uvicorn(uvicorn.Server):
    """uvicorn without its own idea of signals: the caller has one."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to whoever sets `stop`."""
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's; and what the grace did not suffice for is cut off, so that the stop ends."""
        await super().shutdown(sockets)
        for connection in list(self.server_state.connections):
            connection.transport.abort()


async def serve(
    public: Any,
    admin: Any,
    settings: Server,
    *,
    shared: Connections,
    on_ready: Callable[[int, int], None],
    on_drain: Callable[[], None],
    stop: asyncio.Event,
) -> None:
    """Serve both applications until *stop* is set; then finish what is in flight, the admin port last.

    Raises:
        SettingsError: a port cannot be had.
    """
    public_socket, admin_socket = _ports(settings)
    outer = _server(public, settings, shared, settings.grace_s)
    inner = _server(admin, settings, Connections(settings, bodies=keep_small), _ADMIN_GRACE_S)
    running = [
        asyncio.create_task(outer.serve([public_socket])),
        asyncio.create_task(inner.serve([admin_socket])),
    ]
    try:
        while not (outer.started and inner.started):
            await _while_running(running, asyncio.sleep(_STARTED_POLL_S))  # uvicorn offers no event for it
        on_ready(public_socket.getsockname()[1], admin_socket.getsockname()[1])
        await _while_running(running, stop.wait())
        on_drain()
        shared.draining = True
        await asyncio.sleep(settings.drain_s)
        listening.turn_away(public_socket)
        if settings.reuse_port:
            await asyncio.sleep(_HANDSHAKE_S)
        await _empty_backlog(outer)
        outer.should_exit = True
        await running[0]
        inner.should_exit = True
        await running[1]
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


def _ports(settings: Server) -> tuple[socket.socket, socket.socket]:
    """Both ports, or neither: whoever shares the public one takes no connection before it has all that it needs."""
    with contextlib.ExitStack() as opened:
        public = listening.bind(settings.host, settings.port, "server.port", shared=settings.reuse_port)
        opened.callback(public.close)
        admin = listening.bind(settings.admin_host, settings.admin_port, "server.admin_port")
        opened.callback(admin.close)
        listening.listen(admin, "server.admin_port")
        listening.listen(public, "server.port")
        opened.pop_all()
    return public, admin


async def serve_admin(
    admin: Any, host: str, port: int, settings: Server, *, name: str, on_ready: Callable[[int], None]
) -> None:
    """Serve an admin port alone, called *name* in the settings, until cancelled.

    Raises:
        SettingsError: the port cannot be had.
    """
    bound = listening.bind(host, port, name)
    listening.listen(bound, name)
    server = _server(admin, settings, Connections(settings, bodies=keep_small), _ADMIN_GRACE_S)
    running = [asyncio.create_task(server.serve([bound]))]
    try:
        while not server.started:
            await _while_running(running, asyncio.sleep(_STARTED_POLL_S))
        on_ready(bound.getsockname()[1])
        await running[0]
    finally:
        server.should_exit = True
        await asyncio.gather(*running, return_exceptions=True)


async def _while_running(running: list[asyncio.Task[None]], wanted: Coroutine[Any, Any, object]) -> None:
    """Wait for *wanted*; a server that ends before it raises why it did."""
    waiting = asyncio.ensure_future(wanted)
    try:
        done, _ = await asyncio.wait({waiting, *running}, return_when=asyncio.FIRST_COMPLETED)
        for ended in done - {waiting}:
            ended.result()
            raise RuntimeError("a server ended by itself")
    finally:
        waiting.cancel()


def _server(app: Any, settings: Server, shared: Connections, grace_s: int) -> _Uvicorn:
    config = uvicorn.Config(
        app,
        http=make_protocol(shared),
        ws="none",
        lifespan="off",
        interface="asgi3",
        access_log=False,
        log_config=None,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=settings.keep_alive_s,
        timeout_graceful_shutdown=grace_s,
        workers=1,
    )
    return _Uvicorn(config)


async def _empty_backlog(server: uvicorn.Server) -> None:
    """Give the loop turns to accept what the kernel has accepted already, and to read a first request from it."""
    before = -1
    for _ in range(_BACKLOG_ROUNDS):
        now = len(server.server_state.connections)
        if now == before:
            return
        before = now
        await asyncio.sleep(0.01)
