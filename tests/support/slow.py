"""Clients by the thousand that send or read a byte now and then, and hold their connections all the while."""

import contextlib
import resource
import socket
import threading
from collections.abc import Iterator
from itertools import cycle, islice

import pytest

_SPARE_FILES = 1_000
_TICK_S = 0.5


@contextlib.contextmanager
def many_files(count: int) -> Iterator[None]:
    """Let this process, and those it starts, open *count* files; skip where nobody may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count + _SPARE_FILES
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"{wanted} files are needed, and {hard} may be opened (ulimit -Hn)")
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Slow:
    """*count* clients, a third of each kind: slow heads, slow bodies, slow readers of *large*."""

    def __init__(self, port: int, count: int, large: str) -> None:
        head = b"GET /image?source=local:sample/dandelion.jpg HTTP/1.1\r\nhost: x\r\nx-slow: "
        body = (
            b"POST /jobs HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: 5000\r\n\r\n{"
        )
        read = f"GET {large} HTTP/1.1\r\nhost: x\r\n\r\n".encode()
        self._open = [(kind, _connected(port, first)) for kind, first in islice(
            cycle((("head", head), ("body", body), ("read", read))), count
        )]  # fmt: skip
        self._stop = threading.Event()
        self.cut_off = 0
        self.turns = 0
        self._thread = threading.Thread(target=self._drip, daemon=True)
        self._thread.start()

    def _drip(self) -> None:
        while not self._stop.wait(_TICK_S):
            for kind, one in self._open:
                try:
                    if kind == "read":
                        self.cut_off += not one.recv(1)
                    else:
                        one.send(b" ")
                except BlockingIOError:
                    pass
                except OSError:
                    self.cut_off += 1
            self.turns += 1

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        for _, one in self._open:
            one.close()


def _connected(port: int, first: bytes) -> socket.socket:
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    one.settimeout(30)
    one.connect(("127.0.0.1", port))
    one.sendall(first)
    one.setblocking(False)
    return one
