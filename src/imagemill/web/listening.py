"""Have a port, share it with other nodes of this machine, and leave it without losing a connection.

Errors   `SettingsError` where it cannot be had.
Source   socket(7), SO_REUSEPORT: the kernel spreads new connections over the sockets that listen, of one user only.
         When one closes, what it has not accepted is reset, and so are handshakes under way, unless the machine has
         ``net.ipv4.tcp_migrate_req`` set. socket(7), SO_ATTACH_FILTER: on a listening socket a filter sees segments
         from their TCP header on; a first SYN that it drops is sent again a second later (RFC 6298 section 2).
"""

import contextlib
import ctypes
import socket
import struct
from collections.abc import Iterator

from imagemill.model.errors import SettingsError

_BACKLOG = 1024
_SO_ATTACH_FILTER = 26
# classic BPF: code, jump if true, jump if false, operand
_NO_FIRST_SYN = (
    (0x30, 0, 0, 13),  # load the byte of the flags
    (0x54, 0, 0, 0x12),  # of them SYN and ACK
    (0x15, 0, 1, 0x02),  # SYN alone
    (0x06, 0, 0, 0),  # is dropped;
    (0x06, 0, 0, 0xFFFF_FFFF),  # all else passes whole
)


def bind(host: str, port: int, name: str, *, shared: bool = False) -> socket.socket:
    """A socket on a port that is called *name* in the settings, not listening yet; *shared* with others that say so."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    with _as_ours(bound, host, port, name):
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind((host, port))
        bound.setblocking(False)  # noqa: FBT003 - the library's signature
    return bound


def listen(bound: socket.socket, name: str) -> None:
    """Take connections from now on."""
    host, port = bound.getsockname()[:2]
    with _as_ours(bound, host, port, name):
        bound.listen(_BACKLOG)


def turn_away(listening: socket.socket) -> None:
    """Leave new connections to the others on this port, or to nobody; those that the kernel has begun still come."""
    if listening.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT):
        program = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in _NO_FIRST_SYN))
        whole = struct.pack("@HP", len(_NO_FIRST_SYN), ctypes.addressof(program))
        with contextlib.suppress(OSError):  # a kernel without filters: a few may be reset
            listening.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, whole)
            return
    listening.listen(0)  # the kernel completes no more connections than we are about to accept


@contextlib.contextmanager
def _as_ours(bound: socket.socket, host: str, port: int, name: str) -> Iterator[None]:
    try:
        yield
    except OSError as e:
        bound.close()
        raise SettingsError(f"{name}: {host}:{port}: {e.strerror}") from e
