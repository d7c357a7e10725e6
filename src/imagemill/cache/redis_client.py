"""Build the redis-py client that `Level2.url` asks for: one server, Sentinel or Cluster, in clear or over TLS.

Keys     hosts default to port 6379, Sentinels to 26379; user and password may be percent-encoded.
Units    seconds.
Errors   `SettingsError` for a URL that cannot be meant; no message shows user or password.
Source   redis-py 8.1: a call that is cancelled while it waits closes its connection, so no answer is read by another.
         RESP 2 needs no greeting, and asks for no notices of maintenance: connecting costs one round trip or none.
"""

import asyncio
import ssl
from collections.abc import Sequence
from contextlib import suppress
from enum import StrEnum
from ipaddress import IPv6Address
from pathlib import Path
from typing import Any, Protocol, cast
from urllib.parse import unquote

from msgspec import Struct
from redis.asyncio import Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.connection import Connection, ConnectionPool, SSLConnection
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import (
    Sentinel,
    SentinelConnectionPool,
    SentinelManagedConnection,
    SentinelManagedSSLConnection,
)
from redis.backoff import NoBackoff
from redis.crc import key_slot

from imagemill.model.errors import SettingsError
from imagemill.model.signing import MIN_KEY_BYTES
from imagemill.settings import Level2

REDIS_PORT = 6379
SENTINEL_PORT = 26379
CONNECTIONS = 256
"""To one server at most; `RedisCache` itself asks far fewer questions at a time."""
_CONNECT_S = 1.0
_CLOSE_S = 1.0
_SENTINEL_S = 0.2
_MAX_PORT = 65535
_FORMS = "redis://, rediss://, redis+sentinel://, rediss+sentinel://, redis+cluster:// or rediss+cluster://"


class Topology(StrEnum):
    """Who has to be asked."""

    STANDALONE = ""
    SENTINEL = "sentinel"
    CLUSTER = "cluster"


class Address(Struct, frozen=True):
    """What a URL says."""

    topology: Topology
    tls: bool
    hosts: tuple[tuple[str, int], ...]
    username: str | None = None
    password: str | None = None
    service: str = ""
    """The name that the Sentinels know the primary by."""
    db: int = 0

    def __repr__(self) -> str:
        """Hide user and password."""
        hosts = ",".join(f"{host}:{port}" for host, port in self.hosts)
        return f"Address({self.topology or 'standalone'} {hosts})"


class Pipe(Protocol):
    """Commands on their way together; not a transaction."""

    def execute_command(self, *args: Any) -> Any:
        """Add one."""
        ...

    async def execute(self, *, raise_on_error: bool) -> Sequence[Any]:
        """Send them all; one answer each, an exception where one failed."""
        ...


class PubSub(Protocol):
    """One connection that listens."""

    async def subscribe(self, *channels: str) -> None:
        """Listen to *channels*."""
        ...

    async def get_message(self, *, ignore_subscribe_messages: bool, timeout: float) -> dict[str, Any] | None:  # noqa: ASYNC109
        """The next message, or None after *timeout* seconds."""
        ...

    async def ping(self) -> Any:
        """Ask for a sign of life; it comes as a message."""
        ...

    async def aclose(self) -> None:
        """Close the connection."""
        ...


class Client(Protocol):
    """What we use of redis-py: the same words for every topology."""

    async def initialize(self) -> Any:
        """Learn of a Cluster's servers, where it is one."""
        ...

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """Ask one thing and give its answer; any `redis.RedisError` or `OSError`."""
        ...

    def pipeline(self, *, transaction: bool) -> Pipe:
        """Start a `Pipe`."""
        ...

    def pubsub(self) -> PubSub:
        """A connection of its own to listen with."""
        ...

    async def aclose(self) -> None:
        """Close its own connections; `close` also closes those to Sentinels."""
        ...


def parse(url: str) -> Address:
    """Take a URL apart, or raise `SettingsError`."""
    scheme, found, rest = url.partition("://")
    base, _, kind = scheme.lower().partition("+")
    if not found or base not in {"redis", "rediss"} or kind not in set(Topology) or scheme.endswith("+"):
        raise SettingsError(f"l2.url begins with {_FORMS}")
    topology = Topology(kind)
    if any(c in rest.rpartition("@")[2] for c in "?# "):
        raise SettingsError("l2.url has no query, no fragment and no spaces; other settings have names of their own")
    userinfo, _, place = rest.rpartition("@")
    username, _, password = userinfo.partition(":")
    hosts, _, path = place.partition("/")
    service, db = _path(topology, path)
    return Address(
        topology=topology,
        tls=base == "rediss",
        hosts=_hosts(topology, hosts),
        username=unquote(username) or None,
        password=unquote(password) or None,
        service=service,
        db=db,
    )


def _hosts(topology: Topology, text: str) -> tuple[tuple[str, int], ...]:
    parts = text.split(",")
    if len(parts) > 1 and topology is Topology.STANDALONE:
        raise SettingsError("l2.url names several hosts; that takes redis+sentinel:// or redis+cluster://")
    default = SENTINEL_PORT if topology is Topology.SENTINEL else REDIS_PORT
    return tuple(_host(part, default) for part in parts)


def _host(text: str, default: int) -> tuple[str, int]:
    host, port = text, ""
    if text.startswith("["):
        host, closed, port = text[1:].partition("]")
        host = _ipv6(host if closed else "")
    elif ":" in text:
        host, _, port = text.partition(":")
        port = f":{port}"
    if not host:
        raise SettingsError("l2.url names no host")
    if not port:
        return host, default
    digits = port[1:]
    if not (port.startswith(":") and digits.isascii() and digits.isdigit() and 0 < int(digits[:6]) <= _MAX_PORT):
        raise SettingsError(f"l2.url: the port of {host} is no number from 1 to {_MAX_PORT}")
    return host, int(digits)


def _ipv6(text: str) -> str:
    try:
        return str(IPv6Address(text))
    except ValueError as e:
        raise SettingsError("l2.url: what stands in brackets is no IPv6 address") from e


def _path(topology: Topology, path: str) -> tuple[str, int]:
    service, db = "", path
    if topology is Topology.SENTINEL:
        service, _, db = path.partition("/")
        if not service:
            raise SettingsError(
                "l2.url: redis+sentinel:// ends with the name of the service, as in host:26379/mymaster"
            )
    if db and not (db.isascii() and db.isdigit()):
        raise SettingsError("l2.url: the database is a number")
    if db and topology is Topology.CLUSTER and int(db):
        raise SettingsError("l2.url: a Cluster has database 0 only")
    return unquote(service), int(db or 0)


def check(settings: Level2) -> Address:
    """Find whatever is wrong with the settings before anything is asked of the network, or raise `SettingsError`."""
    address = _checked(settings)
    if settings.ca_file:
        _trust(settings, address)
    return address


def _checked(settings: Level2) -> Address:
    """As `check`, save for the certificates: to read them takes longer than a request may lose."""
    address = parse(settings.url)
    if not settings.prefix or any(c in settings.prefix for c in "{}") or not settings.prefix.isprintable():
        raise SettingsError("l2.prefix is a word without braces: a Cluster reads what is in braces")
    if settings.secret and len(settings.secret.encode()) < MIN_KEY_BYTES:
        raise SettingsError(f"l2.secret: {len(settings.secret.encode())} bytes; at least {MIN_KEY_BYTES} are needed")
    return address


def secrets_of(settings: Level2) -> tuple[str, ...]:
    """What no message may show, should a server repeat it; the longest first, for one may be within another."""
    secrets = {parse(settings.url).password or "", settings.sentinel_password, settings.secret} - {""}
    return tuple(sorted(map(str, secrets), key=len, reverse=True))


def _trust(settings: Level2, address: Address) -> ssl.SSLContext | None:
    """Whom to believe over TLS; None = nobody is asked."""
    file = settings.ca_file
    if file and not Path(file).is_file():
        raise SettingsError(f"l2.ca_file: {file} is no file")
    if not (file or address.tls):
        return None
    try:
        context = ssl.create_default_context(cafile=file or None)
    except (ssl.SSLError, OSError) as e:
        raise SettingsError(f"l2.ca_file: {file} holds no certificates") from e
    return context if address.tls else None


def connect(settings: Level2, *, timeout_s: float | None) -> Client:
    """A client that connects when first asked, and tries nothing twice.

    Each of its steps (connecting, writing, reading) is bounded by *timeout_s*; with None only connecting is, by a
    second, and whoever asks bounds the whole, which is also cheaper: for reads that block, and for `RedisCache`.
    """
    address = _checked(settings)
    trust = _trust(settings, address)
    options = {
        "username": address.username,
        "password": address.password,
        "socket_timeout": timeout_s,
        "socket_connect_timeout": timeout_s or _CONNECT_S,
        "max_connections": CONNECTIONS,
        **_ALWAYS,
    }
    match address.topology:
        case Topology.STANDALONE:
            client: object = _redis(*address.hosts[0], trust, db=address.db, **options)
        case Topology.SENTINEL:
            client = _sentinel(settings, address, trust, options)
        case Topology.CLUSTER:
            client = _cluster(address, trust, options)
    return cast("Client", client)


_ALWAYS: dict[str, Any] = {"protocol": 2, "driver_info": None, "retry": Retry(NoBackoff(), 0)}


def _redis(host: str, port: int, trust: ssl.SSLContext | None, **options: Any) -> Redis:
    kind = _trusting(SSLConnection, trust) if trust else Connection
    return Redis.from_pool(ConnectionPool(host=host, port=port, connection_class=kind, **options))


def _sentinel(settings: Level2, address: Address, trust: ssl.SSLContext | None, options: dict[str, Any]) -> Redis:
    """A Sentinel that hangs must not use up the time of the next: probes wait for several (see `redis_link`)."""
    own: dict[str, Any] = {"socket_timeout": _SENTINEL_S, "socket_connect_timeout": _SENTINEL_S, **_ALWAYS}
    if settings.sentinel_password:
        own["password"] = settings.sentinel_password
    sentinel = Sentinel([])  # type: ignore[no-untyped-call]
    sentinel.sentinels = [_redis(host, port, trust, **own) for host, port in address.hosts]
    kind = _trusting(SentinelManagedSSLConnection, trust) if trust else SentinelManagedConnection
    client: Redis = sentinel.master_for(address.service, connection_class=kind, db=address.db, **options)
    return client


def _cluster(address: Address, trust: ssl.SSLContext | None, options: dict[str, Any]) -> RedisCluster:
    nodes = [ClusterNode(host, port) for host, port in address.hosts]
    # else it closes every connection, those in use too, each fifth time that a slot has moved
    client = RedisCluster(startup_nodes=nodes, ssl=trust is not None, reinitialize_steps=0, **options)
    if trust is not None:
        kind = client.connection_kwargs["connection_class"] = _trusting(SSLConnection, trust)
        for node in client.startup_nodes:
            node.connection_class = kind
    return client


def _trusting(kind: type[SSLConnection], trust: ssl.SSLContext) -> type[SSLConnection]:
    """Connections that share one context: to build it takes longer than a request may lose to Redis."""

    class Trusting(kind):  # type: ignore[valid-type, misc]
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.ssl_context.context = trust

    return Trusting


async def close(client: Client) -> None:
    """Close every connection for good, those to Sentinels included: within a second, and whatever they say."""
    with suppress(Exception):
        async with asyncio.timeout(_CLOSE_S):
            await client.aclose()
            if isinstance(client, Redis) and isinstance(client.connection_pool, SentinelConnectionPool):
                await client.connection_pool.sentinel_manager.aclose()


def server_of(client: Client, name: str) -> str:
    """Which server of a Cluster answers for the key *name*; empty = there is only one, or none is known yet."""
    if not isinstance(client, RedisCluster):
        return ""
    nodes = client.nodes_manager.slots_cache.get(key_slot(name.encode()))
    return str(nodes[0].name) if nodes else ""


async def version_of(client: Client, name: str) -> str:
    """The version that the server of the key *name* says it has."""
    where: dict[str, Any] = {}
    if isinstance(client, RedisCluster):
        await client.initialize()
        where = {"target_nodes": client.get_node_from_key(name)}
    answer = await client.execute_command("HELLO", **where)
    said = dict(zip(answer[::2], answer[1::2], strict=False))
    return bytes(said[b"version"]).decode("ascii", "replace")


async def hang_up(client: Client) -> None:
    """Close every connection, those in use as soon as they are given back; the client connects anew when asked."""
    if isinstance(client, RedisCluster):
        for node in client.get_nodes():
            node.update_active_connections_for_reconnect()
            await node.disconnect_free_connections()
    elif isinstance(client, Redis):
        await client.connection_pool.update_active_connections_for_reconnect()
        await client.connection_pool.disconnect(inuse_connections=False)


def pieces(client: Client) -> list[tuple[Client, dict[str, Any]]]:
    """What has to be asked, and with which options, to ask every primary."""
    if isinstance(client, RedisCluster):
        return [(cast("Client", client), {"target_nodes": node}) for node in client.get_primaries()]
    return [(client, {})]
