"""Where in what a client sends a connection is."""

from enum import Enum, auto


class Reading(Enum):
    """What the next byte belongs to."""

    HEAD = auto()
    """A head, or nothing yet on a new connection."""
    BODY = auto()
    IDLE = auto()
    """Nothing: the last request is here whole."""
    DEAF = auto()
    """Whatever it is, it is not read any more."""
