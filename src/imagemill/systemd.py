"""Tell systemd that this service is ready, alive, or about to stop; where nobody asked to be told, do nothing.

Units    ``WATCHDOG_USEC`` in microseconds, as systemd gives it.
Errors   none: a service that cannot tell goes on, and systemd's own timeouts say the rest.
Source   sd_notify(3) and sd_watchdog_enabled(3) of systemd 252: datagrams to the socket that NOTIFY_SOCKET names.
"""

import asyncio
import os
import socket
from collections.abc import MutableMapping
from contextlib import suppress

_BEATS = 3
"""Signs of life in the time after which systemd takes us for hung: one may be late."""
_PATIENCE_S = 1.0
"""For what is said once; a sign of life is not waited with, the next one comes soon."""


class Notices:
    """The line to systemd, from the main process of a service."""

    def __init__(self, environ: MutableMapping[str, str] = os.environ) -> None:
        """Take the line out of *environ*, so that no child of ours speaks in our name."""
        name = environ.pop("NOTIFY_SOCKET", "")
        self._address = f"\0{name[1:]}" if name.startswith("@") else name
        self._beat_s = _beat_s(environ.pop("WATCHDOG_USEC", ""), environ.pop("WATCHDOG_PID", ""))

    def ready(self) -> None:
        """Tell that requests are answered; from now on also, again and again, that the event loop turns."""
        self._tell(b"READY=1", _PATIENCE_S)
        if self._address and self._beat_s:
            self._beat()

    def stopping(self) -> None:
        """Tell that this process ends as soon as what is in flight has."""
        self._tell(b"STOPPING=1", _PATIENCE_S)

    def _beat(self) -> None:
        self._tell(b"WATCHDOG=1")
        asyncio.get_running_loop().call_later(self._beat_s, self._beat)

    def _tell(self, state: bytes, patience_s: float = 0.0) -> None:
        if self._address:
            with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
                line.settimeout(patience_s)
                line.sendto(state, self._address)


def _beat_s(watchdog_us: str, pid: str) -> float:
    """Time between two signs of life; 0 = none are wanted of this process."""
    wanted = watchdog_us.isdecimal() and pid in {"", str(os.getpid())}
    return int(watchdog_us) / 1e6 / _BEATS if wanted else 0.0
