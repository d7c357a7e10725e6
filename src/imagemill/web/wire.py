"""Answers as bytes, where no application writes them.

Source   uvicorn 0.54, whose tables and checks these are, so that an answer is the same whoever writes it.
"""

from collections.abc import Sequence
from email.utils import formatdate

from uvicorn.protocols.http.httptools_impl import HEADER_RE, HEADER_VALUE_RE, STATUS_LINE

from imagemill.web.problems import Reply

Fields = Sequence[tuple[bytes, bytes]]


def head_bytes(status: int, headers: Fields) -> bytes:
    """The head of an answer on a connection that goes on.

    Raises:
        RuntimeError: a header that would be more than one, or none.
    """
    lines = [STATUS_LINE[status]]
    for name, value in headers:
        if HEADER_RE.search(name) or HEADER_VALUE_RE.search(value):
            raise RuntimeError(f"a header that cannot be sent: {name!r}")
        lines.append(b"%b: %b\r\n" % (name.lower(), value))
    return b"".join([*lines, b"\r\n"])


def last_words(reply: Reply, request_id: str) -> bytes:
    """A whole answer that ends its connection, for where there is no request to answer it through."""
    date = formatdate(usegmt=True).encode()
    head = [STATUS_LINE[reply.status].rstrip(), b"date: " + date, b"connection: close"]
    head += [b"%b: %b" % pair for pair in reply.headers]
    head += [b"x-request-id: " + request_id.encode(), b"content-length: %d" % len(reply.body)]
    return b"\r\n".join(head) + b"\r\n\r\n" + reply.body
