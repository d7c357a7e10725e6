"""Say where a URL leads, and whether we may go there: pure, no look-ups, no packets.

Keys     `Target.url` is canonical: equal places written differently give equal text.
Errors   `BadRequest` for what is not one plain http(s) URL; `SourceForbidden` for what policy refuses.
Source   RFC 3986 (syntax), RFC 6890 and the IANA special-purpose registries (blocks, 2026-11);
         RFC 4291, 3056, 6052, 8215, 4380, 5214 (IPv4 inside IPv6); vendors' pages (metadata addresses).
"""

import re
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from unicodedata import normalize
from urllib.parse import unquote

from msgspec import Struct

from imagemill.model.errors import BadRequest, SettingsError, SourceForbidden
from imagemill.settings import Callbacks, Sources

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

MAX_URL_CHARS = 8192
MAX_HOST_CHARS = 253
MAX_PORT = 65_535
MAX_OCTET = 255
DEFAULT_PORTS = {"http": 80, "https": 443}

_NEVER = re.compile(r"[\x00-\x1f\x7f-\x9f\\#]")
_LABEL = re.compile(r"[a-z0-9_-]{1,63}")
_NUMERIC = re.compile(r"[0-9]+|0x[0-9a-f]*")
_QUAD = re.compile(r"(?:(?:0|[1-9][0-9]{0,2})\.){3}(?:0|[1-9][0-9]{0,2})")
_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:@]+)(?::([1-9][0-9]{0,4}))?")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_TO_ESCAPE = re.compile(rb'[^\x21-\x7e]|["<>^`{|}]')


class Target(Struct, frozen=True):
    """One place on the web, taken apart by the only parser there is."""

    scheme: str
    host: str
    """Lower case, no trailing dot; an IPv6 address without its brackets."""
    port: int
    path_and_query: str
    url: str
    """Canonical and absolute, without a default port: the cache key, and what is sent."""

    @property
    def origin(self) -> str:
        """Host and port: what a fault is blamed on."""
        return f"{self.host}:{self.port}"

    @property
    def path(self) -> str:
        """The path alone, escapes as they came."""
        return self.path_and_query.partition("?")[0]


class _IllFormed(ValueError):
    """Why a text is not one plain URL."""


def parse(url: str, name: str = "source URL") -> Target:
    """Read one absolute http(s) URL, refusing all that two parsers could read differently.

    Dot segments stay as they are: what is judged is what is sent.

    Raises:
        BadRequest: what is wrong with it; the message calls it *name*.
    """
    try:
        return _parse(url)
    except _IllFormed as e:
        raise BadRequest(f"{name}: {e}") from None


def _parse(url: str) -> Target:
    if len(url) > MAX_URL_CHARS:
        raise _IllFormed(f"{len(url)} > {MAX_URL_CHARS} characters")
    if _NEVER.search(url):
        raise _IllFormed("control characters, backslash and # are refused")
    scheme, _, rest = url.partition("://")
    if (scheme := scheme.lower()) not in DEFAULT_PORTS or not rest:
        raise _IllFormed("only http:// and https:// URLs are read")
    cut = re.search(r"[/?]", rest)
    authority, tail = (rest[: cut.start()], rest[cut.start() :]) if cut else (rest, "")
    host, port = _authority(authority, DEFAULT_PORTS[scheme])
    path_and_query = _path_and_query(tail)
    shown = f"[{host}]" if ":" in host else host
    if port != DEFAULT_PORTS[scheme]:
        shown = f"{shown}:{port}"
    return Target(scheme, host, port, path_and_query, f"{scheme}://{shown}{path_and_query}")


def _authority(text: str, default_port: int) -> tuple[str, int]:
    if not text.isascii() or "@" in text or "%" in text:
        raise _IllFormed("user names, % and anything but ASCII are refused in the host")
    match = _AUTHORITY.fullmatch(text)
    port = int(match[2] or default_port) if match else 0
    if not match or port > MAX_PORT:
        raise _IllFormed("the host or the port is ill-formed")
    host = match[1].lower()
    return (_ipv6(host[1:-1]) if host.startswith("[") else _name(host)), port


def _ipv6(text: str) -> str:
    try:
        return IPv6Address(text).compressed
    except ValueError:
        raise _IllFormed("not an IPv6 address") from None


def _name(host: str) -> str:
    host = host.removesuffix(".")
    labels = host.split(".")
    if len(host) > MAX_HOST_CHARS or not all(_LABEL.fullmatch(label) for label in labels):
        raise _IllFormed("a host name is made of a-z 0-9 _ - and dots")
    if _NUMERIC.fullmatch(labels[-1]) and not _is_quad(host):
        # inet_aton reads 127.1, 0x7f.1, 0177.0.0.1 and 2130706433 as addresses; other parsers do not
        raise _IllFormed("an IPv4 address is four plain decimal numbers")
    for label in labels:
        _check_punycode(label)
    return host


def _is_quad(host: str) -> bool:
    return bool(_QUAD.fullmatch(host)) and all(int(part) <= MAX_OCTET for part in host.split("."))


def _check_punycode(label: str) -> None:
    # an A-label that is ASCII, or compatible with ASCII, once decoded is another spelling of a plain name
    if not label.startswith("xn--"):
        return
    try:
        decoded = label[4:].encode().decode("punycode")
        plain = decoded.isascii() or normalize("NFKC", decoded) != decoded
    except (ValueError, OverflowError):
        plain = True
    if plain:
        raise _IllFormed("ill-formed international host name")


def _path_and_query(tail: str) -> str:
    if _BAD_ESCAPE.search(tail):
        raise _IllFormed("% must be followed by two hex digits")
    try:
        raw = tail.encode()
    except UnicodeEncodeError:
        raise _IllFormed("not Unicode text") from None
    path, _, query = _TO_ESCAPE.sub(lambda m: b"%%%02X" % m[0][0], raw).decode().partition("?")
    # a lone "?" is dropped because the client library drops it, too: key and request must agree
    return (path or "/") + (f"?{query}" if query else "")


class Rule(Struct, frozen=True):
    """One entry of ``sources.allow`` or ``callbacks.allow``."""

    host: str
    subdomains: bool
    prefix: str
    """Empty = any path."""

    def matches(self, target: Target) -> bool:
        """Compare whole labels and whole path segments, never pieces of text."""
        named = target.host.endswith(f".{self.host}") if self.subdomains else target.host == self.host
        return named and (not self.prefix or _below(self.prefix, target.path))


class Policy(Struct, frozen=True):
    """``[sources]`` or ``[callbacks]``, made ready for judging; built once."""

    schemes: frozenset[str]
    ports: frozenset[int]
    allow: tuple[Rule, ...]
    private: bool
    metadata: bool
    networks: tuple[Network, ...]

    @classmethod
    def of(cls, sources: Sources) -> "Policy":
        """Read the settings, or raise `SettingsError`."""
        return cls(
            schemes=frozenset(sources.schemes),
            ports=frozenset(sources.ports),
            allow=tuple(_rule(entry, "sources") for entry in sources.allow),
            private=sources.allow_private_networks,
            metadata=sources.allow_metadata,
            networks=tuple(_network(text, "sources") for text in sources.allow_networks),
        )

    @classmethod
    def of_callbacks(cls, callbacks: Callbacks) -> "Policy":
        """Read the settings, or raise `SettingsError`. No switch opens a metadata address: nobody is called there."""
        plain = callbacks.allow_http
        return cls(
            schemes=frozenset({"http", "https"} if plain else {"https"}),
            ports=frozenset(callbacks.ports) | ({DEFAULT_PORTS["http"]} if plain else set()),
            allow=tuple(_rule(entry, "callbacks") for entry in callbacks.allow),
            private=callbacks.allow_private_networks,
            metadata=False,
            networks=tuple(_network(text, "callbacks") for text in callbacks.allow_networks),
        )


def _network(text: str, table: str) -> Network:
    try:
        return ip_network(text)
    except ValueError as e:
        raise SettingsError(f"{table}.allow_networks: {e}") from e


def _rule(entry: str, table: str) -> Rule:
    wild = entry.startswith("*.")
    rest = entry[2:] if wild else entry
    try:
        target = parse(f"http://{rest}")
    except BadRequest as e:
        raise SettingsError(f"{table}.allow: {entry!r} is not a host or host/path/prefix/") from e
    if target.port != DEFAULT_PORTS["http"] or "?" in rest or _climbs(target.path) or (wild and _literal(target.host)):
        raise SettingsError(f"{table}.allow: {entry!r} is not a host or host/path/prefix/")
    return Rule(target.host, wild, "" if target.path == "/" else target.path)


def _below(prefix: str, path: str) -> bool:
    inside = path == prefix or path.startswith(prefix if prefix.endswith("/") else f"{prefix}/")
    return inside and not _climbs(path)


def _climbs(path: str) -> bool:
    # servers decode once, proxies before them once more; "..;x" is ".." to some
    for _ in range(8):
        names = (segment.partition(";")[0] for segment in re.split(r"[/\\]", path))
        if any(name in {".", ".."} for name in names):
            return True
        decoded = unquote(path, errors="replace")
        if decoded == path:
            return False
        path = decoded
    return True


LOOPBACK = "127.0.0.1"
"""What ``localhost`` and all below it are taken for, whatever a resolver says (RFC 6761)."""

_METADATA_NAMES = frozenset({"metadata", "metadata.google.internal", "metadata.goog", "instance-data"})
_METADATA = frozenset(
    ip_address(text)
    for text in (
        "169.254.169.254",  # AWS, Google, Azure, Oracle, DigitalOcean, OpenStack
        "169.254.170.2",  # AWS ECS task credentials
        "169.254.170.23",  # AWS EKS pod identity
        "169.254.0.23",  # Tencent
        "fd00:ec2::254",  # AWS over IPv6
        "fd00:ec2::23",  # AWS EKS over IPv6
        "fd20:ce::254",  # Google over IPv6
        "100.100.100.200",  # Alibaba
        "168.63.129.16",  # Azure wire server
        "192.0.0.192",  # Oracle
    )
)

_PRIVATE = tuple(
    (ip_network(block), why)
    for block, why in (
        ("10.0.0.0/8", "private"),
        ("172.16.0.0/12", "private"),
        ("192.168.0.0/16", "private"),
        ("100.64.0.0/10", "carrier-grade NAT"),
        ("fc00::/7", "unique local"),
        ("64:ff9b:1::/48", "local-use NAT64"),
    )
)

_DENIED = tuple(
    (ip_network(block), why)
    for block, why in (
        ("0.0.0.0/8", "this host"),
        ("127.0.0.0/8", "loopback"),
        ("169.254.0.0/16", "link-local"),
        ("192.0.0.0/24", "protocol assignments"),
        ("192.0.2.0/24", "documentation"),
        ("192.88.99.0/24", "6to4 relay"),
        ("198.18.0.0/15", "benchmarking"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved or broadcast"),
        ("2001:2::/48", "benchmarking"),
        ("2001:10::/28", "ORCHID"),
        ("2001:20::/28", "ORCHID"),
        ("2001:db8::/32", "documentation"),
        ("3fff::/20", "documentation"),
    )
)

_GLOBAL_UNICAST = IPv6Network("2000::/3")
_PROTOCOLS = IPv6Network("2001::/23")
_TEREDO = IPv6Network("2001::/32")
_SIX_TO_FOUR = IPv6Network("2002::/16")
_NAT64 = IPv6Network("64:ff9b::/96")
_LOCAL_NAT64 = IPv6Network("64:ff9b:1::/48")
_COMPATIBLE = IPv6Network("::/96")
_ISATAP = frozenset({0x0000_5EFE, 0x0200_5EFE})


def check(target: Target, policy: Policy) -> None:
    """Refuse what can be refused without a look-up, or raise nothing.

    Raises:
        SourceForbidden: scheme, port, name, address or allow-list; the reason is for the log.
    """
    if target.scheme not in policy.schemes:
        raise SourceForbidden(f"scheme {target.scheme}")
    if target.port not in policy.ports:
        raise SourceForbidden(f"port {target.port}")
    if target.host in _METADATA_NAMES and not policy.metadata:
        raise SourceForbidden("metadata name")
    if policy.allow and not any(rule.matches(target) for rule in policy.allow):
        raise SourceForbidden("not in the allow-list")
    fixed = fixed_address(target.host)
    if fixed and (reason := judge(fixed, policy)):
        raise SourceForbidden(reason)


def fixed_address(host: str) -> str:
    """The address a host has without asking anyone: a literal, or loopback; else ""."""
    if host == "localhost" or host.endswith(".localhost"):
        return LOOPBACK
    return host if _literal(host) else ""


def _literal(host: str) -> bool:
    return ":" in host or _is_quad(host)


def judge(ip: str, policy: Policy) -> str | None:
    """None when *policy* lets us connect to *ip*, else why not, for the log."""
    try:
        address = ip_address(ip)
    except ValueError:
        return "not an address"
    if isinstance(address, IPv6Address) and address.scope_id:
        return "scoped address"
    return next((reason for face in _faces(address) if (reason := _reason(face, policy))), None)


def _faces(address: Address) -> Iterator[Address]:
    """Give every address that *address* can stand for: itself, and each IPv4 address inside it."""
    if isinstance(address, IPv4Address):
        yield address
        return
    if address.ipv4_mapped:
        yield address.ipv4_mapped  # the kernel speaks IPv4 to it: nothing else counts
        return
    yield address
    number = int(address)
    low = IPv4Address(number & 0xFFFF_FFFF)
    if (number >> 32) & 0xFFFF_FFFF in _ISATAP or address in _NAT64 or (address in _COMPATIBLE and number > 1):
        yield low
    if address in _SIX_TO_FOUR:
        yield IPv4Address((number >> 80) & 0xFFFF_FFFF)
    if address in _TEREDO:
        yield IPv4Address((number >> 64) & 0xFFFF_FFFF)  # the server
        yield IPv4Address((number & 0xFFFF_FFFF) ^ 0xFFFF_FFFF)  # the client, stored inverted
    if address in _LOCAL_NAT64:
        yield from _local_nat64(number)


def _local_nat64(number: int) -> Iterator[IPv4Address]:
    # RFC 6052: after a /48, bits 48-63 and 72-87 around an empty octet; after a /96 inside it, the last 32
    spread = ((number >> 64) & 0xFFFF) << 16 | ((number >> 40) & 0xFFFF)
    low = number & 0xFFFF_FFFF
    if spread:
        yield IPv4Address(spread)
    if low or not spread:
        yield IPv4Address(low)


def _reason(address: Address, policy: Policy) -> str | None:
    if address in _METADATA:
        return None if policy.metadata else "metadata address"
    if any(address in network for network in policy.networks):
        return None
    for network, why in _PRIVATE:
        if address in network:
            return None if policy.private else why
    for network, why in _DENIED:
        if address in network:
            return why
    return _unlisted(address)


def _unlisted(address: Address) -> str | None:
    if isinstance(address, IPv4Address) or address in _NAT64:
        return None
    if address not in _GLOBAL_UNICAST:
        return "not global unicast"
    return "protocol assignments" if address in _PROTOCOLS and address not in _TEREDO else None
