"""POST /purge, on the admin port: a JSON body says what.

Bounded  the body, `service.purge.MAX_ORDER_BYTES`.
Errors   `BadRequest`, `OriginRefused`, `DependencyDown`.
Source   Fetch standard: a browser names the ``Origin`` in every POST, also to its own; Fetch Metadata: and
         ``Sec-Fetch-Site`` in every request to a trustworthy place, such as loopback. So no name that is made to
         point here (DNS rebinding) lets a page purge, whatever ``Host`` says.
         This port asks nobody who they are, so a page on the operator's own machine must not be able to speak to it.
"""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import msgspec

from imagemill.model.errors import OriginRefused
from imagemill.service.purge import MAX_ORDER_BYTES, Order, Purged, read_order
from imagemill.web.app import Handler, Receive
from imagemill.web.problems import Reply, json_reply
from imagemill.web.request import Call, read_body

_OF_BROWSERS = (b"origin", b"sec-fetch-site")


def handler(purge: Callable[[Order], Awaitable[Purged]]) -> Handler:
    """The handler that has *purge* done."""

    async def post(call: Call, receive: Receive) -> Reply | None:
        if any(name in _OF_BROWSERS for name, _ in call.headers):
            raise OriginRefused("a browser may not purge")
        body = await read_body(receive, MAX_ORDER_BYTES)
        return None if body is None else json_reply(200, told(await purge(read_order(body))))

    return post


def told(purged: Purged) -> dict[str, object]:
    """What was done, for programs and people."""
    facts: dict[str, object] = msgspec.to_builtins(purged)
    return facts | {"at": datetime.fromtimestamp(purged.at_ms / 1000, UTC).isoformat()}
