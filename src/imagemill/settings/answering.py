"""How answers are made of requests: `Server`, `Signing`, `Negotiation`, `Presets`, `Fallback`, `Log`."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from imagemill.model.errors import SettingsError
from imagemill.settings.kinds import Host, MiB, Port, Positive, Seconds, SecondsOrNone, Secret

DEFAULT_FALLBACK = "default"
FALLBACK_STATUSES = frozenset({"403", "404", "413", "415", "422", "502", "503", "504", DEFAULT_FALLBACK})


class Server(Struct, frozen=True, forbid_unknown_fields=True):
    """``[server]``: where we listen, and how long a client may take."""

    host: Host = "127.0.0.1"
    """Address that the public port listens on."""
    port: Port = 8080
    """Public port: ``/image``, ``/info``, jobs, and ``/explain`` in unsigned mode. 0 = any free one."""
    reuse_port: bool = False
    """Share the public port with other nodes of this machine, each with its own admin port, L1 and workers."""
    admin_host: Host = "127.0.0.1"
    """Address that the admin port listens on. It asks nobody who they are: keep it from strangers."""
    admin_port: Port = 8081
    """Health, readiness, metrics, versions, ``/explain``. 0 = any free one."""
    max_connections: Positive = 2048
    """Open client connections; one more is answered 503 and closed."""
    max_head_bytes: Positive = 16 * 1024
    """Request line and headers together."""
    max_target_bytes: Positive = 8 * 1024
    """Path and query of one request; a longer one is answered 414."""
    header_timeout_s: Seconds = 10.0
    """From a request's first byte (or the connection's opening) to the end of its headers."""
    write_timeout_s: Seconds = 30.0
    """How long a client may read nothing while an answer waits for it."""
    unsent_bytes: Positive = 256 * MiB
    """Answers that their clients have not taken yet, each body counted once; past it, the eldest is cut off."""
    keep_alive_s: Positive = 15
    """How long a connection may be idle between two requests."""
    request_timeout_s: Seconds = 25.0
    """Longest time from a request to its answer; then 504."""
    drain_s: SecondsOrNone = 0.2
    """After a stop signal: not ready, still accepting, for so long."""
    grace_s: Positive = 30
    """After that: how long requests in flight may take to finish."""
    cross_origin_resource_policy: Literal["same-origin", "same-site", "cross-origin", ""] = "cross-origin"
    """Header of that name on pictures; empty = none."""
    cors_origins: tuple[str, ...] = ()
    """Origins whose pages may read ``/image`` and ``/info`` by script: ``scheme://host[:port]`` as a browser sends it,
    or ``*`` alone for all. Never with cookies. Empty = none."""
    trusted_proxies: tuple[str, ...] = ()
    """CIDR blocks of proxies that are believed: their ``X-Forwarded-For`` or ``Forwarded`` for the client's address in
    the log (neither where the two differ: have the proxy drop the one it does not write), their ``X-Request-ID`` (1 to
    64 of A-Z a-z 0-9 -) for the request's. Empty = none."""


class Signing(Struct, frozen=True, forbid_unknown_fields=True):
    """``[signing]``: who may ask. Unsigned mode must be chosen."""

    mode: Literal["required", "unsigned"] = "required"
    """``required``: only signed URLs are answered. ``unsigned``: any URL is."""
    keys: dict[str, Secret] = {}
    """Key id to key; the key is the UTF-8 bytes of the string, 32 at least."""


class Negotiation(Struct, frozen=True, forbid_unknown_fields=True):
    """``[negotiation]``: what an answer may owe to what its client says of itself."""

    formats: tuple[Literal["avif", "webp", "jxl"], ...] = ("avif", "webp")
    """What ``format=auto`` offers, best first; a client gets the first that it accepts and that is worth it."""
    client_hints: bool = False
    """Whether ``width=auto`` and ``dpr=auto`` are answered by ``Sec-CH-Width`` and ``Sec-CH-DPR``, and ``Save-Data`` is
    heard. Pages have to ask browsers for the first two (``Accept-CH``, and ``Permissions-Policy`` across origins)."""
    save_data_quality: Annotated[int, Meta(ge=0, le=100)] = 50
    """With ``client_hints``: the quality for clients that save data, where the URL names none. 0 = as for all."""


class Presets(Struct, frozen=True, forbid_unknown_fields=True):
    """``[presets]``: parameters of ``/image`` under a name, asked for by ``preset=``; a URL's own override them."""

    named: dict[str, str] = {}
    """Name to parameters, as they stand in a URL: ``thumb = "width=200&height=200&fit=cover"``."""
    only: bool = False
    """Nothing but presets may be asked for: so nobody can have more than these made of a source."""


class Fallback(Struct, frozen=True, forbid_unknown_fields=True):
    """``[fallback]``: a picture in place of an error; see docs/how-to/fallback.md."""

    images: dict[str, str] = {}
    """``[fallback.images]``: status to source, as a URL names it. Statuses: 403 (of a source, never of a signature),
    404, 413, 415, 422, 502, 503 (a failing source, not an overloaded node), 504; ``default`` for the rest of these."""
    as_success: bool = False
    """Answer with it as 200; else with the status of the error."""
    max_age_s: Annotated[int, Meta(ge=0, le=86_400)] = 60
    """How long clients and caches between may keep it."""

    def __post_init__(self) -> None:
        """Refuse statuses that have none."""
        if wrong := sorted(self.images.keys() - FALLBACK_STATUSES):
            raise SettingsError(f"fallback.images.{wrong[0]}: one of {', '.join(sorted(FALLBACK_STATUSES))}")


class Log(Struct, frozen=True, forbid_unknown_fields=True):
    """``[log]``: one line a request, to standard error."""

    format: Literal["auto", "json", "pretty"] = "auto"
    """auto = pretty on a terminal, else JSON."""
    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least that is written; requests are ``info``."""
