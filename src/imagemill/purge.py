"""Purge from an application: ``await purge("redis://cache.internal", tag="cats")``.

Units    ``at_ms`` milliseconds on the clock that purges are dated by.
Errors   `BadRequest` for what names nothing, `DependencyDown` where not every node could be told, `SettingsError`.
"""

from typing import Any

import msgspec

from imagemill import wiring
from imagemill.model.errors import BadRequest, DependencyDown, SettingsError
from imagemill.net import admin
from imagemill.service.purge import Order, Purged
from imagemill.settings import Level2, Secret, Server, Settings, Signing

__all__ = ["Order", "Purged", "purge"]

_OK = 200


async def purge(
    where: Settings | str, *, source: str | None = None, tag: str | None = None, target: str | None = None
) -> Purged:
    """Purge a source by its address, a tag, or a rendition by its URL: exactly one of them.

    It holds on every node within two seconds, and for every fetch that begins after it.

    Args:
        where: the settings of the nodes; or the URL of the Redis that they share, if they have no other settings for
            it; or ``http://host:port``, the admin port of a single node.
        source: as in ``source=``: ``https://…`` or ``local:<store>/<key>``.
        tag: one that requests named in ``tags=``.
        target: ``/image?source=…``, signed or not; with ``format=auto`` all that it may be answered with.

    Raises:
        BadRequest: none of them is given, several are, or one is ill-formed.
        DependencyDown: the nodes could not be told; what is asked again does no harm.
        SettingsError: *where* is none of these.
    """
    order = Order.of(source=source, tag=tag, target=target)
    settings = _settings(where) if isinstance(where, str) else where
    if settings.l2.url:
        return await wiring.purge(settings, order)
    return await _by_node(settings.server, order)


def _settings(url: str) -> Settings:
    """Settings that say no more than *url* does."""
    unsigned = Signing(mode="unsigned")
    scheme, found, place = url.partition("://")
    if found and scheme != "http":
        return Settings(l2=Level2(url=Secret(url)), signing=unsigned)
    host, colon, port = place.rstrip("/").rpartition(":")
    if not (found and colon and host and port.isascii() and port.isdigit()):
        raise SettingsError("wanted: the URL of a Redis, or http://host:port, the admin port of a node")
    return Settings(server=Server(admin_host=host.strip("[]"), admin_port=int(port)), signing=unsigned)


async def _by_node(server: Server, order: Order) -> Purged:
    status, answer = await admin.post(server.admin_host, server.admin_port, "/purge", msgspec.to_builtins(order))
    if status == _OK:
        return _read(answer)
    detail = str(answer.get("detail", f"status {status}"))
    raise DependencyDown(detail) if answer.get("retryable") else BadRequest(detail)


def _read(answer: dict[str, Any]) -> Purged:
    try:
        return msgspec.convert(answer, Purged)
    except msgspec.ValidationError as e:
        raise DependencyDown("what answers is no node") from e
