"""Addresses below a base URL that operators name: pure.

Source   RFC 3986: everything but unreserved characters is percent-encoded, name by name.
"""

from collections.abc import Sequence
from urllib.parse import quote, urlsplit


def is_base(url: str) -> bool:
    """Whether addresses can be made below *url*: a scheme of the web, a host, no query, no fragment, no user."""
    try:
        parts = urlsplit(url)
        has_host = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    plain = url.isascii() and url.isprintable() and not set(url) & set(" ?#@\\")
    return plain and has_host and parts.scheme in {"http", "https"}


def below(base: str, names: Sequence[str]) -> str:
    """The address of the object with these *names* below *base*."""
    return "/".join((base.rstrip("/"), *(quote(name, safe="", errors="surrogatepass") for name in names)))
