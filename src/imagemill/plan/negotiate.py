"""What a client accepts, brought down to a few classes before it touches a key.

Source   RFC 9110 section 12.5.1 (Accept). Wildcards do not count: ``*/*`` is sent by clients without AVIF.
"""

from imagemill.model.media import Format

_OFFERED = ((Format.AVIF, b"image/avif"), (Format.WEBP, b"image/webp"))
_MAX_ACCEPT_BYTES = 1024


def candidates(accept: bytes) -> tuple[Format, ...]:
    """The formats of ours that *accept* names with a weight above zero, best first."""
    accepted = {_media_type(part) for part in accept[:_MAX_ACCEPT_BYTES].lower().split(b",")}
    return tuple(format_ for format_, name in _OFFERED if name in accepted)


def _media_type(part: bytes) -> bytes:
    name, *parameters = (p.strip() for p in part.split(b";"))
    refused = any(p.replace(b" ", b"").rstrip(b"0").rstrip(b".") in {b"q=", b"q"} for p in parameters)
    return b"" if refused else name
