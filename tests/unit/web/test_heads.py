"""What is read of a head by its bytes alone is what a connection's parser would make of it, or nothing."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagemill.web.heads import Head, read

PLAIN = b"GET /image?a=1&b=%C3%A9 HTTP/1.1\r\nHost: x\r\nX-A:  two \r\nx-a: three\r\n\r\n"


def test_a_plain_get():
    """Raw path and query, names in lower case, values as a connection's parser gives them."""
    headers = [(b"host", b"x"), (b"x-a", b"two "), (b"x-a", b"three")]

    assert read(PLAIN) == Head("/image", b"a=1&b=%C3%A9", headers)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"GET", b"HEAD"), (b"GET", b"POST"), (b"GET", b"get"), (b"1.1", b"1.0"), (b"1.1", b"2.0"), (b"/image", b"http://x/image"),
        (b"a=1", b"a=1#x"), (b"a=1", b"a=\xe9"), (b"Host: x\r\n", b""), (b"Host: x", b"Host: x\r\nhost: x"), (b"X-A", b"X A"),
        (b"X-A", b"Connection: close\r\nX-A"), (b"X-A", b"Connection: Upgrade\r\nUpgrade: h2c\r\nX-A"), (b"X-A", b"Upgrade: websocket\r\nX-A"),
        (b"X-A", b"Content-Length: 0\r\nX-A"), (b"X-A", b"Content-Length: 1\r\nX-A"), (b"X-A", b"Transfer-Encoding: chunked\r\nX-A"),
        (b"X-A", b"Expect: 100-continue\r\nX-A"), (b"X-A", b"TE: trailers\r\nX-A"), (b"X-A", b"Keep-Alive: 5\r\nX-A"),
        (b"two ", b"two\r\n folded"), (b"two ", b"t\0wo"), (b"two ", b"t\rwo"), (b"two \r\n", b"two \n"), (b"\r\n\r\n", b"\r\n"),
        (b"\r\n\r\n", b"\r\n\r\nG"), (b"\r\n\r\n", b"\r\n\r\n\r\n"), (b"GET", b"\r\nGET"),
    ],
)  # fmt: skip
def test_what_is_odd_is_left_alone(old, new):
    """Whatever may end a message elsewhere, follow it, or be seen otherwise by somebody else."""
    raw = PLAIN.replace(old, new, 1)

    assert raw != PLAIN
    assert read(raw) is None


def test_two_heads_are_none():
    assert read(PLAIN + PLAIN) is None


@settings(deadline=None)
@given(st.binary(max_size=80), st.integers(0, len(PLAIN)))
def test_any_bytes_can_be_judged(junk, at):
    read(PLAIN[:at] + junk + PLAIN[at:])
