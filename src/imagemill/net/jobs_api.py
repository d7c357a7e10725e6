"""Ask a running imagemill about its jobs: the operator's own tools, and no address that a caller supplied.

Units    seconds.
Errors   `DependencyDown` where nobody answers, `ApiRefused` for an answer that is a problem.
Source   the WHATWG HTML standard, 9.2 (server-sent events), for the form of the stream.
"""

import json
from collections.abc import Iterable, Iterator
from contextlib import closing
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

import msgspec

from imagemill.model.errors import DependencyDown, ImagemillError, SettingsError

_TIMEOUT_S = 30.0
"""Also between two words of a stream, which is never silent for longer than half of it."""
_MAX_ANSWER_BYTES = 64 * 1024 * 1024
_MAX_LINE_BYTES = 4 * 1024 * 1024
_REFUSED = 400


class ApiRefused(ImagemillError):
    """The service said no; the message has its words."""

    code = "refused"

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        code = str(problem.get("code", "")) or f"status {status}"
        super().__init__(f"{code}: {problem.get('detail') or problem.get('title') or 'no reason was given'}")
        self.status = status
        self.retry = status >= 500 or status == 429  # noqa: PLR2004
        """Whether asking again makes sense."""


class JobsApi:
    """The job interface at *url*, for whoever has *token*; empty = none."""

    def __init__(self, url: str, token: str = "") -> None:
        parts = urlsplit(url)
        try:
            host, port = parts.hostname, parts.port
        except ValueError as e:
            raise SettingsError(f"{url}: {e}") from e
        if parts.scheme not in {"http", "https"} or not host or parts.username or parts.query or parts.fragment:
            raise SettingsError(f"{url}: wanted http://host:port or https://host")
        if not (token.isascii() and token.isprintable()) or " " in token:
            raise SettingsError("the token is none: it holds spaces, or more than ASCII")
        self._kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self._host, self._port, self._path = host, port, parts.path.rstrip("/")
        self._headers = {"authorization": f"Bearer {token}"} if token else {}
        self._url = url

    @property
    def private(self) -> bool:
        """Whether what is sent is read by nobody on its way."""
        return self._kind is HTTPSConnection or self._host in {"127.0.0.1", "::1", "localhost"}

    def ask(
        self, method: str, path: str, value: object = None, headers: dict[str, str] | None = None
    ) -> dict[str, Any]:
        """The JSON object that a request is answered with, if any; a `Raw` in *value* is sent as it is."""
        body = None if value is None else _encoded(value)
        with closing(self._kind(self._host, self._port, timeout=_TIMEOUT_S)) as connection:
            try:
                answer = _answer(self._begin(connection, method, path, body, headers or {}))
            except (OSError, HTTPException, ValueError, RecursionError) as e:
                raise self._down(e) from e
        return answer

    def events(self, job_id: str) -> Iterator[dict[str, Any]]:
        """The job at once, then after every change, until its end or that of the stream."""
        with closing(self._kind(self._host, self._port, timeout=_TIMEOUT_S)) as connection:
            try:
                path, accept = f"/jobs/{job_id}/events", {"accept": "text/event-stream"}
                reply = self._begin(connection, "GET", path, None, accept)
                yield from map(json.loads, messages(_lines(reply)))
            except (OSError, HTTPException, ValueError, RecursionError) as e:
                raise self._down(e) from e

    def _begin(
        self, connection: HTTPConnection, method: str, path: str, body: bytes | None, headers: dict[str, str]
    ) -> HTTPResponse:
        kind = {} if body is None else {"content-type": "application/json"}
        connection.request(method, self._path + path, body, {**self._headers, **kind, **headers})
        reply = connection.getresponse()
        if reply.status >= _REFUSED:
            raise ApiRefused(reply.status, _problem(reply))
        return reply

    def _down(self, error: Exception) -> DependencyDown:
        return DependencyDown(f"no imagemill answers at {self._url}: {str(error) or type(error).__name__}")


def _encoded(value: object) -> bytes:
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError as e:
        raise SettingsError(f"{e.object[:40]!r} is no text") from e


def messages(lines: Iterable[str]) -> Iterator[str]:
    """The data of each ``job`` event in a stream of server-sent events."""
    kind = ""
    data: list[str] = []
    for line in lines:
        if not line:
            if data and kind == "job":
                yield "\n".join(data)
            kind, data = "", []
            continue
        name, _, text = line.partition(":")
        if name == "event":
            kind = text.removeprefix(" ")
        elif name == "data":
            data.append(text.removeprefix(" "))


def _lines(reply: HTTPResponse) -> Iterator[str]:
    while line := reply.readline(_MAX_LINE_BYTES):
        yield line.decode("utf-8").rstrip("\r\n")


def _answer(reply: HTTPResponse) -> dict[str, Any]:
    body = reply.read(_MAX_ANSWER_BYTES)
    answer = json.loads(body) if body else {}
    if not isinstance(answer, dict):
        raise ValueError("what answers is no imagemill")  # noqa: TRY004 - as any other answer that makes no sense
    return answer


def _problem(reply: HTTPResponse) -> dict[str, Any]:
    try:
        return _answer(reply)
    except (ValueError, RecursionError):
        return {}
