"""Ports for servers that tests start: below those that the kernel gives to outgoing connections, and none twice."""

import random
import socket

_GIVEN: set[int] = set()


def free_port(*, bus: bool = False) -> int:
    """A loopback port that is free; with *bus* also the one 10,000 above it, which a Redis Cluster's servers talk on."""
    while True:
        port = random.randrange(10_200, 20_000) if bus else random.randrange(10_200, 32_000)
        wanted = (port, port + 10_000) if bus else (port,)
        if _GIVEN.isdisjoint(wanted) and all(_is_free(p) for p in wanted):
            _GIVEN.update(wanted)
            return port


def _is_free(port: int) -> bool:
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
