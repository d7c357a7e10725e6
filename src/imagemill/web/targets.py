"""The parts of a raw request target."""

import httptools


def path_of(url: bytes) -> str:
    """The raw path of a target, as `web.request.Call.path` has it."""
    return httptools.parse_url(url).path.decode("latin-1")


def authority_of(url: bytes) -> bytes:
    """The host and port in a target of absolute form, userinfo and all; empty for any other form."""
    scheme, mark, rest = url.partition(b"://")
    return rest.partition(b"/")[0].partition(b"?")[0].lower() if mark and b"/" not in scheme else b""
