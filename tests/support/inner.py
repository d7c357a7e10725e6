"""A whole service inside this process: its own loop in a thread, an engine that makes nothing of its own accord."""

import asyncio
import logging
import re
import socket
import threading
from collections.abc import Callable
from typing import Any, Self

import uvloop

from imagemill.engines.base import Made, Stages
from imagemill.model.entry import Entry
from imagemill.model.media import Rendition
from imagemill.obs.logs import LogPipe
from imagemill.settings import Settings
from imagemill.web.request import Call
from imagemill.web.server import serve
from imagemill.wiring import Service


class HeldEngine:
    """An engine that begins what it is told to, tells so, and ends it when it is let."""

    versions = {"libvips": "8.18.0"}
    states = {"idle": 1, "busy": 0, "starting": 0}
    alive = True

    def __init__(self, rendition: Rendition) -> None:
        self._rendition = rendition
        self.begun = threading.Semaphore(0)
        self.go = threading.Semaphore(0)

    async def start(self) -> None:
        pass

    async def close(self) -> None:
        pass

    async def run(self, _source, tasks, _layers):
        self.begun.release()
        while not self.go.acquire(blocking=False):  # no thread that would outlive a test which fails
            await asyncio.sleep(0.002)
        for _ in tasks:
            yield Made(self._rendition, Stages())


class Inner:
    """A running service; *early* says whether hits may be answered before they are parsed."""

    def __init__(self, settings: Settings, out: Any, rendition: Rendition, *, early: bool) -> None:
        self.engine = HeldEngine(rendition)
        self.service = Service(settings, pool=self.engine)
        self.pipe = LogPipe(settings.log, out)
        self.service.watch_log(self.pipe)
        self.early = 0
        """How many requests were answered early."""
        answer = self.service.connections.early
        assert answer is not None
        self.service.connections.early = self._counted(answer) if early else None
        self._up = threading.Event()
        self._thread = threading.Thread(target=lambda: uvloop.run(self._serve()), daemon=True)
        self._thread.start()
        assert self._up.wait(20)

    def _counted(self, answer: Any) -> Any:
        def counted(*arguments: Any) -> Any:
            found = answer(*arguments)
            self.early += found is not None
            return found

        return counted

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        service = self.service
        await service.start()
        try:
            await serve(
                service.app, service.admin, service.settings.server, shared=service.connections,
                on_ready=self._ready, on_drain=service.drain, stop=self._stop,
            )  # fmt: skip
        finally:
            await service.close()

    def _ready(self, port: int, admin_port: int) -> None:
        self.port, self.admin_port = port, admin_port
        self._up.set()

    def on_loop(self, work: Callable[[], Any]) -> Any:
        """What *work* gives when it is done where all of the service is done."""

        async def done() -> Any:
            return work()

        return asyncio.run_coroutine_threadsafe(done(), self._loop).result(20)

    def keep(self, target: bytes, accept: bytes, entry: Entry) -> None:
        """Put *entry* in L1 as what *target* is answered with."""
        images, kept = self.service.images, self.service.transcoder._kept
        path, _, query = target.decode().partition("?")
        headers = [(b"accept", accept)]
        self.on_loop(lambda: kept.fill(images.plan(Call("GET", path, query.encode(), headers, "r")), entry))

    def logged(self) -> "Logged":
        """All that this process logs goes to this service's pipe while it is open."""
        return Logged(self.pipe)

    def metrics(self) -> dict[str, float]:
        """All series by name and labels."""
        text = self.on_loop(self.service.metrics.render).decode()
        lines = [line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#")]
        return {name: float(value) for name, value in lines}

    def close(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(30)
        self.pipe.close()


class Logged:
    def __init__(self, pipe: LogPipe) -> None:
        self._pipe = pipe

    def __enter__(self) -> None:
        root = logging.getLogger()
        self._before = root.handlers[:], root.level
        root.handlers[:] = [self._pipe]
        root.setLevel("INFO")

    def __exit__(self, *_: object) -> None:
        root = logging.getLogger()
        root.handlers[:], level = self._before
        root.setLevel(level)


class Client:
    """One connection, and all that was read from it."""

    def __init__(self, port: int, receive_bytes: int = 0) -> None:
        self.socket = socket.socket()
        if receive_bytes:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.socket.settimeout(20)
        self.socket.connect(("127.0.0.1", port))
        self.read = b""
        self._at = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, raw: bytes) -> None:
        self.socket.sendall(raw)

    def _more(self) -> bool:
        came = self.socket.recv(1 << 18)
        self.read += came
        return bool(came)

    def answer(self, *, head_only: bool = False) -> bytes:
        """The next answer, whole."""
        while (end := self.read.find(b"\r\n\r\n", self._at)) < 0:
            assert self._more(), self.read[self._at :]
        begin, end = self._at, end + 4
        head = self.read[begin:end]
        length = re.search(rb"\r\ncontent-length: (\d+)", head)
        bodiless = head_only or b" 304 " in head[:15] or b" 100 " in head[:15]
        end += 0 if bodiless or not length else int(length[1])
        while len(self.read) < end:
            assert self._more()
        self._at = end
        return self.read[begin:end]

    def answer_head(self) -> bytes:
        """The head of the next answer, which is left unread beyond it."""
        while (end := self.read.find(b"\r\n\r\n", self._at)) < 0:
            self.read += self.socket.recv(64)
        return self.read[self._at : end]

    def rest(self) -> bytes:
        """All that comes until the other side closes."""
        try:
            while self._more():
                pass
        except ConnectionResetError:
            pass
        rest, self._at = self.read[self._at :], len(self.read)
        return rest
