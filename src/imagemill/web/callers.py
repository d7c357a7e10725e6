"""Who calls, and what they may do: judged from a request's head alone, before any of its body is read.

A bearer token says it. While there is no token at all, whoever is on this machine may do everything, as far as the
request shows no sign of a proxy, a browser or a name that was made to point here (DNS rebinding).
Errors   `Unauthorized`, `ScopeMissing`, `OriginRefused`; which of its reasons an `Unauthorized` has is not told.
Source   RFC 6750 section 2.1: the token in ``Authorization``, and nowhere else. Fetch standard: see `web.purges`.
"""

import re
from ipaddress import IPv6Address, ip_address

from msgspec import Struct

from imagemill.jobs.tokens import Register
from imagemill.model.errors import OriginRefused, ScopeMissing, Unauthorized
from imagemill.model.token import Scope, known
from imagemill.web.request import Call

LOCAL_TENANT = "default"
_HERE = re.compile(rb"(?:localhost|127\.0\.0\.1|\[::1\])(?::\d{1,5})?", re.IGNORECASE)
_OF_PROXIES = frozenset(
    {b"forwarded", b"via", b"x-real-ip", b"x-client-ip", b"x-cluster-client-ip", b"true-client-ip", b"cf-connecting-ip"}
    | {b"fastly-client-ip", b"x-envoy-external-address", b"x-original-host", b"x-original-forwarded-for"}
)
_PROGRAMS_SPEAK = "1.1"
"""nginx before 1.29.7 speaks 1.0 to what is behind it, and names that as Host, unless it is told otherwise."""
_BY_PROXIES = b"x-forwarded"
_OF_BROWSERS = frozenset({b"origin", b"sec-fetch-site"})


class Caller(Struct, frozen=True):
    """Whoever calls, as far as it matters."""

    tenant: str
    scopes: frozenset[Scope]
    name: str
    """For the log: the token's id, or ``local``."""

    @property
    def admin(self) -> bool:
        """Whether every tenant's jobs are theirs to see."""
        return Scope.ADMIN in self.scopes


def judge(call: Call, register: Register, scope: Scope, now_s: float) -> Caller:
    """Who calls, if they may do what *scope* is for."""
    if not register.readable:
        raise Unauthorized
    given = [value for name, value in call.headers if name == b"authorization"]
    if given or register.tokens:
        return _bearer(given, register, scope, now_s)
    return _local(call)


def _bearer(given: list[bytes], register: Register, scope: Scope, now_s: float) -> Caller:
    if len(given) != 1:
        raise Unauthorized
    scheme, _, text = given[0].partition(b" ")
    if scheme.lower() != b"bearer":
        raise Unauthorized
    token = known(text.strip(b" ").decode("latin-1"), register.tokens, now_s)
    if token is None:
        raise Unauthorized
    if not token.may(scope):
        raise ScopeMissing(f"this token has not the scope {scope}")
    return Caller(token.tenant, frozenset(token.scopes), token.id)


def _local(call: Call) -> Caller:
    names = {name for name, _ in call.headers}
    hosts = [value for name, value in call.headers if name == b"host"]
    if not is_loopback(call.client) or len(hosts) != 1 or not _HERE.fullmatch(hosts[0]):
        raise Unauthorized
    proxied = names & _OF_PROXIES or any(name.startswith(_BY_PROXIES) for name in names)
    if proxied or call.version != _PROGRAMS_SPEAK:
        raise Unauthorized
    if names & _OF_BROWSERS:
        raise OriginRefused("a browser needs a token")
    return Caller(LOCAL_TENANT, frozenset(Scope), "local")


def is_loopback(client: str) -> bool:
    """Whether *client* is an address of this machine's own loopback; also where IPv6 carries IPv4."""
    try:
        address = ip_address(client)
    except ValueError:
        return False
    inner = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (inner or address).is_loopback
