"""The allocator tells what it keeps, and gives it back."""

import gc
import os
import sys
from pathlib import Path

import pytest

from imagemill import heap

MiB = 1 << 20


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(heap.free_bytes() == sys.maxsize, reason="glibc before 2.33, or another libc")
def test_what_lies_free_between_others_is_told_and_given_back():
    """Sixty-four mebibytes in pieces, all but a few of which are let go of: the heap cannot shrink from its end."""
    heap.trim()
    gc.disable()  # its moment would be nobody's choice
    try:
        pieces = [bytes(4000) for _ in range(16 * 1024)]
        before = heap.free_bytes()
        kept = pieces[::64]
        del pieces
        free, resident = heap.free_bytes(), resident_bytes()
        heap.trim()

        assert free - before > 50 * MiB
        assert resident - resident_bytes() > 40 * MiB
        assert kept
    finally:
        gc.enable()
