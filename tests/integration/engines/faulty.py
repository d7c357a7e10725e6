"""A worker whose engine does what the end of its source says: for tests of the pool only."""

import ctypes
import os
import time

import msgspec

from imagemill.engines import worker
from imagemill.engines.layers import NONE_GIVEN
from imagemill.engines.vips import Vips

MARK = b"#FAULT:"
GOOD = {
    "type": "Done", "length": 1, "format": "png", "etag": "0" * 40, "width_px": 1, "height_px": 1, "frames": 1,
    "probe_ms": 0.0, "render_ms": 0.0, "cpu_ms": 0.0, "private_bytes": 0,
}  # fmt: skip
LIES = {
    "length": {"length": 2**40}, "nothing": {"length": 0}, "format": {"format": "keep"}, "etag": {"etag": "a\r\nb: c"},
    "time": {"cpu_ms": float("nan")}, "negative": {"render_ms": -1.0}, "type": {"width_px": "wide"},
}  # fmt: skip


class Faulty(Vips):
    """`Vips`, save for marked sources."""

    words = -1

    def run(self, source, info, tasks, given=NONE_GIVEN):
        _, mark, fault = bytes(source[-40:]).rpartition(MARK)
        if mark:
            self._fail(fault.decode())
        for made in super().run(source, info, tasks, given):
            if fault in {b"each-sleeps", b"each-burns"}:
                self._linger(fault)
            yield made

    def _linger(self, fault):
        begun = time.process_time()
        time.sleep(0.4 if fault == b"each-sleeps" else 0)
        while fault == b"each-burns" and time.process_time() - begun < 0.5:
            pass

    def _fail(self, fault):  # noqa: PLR0912 - a list of faults
        match fault.split("-"):
            case ["segv"]:
                ctypes.string_at(8)
            case ["abort"]:
                os.abort()
            case ["exit"]:
                os._exit(0)
            case ["sleep"]:
                time.sleep(60)
            case ["spin"]:
                while True:
                    pass
            case ["nonsense"]:
                os.write(self.words, b"\xc1 nonsense")
                time.sleep(60)
            case ["lie", lie]:
                os.write(self.words, msgspec.msgpack.encode(GOOD | LIES[lie]))
                time.sleep(60)
            case ["early"]:
                os.write(self.words, msgspec.msgpack.encode({"type": "Ready", "versions": {}}))
                time.sleep(60)
            case ["memory"]:
                bytearray(8 << 30)
            case ["raise"]:
                raise RuntimeError("/etc/secret")
            case ["grow"]:
                self.kept = bytearray(os.urandom(1 << 20) * 64)
            case ["slow"]:
                time.sleep(0.15)


def main(*fds):
    Faulty.words = fds[0]
    worker.main(*fds, engine=Faulty)


def stillborn(*_fds):
    """A worker that cannot start."""
    raise RuntimeError("no library anywhere")


def short_lived(*fds):
    """A worker that starts, and is gone."""
    Faulty.serve = None
    worker.Worker.serve = lambda _self: os._exit(1)
    worker.main(*fds)


def soon_idle(*fds):
    """A worker that does not wait long before it returns memory."""
    worker._IDLE_S = 0.3
    worker.main(*fds)


def never_idle(*fds):
    """A worker that returns memory after each job, and never for want of any."""
    worker._IDLE_S, worker._KEEP_S = 1000.0, 0.0
    worker.main(*fds)
