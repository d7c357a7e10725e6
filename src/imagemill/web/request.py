"""What the web layer knows of one request: raw bytes as they came, and what came of them."""

from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from secrets import token_hex
from typing import Any

from imagemill.model.errors import BadRequest

_ID_BYTES = 8
_IDS_AT_A_TIME = 256


def new_request_id() -> str:
    """A random name for one request; see `web.proxies` for the ids of others."""
    return next(_IDS)


def _ids() -> Iterator[str]:
    """Names of 64 random bits; the kernel is asked for many at a time."""
    while True:
        many = token_hex(_ID_BYTES * _IDS_AT_A_TIME)
        for start in range(0, len(many), 2 * _ID_BYTES):
            yield many[start : start + 2 * _ID_BYTES]


_IDS = _ids()


async def read_body(receive: Callable[[], Awaitable[MutableMapping[str, Any]]], most: int) -> bytes | None:
    """A request's body, or `BadRequest` above *most* bytes; None where the client has left."""
    body = bytearray()
    while (message := await receive())["type"] == "http.request":
        body += message.get("body", b"")
        if len(body) > most:
            raise BadRequest(f"body: more than {most} bytes")
        if not message.get("more_body", False):
            return bytes(body)
    return None


async def until_left(receive: Callable[[], Awaitable[MutableMapping[str, Any]]]) -> None:
    """Return once the client has left; a body is read and dropped (the protocol bounds it)."""
    while (await receive())["type"] != "http.disconnect":
        pass


class Call:
    """One request, and what is learned about it on its way: the only mutable value of this layer."""

    __slots__ = (
        "asker", "caller", "client", "error", "headers", "method", "parts", "path", "query", "request_id",
        "sharing", "streamed_bytes", "tier", "version",
    )  # fmt: skip

    def __init__(
        self,
        method: str,
        path: str,
        query: bytes,
        headers: list[tuple[bytes, bytes]],
        request_id: str,
        client: str = "",
        version: str = "1.1",
    ) -> None:
        self.method = method
        self.path = path
        """The raw path: never decoded, never normalised."""
        self.query = query
        self.headers = headers
        self.request_id = request_id
        self.client = client
        """The address of the other end of the connection, which need not be who asks; empty = unknown."""
        self.asker = client
        """The address of whoever asks, for the log: `client`, or what a trusted proxy says; see `web.proxies`."""
        self.version = version
        """Of HTTP, as the request says."""
        self.parts: tuple[str, ...] = ()
        """What stands in the variable segments of the route, raw as `path`."""
        self.error: BaseException | None = None
        self.tier = "none"
        self.caller = ""
        """Who asks, for the log, where that was found out."""
        self.sharing: tuple[tuple[bytes, bytes], ...] = ()
        """Fields for an error, too, that let a page of another origin read it; see `web.cors`."""
        self.streamed_bytes = 0
        """Of an answer in pieces, as far as it was sent."""

    @classmethod
    def of(cls, scope: MutableMapping[str, Any], request_id: str) -> "Call":
        """The request of an ASGI scope."""
        path = scope["raw_path"].decode("latin-1")
        client = scope.get("client")
        return cls(
            scope["method"], path, scope["query_string"], scope["headers"], request_id, client[0] if client else "",
            scope.get("http_version", "1.1"),
        )  # fmt: skip

    @property
    def target(self) -> bytes:
        """The raw request target: path and query."""
        path = self.path.encode("latin-1")
        return b"%b?%b" % (path, self.query) if self.query else path

    def fields(self, names: frozenset[bytes]) -> dict[bytes, bytes]:
        """As `header` of each of *names* that is there; one look at all headers for many of them."""
        found: dict[bytes, bytes] = {}
        for key, value in self.headers:
            if key in names:
                found[key] = b"%b, %b" % (found[key], value) if key in found else value
        return found

    def header(self, name: bytes) -> bytes:
        """All values of a header in one, as a list."""
        return b", ".join(value for key, value in self.headers if key == name)
