"""What may be fetched, and how: `Sources`, `Fetch`."""

from typing import Literal

from msgspec import Struct

from imagemill.settings.kinds import HeaderText, MiB, Natural, Port, Positive, Seconds


class Fetch(Struct, frozen=True, forbid_unknown_fields=True):
    """``[fetch]``: the one client for addresses that callers supply."""

    connect_s: Seconds = 2.0
    """To connect, TLS included."""
    first_byte_s: Seconds = 5.0
    """From there to the answer's head."""
    total_s: Seconds = 15.0
    """For the whole download, redirects included."""
    resolve_s: Seconds = 2.0
    """To look one host's name up."""
    min_bytes_per_s: Natural = 8 * 1024
    """Average since the body began, enforced after `slow_start_s`."""
    slow_start_s: Seconds = 2.0
    """How long a body may be slower than `min_bytes_per_s` at its beginning."""
    redirects: Natural = 5
    """Followed for one source; each is judged like the first address."""
    per_host: Positive = 16
    """Fetches from one host at a time."""
    per_host_queue: Natural = 64
    """More waiting than this for one host are refused."""
    total: Positive = 256
    """Fetches at a time from all hosts together."""
    inflight_bytes: Positive = 256 * MiB
    """Bytes of unfinished downloads together; more is refused."""
    breaker_failures: Positive = 5
    """Consecutive failures after which a host is not asked for `breaker_s`."""
    breaker_s: Seconds = 5.0
    """How long such a host is left alone; then one fetch tries it again."""


class Sources(Struct, frozen=True, forbid_unknown_fields=True):
    """``[sources]``: what may be fetched. Default: public addresses on ports 80 and 443, no store."""

    schemes: tuple[Literal["http", "https"], ...] = ("http", "https")
    """Of URLs that may be fetched."""
    ports: tuple[Port, ...] = (80, 443)
    """That may be connected to."""
    allow: tuple[str, ...] = ()
    """``host`` or ``host/path/prefix/``; a leading ``*.`` matches subdomains. Empty = any host."""
    allow_private_networks: bool = False
    """RFC 1918, CGNAT and unique local addresses. Loopback and link-local need `allow_networks`."""
    allow_metadata: bool = False
    """Cloud metadata addresses: apart from every other switch."""
    allow_networks: tuple[str, ...] = ()
    """CIDR blocks reachable beside public addresses."""
    user_agent: HeaderText = ""
    """Empty = ``imagemill/<version>``."""
