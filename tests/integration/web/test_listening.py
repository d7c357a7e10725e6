"""A port that several share, and one of them leaves."""

import asyncio
import contextlib
import select
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from imagemill.model.errors import SettingsError
from imagemill.settings import Server
from imagemill.web import listening, server
from imagemill.web.protocol import Connections


@contextlib.contextmanager
def shared(count: int, port: int = 0) -> Iterator[list[socket.socket]]:
    with contextlib.ExitStack() as opened:
        sockets = []
        for _ in range(count):
            one = opened.enter_context(listening.bind("127.0.0.1", port, "server.port", shared=True))
            listening.listen(one, "server.port")
            port = one.getsockname()[1]
            sockets.append(one)
        yield sockets


def clients(count: int, port: int, opened: contextlib.ExitStack) -> list[socket.socket]:
    """Connections under way."""
    made = []
    for _ in range(count):
        client = opened.enter_context(socket.socket())
        client.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            client.connect(("127.0.0.1", port))
        made.append(client)
    return made


def complete(port: int, count: int) -> None:
    """Wait until the kernel has completed so many handshakes on *port*: on a busy machine it does so a moment later."""
    for _ in range(3_000):
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        if sum(row[1] == f"0100007F:{port:04X}" and row[3] == "01" for row in rows) >= count:
            return
        time.sleep(0.01)
    raise AssertionError(f"no {count} connections")


def accepted(listener: socket.socket, opened: contextlib.ExitStack) -> list[socket.socket]:
    """All that the kernel has for *listener*."""
    found = []
    with contextlib.suppress(BlockingIOError):
        while True:
            found.append(opened.enter_context(listener.accept()[0]))
    return found


def test_whoever_leaves_a_shared_port_loses_nobody():
    """L18: what was begun still comes; what comes later goes to the others, some of it a second later; none is reset."""
    with contextlib.ExitStack() as opened:
        leaving, staying = opened.enter_context(shared(2))
        port = leaving.getsockname()[1]
        early = clients(60, port, opened)
        complete(port, 60)

        listening.turn_away(leaving)
        here = accepted(leaving, opened)
        late = clients(60, port, opened)
        here_later = accepted(leaving, opened)
        leaving.close()
        there = accepted(staying, opened)
        while len(here) + len(there) < 120 and select.select([staying], [], [], 30)[0]:
            there += accepted(staying, opened)

        assert len(here) + len(there) == 120
        assert 0 < len(here) < 60
        assert here_later == []
        for client in early + late:  # connected, and neither refused nor reset
            assert client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
            assert client.getpeername() == ("127.0.0.1", port)


def test_a_port_is_only_shared_by_those_who_say_so():
    """O04: a second node that was not told to share is refused, with the setting's name."""
    with shared(1) as (one,), pytest.raises(SettingsError, match=r"server\.port: 127\.0\.0\.1:\d+: .*in use"):
        listening.bind("127.0.0.1", one.getsockname()[1], "server.port")


def test_nobody_comes_before_one_listens():
    """A node that cannot have all that it needs has not drawn anybody away from the others."""
    with shared(1) as (one,), contextlib.ExitStack() as opened:
        port = one.getsockname()[1]
        opened.enter_context(listening.bind("127.0.0.1", port, "server.port", shared=True))
        made = clients(60, port, opened)
        here = accepted(one, opened)
        while len(here) < 60 and select.select([one], [], [], 30)[0]:
            here += accepted(one, opened)

        assert len(here) == len(made)


async def test_handshakes_under_way_have_time_to_end(monkeypatch):
    """L18: a shared port that turns strangers away is closed a while later, as what it has begun would be reset by that."""
    turned_away: list[tuple[socket.socket, float]] = []
    monkeypatch.setattr(server.listening, "turn_away", lambda sock: turned_away.append((sock, time.monotonic())))
    settings = Server(port=0, admin_port=0, reuse_port=True, drain_s=0, grace_s=1)
    stop = asyncio.Event()

    async def nobody_asks(scope: object, receive: object, send: object) -> None:
        raise AssertionError

    serving = asyncio.create_task(
        server.serve(
            nobody_asks, nobody_asks, settings, shared=Connections(settings),
            on_ready=lambda *_: stop.set(), on_drain=lambda: None, stop=stop,
        )
    )  # fmt: skip
    while not turned_away:
        await asyncio.sleep(0.001)
    ((sock, begun),) = turned_away
    while sock.fileno() >= 0:
        await asyncio.sleep(0.001)

    assert time.monotonic() - begun >= 0.4
    await serving
