"""What all connections of one port have in common."""

import resource
from collections.abc import Callable

from imagemill.settings import Server
from imagemill.web.unsent import Unsent
from imagemill.web.wire import Fields

MAX_BODY_BYTES = 64 * 1024
_RESERVED_FILES = 256

Bodies = Callable[[str, str], tuple[int, str] | None]
"""Method and raw path to how many bytes of a body are kept, and the setting that says so; None = it is dropped."""
Early = Callable[[bytes, str, Fields], tuple[bytes, bytes] | None]
"""What came, the address it came from, and the headers that every answer begins with, to an answer's head and body.

None where this is not answered here."""


class Connections:
    """What the connections of one port share: settings, counts, and whether the port is closing."""

    def __init__(
        self, settings: Server, refused: Callable[[str], None] = lambda _: None, *, bodies: Bodies = lambda *_: None
    ) -> None:
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.settings = settings
        self.most = max(8, min(settings.max_connections, soft - _RESERVED_FILES))
        self.open = 0
        self.lingering = 0
        """Connections over the cap that are being told so."""
        self.draining = False
        self.refused = refused
        self.unsent = Unsent(settings.unsent_bytes, lambda: refused("unsent"))
        self.bodies = bodies
        """What on this port wants a body; all others are dropped as they come."""
        self.early: Early | None = None
        """What may answer a request before it is parsed, see `web.hits`."""


def keep_small(_method: str, _path: str) -> tuple[int, str]:
    """Keep every body, up to `MAX_BODY_BYTES`."""
    return MAX_BODY_BYTES, ""
