"""What a client says of itself, brought down to a few classes before it touches a key.

Accept   wildcards do not count: ``*/*`` is sent by clients without AVIF.
Hints    counted only where ``negotiation.client_hints`` says so; a number becomes the next of a few steps, upwards.
Source   RFC 9110 section 12.5.1 (Accept); Client Hints Infrastructure and Responsive Image Client Hints (WICG):
         ``Sec-CH-DPR`` is a decimal, ``Sec-CH-Width`` a whole number of device pixels; ``Save-Data: on`` (WICG).
"""

from collections.abc import Iterator, Mapping
from functools import cache
from itertools import combinations, product

from imagemill.model.client import Client
from imagemill.model.media import MEDIA_TYPES, Format
from imagemill.settings import Negotiation

READ = frozenset({b"accept", b"sec-ch-dpr", b"sec-ch-width", b"save-data"})
"""The header fields, in small letters, that `client` looks at."""
DPRS_CENTI = (100, 150, 200, 300, 400)
WIDTHS_PX = (160, 320, 480, 640, 800, 960, 1280, 1600, 1920, 2560, 3840)
"""The steps that hints are rounded up to; what is beyond the last becomes the last."""
_MAX_ACCEPT_BYTES = 1024
_MAX_HINT_BYTES = 8


def client(fields: Mapping[bytes, bytes], policy: Negotiation) -> Client:
    """The class of the client that sent *fields*, names in small letters."""
    formats = candidates(fields.get(b"accept", b""), policy)
    if not policy.client_hints:
        return Client(formats)
    return Client(
        formats,
        _step(_hundredths(fields.get(b"sec-ch-dpr", b"")), DPRS_CENTI),
        _step(_whole(fields.get(b"sec-ch-width", b"")), WIDTHS_PX),
        fields.get(b"save-data", b"").strip().lower() == b"on",
    )


def clients(policy: Negotiation) -> Iterator[Client]:
    """All that `client` may give."""
    if not policy.client_hints:
        yield from map(Client, classes(policy))
        return
    said = product(classes(policy), (0, *DPRS_CENTI), (0, *WIDTHS_PX), (False, True))
    yield from (Client(*one) for one in said)


def candidates(accept: bytes, policy: Negotiation) -> tuple[Format, ...]:
    """The formats on offer that *accept* names with a weight above zero, best first."""
    parts = accept[: _MAX_ACCEPT_BYTES + 1].lower().split(b",")
    if len(accept) > _MAX_ACCEPT_BYTES:
        parts.pop()  # cut in the middle: what it refuses may be missing
    accepted = {_media_type(part) for part in parts}
    return tuple(format_ for format_, name in _offered(policy.formats) if name in accepted)


def classes(policy: Negotiation) -> tuple[tuple[Format, ...], ...]:
    """All that `candidates` may give."""
    offered = [format_ for format_, _ in _offered(policy.formats)]
    return tuple(chosen for n in range(len(offered) + 1) for chosen in combinations(offered, n))


@cache
def _offered(names: tuple[str, ...]) -> tuple[tuple[Format, bytes], ...]:
    return tuple((Format(name), MEDIA_TYPES[Format(name)].encode()) for name in names)


def _media_type(part: bytes) -> bytes:
    name, *parameters = (p.strip() for p in part.split(b";"))
    return b"" if any(_is_zero_weight(p.replace(b" ", b"")) for p in parameters) else name


def _is_zero_weight(parameter: bytes) -> bool:
    name, _, weight = parameter.partition(b"=")
    return name == b"q" and not weight.strip(b"0.")


def _whole(text: bytes) -> int:
    """A whole number; 0 for whatever is none."""
    text = text.strip()
    return int(text) if text.isdigit() and len(text) <= _MAX_HINT_BYTES else 0


def _hundredths(text: bytes) -> int:
    """A plain decimal in hundredths, rounded down; 0 for whatever is none."""
    whole, point, part = text.strip().partition(b".")
    if point and not part.isdigit():
        return 0
    return _whole(whole) * 100 + _whole((part + b"00")[:2])


def _step(value: int, steps: tuple[int, ...]) -> int:
    return min((step for step in steps if step >= value), default=steps[-1]) if value else 0
