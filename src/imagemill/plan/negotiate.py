"""What a client accepts, brought down to a few classes before it touches a key.

Source   RFC 9110 section 12.5.1 (Accept). Wildcards do not count: ``*/*`` is sent by clients without AVIF.
"""

from itertools import combinations

from imagemill.model.media import Format

_OFFERED = ((Format.AVIF, b"image/avif"), (Format.WEBP, b"image/webp"))
_MAX_ACCEPT_BYTES = 1024
CLASSES: tuple[tuple[Format, ...], ...] = tuple(
    chosen for n in range(len(_OFFERED) + 1) for chosen in combinations([format_ for format_, _ in _OFFERED], n)
)
"""All that `candidates` may give."""


def candidates(accept: bytes) -> tuple[Format, ...]:
    """The formats of ours that *accept* names with a weight above zero, best first."""
    parts = accept[: _MAX_ACCEPT_BYTES + 1].lower().split(b",")
    if len(accept) > _MAX_ACCEPT_BYTES:
        parts.pop()  # cut in the middle: what it refuses may be missing
    accepted = {_media_type(part) for part in parts}
    return tuple(format_ for format_, name in _OFFERED if name in accepted)


def _media_type(part: bytes) -> bytes:
    name, *parameters = (p.strip() for p in part.split(b";"))
    return b"" if any(_is_zero_weight(p.replace(b" ", b"")) for p in parameters) else name


def _is_zero_weight(parameter: bytes) -> bool:
    name, _, weight = parameter.partition(b"=")
    return name == b"q" and not weight.strip(b"0.")
