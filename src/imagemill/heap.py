"""The allocator of this process.

Source   mallopt(3): glibc raises its thresholds for ever with the largest buffer that was freed.
"""

import ctypes
import gc

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _LARGE_BYTES = -1, -3, 4 * 1024 * 1024


def keep_small() -> None:
    """Return large buffers to the system once they are freed."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # glibc has it, musl needs none
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
        mallopt(_M_TRIM_THRESHOLD, 2 * _LARGE_BYTES)


def settle() -> None:
    """Let the collector never look again at what is there once a process has started.

    One look at all that was imported takes tens of milliseconds, in which nobody is answered.
    """
    gc.collect()
    gc.freeze()
