"""The best quality whose file is no larger than asked, found by a bounded number of encodes.

Errors   `LimitExceeded` ``max_bytes`` where the lowest quality is too large still; the message has its bytes.
"""

from collections.abc import Callable

from msgspec.structs import replace

from imagemill.model.errors import LimitExceeded
from imagemill.plan.operations.encoding import MOST_ENCODES
from imagemill.plan.profiles import asked_quality
from imagemill.plan.steps import Steps
from imagemill.settings import Engine

Encoder = Callable[[Steps], bytes | None]
_LOWEST = 1


def within(steps: Steps, engine: Engine, encode: Encoder) -> bytes | None:
    """What *encode* makes of *steps*, at a lower quality where ``max_bytes`` says so; None where it makes nothing.

    At most `MOST_ENCODES` files are made: the quality asked for, then halves of what lies below.
    """
    body, most = encode(steps), steps.encode.max_bytes
    if body is None or not most or len(body) <= most:
        return body
    low, high = _LOWEST, asked_quality(steps, engine) - 1
    best, smallest = None, len(body)
    for _ in range(MOST_ENCODES - 1):
        if low > high:
            break
        quality = (low + high) // 2
        body = encode(replace(steps, quality=quality))
        if body is None:
            return None
        smallest = min(smallest, len(body))
        if len(body) <= most:
            best, low = body, quality + 1
        else:
            high = quality - 1
    if best is None:
        raise LimitExceeded("max_bytes", f"max_bytes: {smallest} bytes at the lowest quality > {most}")
    return best
