"""A plain GET, read from the bytes of its head alone; whatever is odd about a head is left to those who know more.

A head is judged by a parser of its own, of the same kind and with the same strictness as a connection's (httptools), so
what is read here is what would be read there. It is pure, and can be remembered.
"""

import httptools
from msgspec import Struct

END = b"\r\n\r\n"
_FRAMING = frozenset(
    {
        b"connection", b"content-length", b"expect", b"http2-settings", b"keep-alive", b"proxy-connection", b"te",
        b"trailer", b"transfer-encoding", b"upgrade",
    }
)  # fmt: skip
"""What may change where a message ends, or what comes after it."""


class Head(Struct, frozen=True):
    """A GET of HTTP/1.1 without a body, on a connection that goes on after it."""

    path: str
    """Raw, as `web.request.Call` has it."""
    query: bytes
    headers: list[tuple[bytes, bytes]]
    """Names in lower case, in their order."""


def read(raw: bytes) -> Head | None:
    """The head that *raw* is, where it is one and no more, and nothing about it is odd."""
    whole = raw.startswith(b"GET ") and raw.find(END) == len(raw) - len(END)
    if not whole or raw.count(b"\n") != raw.count(b"\r\n"):
        return None
    seen = _Seen()
    parser = httptools.HttpRequestParser(seen)
    try:
        parser.feed_data(raw)
    except (httptools.HttpParserError, httptools.HttpParserUpgrade):
        return None
    plain = parser.get_method() == b"GET" and parser.get_http_version() == "1.1" and parser.should_keep_alive()
    if not (plain and seen.complete == 1 and not seen.body and _is_plain(seen.headers)):
        return None
    return _head(seen)


def _is_plain(headers: list[tuple[bytes, bytes]]) -> bool:
    odd = [(name, value) for name, value in headers if name in _FRAMING]
    one_host = sum(name == b"host" for name, _ in headers) == 1
    return one_host and all(name == b"connection" and value.lower() == b"keep-alive" for name, value in odd)


def _head(seen: "_Seen") -> Head | None:
    if not seen.url.startswith(b"/") or b"#" in seen.url:
        return None
    try:
        url = httptools.parse_url(seen.url)
        path = url.path.decode("ascii")
    except (httptools.HttpParserError, UnicodeDecodeError):
        return None
    return Head(path, url.query or b"", seen.headers)


class _Seen:
    """What a parser tells."""

    def __init__(self) -> None:
        self.url = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.body = False
        self.complete = 0

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_body(self, _body: bytes) -> None:
        self.body = True

    def on_message_complete(self) -> None:
        self.complete += 1
