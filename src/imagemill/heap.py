"""The allocator of this process.

Source   mallopt(3): glibc raises its thresholds for ever with the largest buffer that was freed.
         malloc_trim(3): since glibc 2.8 also whole pages from the middle of the heap, of every arena.
"""

import ctypes
import gc
import sys

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _LARGE_BYTES = -1, -3, 4 * 1024 * 1024


class _Mallinfo(ctypes.Structure):
    """``struct mallinfo2`` of glibc 2.33."""

    _fields_ = [(f"before_{n}", ctypes.c_size_t) for n in range(8)] + [
        ("fordblks", ctypes.c_size_t),
        ("keepcost", ctypes.c_size_t),
    ]


_libc = ctypes.CDLL(None)  # musl has none of what is looked for, and needs none of it
_mallopt = getattr(_libc, "mallopt", None)
_trim = getattr(_libc, "malloc_trim", None)
_mallinfo = getattr(_libc, "mallinfo2", None)
if _mallinfo is not None:
    _mallinfo.restype = _Mallinfo


def keep_small() -> None:
    """Return large buffers to the system once they are freed."""
    if _mallopt is not None:
        _mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
        _mallopt(_M_TRIM_THRESHOLD, 2 * _LARGE_BYTES)


def free_bytes() -> int:
    """What the allocator has for the next to ask, given back or not; all there could be where it does not tell."""
    return int(_mallinfo().fordblks) if _mallinfo is not None else sys.maxsize


def trim() -> None:
    """Return every page to the system that nothing lies on any more: milliseconds, so not for each request."""
    if _trim is not None:
        _trim(0)


def settle() -> None:
    """Let the collector never look again at what is there once a process has started.

    One look at all that was imported takes tens of milliseconds, in which nobody is answered.
    """
    gc.collect()
    gc.freeze()
