"""What front and worker share can be filled, and never shortened."""

import fcntl
import os

import pytest

from imagemill.engines.process import _memory


@pytest.mark.parametrize("size", [0, 4095, 4097, 1 << 20])
def test_no_side_can_make_the_other_fault(size):
    """A mapped file that shrinks ends its reader by SIGBUS: its size is sealed, and so are the seals."""
    fd, area = _memory("shared", 4096)
    try:
        with pytest.raises(PermissionError):
            os.ftruncate(fd, size)
        with pytest.raises(PermissionError):
            fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE)
        assert len(area) == os.fstat(fd).st_size == 4096
    finally:
        area.close()
        os.close(fd)
