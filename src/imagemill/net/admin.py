"""Ask the admin port of a node: the operator's own tools, and no address that a caller supplied.

Units    seconds.
Errors   `DependencyDown` where no node answers.
"""

import asyncio
import json
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from typing import Any

from imagemill.model.errors import DependencyDown

_TIMEOUT_S = 5.0
_MAX_ANSWER_BYTES = 64 * 1024
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - an address to reach, not to listen on


async def post(host: str, port: int, path: str, value: object) -> tuple[int, dict[str, Any]]:
    """The status and the JSON object that a node answers *value* with."""
    return await asyncio.to_thread(_ask, "POST", host, port, path, json.dumps(value).encode())


def get(host: str, port: int, path: str) -> tuple[int, dict[str, Any]]:
    """The status and the JSON object that a node has at *path*; blocks until it has answered."""
    return _ask("GET", host, port, path, None)


def _ask(method: str, host: str, port: int, path: str, body: bytes | None) -> tuple[int, dict[str, Any]]:
    host = _EVERYWHERE.get(host, host)
    headers = {"content-type": "application/json"} if body is not None else {}
    try:
        with closing(HTTPConnection(host, port, timeout=_TIMEOUT_S)) as connection:
            connection.request(method, path, body, headers)
            reply = connection.getresponse()
            answer = json.loads(reply.read(_MAX_ANSWER_BYTES))
    except (OSError, HTTPException, ValueError, OverflowError, RecursionError) as e:  # a port may be none
        raise DependencyDown(f"no node answers at {host}:{port}: {str(e) or type(e).__name__}") from e
    if not isinstance(answer, dict):
        raise DependencyDown(f"what answers at {host}:{port} is no node")
    return reply.status, answer
