"""A TCP relay in front of a real server, for faults that the server itself does not have."""

import asyncio
import contextlib
import socket
import struct
from contextlib import asynccontextmanager


class Shim:
    """Relays; each attribute is one fault, for connections old and new."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._tasks: set[asyncio.Task[None]] = set()
        self._held: tuple[bytes, asyncio.Future[bytes]] | None = None
        self.port = 0
        self.accepted = 0
        self.hole = False
        """Nothing goes through any more, and nothing is closed."""
        self.delay_s = 0.0
        """Replies come so much later."""
        self.says = b""
        """Every question is answered so."""
        self.cut = False
        """Replies are broken off by a reset after a few bytes."""
        self.refuse = False
        """Nobody is let in, and who is in is thrown out."""
        self.swap = 0
        """So many pairs of replies are exchanged between their connections."""
        self.rewrite: tuple[bytes, bytes] | None = None
        """Bytes of the same length that replace others in replies."""

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        if self.refuse:
            writer.transport.abort()
            return
        try:
            back_reader, back_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
        except OSError:
            writer.close()
            return
        tasks = [
            asyncio.create_task(self._questions(reader, back_writer, writer)),
            asyncio.create_task(self._replies(back_reader, writer)),
        ]
        self._tasks.update(tasks)
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            for end in (writer, back_writer):
                end.close()

    async def _questions(self, reader, back_writer, writer) -> None:
        with contextlib.suppress(OSError):
            while chunk := await reader.read(65536):
                while self.hole:
                    await asyncio.sleep(0.01)
                if self.refuse:
                    writer.transport.abort()
                    return
                if self.says:
                    writer.write(self.says)
                    continue
                back_writer.write(chunk)
                await back_writer.drain()

    async def _replies(self, back_reader, writer) -> None:
        with contextlib.suppress(OSError):
            while chunk := await back_reader.read(65536):
                while self.hole:
                    await asyncio.sleep(0.01)
                if self.refuse:
                    writer.transport.abort()
                    return
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                if self.cut:
                    await _reset(writer, chunk[:3])
                    return
                if self.swap:
                    chunk = await self._swapped(chunk)
                if self.rewrite:
                    chunk = chunk.replace(*self.rewrite)
                writer.write(chunk)
                await writer.drain()

    async def _swapped(self, chunk: bytes) -> bytes:
        if self._held is None:
            other: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
            self._held = (chunk, other)
            return await other
        first, other = self._held
        self._held = None
        self.swap -= 1
        other.set_result(chunk)
        return first


async def _reset(writer: asyncio.StreamWriter, part: bytes) -> None:
    writer.write(part)
    await writer.drain()
    await asyncio.sleep(0.002)
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@asynccontextmanager
async def relaying(target_port: int):
    shim = Shim(target_port)
    server = await asyncio.start_server(shim.serve, "127.0.0.1", 0)
    shim.port = server.sockets[0].getsockname()[1]
    try:
        yield shim
    finally:
        server.close()
        for task in shim._tasks:
            task.cancel()
        await asyncio.sleep(0)
