"""Whether clients take what they are answered: who reads too slowly, or not at all, is cut off.

Bounded  the time without reading; what waits for all clients of a port, in bytes (`web.unsent`).
Source   uvicorn 0.54's ``HttpToolsProtocol``; tcp(7), ``TIOCOUTQ``.
"""

import asyncio
import fcntl
import select
import struct
import termios
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from imagemill.web.connections import Connections

SLOWEST_BYTES_S = 1024
"""A client that reads more slowly than this, over a write timeout, is cut off."""


class TakingProtocol(HttpToolsProtocol):
    """One connection, on its way out."""

    shared: Connections

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._own = self.shared.settings
        self._write_timer: asyncio.TimerHandle | None = None
        self._unsent: int | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of what was not taken."""
        self.shared.unsent.drop(self)
        self._stop_write_timer()
        super().connection_lost(exc)

    def _answered(self, body: bytes) -> None:
        """See to it that an answer which was written, *body* last, is also taken."""
        self._unsent = None
        if self.has_taken_all():
            return
        self.shared.unsent.add(self, body)
        if self._write_timer is None:
            self._watch_reader()

    def pause_writing(self) -> None:
        """The client reads slower than we write: watch it."""
        super().pause_writing()
        self._watch_reader()
        self._unsent = self._outstanding()

    def resume_writing(self) -> None:
        """It has caught up; what is written next is counted anew."""
        super().resume_writing()
        self._unsent = None

    def _watch_reader(self) -> None:
        """See to it that what is written is also read, also after the answer's end and after `close`."""
        if self._write_timer is None and self.transport.get_write_buffer_size():
            self._write_timer = self.loop.call_later(self._own.write_timeout_s, self._check_reader)

    def _check_reader(self) -> None:
        self._write_timer = None
        if not self.transport.get_write_buffer_size():
            return
        before, self._unsent = self._unsent, self._outstanding()
        if before is not None and before - self._unsent < SLOWEST_BYTES_S * self._own.write_timeout_s:
            self.shared.refused("slow_reader")
            self.transport.abort()
            return
        self._watch_reader()

    def has_taken_all(self) -> bool:
        """See `web.unsent.Reader`."""
        return not self.transport.get_write_buffer_size()

    def cut_off(self) -> None:
        """See `web.unsent.Reader`."""
        self.transport.abort()

    def _outstanding(self) -> int:
        """Bytes not acknowledged yet: ours, and the kernel's, which frees its own in large steps only."""
        queued = struct.pack("i", 0)
        try:
            queued = fcntl.ioctl(self.transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, queued)
        except OSError:
            return self.transport.get_write_buffer_size()
        return self.transport.get_write_buffer_size() + int(struct.unpack("i", queued)[0])

    def _stop_write_timer(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None


def has_left(fd: int) -> bool:
    """Whether the other side of a connection has ended it, also behind bytes that nobody has read."""
    poll = select.poll()
    poll.register(fd, select.POLLRDHUP)  # hang-ups and errors are told unasked
    return bool(poll.poll(0))
