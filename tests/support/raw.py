"""Raw servers on loopback that answer byte for byte what a test says, and a resolver with a zone."""

import asyncio
import socket
import struct
import time


def ok(body=b"picture", *headers: str) -> bytes:
    lines = ["HTTP/1.1 200 OK", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def moved(location: str, status: int = 302) -> bytes:
    return f"HTTP/1.1 {status} Moved\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()


class Server:
    """Answers each request with what *answer* gives for its path, byte for byte; keeps what it was sent."""

    def __init__(self, answer):
        self.answer = answer
        self.requests: list[bytes] = []
        """Heads."""
        self.bodies: list[bytes] = []
        self.accepted = 0
        self.open = 0
        self.tasks: set[asyncio.Task] = set()

    async def __aenter__(self, ssl_context=None):
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0, ssl=ssl_context)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self.server.close()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    def url(self, path="/", host="127.0.0.1", scheme="http"):
        return f"{scheme}://{host}:{self.port}{path}"

    async def serve(self, reader, writer):
        self.accepted += 1
        self.open += 1
        task = asyncio.current_task()
        self.tasks.add(task)
        try:
            while True:
                request = await reader.readuntil(b"\r\n\r\n")
                self.requests.append(request)
                self.bodies.append(await reader.readexactly(_length(request)))
                answer = self.answer(request) if callable(self.answer) else self.answer
                if not isinstance(answer, bytes):
                    await self.run(answer(writer), reader)
                    break
                writer.write(answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self.open -= 1
            self.tasks.discard(task)
            writer.transport.abort()

    async def run(self, answering, reader):
        """Let an answer run until it ends or the other side goes away."""
        tasks = {asyncio.ensure_future(answering), asyncio.ensure_future(reader.read())}
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def by_path(**answers):
    return lambda request: answers[request.split()[1].decode().strip("/").partition("?")[0] or "root"]


def body_of(writer_steps):
    """An answer that runs *writer_steps(writer)*."""
    return lambda _request: writer_steps


def reset(writer):
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def _length(head: bytes) -> int:
    fields = (line.partition(b":") for line in head.lower().split(b"\r\n"))
    return next((int(value) for name, _, value in fields if name == b"content-length"), 0)


def names(table):
    """A resolver with a zone; counts its questions."""

    async def resolve(host, port):
        resolve.asked.append(host)
        answer = table[host]
        answer = answer.pop(0) if answer and isinstance(answer[0], list) else answer
        if not answer:
            raise socket.gaierror(-2, "Name or service not known")
        return answer

    resolve.asked = []
    return resolve


async def endless(writer):
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        writer.write(b"x" * 65536)
        await writer.drain()


async def until(condition, within_s=30):
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end
        await asyncio.sleep(0.005)


def drip(first: bytes, rest: bytes, pause_s: float):
    async def answer(writer):
        writer.write(first)
        for byte in rest:
            await asyncio.sleep(pause_s)
            writer.write(bytes([byte]))
        await asyncio.sleep(30)

    return body_of(answer)
