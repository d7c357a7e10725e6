"""Heads written here are uvicorn's own, and hold nothing that could end them early."""

import pytest

from imagemill.web.wire import head_bytes


def test_a_head():
    assert head_bytes(200, [(b"X-A", b"1"), (b"b", b"two")]) == b"HTTP/1.1 200 OK\r\nx-a: 1\r\nb: two\r\n\r\n"


@pytest.mark.parametrize("header", [(b"x", b"a\r\nb: c"), (b"x", b"\0"), (b"x y", b"z"), (b"x\r\n", b"z")])
def test_a_header_is_one(header):
    """R15: nothing splits an answer."""
    with pytest.raises(RuntimeError, match="cannot be sent"):
        head_bytes(200, [header])
